/**
 * Time for tests of the updater: it stands still until the test moves it, and then everything that
 * was due runs in the order of its time, so that the same test always does the same. Only tests
 * import it.
 */
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import type { Pause } from '../../src/updater/effects.ts';

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

export class VirtualClock {
  nowMs = 0;
  #timers: Timer[] = [];

  /** Runs `action` once `delayMs` have passed; returns how to take that back. */
  schedule(delayMs: number, action: () => void): () => void {
    const timer = { atMs: this.nowMs + delayMs, run: action };
    const after = this.#timers.findIndex((one) => one.atMs > timer.atMs);
    if (after < 0) this.#timers.push(timer);
    else this.#timers.splice(after, 0, timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  /** A pause of the updater on this clock. */
  readonly pause: Pause = async (ms, signal) => {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.schedule(ms, resolve);
    const stop = (): void => resolve();
    signal.addEventListener('abort', stop, { once: true });
    await promise;
    cancel();
    signal.removeEventListener('abort', stop);
  };

  /** Lets everything go on that waits for no time. */
  async settle(): Promise<void> {
    await turn();
  }

  /** Settles, then moves to the next due time and runs what is due then; false = nothing is. */
  async step(): Promise<boolean> {
    await this.settle();
    const next = this.#timers[0];
    if (next === undefined) return false;
    this.nowMs = next.atMs;
    for (let due = this.#timers[0]; due?.atMs === next.atMs; due = this.#timers[0]) {
      this.#timers.shift();
      due.run();
    }
    await this.settle();
    return true;
  }

  /** Lets time pass until the promise is settled; what waits for real time is waited for. */
  async until<T>(promise: Promise<T>): Promise<T> {
    const open = Symbol('open');
    for (;;) {
      await this.settle();
      const found = await Promise.race([promise, Promise.resolve(open)]);
      if (found !== open) return await promise;
      if (!(await this.step())) await sleep(1);
    }
  }

  /** Lets this much time pass. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    await this.settle();
    while ((this.#timers[0]?.atMs ?? Infinity) <= untilMs) await this.step();
    this.nowMs = untilMs;
    await this.settle();
  }
}
