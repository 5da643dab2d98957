/**
 * The search: every state that a pair can reach with at most so many faults, by growing number of
 * faults and then of steps; the checks in each; and, backwards from the quiet ends, whether every
 * state still leads to one. Always holds: states are told apart exactly (no hashes stand for them),
 * in flat arrays. Only tests import it.
 */
import { Broken } from './move.ts';
import type { PairMoves, PairState } from './pair.ts';

/** A growing array of 32-bit numbers. */
class Ints {
  data = new Int32Array(1 << 16);
  length = 0;

  push(value: number): void {
    if (this.length === this.data.length) {
      const next = new Int32Array(this.data.length * 2);
      next.set(this.data);
      this.data = next;
    }
    this.data[this.length++] = value;
  }

  at(index: number): number {
    return this.data[index] as number;
  }
}

const FIELDS = 5;

/** States in the order in which they were found; each is there once. */
class Table {
  readonly #data = new Ints();
  #slots = new Int32Array(1 << 18).fill(-1);
  size = 0;

  /** Number of the state; `fresh` is set when it was not there. */
  fresh = false;

  add({ a, b, toA, toB, flags }: PairState): number {
    let h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b);
    h ^= Math.imul(toA, 0xc2b2ae35) ^ Math.imul(toB, 0x27d4eb2f) ^ Math.imul(flags, 0x165667b1);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    h ^= h >>> 13;
    const mask = this.#slots.length - 1;
    const d = this.#data.data;
    for (let at = h & mask; ; at = (at + 1) & mask) {
      const index = this.#slots[at] as number;
      if (index < 0) {
        this.#slots[at] = this.size;
        const data = this.#data;
        data.push(a);
        data.push(b);
        data.push(toA);
        data.push(toB);
        data.push(flags);
        this.fresh = true;
        this.size++;
        if (this.size * 2 > this.#slots.length) this.#grow();
        return this.size - 1;
      }
      const i = index * FIELDS;
      const same =
        d[i] === a && d[i + 1] === b && d[i + 2] === toA && d[i + 3] === toB && d[i + 4] === flags;
      if (same) {
        this.fresh = false;
        return index;
      }
    }
  }

  get(index: number): PairState {
    const i = index * FIELDS;
    const at = (field: number): number => this.#data.at(i + field);
    return { a: at(0), b: at(1), toA: at(2), toB: at(3), flags: at(4) };
  }

  #grow(): void {
    const { size } = this;
    this.#slots = new Int32Array(this.#slots.length * 2).fill(-1);
    const mask = this.#slots.length - 1;
    for (let index = 0; index < size; index++) {
      const { a, b, toA, toB, flags } = this.get(index);
      let h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b);
      h ^= Math.imul(toA, 0xc2b2ae35) ^ Math.imul(toB, 0x27d4eb2f) ^ Math.imul(flags, 0x165667b1);
      h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
      h ^= h >>> 13;
      let at = h & mask;
      while ((this.#slots[at] as number) >= 0) at = (at + 1) & mask;
      this.#slots[at] = index;
    }
  }
}

/** What a search is told. */
export interface SearchOptions {
  readonly faults: number;
  /** States at most; a search that is cut short says so. */
  readonly statesMax: number;
  readonly broken: (p: PairState) => string | null;
  readonly quiet: (p: PairState) => boolean;
  /** Look for states that cannot end, too. */
  readonly ends: boolean;
}

/** What a search found. */
export interface Found {
  readonly states: number;
  readonly edges: number;
  readonly quiet: number;
  /** States per number of faults. */
  readonly byFaults: readonly number[];
  /** False when `statesMax` was reached. */
  readonly whole: boolean;
  readonly violation: { readonly what: string; readonly trace: readonly string[] } | null;
}

/** One search from one state. */
export class Search {
  readonly #moves: PairMoves;
  readonly #options: SearchOptions;
  readonly #table = new Table();
  readonly #parents = new Ints();
  /** Edges without faults: where those of a state begin, and where each leads. */
  readonly #starts = new Ints();
  readonly #targets = new Ints();
  #quiet = 0;
  readonly #ends: number[] = [];
  #edges = 0;
  #wrong: { index: number; what: string; stuck?: boolean } | null = null;

  constructor(moves: PairMoves, options: SearchOptions) {
    this.#moves = moves;
    this.#options = options;
  }

