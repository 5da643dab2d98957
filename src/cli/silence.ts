/**
 * Notices that the daemon has gone silent. Always holds: what a client shows is never older than
 * three seconds without being called unknown, also when the daemon hangs in the middle of an answer
 * and no error comes. Imports core and the shape of a verb.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { STALE_AFTER_MS } from '../core/status.ts';
import type { CliClock, CliIo } from './verb.ts';

const ROUND_MS = 1000;

const REAL_CLOCK: CliClock = {
  nowMs: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }),
};

/** The time of this outside. */
export function clockOf(io: Pick<CliIo, 'clock'>): CliClock {
  return io.clock ?? REAL_CLOCK;
}

/** Watches for words of the daemon while something of it is shown. */
export class Silence {
  readonly #clock: CliClock;
  readonly #told: (quietS: number | null) => void;
  #lastMs: number;
  #silent = false;

  /** `told` is called every second with how long nothing came, and with null when words come. */
  constructor(clock: CliClock, told: (quietS: number | null) => void) {
    this.#clock = clock;
    this.#told = told;
    this.#lastMs = clock.nowMs();
  }

  /** The daemon has said something. */
  heard(): void {
    this.#lastMs = this.#clock.nowMs();
    if (this.#silent) this.#told(null);
    this.#silent = false;
  }

  /** Watches until the signal aborts; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#clock.sleep(ROUND_MS, signal).catch(() => {});
      if (signal.aborted) return;
      const quietMs = this.#clock.nowMs() - this.#lastMs;
      if (quietMs <= STALE_AFTER_MS) continue;
      this.#silent = true;
      this.#told(Math.floor(quietMs / 1000));
    }
  }
}

/**
 * The answer of the daemon; while it does not come, that is said on standard error, once, for a
 * person who waits before an empty screen.
 */
export async function answered<T>(answer: Promise<T>, io: CliIo): Promise<T> {
  const over = new AbortController();
  let told = false;
  const silence = new Silence(clockOf(io), (quietS) => {
    if (quietS !== null && !told) io.err(`${silentWords(quietS)}\n`);
    told = true;
  });
  const watching = silence.run(AbortSignal.any([io.signal, over.signal]));
  try {
    return await answer;
  } finally {
    over.abort();
    await watching;
  }
}

/** What is said of the silence. */
export function silentWords(quietS: number): string {
  return `no word from the daemon for ${quietS} s`;
}
