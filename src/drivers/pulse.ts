/**
 * Notices that another process gives no sign of life, in the middle of a connection that stands: it
 * was stopped, its event loop is busy for good, or its disk hangs. Always holds: beats are counted
 * and not the clock, so a time in which this process stood still itself is not held against the
 * other one; one question is open at a time. Imports core and json-lines.
 */
import { asUpdateError } from '../core/errors.ts';
import type { SocketCalls } from './json-lines.ts';

/** Beats after which an open question is given up and asked anew. */
const ASK_BEATS = 20;

/** Whom to ask, how often, and who is told. */
export interface PulseOptions {
  /** Connection to the storage software. */
  readonly calls: SocketCalls;
  readonly beatMs: number;
  /** Called at every beat with how many in a row brought no answer, and with 0 at an answer. */
  readonly onBeat: (quietBeats: number) => void;
}

/** Asks for a sign of life at every beat until it is disposed of. */
export class Pulse implements Disposable {
  readonly #options: PulseOptions;
  readonly #timer: NodeJS.Timeout;
  #quiet = 0;
  #asking = false;
  #closed = false;

  constructor(options: PulseOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#beat(), options.beatMs);
  }

  /** A sign of life came in another way. */
  heard(): void {
    if (this.#closed) return;
    this.#quiet = 0;
    this.#options.onBeat(0);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  #beat(): void {
    this.#quiet += 1;
    this.#options.onBeat(this.#quiet);
    if (!this.#asking && !this.#closed) void this.#ask();
  }

  async #ask(): Promise<void> {
    const { calls, beatMs } = this.#options;
    this.#asking = true;
    try {
      await calls.call({ op: 'alive' }, AbortSignal.timeout(beatMs * ASK_BEATS));
      this.heard();
    } catch (error) {
      // Software that does not know the question has answered all the same.
      if (asUpdateError(error).code === 'usage.invalid') this.heard();
    } finally {
      this.#asking = false;
    }
  }
}
