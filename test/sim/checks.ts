/**
 * What always holds (docs/ARCHITECTURE.md, I1-I8), asked of the simulated pair after every event:
 * of the truth (who holds the address, which software runs, what the copies hold), not of what the
 * nodes believe. Only tests import it.
 */
import type { NodeId, Slot } from '../../src/core/model.ts';
import { NODES, peerOf } from '../../src/core/model.ts';
import {
  PHASES,
  compareWriter,
  END_PHASES,
  type NodeUpdate,
  type Phase,
  type RolloutRecord,
} from '../../src/core/records.ts';
import { satisfies } from '../../src/core/version.ts';
import type { Appliance } from './appliance.ts';
import type { Storage } from './storage.ts';

/** The pair as the checks see it. */
export interface Checked {
  readonly nodes: Record<NodeId, Appliance>;
  readonly storage: Storage;
  readonly address: Record<NodeId, number | null>;
  readonly software: Record<NodeId, Slot | null>;
}

/** Phases in which the second node is not touched yet (I3). */
const FIRST_ONLY: ReadonlySet<Phase> = new Set<Phase>([
  ...PHASES.slice(PHASES.indexOf('STAGE'), PHASES.indexOf('HAND1') + 1),
  'BACK1',
]);

const known = new Map<string, Map<string, boolean>>();

/** `satisfies`, which is asked for the same few words after every event. */
function runsUnder(version: string, range: string): boolean {
  const byRange = known.get(version) ?? new Map<string, boolean>();
  const found = byRange.get(range) ?? satisfies(version, range);
  byRange.set(range, found);
  known.set(version, byRange);
  return found;
}

/** The first rule that does not hold, as a sentence, or null. */
export function broken(pair: Checked): string | null {
  const { A, B } = pair.nodes;
  const found = A.problems[0] ?? B.problems[0];
  if (found !== undefined) return found;
  if (pair.address.A !== null && pair.address.B !== null) return 'I1 two nodes serve';
  if (pair.storage.twoPrimaries()) return 'I1 both copies acknowledge writes';
  const [a, b] = [A.disk, B.disk];
  const [ra, rb] = [a.record.role, b.record.role];
  if (ra.epoch === rb.epoch && ra.holder !== rb.holder) return 'I5 one epoch, two holders';
  if (a.record.standDown !== null && b.record.standDown !== null) return 'I6 both stood down';
  if (a.boot.trial !== null && b.boot.trial !== null) return 'I3 two trials at once';
  return early(a.rollout, b.rollout, pair) ?? ofNode(pair, 'A') ?? ofNode(pair, 'B');
}

/** I3: the second node has no job of a rollout whose first node is not through. */
function early(a: RolloutRecord | null, b: RolloutRecord | null, pair: Checked): string | null {
  const rollout = a === null || (b !== null && compareWriter(b.writer, a.writer) > 0) ? b : a;
  if (rollout === null || !FIRST_ONLY.has(rollout.phase)) return null;
  const { update } = pair.nodes[peerOf(rollout.first)].disk.record;
  const touched = update.state !== 'idle' && update.rollout === rollout.id;
  return touched ? 'I3 the second node is touched before the first is committed' : null;
}

function ofNode(pair: Checked, node: NodeId): string | null {
  const { disk, info, state } = pair.nodes[node];
  const mark = disk.seals.system[disk.boot.default];
  if (mark === null) return `I4 the default slot of ${node} holds nothing whole`;
  const slot = pair.software[node];
  const runs = slot === null ? null : disk.seals.storage[slot];
  const under = info === null ? null : disk.seals.system[info.slot];
  if (slot !== null && runs === null) return `I7 node ${node} runs storage that is not whole`;
  if (runs && under && !runsUnder(under.release.version, runs.runsWith)) {
    return `I7 storage ${runs.release.version} runs under system ${under.release.version}`;
  }
  const serves = pair.address[node] !== null || (state?.world.serving ?? null) !== null;
  if (!serves) return null;
  if (info !== null && info.slot !== disk.boot.default) return 'I8 an uncommitted trial serves';
  const lost = pair.storage.lacks(node);
  return lost === null ? null : `I2 node ${node} serves without acknowledged record ${lost}`;
}

/** States of a node's update in which nothing is done. */
const RESTING: ReadonlySet<NodeUpdate['state']> = new Set([
  'idle',
  'installed',
  'committed',
  'reverted',
  'failed',
] as const);

/** Nothing moves any more: the same end of a rollout on both nodes, and highly available. */
export function isQuiet(pair: Checked): boolean {
  const [a, b] = [pair.nodes.A.state?.rollout ?? null, pair.nodes.B.state?.rollout ?? null];
  const ended = [a, b].every((one) => one === null || END_PHASES.has(one.phase));
  const busy = NODES.some((node) => !RESTING.has(pair.nodes[node].disk.record.update.state));
  if (!ended || busy || !isHighlyAvailable(pair)) return false;
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** One node serves, and the other one could take over with every acknowledged record. */
export function isHighlyAvailable(pair: Checked): boolean {
  const states = { A: pair.nodes.A.state, B: pair.nodes.B.state };
  const holder = NODES.find((node) => states[node]?.world.serving != null);
  if (holder === undefined) return false;
  const [active, standby] = [states[holder], states[peerOf(holder)]];
  if (active === null || standby === null) return false;
  return (
    standby.world.admitted &&
    active.record.role.peerMayTakeOver &&
    standby.record.standDown === null &&
    NODES.every((node) => pair.storage.latest[node].local === 'current')
  );
}

/** What must be true once the pair is at rest, beyond being highly available. */
export function unrest(pair: Checked): string | null {
  for (const node of NODES) {
    const { disk, state, info } = pair.nodes[node];
    const { boot, record } = disk;
    if (boot.trial !== null) return `a trial is left armed on ${node}`;
    if (info?.slot !== boot.default) return `${node} runs another slot than its default`;
    if (state?.record !== record) return `${node} acts on a record that is not durable`;
    const lost = pair.storage.lacks(node);
    if (lost !== null) return `${node} lacks acknowledged record ${lost}`;
    const committed = disk.seals.system[boot.default]?.committed ?? null;
    if (committed === null) return `${node} runs a system that was never committed`;
  }
  return null;
}
