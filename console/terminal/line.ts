/**
 * A terminal on a channel: keys in, frames out, its size, its state before and after. Always holds:
 * a line that stalls costs this process a frame and the daemon nothing; after the end the terminal
 * is as it was, if it still takes anything; while the line is lent, bytes pass as they are and
 * nothing of the console is sent. Imports the kinds, the keyboard, the flow and the channel.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Key } from '../keys.ts';
import type { Channel, OpenChannel, Size } from './channel.ts';
import { ANSWER, Flow, QUESTION } from './flow.ts';
import { entering, leaving, PROBE, type Kind } from './kinds.ts';
import { Keyboard, realAlarm } from './keyboard.ts';
import { sane } from './tty.ts';

/** A terminal that does not say its size within this time is taken for 80x24. */
const PROBE_MS = 300;
/** How long answers that are on their way are waited for, and how often that is looked at. */
const QUIET_MS = 1000;
const LOOK_MS = 10;
const USUAL = { rows: 24, columns: 80 } as const;

/** How a line is opened. */
export interface LineOptions {
  readonly kind: Kind;
  readonly open: OpenChannel;
  /** Bits per second when that is known, so that no more is sent than the line carries. */
  readonly baud: number | null;
  readonly onKey: (key: Key) => void;
  readonly onResize: () => void;
  /** Everything that was sent has left. */
  readonly onFree: () => void;
  /** The other end is gone. */
  readonly onHangUp: () => void;
}

/** A line that was lent to another program. */
export interface Loan extends Disposable {
  /** Sends bytes as they are; `taken` is called when more may come. */
  send(bytes: Uint8Array, taken: () => void): void;
}

/** Who borrows a line. */
export interface Borrower {
  readonly onBytes: (bytes: Uint8Array) => void;
  readonly onResize: () => void;
}

/** A terminal that is drawn on. */
export class TerminalLine implements AsyncDisposable {
  readonly #options: LineOptions;
  readonly #channel: Channel;
  readonly #keyboard: Keyboard;
  readonly #flow: Flow;
  #borrower: Borrower | null = null;
  #probed: Size | null = null;
  #renewing: Promise<void> | null = null;
  #onPosition: (size: Size) => void = () => {};
  #gone = false;

  constructor(options: LineOptions) {
    this.#options = options;
    this.#flow = new Flow({
      baud: options.baud,
      answers: options.kind.answers,
      nowMs: () => performance.now(),
      setAlarm: realAlarm,
      onAsk: () => this.#send(QUESTION),
      onFree: () => this.#tellFree(),
    });
    this.#keyboard = new Keyboard({
      onKey: (key) => {
        this.#flow.pressed();
        options.onKey(key);
      },
      onPosition: (rows, columns) => this.#onPosition({ rows, columns }),
      onAnswer: (answer) => {
        if (answer === ANSWER) this.#flow.answered();
      },
    });
    this.#channel = options.open({
      onBytes: (bytes) => this.#take(bytes),
      onResize: () => (this.#borrower ?? options).onResize(),
      onFree: () => this.#tellFree(),
      onHangUp: () => this.#hangUp(),
    });
  }

  /** The size that the system knows, or that the terminal told, or the usual one. */
  get size(): Size {
    return this.#channel.size ?? this.#probed ?? USUAL;
  }

  /** True while something that was sent is still on its way, and while the line is lent. */
  get busy(): boolean {
    return this.#borrower !== null || this.#channel.waiting || this.#flow.held;
  }

  /** Prepares the terminal, and asks it for its size where the system does not know it. */
  async enter(): Promise<void> {
    this.write(entering(this.#options.kind));
    await this.#askSize();
  }

  /**
   * It may be another terminal now: once what was sent has left, it is prepared again and asked for
   * its size. Not on a line that stalls, where the person only wants to see something.
   */
  async renew(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  async #renew(): Promise<void> {
    await this.#quiet(() => this.busy);
    if (this.busy) return;
    this.#flow.forget();
    await this.enter();
  }

  /** Waits for the end of something, but not for long. */
  async #quiet(going: () => boolean): Promise<void> {
    const endMs = performance.now() + QUIET_MS;
    while (going() && performance.now() < endMs && !this.#gone) await sleep(LOOK_MS);
  }

  /** Sends bytes; the caller asks `busy` first and sends a frame at a time. */
  write(text: string): void {
    if (this.#gone || text === '' || this.#borrower !== null) return;
    this.#send(this.#flow.send(text));
  }

  /** Lends the terminal, clean; at the end of the loan it is the console's again, to be redrawn. */
  async lend(borrower: Borrower): Promise<Loan> {
    // An answer that comes later would be typed into what borrows the line.
    await this.#quiet(() => this.#flow.asking);
    this.#borrower = borrower;
    this.#flow.forget();
    this.#send(leaving(this.#options.kind, this.size.rows));
    return {
      send: (bytes, taken) => this.#channel.send(bytes, taken),
      [Symbol.dispose]: () => {
        this.#borrower = null;
        this.#flow.forget();
        if (!this.#gone) this.write(entering(this.#options.kind));
      },
    };
  }

  /** Gives the terminal back; a line that is stalled or gone is not waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    const sent = !this.#gone && (await this.#sendLast());
    this.#gone = true;
    this.#flow.end();
    this.#keyboard.end();
    this.#channel.release(sent);
  }

  async #askSize(): Promise<void> {
    if (this.#channel.size !== null || !this.#options.kind.answers || this.#gone) return;
    const answer = new Promise<Size | null>((resolve) => {
      const waitMs = PROBE_MS + this.#flow.aheadMs;
      const timer = setTimeout(() => resolve(null), waitMs);
      this.#onPosition = (size) => {
        clearTimeout(timer);
        resolve(sane(size));
      };
    });
    this.write(PROBE);
    const told = await answer;
    if (told === null) this.#flow.silent();
    this.#probed = told ?? USUAL;
    this.#onPosition = () => {};
    if (!this.#gone) this.#channel.tellSize(this.#probed);
  }

  /** Sends what leaves the terminal clean; false when the line takes nothing. */
  async #sendLast(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), this.#flow.aheadMs + PROBE_MS);
    const last = this.#borrower === null ? leaving(this.#options.kind, this.size.rows) : '\r\n';
    this.#channel.send(last, () => resolve(true));
    const sent = await promise;
    clearTimeout(timer);
    return sent;
  }

  #send(text: string): void {
    if (!this.#gone) this.#channel.send(text, () => this.#tellFree());
  }

  #take(bytes: Uint8Array): void {
    if (this.#borrower === null) this.#keyboard.feed(bytes);
    else this.#borrower.onBytes(bytes);
  }

  #tellFree(): void {
    if (!this.#gone && !this.busy) this.#options.onFree();
  }

  #hangUp(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#options.onHangUp();
  }
}
