/**
 * All writes of one disk over all boots of its machine, in order, and what of them is on the disk
 * when the power goes at some point. Always holds: what was written before the last flush is there;
 * a reset is no flush, since the cache of a disk outlives it; a sector is there whole or not at
 * all; the same point gives the same bytes. Imports node and the machines' logs.
 */
import { createHash } from 'node:crypto';
import { readWriteLog, type LogEntry } from '../vm/write-log.ts';
import { SECTOR_BYTES } from './view.ts';

/** One entry of a log of a boot. */
export interface TimelineEntry extends LogEntry {
  /** Which log, from 0; the boots of a machine in their order. */
  readonly boot: number;
  /** Where the entry ends in its log: a log of so many bytes has it. */
  readonly endBytes: number;
}

/**
 * What becomes of writes that no flush followed: all are there (`keep`), none is (`drop`), some are
 * as the bits of `mask` say (the oldest one has bit 0), or each by chance: there, gone, or some of
 * its sectors.
 */
export type Fate = 'keep' | 'drop' | { readonly mask: number } | { readonly seed: number };

/** Most unflushed writes of which a mask can speak. */
export const MASK_WRITES_MAX = 16;

/** A moment at which the power goes. */
export interface CutPoint {
  /** Entries that were done. */
  readonly count: number;
  /**
   * Sectors of the entry after them that had reached the disk's cache, from its begin; 0 = none.
   */
  readonly torn: number;
  readonly fate: Fate;
}

/** Bytes of one entry that are on the disk. */
export interface Part {
  readonly entry: number;
  /** Bytes of the entry, whole sectors. */
  readonly from: number;
  readonly to: number;
}

/** What is on the disk: every write before `durable`, and over that the parts in their order. */
export interface Cut {
  readonly durable: number;
  readonly parts: readonly Part[];
}

/** Reads the logs of all boots, oldest first. Throws as `readWriteLog`. */
export async function readTimeline(paths: readonly string[]): Promise<readonly TimelineEntry[]> {
  const all: TimelineEntry[] = [];
  for (const [boot, path] of paths.entries()) {
    const { entries } = await readWriteLog(path);
    for (const entry of entries) {
      const dataBytes = entry.kind === 'write' ? entry.sizeBytes : 0;
      all.push({ ...entry, boot, endBytes: entry.dataOffset + dataBytes });
    }
  }
  return all;
}

/** Whether an entry changes what is on the disk. */
export function changes(entry: Pick<TimelineEntry, 'kind'>): boolean {
  return entry.kind === 'write' || entry.kind === 'discard';
}

/** What is on the disk at a point. Throws `RangeError` for a point that the entries do not have. */
export function cutAt(entries: readonly TimelineEntry[], point: CutPoint): Cut {
  const { count, torn, fate } = point;
  const next = entries[count];
  const sectors = next !== undefined && changes(next) ? next.sizeBytes / SECTOR_BYTES : 0;
  if (!(count >= 0 && count <= entries.length && torn >= 0 && torn <= sectors)) {
    throw new RangeError(`no cut after ${count} entries and ${torn} sectors`);
  }
  const durable = durableBefore(entries, count);
  const chance = typeof fate === 'object' && 'seed' in fate ? chances(fate.seed) : null;
  const mask = typeof fate === 'object' && 'mask' in fate ? fate.mask : 0;
  const parts: Part[] = [];
  let unflushed = 0;
  for (let index = durable; index <= count; index += 1) {
    const entry = entries[index];
    if (entry === undefined || !changes(entry)) continue;
    const sizeBytes = index < count ? entry.sizeBytes : torn * SECTOR_BYTES;
    if (sizeBytes === 0) continue;
    const bit = unflushed < MASK_WRITES_MAX ? (mask >> unflushed) & 1 : 0;
    unflushed += 1;
    if (fate === 'keep' || bit === 1 || (index < count && entry.isForced)) {
      parts.push({ entry: index, from: 0, to: sizeBytes });
    } else if (chance !== null) {
      parts.push(...survivors(index, sizeBytes, chance));
    }
  }
  return { durable, parts };
}

/**
 * Number of entries of which every one is on the disk for sure: the last flush stands behind them,
 * and no write between them and it.
 */
function durableBefore(entries: readonly TimelineEntry[], count: number): number {
  let index = count - 1;
  while (index >= 0 && entries[index]?.kind !== 'flush') index -= 1;
  // Points between which nothing was written are one.
  while (index >= 0 && !changes(entries[index] ?? { kind: 'flush' })) index -= 1;
  return index + 1;
}

/** How many writes a power cut after so many entries may lose. */
export function unflushedAt(entries: readonly TimelineEntry[], count: number): number {
  return entries.slice(durableBefore(entries, count), count).filter(changes).length;
}

/** Half of the writes are there or gone as a whole, the others sector by sector, or torn once. */
function survivors(entry: number, sizeBytes: number, chance: () => number): readonly Part[] {
  const kind = chance();
  if (kind < 0.35) return [{ entry, from: 0, to: sizeBytes }];
  if (kind < 0.7) return [];
  const sectors = sizeBytes / SECTOR_BYTES;
  if (kind < 0.85) {
    const to = Math.floor(chance() * (sectors + 1)) * SECTOR_BYTES;
    return to === 0 ? [] : [{ entry, from: 0, to }];
  }
  // A long write comes in some dozens of pieces, whatever its order in the disk was.
  const step = Math.max(1, Math.ceil(sectors / 32)) * SECTOR_BYTES;
  const parts: Part[] = [];
  for (let from = 0; from < sizeBytes; from += step) {
    if (chance() < 0.5) parts.push({ entry, from, to: Math.min(from + step, sizeBytes) });
  }
  return parts;
}

/** Numbers in [0, 1) that follow from a seed. */
export function chances(seed: number): () => number {
  let drawn = 0;
  return () => {
    drawn += 1;
    return createHash('sha256').update(`${seed} ${drawn}`).digest().readUInt32LE(0) / 2 ** 32;
  };
}

/** Equal for cuts that leave the same bytes by the same writes. */
export function keyOf({ durable, parts }: Cut): string {
  const words = parts.map(({ entry, from, to }) => `${entry}:${from}-${to}`);
  return createHash('sha256')
    .update(`${durable} ${words.join(' ')}`)
    .digest('hex')
    .slice(0, 24);
}
