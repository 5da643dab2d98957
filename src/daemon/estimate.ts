/**
 * How long an update will take, in seconds for each phase: from what earlier ones of this pair
 * took, else from sizes and the rate at which the bundle was just read. Always holds: it says what
 * it is based on, and an assumption is called one. Pure; imports core.
 */
import type { Estimate } from '../core/operator.ts';
import { endedAt } from '../core/phases.ts';
import { PHASES, type Phase, type RolloutKind, type RolloutRecord } from '../core/records.ts';

/** Newest rollouts whose phases are looked at. */
const SAMPLES_MAX = 5;
/** Assumed where nothing was measured yet: a restart with its health checks, a short sync. */
const RESTART_S = 90;
const SYNC_S = 10;
const MOVE_S = 2;
/** Assumed when the bundle was read too fast to measure: bytes in a second. */
const RATE_BPS = 50_000_000;

/** Phases of one node's turn, by what takes the time in them. */
const TURNS: Readonly<Record<'first' | 'second', readonly (readonly [Phase, Work])[]>> = {
  first: [
    ['INSTALL1', 'write'],
    ['DRAIN1', 'move'],
    ['DOWN1', 'move'],
    ['ACT1', 'restart'],
    ['SYNC1', 'sync'],
    ['ADMIT1', 'move'],
    ['HAND1', 'soak'],
  ],
  second: [
    ['INSTALL2', 'write'],
    ['DOWN2', 'move'],
    ['ACT2', 'restart'],
    ['SYNC2', 'sync'],
    ['ADMIT2', 'move'],
  ],
};
type Work = 'write' | 'move' | 'restart' | 'sync' | 'soak';

/** The median of what the newest rollouts of this kind took; null when none ended well. */
export function fromHistory(records: readonly RolloutRecord[], kind: RolloutKind): Estimate | null {
  const ended = records.filter((one) => one.kind === kind && one.phase === 'DONE');
  // A rollout that left a node alone says little of one that does not.
  const whole = ended.filter(({ nodes }) => !nodes.A.skip && !nodes.B.skip);
  const used = (whole.length > 0 ? whole : ended).slice(0, SAMPLES_MAX);
  const times = used.map(phaseSeconds);
  const phases = PHASES.flatMap((phase) => {
    const found = times.flatMap((one) => one.get(phase) ?? []);
    return found.length === 0 ? [] : [{ phase, seconds: median(found) }];
  });
  const [newest] = used;
  if (newest === undefined || phases.length === 0) return null;
  const count = used.length === 1 ? 'the last' : `the median of the last ${used.length}`;
  const text = `${count} ${kind}${used.length === 1 ? '' : 's'} of this pair (newest ${newest.id})`;
  return { totalS: sum(phases), phases, basis: 'history', text };
}

/** Seconds in each phase, from the moments at which the log says that it was entered. */
function phaseSeconds(record: RolloutRecord): ReadonlyMap<Phase, number> {
  const end = Date.parse(endedAt(record) ?? record.phaseAt);
  const entries = [...record.nodes.A.log, ...record.nodes.B.log]
    .filter((entry) => entry.phase !== 'PRECHECK' && Date.parse(entry.at) <= end)
    .toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const found = new Map<Phase, number>();
  let phase: Phase = 'STAGE';
  let sinceMs = Date.parse(record.startedAt);
  const close = (untilMs: number): void => {
    const seconds = Math.max(0, (untilMs - sinceMs) / 1000);
    if (Number.isFinite(seconds)) found.set(phase, (found.get(phase) ?? 0) + seconds);
  };
  for (const entry of entries) {
    if (entry.phase === phase || entry.phase === 'DONE') continue;
    const atMs = Date.parse(entry.at);
    close(atMs);
    [phase, sinceMs] = [entry.phase, atMs];
  }
  close(end);
  return new Map([...found].map(([name, seconds]) => [name, Math.round(seconds)]));
}

/** What an update without a history is judged by. */
export interface Sizes {
  readonly bundleBytes: number;
  /** Bytes of the images that the node will be given; 0 = it is left alone. */
  readonly first: number;
  readonly second: number;
  readonly soakS: number;
  /** How long reading and checking the whole bundle took. */
  readonly readMs: number;
}

/** Bytes in a second, of a bundle that was just read and checked whole. */
function rateOf({ bundleBytes, readMs }: Pick<Sizes, 'bundleBytes' | 'readMs'>) {
  const measured = readMs >= 1 && bundleBytes > 0;
  return { measured, rateBps: measured ? (bundleBytes * 1000) / readMs : RATE_BPS };
}

/**
 * Seconds until both nodes hold a bundle: copied and checked on this node, then sent and checked on
 * the other. `prepared`: each of them then reads its copy once more, both at a time.
 */
export function stageSeconds(
  bundle: Pick<Sizes, 'bundleBytes' | 'readMs'>,
  { prepared = false } = {},
): number {
  const { rateBps } = rateOf(bundle);
  return Math.max(1, Math.round(((prepared ? 3 : 2) * bundle.bundleBytes) / rateBps));
}

/** From sizes and the measured rate of reading; restarts and syncs are assumed. */
export function fromSizes(sizes: Sizes): Estimate {
  const { soakS } = sizes;
  const { measured, rateBps } = rateOf(sizes);
  const seconds = (bytes: number): number => Math.max(1, Math.round(bytes / rateBps));
  const phases: { phase: Phase; seconds: number }[] = [
    { phase: 'STAGE', seconds: stageSeconds(sizes) },
  ];
  // Written, then read back.
  for (const turn of ['first', 'second'] as const) {
    const rawBytes = sizes[turn];
    if (rawBytes === 0) continue;
    const took: Readonly<Record<Work, number>> = {
      write: seconds(2 * rawBytes),
      move: MOVE_S,
      restart: RESTART_S,
      sync: SYNC_S,
      soak: MOVE_S + soakS,
    };
    phases.push(...TURNS[turn].map(([phase, work]) => ({ phase, seconds: took[work] })));
  }
  phases.push({ phase: 'REFORM', seconds: MOVE_S });
  const rate = `${(rateBps / 1_000_000).toFixed(rateBps < 10_000_000 ? 1 : 0)} MB/s`;
  const read = measured ? `${rate} as this bundle was just read` : `${rate} assumed`;
  const text = `sizes: ${read}; assumed ${RESTART_S} s for a restart with its health checks`;
  return { totalS: sum(phases), phases, basis: 'sizes', text };
}

const sum = (phases: Estimate['phases']): number =>
  phases.reduce((total, { seconds }) => total + seconds, 0);

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
