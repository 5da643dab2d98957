/**
 * When the next frame may be sent, so that a slow or stalled line never has much more than a frame
 * ahead of it, whatever lies between: a port, a modem, SSH, buffers of the system. Two means: the
 * speed of the line where it is known, and a question to the terminal after some bytes, whose
 * answer says that everything before it was shown. Always holds: a terminal that answers nothing is
 * found out and is not asked again; a lost answer holds a screen for two seconds; no question is
 * sent while nothing else is. Pure but for the clock it is given; imports nothing.
 */
import type { SetAlarm } from './keyboard.ts';

/** "Are you well?": every terminal since the vt100 answers it with `ANSWER`. */
export const QUESTION = '\x1b[5n';
/** What the decoder makes of the answer. */
export const ANSWER = '0n';

/** Bits of a byte on a serial line, with start and stop. */
const BITS_PER_BYTE = 10;
/** After so many bytes the terminal is asked whether it has shown them. */
const ASK_BYTES = 256;
/** So many bytes without an answer hold the next frame: two thirds of a second at 9600 baud. */
const HOLD_BYTES = 640;
/** A terminal that never answered is given so long. */
const FIRST_MS = 700;
/** One that did is asked again after this, then after twice as long, up to the longest. */
const AGAIN_MS = 2_000;
const AGAIN_MAX_MS = 30_000;
/** So many keys of a person who sees no answer to any, and the terminal is another one now. */
const KEYS_MAX = 3;

/** What a flow needs. */
export interface FlowOptions {
  /** Bits per second when that is known. */
  readonly baud: number | null;
  /** The terminal may be asked. */
  readonly answers: boolean;
  readonly nowMs: () => number;
  readonly setAlarm: SetAlarm;
  /** Sends the question once more. */
  readonly onAsk: () => void;
  /** A frame may be sent now. */
  readonly onFree: () => void;
}

/** One line, and how far its terminal is behind. */
export class Flow {
  readonly #options: FlowOptions;
  /** Whether the terminal answers: not known yet, yes, or no. */
  #trust: 'unknown' | 'answers' | 'mute';
  #freeAtMs = 0;
  /** Bytes that nobody said were shown, and those of them behind the question that is open. */
  #ahead = 0;
  #behindQuestion = 0;
  #asked = false;
  #againMs = AGAIN_MS;
  #overdue = false;
  #keys = 0;
  #passes = false;
  #stopPace: () => void = () => {};
  #stopWait: () => void = () => {};

  constructor(options: FlowOptions) {
    this.#options = options;
    this.#trust = options.answers ? 'unknown' : 'mute';
  }

  /** True while a frame would only wait behind others. */
  get held(): boolean {
    if (this.aheadMs > 0) return true;
    return this.#trust !== 'mute' && this.#ahead >= HOLD_BYTES && !this.#passes;
  }

  /** True while an answer of the terminal may still come. */
  get asking(): boolean {
    return this.#asked;
  }

  /** How long the line needs for what was sent, where its speed is known. */
  get aheadMs(): number {
    return Math.max(0, this.#freeAtMs - this.#options.nowMs());
  }

  /** These bytes are sent now; returns them with the question behind them when it is due. */
  send(text: string): string {
    const bytes = Buffer.byteLength(text);
    this.#passes = false;
    this.#ahead += bytes;
    this.#behindQuestion += bytes;
    const asks = this.#trust !== 'mute' && !this.#asked && this.#ahead >= ASK_BYTES;
    const all = asks ? text + QUESTION : text;
    this.#pace(Buffer.byteLength(all));
    if (asks) this.#ask();
    return all;
  }

  /** The terminal has answered: what was sent before the question is shown. */
  answered(): void {
    if (this.#trust === 'mute' && !this.#options.answers) return;
    this.#trust = 'answers';
    if (this.#asked) this.#ahead = this.#behindQuestion;
    this.#settle();
    if (this.#ahead < HOLD_BYTES) return;
    // A large frame followed the question: nothing more would be sent to ask with.
    this.#pace(QUESTION.length);
    this.#options.onAsk();
    this.#ask();
  }

  /** A key was pressed: a person who waits for an answer that is overdue gets one frame for it. */
  pressed(): void {
    if (!this.#overdue) return;
    this.#keys += 1;
    this.#passes = true;
    if (this.#keys > KEYS_MAX) this.#mute();
  }

  /** Nothing is known of the terminal any more; it may be another one. */
  forget(): void {
    this.#ahead = 0;
    if (this.#options.answers) this.#trust = 'unknown';
    this.#settle();
  }

  /** It was asked something else, and did not answer. */
  silent(): void {
    if (this.#trust === 'unknown') this.#mute();
  }

  /** Stops the clocks. */
  end(): void {
    this.#stopPace();
    this.#stopWait();
  }

  #ask(): void {
    this.#asked = true;
    this.#behindQuestion = 0;
    this.#againMs = AGAIN_MS;
    this.#wait(this.#trust === 'unknown' ? FIRST_MS : AGAIN_MS);
  }

  #pace(bytes: number): void {
    const { baud, nowMs, setAlarm } = this.#options;
    if (baud === null) return;
    this.#freeAtMs = Math.max(nowMs(), this.#freeAtMs) + (bytes * BITS_PER_BYTE * 1000) / baud;
    this.#stopPace();
    // A timer may ring a moment early, and would find the line still busy.
    this.#stopPace = setAlarm(Math.ceil(this.aheadMs) + 1, () => this.#tell());
  }

  #wait(ms: number): void {
    this.#stopWait();
    this.#stopWait = this.#options.setAlarm(Math.ceil(this.aheadMs) + ms, () => {
      if (this.#trust === 'unknown') return this.#mute();
      this.#overdue = true;
      // An answer may be lost on a noisy line.
      this.#pace(QUESTION.length);
      this.#options.onAsk();
      this.#againMs = Math.min(this.#againMs * 2, AGAIN_MAX_MS);
      this.#wait(this.#againMs);
    });
  }

  #mute(): void {
    this.#trust = 'mute';
    this.#ahead = 0;
    this.#settle();
  }

  #settle(): void {
    this.#asked = false;
    this.#overdue = false;
    this.#keys = 0;
    this.#stopWait();
    this.#tell();
  }

  #tell(): void {
    if (!this.held) this.#options.onFree();
  }
}
