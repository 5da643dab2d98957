/**
 * Finds in a base image what a chunk of a new image has in common with it, for the maker of deltas:
 * a rolling hash over 32 bytes, sampled by its own value, so that content is found at any shift.
 * Always holds: the memory is bounded, whatever the size of the images; the result depends on the
 * bytes alone; every match was compared byte by byte. What is chosen decides on the size of a delta
 * and on nothing else. All synchronous, in pieces of one chunk. Imports core.
 */
import { hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { UpdateError } from '../core/errors.ts';
import { SEGMENT_UNITS_MAX, SEGMENTS_MAX, UNIT_BYTES, type Segment } from './delta.ts';

/** Bytes that the rolling hash covers: each step shifts the 32 bits by one. */
const WINDOW_BYTES = 32;
/** Positions of the base that are remembered at most; more bytes are sampled more thinly. */
const SAMPLES_MAX = 4 * 1024 * 1024;
/** At least every 64th position on average is left out, however small the base is. */
const SAMPLE_BITS_MIN = 6;
/** Steps to the next free place of the table before a sample is given up. */
const PROBES_MAX = 32;
/** The base is compared in blocks of that size, of which so many stay in memory. */
const BLOCK_BYTES = 256 * 1024;
const BLOCKS_MAX = 64;
/** Equal bytes are followed in steps of that size. */
const STEP_BYTES = 512;

/** A stretch of the base that a chunk has too; `bytes` of it were compared. */
interface Match {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

/** What was found for a chunk. */
export interface Found {
  /** In the order of the base, within both limits; empty when nothing was found. */
  readonly segments: readonly Segment[];
  /** Bytes of the chunk that were found. */
  readonly matchedBytes: number;
}

/** Fixed random numbers, one per byte value. */
const GEAR = gearTable();

function gearTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i += 1) {
    table[i] = hash('sha256', `gear ${i}`, 'buffer').readUInt32LE(0);
  }
  return table;
}

/** The sampled positions of a base: a hash table with open addressing. */
class Samples {
  readonly shift: number;
  readonly #hashes: Uint32Array;
  /** Position + 1; zero is an empty place. */
  readonly #positions: Float64Array;
  readonly #slotShift: number;

  constructor(baseBytes: number) {
    const bits = Math.ceil(Math.log2(Math.max(1, baseBytes / SAMPLES_MAX)));
    const sampleBits = Math.max(SAMPLE_BITS_MIN, bits);
    this.shift = 32 - sampleBits;
    const expected = Math.max(1024, baseBytes / 2 ** sampleBits);
    const slotBits = Math.ceil(Math.log2(expected)) + 1;
    this.#hashes = new Uint32Array(2 ** slotBits);
    this.#positions = new Float64Array(2 ** slotBits);
    this.#slotShift = 32 - slotBits;
  }