  run(initial: PairState): Found {
    const { faults, ends, statesMax } = this.#options;
    this.#add(initial, -1);
    const byFaults: number[] = [];
    let begin = 0;
    let at = 0;
    let full = false;
    for (let level = 0; level <= faults && this.#wrong === null && !full; level++) {
      for (; at < this.#table.size && this.#wrong === null; at++) {
        if (this.#table.size > statesMax) {
          full = true;
          break;
        }
        this.#expand(at);
      }
      byFaults.push(this.#table.size - begin);
      const until = this.#table.size;
      if (level < faults && this.#wrong === null && !full) {
        for (let index = begin; index < until && this.#wrong === null; index++) this.#fail(index);
      }
      begin = until;
    }
    if (this.#wrong === null && !full && ends) this.#stuck();
    return {
      states: this.#table.size,
      edges: this.#edges,
      quiet: this.#quiet,
      byFaults,
      whole: !full && this.#wrong === null,
      violation: this.#violation(),
    };
  }

  #violation(): Found['violation'] {
    if (this.#wrong === null) return null;
    const { index, what, stuck } = this.#wrong;
    const onward = stuck === true ? this.#onward(index) : [];
    return { what, trace: [...this.#trace(index), ...onward] };
  }

  #add(p: PairState, parent: number): number {
    const index = this.#table.add(p);
    if (!this.#table.fresh) return index;
    this.#parents.push(parent);
    const what = this.#options.broken(p);
    if (what !== null) this.#wrong ??= { index, what };
    if (this.#options.quiet(p)) {
      this.#quiet++;
      this.#ends.push(index);
    }
    return index;
  }

  #expand(index: number): void {
    const keep = this.#options.ends;
    if (keep) this.#starts.push(this.#targets.length);
    try {
      this.#moves.each(this.#table.get(index), false, (next) => {
        this.#edges++;
        const to = this.#add(next, index);
        if (keep) this.#targets.push(to);
      });
    } catch (error) {
      this.#raise(error, index);
    }
  }

  #fail(index: number): void {
    try {
      this.#moves.each(this.#table.get(index), true, (next, fault) => {
        if (!fault) return;
        this.#edges++;
        this.#add(next, index);
      });
    } catch (error) {
      this.#raise(error, index);
    }
  }

  #raise(error: unknown, index: number): void {
    if (!(error instanceof Broken)) throw error;
    this.#wrong ??= { index, what: error.message };
  }

  /** Backwards from the quiet ends over steps without faults: whoever is not met is stuck. */
  #stuck(): void {
    const { size } = this.#table;
    this.#starts.push(this.#targets.length);
    const counts = new Int32Array(size + 1);
    const { data: targets, length } = this.#targets;
    for (let i = 0; i < length; i++) (counts[(targets[i] as number) + 1] as number)++;
    for (let i = 0; i < size; i++) (counts[i + 1] as number) += counts[i] as number;
    const sources = new Int32Array(length);
    const fill = counts.slice(0, size);
    for (let from = 0; from < size; from++) {
      for (let i = this.#starts.at(from); i < this.#starts.at(from + 1); i++) {
        const to = targets[i] as number;
        sources[fill[to] as number] = from;
        (fill[to] as number)++;
      }
    }
    const good = new Uint8Array(size);
    const open = new Ints();
    for (const index of this.#ends) {
      good[index] = 1;
      open.push(index);
    }
    for (let i = 0; i < open.length; i++) {
      const to = open.at(i);
      for (let k = counts[to] as number; k < (counts[to + 1] as number); k++) {
        const from = sources[k] as number;
        if (good[from] === 1) continue;
        good[from] = 1;
        open.push(from);
      }
    }
    const index = good.indexOf(0);
    if (index < 0) return;
    const count = size - open.length;
    this.#wrong = {
      index,
      what: `L1 ${count} states lead to no quiet end, the first of them`,
      stuck: true,
    };
  }

  /** Where a state leads that cannot end: one way on without faults, until it comes round. */
  #onward(index: number): readonly string[] {
    const words = ['and without any more faults, for instance:'];
    const seen = new Set<number>();
    for (let at = index; !seen.has(at);) {
      seen.add(at);
      const from = this.#starts.at(at);
      const ways = Array.from({ length: this.#starts.at(at + 1) - from }, (_, i) =>
        this.#targets.at(from + i),
      );
      const next = ways.find((to) => !seen.has(to)) ?? ways[0];
      if (next === undefined) break;
      words.push(this.#say(at, next));
      at = next;
    }
    return words;
  }

  /** The way from the first state to this one, in words. */
  #trace(index: number): readonly string[] {
    const words: string[] = [];
    for (let at = index; this.#parents.at(at) >= 0; at = this.#parents.at(at)) {
      words.push(this.#say(this.#parents.at(at), at));
    }
    return words.toReversed();
  }

  #say(from: number, to: number): string {
    const wanted = this.#table.get(to);
    let words = '?';
    this.#moves.each(this.#table.get(from), true, (next, _fault, say) => {
      const same =
        next.a === wanted.a &&
        next.b === wanted.b &&
        next.toA === wanted.toA &&
        next.toB === wanted.toB &&
        next.flags === wanted.flags;
      if (same && words === '?') words = say();
    });
    return words;
  }
}
