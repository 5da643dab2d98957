/**
 * Draws the moments at which the power goes: around the decisive writes every entry, every torn
 * sector and every fate of what was not flushed, and beyond them by a seed. Always holds: no two
 * points of a kind leave the same writes on the disk; the same seed draws the same points. Imports
 * marks and timeline.
 */
import type { Mark, Stretch, CutKind } from './marks.ts';
import {
  chances,
  changes,
  cutAt,
  keyOf,
  unflushedAt,
  type Cut,
  type CutPoint,
  type Fate,
  type TimelineEntry,
} from './timeline.ts';
import { SECTOR_BYTES } from './view.ts';

/** A point, and what it leaves. */
export interface DrawnPoint {
  readonly kind: CutKind;
  readonly point: CutPoint;
  readonly cut: Cut;
  /** Equal for equal disks. */
  readonly key: string;
  /** It lies at a decisive write. */
  readonly isDecisive: boolean;
}

/** Entries before and behind a decisive write that are all cut. */
const NEAR = 3;
/** Near a decisive write every choice of so many unflushed writes is made, else some by a seed. */
const EVERY_OF = 4;
const NEAR_SEEDS = 4;
/** Draws per point that is wanted, before a stretch counts as exhausted. */
const TRIES_PER_POINT = 40;

/** What is drawn. */
export interface DrawOptions {
  readonly kind: CutKind;
  readonly wanted: number;
  readonly seed: number;
  /** Keys of disks that another kind has already. */
  readonly except?: ReadonlySet<string>;
}

/**
 * The points of a kind: all near decisive writes, and so many more that there are `wanted`, or
 * fewer where the stretches have no more different disks.
 */
export function drawPoints(
  entries: readonly TimelineEntry[],
  marks: readonly Mark[],
  stretches: readonly Stretch[],
  { kind, wanted, seed, except = new Set() }: DrawOptions,
): readonly DrawnPoint[] {
  const own = stretches.filter((stretch) => stretch.kind === kind);
  const counts = own.flatMap(({ from, to }) =>
    Array.from({ length: to - from }, (_, at) => from + at),
  );
  const chance = chances(seed);
  const found = new Map<string, DrawnPoint>();
  const add = (point: CutPoint, isDecisive: boolean): void => {
    const cut = cutAt(entries, point);
    const key = keyOf(cut);
    if (found.has(key) || except.has(key)) return;
    found.set(key, { kind, point, cut, key, isDecisive });
  };
  const draw = (): number => Math.floor(chance() * 2 ** 31);
  for (const { entry } of marks) {
    if (!own.some(({ from, to }) => entry >= from && entry <= to)) continue;
    for (const point of pointsNear(entries, entry, draw)) add(point, true);
  }
  for (let tries = 0; tries < wanted * TRIES_PER_POINT && found.size < wanted; tries += 1) {
    const count = counts[Math.floor(chance() * counts.length)];
    if (count === undefined) break;
    const torn = chance() < 0.5 ? 0 : Math.floor(chance() * sectorsOf(entries[count]));
    const mode = chance();
    const fate: Fate = mode < 0.25 ? 'keep' : mode < 0.4 ? 'drop' : { seed: draw() };
    add({ count, torn, fate }, false);
  }
  return [...found.values()];
}

function* pointsNear(
  entries: readonly TimelineEntry[],
  entry: number,
  draw: () => number,
): Generator<CutPoint> {
  const first = Math.max(0, entry - NEAR);
  const last = Math.min(entries.length, entry + NEAR + 1);
  for (let count = first; count <= last; count += 1) {
    yield { count, torn: 0, fate: 'drop' };
    yield { count, torn: 0, fate: 'keep' };
    const unflushed = unflushedAt(entries, count);
    const masks = unflushed <= EVERY_OF ? 2 ** unflushed : 0;
    for (let mask = 0; mask < masks; mask += 1) yield { count, torn: 0, fate: { mask } };
    for (let at = 0; at < NEAR_SEEDS; at += 1) yield { count, torn: 0, fate: { seed: draw() } };
  }
  for (let torn = 1; torn < sectorsOf(entries[entry]); torn += 1) {
    yield { count: entry, torn, fate: 'keep' };
    yield { count: entry, torn, fate: { seed: draw() } };
  }
}

function sectorsOf(entry: TimelineEntry | undefined): number {
  return entry !== undefined && changes(entry) ? entry.sizeBytes / SECTOR_BYTES : 0;
}
