/**
 * Waiting for something that a machine says or does: whoever waits hands over a look that finds it
 * or not, and is told as soon as a look finds it. Always holds: every wait ends, at the latest with
 * its time limit, its signal, or the failure of what it waits on. Imports core.
 */
import { UpdateError } from '../../src/core/errors.ts';

/** How long somebody waits. */
export interface WaitOptions {
  /** Time limit of this wait; software emulation is slow, so give it five times what you saw. */
  readonly timeoutMs: number;
  /** Ends the wait with its reason. */
  readonly signal?: AbortSignal | undefined;
}

interface Waiter {
  look(): boolean;
  fail(error: unknown): void;
}

/** Everybody who waits on one thing. */
export class Waiters {
  readonly #waiting = new Set<Waiter>();
  #failure: UpdateError | null = null;

  /**
   * The first thing that `look` finds, which is asked at once and after every `poke`. Throws
   * `wait.timed_out` with the sentence of `describe`, the reason of the signal, or the failure.
   */
  wait<T>(look: () => T | null, describe: () => string, options: WaitOptions): Promise<T> {
    const { signal, timeoutMs } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const end = (): void => {
        this.#waiting.delete(waiter);
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
      };
      const waiter: Waiter = {
        look: () => {
          const found = look();
          if (found === null) return false;
          end();
          resolve(found);
          return true;
        },
        fail: (error) => {
          end();
          reject(error);
        },
      };
      const abort = (): void => waiter.fail(signal?.reason);
      const late = (): void => waiter.fail(new UpdateError('wait.timed_out', describe()));
      const timer = setTimeout(late, timeoutMs);
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.add(waiter);
      if (!waiter.look() && this.#failure !== null) waiter.fail(this.#failure);
    });
  }

  /** Something new happened: everybody looks again. */
  poke(): void {
    for (const waiter of this.#waiting) waiter.look();
  }

  /** Nothing more will happen: every wait that finds nothing ends with `error`, later ones too. */
  fail(error: UpdateError): void {
    this.#failure = error;
    for (const waiter of this.#waiting) if (!waiter.look()) waiter.fail(error);
  }

  /** Things may happen again, after a failure. */
  revive(): void {
    this.#failure = null;
  }
}
