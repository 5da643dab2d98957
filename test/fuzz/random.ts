/**
 * Chance that can be had again: the same seed and number give the same draws, on every machine.
 * Source of the generator: Sebastiano Vigna and David Blackman, "xoshiro128**", public domain.
 * Always holds: nothing here asks a clock or the system. Imports nothing.
 */

/** Numbers that readers trip over, as they stand in fields of one to eight bytes. */
const EDGES: readonly number[] = [
  0,
  1,
  2,
  7,
  8,
  63,
  64,
  65,
  127,
  128,
  255,
  256,
  511,
  512,
  513,
  4095,
  4096,
  65_535,
  65_536,
  2 ** 20,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 33 - 1,
  2 ** 53 - 1,
  2 ** 53,
];

/** One stream of draws. */
export class Random {
  readonly #state: Uint32Array;

  /** Streams of different numbers have nothing in common. */
  constructor(seed: number, number = 0) {
    // SplitMix32 fills the state, so that seeds that are alike give states that are not.
    let next = (Math.imul(seed | 0, 0x9e37_79b1) ^ Math.imul(number | 0, 0x85eb_ca6b)) >>> 0;
    next ^= Math.floor(number / 2 ** 32);
    this.#state = Uint32Array.from({ length: 4 }, () => {
      next = (next + 0x9e37_79b9) >>> 0;
      let z = next;
      z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
      return (z ^ (z >>> 15)) >>> 0;
    });
  }

  /** 32 bits. */
  word(): number {
    const [a = 0, b = 0, c = 0, d = 0] = this.#state;
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const [c2, d2] = [c ^ a, d ^ b];
    this.#state.set([a ^ d2, b ^ c2, c2 ^ (b << 9), (d2 << 11) | (d2 >>> 21)]);
    return result;
  }

  /** A whole number below `limit`, which is at least 1. */
  below(limit: number): number {
    return Math.floor((this.word() / 2 ** 32) * limit);
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  /** One of a list, which is not empty. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** A number at or near one where something changes. */
  edge(): number {
    const value = this.pick(EDGES);
    return this.oneIn(4) ? value + this.below(3) - 1 : value;
  }

  /** Short more often than long. */
  length(limit: number): number {
    return this.below(this.below(limit) + 1);
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; at += 1) bytes[at] = this.below(256);
    return bytes;
  }
}
