/**
 * A clock that stands still until it is told to go: alarms ring in their order, at their time.
 * Imports nothing.
 */
import type { SetAlarm } from '../../console/terminal/keyboard.ts';

export class Clock {
  nowMs = 0;
  #alarms: { readonly atMs: number; readonly ring: () => void }[] = [];

  readonly setAlarm: SetAlarm = (ms, ring) => {
    const alarm = { atMs: this.nowMs + ms, ring };
    this.#alarms.push(alarm);
    return () => {
      this.#alarms = this.#alarms.filter((one) => one !== alarm);
    };
  };

  /** Lets so much time pass. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const next = this.#alarms.toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > endMs) break;
      this.nowMs = next.atMs;
      this.#alarms = this.#alarms.filter((one) => one !== next);
      next.ring();
    }
    this.nowMs = endMs;
  }
}
