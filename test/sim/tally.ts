/**
 * What seeds came to, as counts that can be added up. Only tests import it.
 */

/** Counts by name. */
export type Counts = Record<string, number>;

/** Sums over seeds. */
export interface Tally {
  seeds: number;
  /** Virtual seconds. */
  seconds: number;
  /** Power cuts that happened, in the middle of a write or not. */
  cuts: number;
  /** Nodes that were switched off by their peer. */
  fences: number;
  /** Boots, and starts of the daemon. */
  boots: number;
  starts: number;
  /** Records of a client that were acknowledged, and syncs of the storage. */
  writes: number;
  syncs: number;
  /** Records of a journal that a cut left torn. */
  torn: number;
  /** Durable writes of both nodes. */
  durable: number;
  /** Faults, words of operators and ends of rollouts, each by kind. */
  faults: Counts;
  acts: Counts;
  ends: Counts;
}

export const noTally = (): Tally => ({
  seeds: 0,
  seconds: 0,
  cuts: 0,
  fences: 0,
  boots: 0,
  starts: 0,
  writes: 0,
  syncs: 0,
  torn: 0,
  durable: 0,
  faults: {},
  acts: {},
  ends: {},
});

/** One more of this kind. */
export function count(counts: Counts, kind: string, by = 1): void {
  counts[kind] = (counts[kind] ?? 0) + by;
}

/** Adds one tally to another. */
export function add(sum: Tally, one: Tally): void {
  sum.seeds += one.seeds;
  sum.seconds += one.seconds;
  sum.cuts += one.cuts;
  sum.fences += one.fences;
  sum.boots += one.boots;
  sum.starts += one.starts;
  sum.writes += one.writes;
  sum.syncs += one.syncs;
  sum.torn += one.torn;
  sum.durable += one.durable;
  for (const key of ['faults', 'acts', 'ends'] as const) {
    for (const [kind, by] of Object.entries(one[key])) count(sum[key], kind, by);
  }
}

function list(counts: Counts): string {
  return Object.entries(counts)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, by]) => `${kind} ${by}`)
    .join(', ');
}

/** All of it in some lines. */
export function words(sum: Tally): readonly string[] {
  const { seeds, seconds, cuts, fences, boots, starts, writes, syncs, torn, durable } = sum;
  return [
    `${seeds} seeds, ${(seconds / 3600).toFixed(1)} virtual hours`,
    `${writes} acknowledged records, ${syncs} syncs, ${durable} durable writes`,
    `${cuts} power cuts, ${fences} fences, ${boots} boots, ${starts} starts, ${torn} torn records`,
    `faults: ${list(sum.faults)}`,
    `operators: ${list(sum.acts)}`,
    `ends: ${list(sum.ends)}`,
  ];
}
