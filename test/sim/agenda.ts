/**
 * Virtual time of the simulated pair: what is due when, and how long things take. Always holds:
 * what is due at one moment happens in the order in which it was planned, so the same seed gives
 * the same run; without chance everything takes the same short time in every run. Only tests import
 * it.
 */

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** What is due, by time. */
export class Agenda {
  nowMs = 0;
  #order = 0;
  /** A heap: no entry is later than the two below it. */
  readonly #heap: Entry[] = [];

  /** Plans something; 0 ms from now is still in this moment, after what was planned for it. */
  after(delayMs: number, run: () => void): void {
    this.at(this.nowMs + delayMs, run);
  }

  /** Plans it for this very moment: a sum of a difference could come out a little earlier. */
  at(atMs: number, run: () => void): void {
    const heap = this.#heap;
    const entry = { atMs, order: this.#order++, run };
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Entry;
      if (!isBefore(entry, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = entry;
  }

  /** Does everything that is due until then; the time is then. */
  runTo(untilMs: number): void {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.atMs > untilMs) break;
      this.#shift();
      if (first.atMs > this.nowMs) this.nowMs = first.atMs;
      first.run();
    }
    this.nowMs = untilMs;
  }

  #shift(): void {
    const heap = this.#heap;
    const last = heap.pop() as Entry;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = at * 2 + 1;
      if (below >= heap.length) break;
      const right = heap[below + 1];
      if (right !== undefined && isBefore(right, heap[below] as Entry)) below++;
      const child = heap[below] as Entry;
      if (!isBefore(child, last)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
  }
}

const isBefore = (a: Entry, b: Entry): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** How long things take: always the same, or as chance has it. */
export class Pace {
  readonly #next: (() => number) | null;

  /** Without a generator of numbers nothing is left to chance. */
  constructor(next: (() => number) | null) {
    this.#next = next;
  }

  get chance(): boolean {
    return this.#next !== null;
  }

  /**
   * Milliseconds: `calmMs` without chance; else between the two, short ones far more often, so that
   * all orders of two things are met.
   */
  ms(calmMs: number, minMs: number, maxMs: number): number {
    if (this.#next === null) return calmMs;
    const x = this.#next();
    return Math.round(minMs + (maxMs - minMs) * x * x * x);
  }

  /** True as often as `rate` says; never without chance. */
  odds(rate: number): boolean {
    return this.#next !== null && this.#next() < rate;
  }
}

/** What a daemon hears, in the order in which it came; while it is held up all of it waits. */
export class Inbox<T> {
  readonly #agenda: Agenda;
  /** How long the daemon is held up from now on; not above 0 when it is not. */
  readonly #heldMs: () => number;
  readonly #open: (one: T) => void;
  readonly #waiting: T[] = [];

  constructor(agenda: Agenda, heldMs: () => number, open: (one: T) => void) {
    this.#agenda = agenda;
    this.#heldMs = heldMs;
    this.#open = open;
  }

  hear(one: T): void {
    if (this.#waiting.length === 0 && this.#heldMs() <= 0) this.#open(one);
    else if (this.#waiting.push(one) === 1) this.#wait();
  }

  /** The daemon has ended: what waited was for nobody. */
  clear(): void {
    this.#waiting.length = 0;
  }

  #wait(): void {
    this.#agenda.after(Math.max(0, this.#heldMs()), () => {
      if (this.#heldMs() > 0) return this.#wait();
      for (let one = this.#waiting.shift(); one !== undefined; one = this.#waiting.shift()) {
        this.#open(one);
      }
    });
  }
}