  /** The first position with a hash is the one that stays. */
  add(h: number, position: number): void {
    const mask = this.#hashes.length - 1;
    let at = Math.imul(h, 0x9e3779b1) >>> this.#slotShift;
    for (let probe = 0; probe < PROBES_MAX; probe += 1) {
      if (this.#positions[at] === 0) {
        this.#hashes[at] = h;
        this.#positions[at] = position + 1;
        return;
      }
      if (this.#hashes[at] === h) return;
      at = (at + 1) & mask;
    }
  }

  /** A position at which the window had this hash, or -1. */
  find(h: number): number {
    const mask = this.#hashes.length - 1;
    let at = Math.imul(h, 0x9e3779b1) >>> this.#slotShift;
    for (let probe = 0; probe < PROBES_MAX; probe += 1) {
      const position = this.#positions[at] ?? 0;
      if (position === 0) return -1;
      if (this.#hashes[at] === h) return position - 1;
      at = (at + 1) & mask;
    }
    return -1;
  }
}

/** Blocks of a file that are compared, the newest ones kept. */
class Blocks {
  readonly #fd: number;
  readonly #sizeBytes: number;
  readonly #kept = new Map<number, Buffer>();

  constructor(fd: number, sizeBytes: number) {
    this.#fd = fd;
    this.#sizeBytes = sizeBytes;
  }

  /** How many of `length` bytes from `position` on are those of `chunk` from `at` on. */
  equalBytes(position: number, chunk: Buffer, at: number, length: number): number {
    const most = Math.min(length, chunk.length - at, this.#sizeBytes - position);
    let done = 0;
    while (done < most) {
      const inBlock = (position + done) % BLOCK_BYTES;
      const step = Math.min(STEP_BYTES, most - done, BLOCK_BYTES - inBlock);
      const block = this.#block(Math.floor((position + done) / BLOCK_BYTES));
      const from = at + done;
      if (block.compare(chunk, from, from + step, inBlock, inBlock + step) !== 0) break;
      done += step;
    }
    return done;
  }

  #block(number: number): Buffer {
    const known = this.#kept.get(number);
    if (known !== undefined) return known;
    const first = this.#kept.size >= BLOCKS_MAX ? this.#kept.keys().next().value : undefined;
    const reused = first === undefined ? undefined : this.#kept.get(first);
    if (first !== undefined) this.#kept.delete(first);
    const block = reused ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    const at = number * BLOCK_BYTES;
    const length = Math.min(BLOCK_BYTES, this.#sizeBytes - at);
    for (let done = 0; done < length;) {
      const n = readSync(this.#fd, block, done, length - done, at + done);
      if (n === 0) throw new UpdateError('file.unreadable', 'the base became shorter');
      done += n;
    }
    this.#kept.set(number, block);
    return block;
  }
}

/** The search in one base image. */
export class BaseSearch {
  readonly #samples: Samples;
  readonly #blocks: Blocks;
  readonly #baseBytes: number;
  /** Position in the base minus position in the new image, where they agreed last. */
  #lead: number | null = 0;
  #hash = 0;
  #added = 0;

  /** `fd` holds the base from its first byte on, and stays open as long as the search is used. */
  constructor(fd: number, baseBytes: number) {
    this.#samples = new Samples(baseBytes);
    this.#blocks = new Blocks(fd, baseBytes);
    this.#baseBytes = baseBytes;
  }

  /** Takes in the next bytes of the base; all of them, in order, before the first `find`. */
  add(bytes: Uint8Array): void {
    const { shift } = this.#samples;
    let h = this.#hash;
    for (let i = 0; i < bytes.length; i += 1) {
      h = ((h << 1) + GEAR[bytes[i]!]!) >>> 0;
      if (h >>> shift === 0 && this.#added + i >= WINDOW_BYTES - 1) {
        this.#samples.add(h, this.#added + i);
      }
    }
    this.#hash = h;
    this.#added += bytes.length;
  }

  /** What the base has of a chunk that begins at byte `at` of the new image. */
  find(chunk: Buffer, at: number): Found {
    const matches = this.#matches(chunk, at);
    const matchedBytes = matches.reduce((sum, { bytes }) => sum + bytes, 0);
    return { segments: segmentsOf(matches, this.#baseBytes), matchedBytes };
  }

  #matches(chunk: Buffer, at: number): Match[] {
    const { shift } = this.#samples;
    const matches: Match[] = [];
    let next = this.#follow(chunk, at, 0, 0, matches);
    let h = 0;
    let rolled = next;
    for (let i = next; i < chunk.length; i += 1) {
      h = ((h << 1) + GEAR[chunk[i]!]!) >>> 0;
      if (h >>> shift !== 0 || i - rolled < WINDOW_BYTES - 1) continue;
      const start = i - WINDOW_BYTES + 1;
      if (!this.#agrees(chunk, at, start) && !this.#look(h, chunk, at, start)) continue;
      next = this.#follow(chunk, at, start, WINDOW_BYTES, matches);
      // The window begins anew behind what was found.
      h = 0;
      rolled = next;
      i = next - 1;
    }
    return matches;
  }

  /** Whether base and chunk agree over the window at `start` where they agreed last. */
  #agrees(chunk: Buffer, at: number, start: number): boolean {
    if (this.#lead === null) return false;
    const position = at + start + this.#lead;
    if (position < 0 || position + WINDOW_BYTES > this.#baseBytes) return false;
    return this.#blocks.equalBytes(position, chunk, start, WINDOW_BYTES) === WINDOW_BYTES;
  }

  /** Looks the window up; where it is in the base decides where to look from now on. */
  #look(h: number, chunk: Buffer, at: number, start: number): boolean {
    const position = this.#samples.find(h) - WINDOW_BYTES + 1;
    if (position < 0) return false;
    if (this.#blocks.equalBytes(position, chunk, start, WINDOW_BYTES) !== WINDOW_BYTES)
      return false;
    this.#lead = position - at - start;
    return true;
  }

  /** Follows what is equal from `start` on, of which `known` bytes are; returns where it ends. */
  #follow(chunk: Buffer, at: number, start: number, known: number, matches: Match[]): number {
    if (this.#lead === null) return start + known;
    const from = at + start + this.#lead;
    if (from < 0 || from + known >= this.#baseBytes) return start + known;
    const more = this.#blocks.equalBytes(from + known, chunk, start + known, chunk.length);
    const bytes = known + more;
    if (bytes > 0) matches.push({ from, to: from + bytes, bytes });
    return start + bytes;
  }
}

/** How far apart stretches may be that become one segment, and what is added around them. */
interface Reach {
  readonly gapUnits: number;
  readonly padUnits: number;
}

/** Wide at first: what lies between and beside matches is mostly of use too. */
const REACHES: readonly Reach[] = [
  { gapUnits: 16, padUnits: 4 },
  { gapUnits: 4, padUnits: 0 },
];

interface Stretch {
  start: number;
  end: number;
  bytes: number;
}

function segmentsOf(matches: readonly Match[], baseBytes: number): readonly Segment[] {
  let stretches: Stretch[] = [];
  for (const reach of REACHES) {
    stretches = merged(matches, baseBytes, reach);
    if (fits(stretches)) break;
  }
  return chosen(stretches).map(({ start, end }) => ({ startUnit: start, units: end - start }));
}

function merged(matches: readonly Match[], baseBytes: number, reach: Reach): Stretch[] {
  const baseUnits = Math.ceil(baseBytes / UNIT_BYTES);
  const ordered = matches.toSorted((a, b) => a.from - b.from || a.to - b.to);
  const stretches: Stretch[] = [];
  for (const { from, to, bytes } of ordered) {
    const start = Math.max(0, Math.floor(from / UNIT_BYTES) - reach.padUnits);
    const end = Math.min(baseUnits, Math.ceil(to / UNIT_BYTES) + reach.padUnits);
    const last = stretches.at(-1);
    if (last !== undefined && start - last.end <= reach.gapUnits) {
      last.end = Math.max(last.end, end);
      last.bytes += bytes;
    } else {
      stretches.push({ start, end, bytes });
    }
  }
  return stretches;
}

const unitsOf = (stretches: readonly Stretch[]): number =>
  stretches.reduce((sum, { start, end }) => sum + end - start, 0);

const fits = (stretches: readonly Stretch[]): boolean =>
  stretches.length <= SEGMENTS_MAX && unitsOf(stretches) <= SEGMENT_UNITS_MAX;

/** Those with the most in common, as far as the limits let them be. */
function chosen(stretches: readonly Stretch[]): readonly Stretch[] {
  if (fits(stretches)) return stretches;
  const best = stretches.toSorted((a, b) => b.bytes - a.bytes || a.start - b.start);
  const taken: Stretch[] = [];
  let units = 0;
  for (const stretch of best) {
    if (taken.length === SEGMENTS_MAX) break;
    const own = stretch.end - stretch.start;
    if (units + own > SEGMENT_UNITS_MAX) continue;
    units += own;
    taken.push(stretch);
  }
  return taken.toSorted((a, b) => a.start - b.start);
}
