/**
 * Operators of the simulated pair, who say what comes to their mind: updates, rollbacks, commits,
 * cancels, pauses, exchanges of roles, promises, takeovers. Always holds: the daemon's own refusals
 * (src/daemon/operator-rules.ts) come first, as for people; "the peer is off" is said only of a
 * node that is off, and where it would cost no acknowledged record. Only tests import it.
 */
import type { NodeId } from '../../src/core/model.ts';
import { NODES, peerOf } from '../../src/core/model.ts';
import { canCancel } from '../../src/core/phases.ts';
import type { RolloutRecord } from '../../src/core/records.ts';
import { running, type Event, type NodeState } from '../../src/core/state.ts';
import {
  isPaused,
  pauseRefusal,
  standDownRefusal,
  standsDown,
  switchoverRefusal,
  takeoverRefusal,
} from '../../src/daemon/operator-rules.ts';
import { pick } from './faults.ts';
import { firstRecord } from './fixture.ts';
import type { Pair } from './pair.ts';
import { count, type Tally } from './tally.ts';

type Next = () => number;
type Act = (pair: Pair, node: NodeId, s: NodeState, next: Next) => Event | null;

const ACTS: readonly (readonly [string, number, Act])[] = [
  ['cancel', 2, cancel],
  ['pause', 2, pause],
  ['resume', 4, resume],
  ['switchover', 4, (_pair, _node, s) => said(switchoverRefusal(s), { type: 'switchover' })],
  ['stand-down', 2, (_pair, _node, s) => standDown(s, true)],
  ['stand-down --end', 4, (_pair, _node, s) => standDown(s, false)],
  ['takeover', 4, takeover],
  ['commit', 4, commit],
];
const WEIGHTS = ACTS.reduce((sum, [, weight]) => sum + weight, 0);

const said = (refusal: Error | null, event: Event): Event | null =>
  refusal === null ? event : null;

/** What an operator thinks of before giving up. */
const THOUGHTS = 4;

/** An operator at one of the nodes says the first thing that is not refused. */
export function act(pair: Pair, next: Next, tally: Tally): void {
  const node = pick(next, ...NODES);
  for (let thought = 0; thought < THOUGHTS; thought++) {
    const { state } = pair.nodes[node];
    if (state === null) return;
    let at = next() * WEIGHTS;
    const [name, , make] = ACTS.find(([, weight]) => (at -= weight) < 0) ?? ['none', 0, () => null];
    const event = make(pair, node, state, next);
    if (event !== null && pair.ask(node, event)) return count(tally.acts, name);
    count(tally.acts, 'refused');
  }
}

function cancel(_pair: Pair, _node: NodeId, { rollout }: NodeState): Event | null {
  const able = running(rollout) && canCancel(rollout);
  return able ? { type: 'cancel', by: 'operator', reason: 'by chance' } : null;
}

function pause(_pair: Pair, _node: NodeId, s: NodeState): Event | null {
  return isPaused(s) ? null : said(pauseRefusal(s, true), { type: 'pause', by: 'operator' });
}

function resume(_pair: Pair, _node: NodeId, s: NodeState): Event | null {
  return isPaused(s) ? said(pauseRefusal(s, false), { type: 'pause', by: null }) : null;
}

function standDown(s: NodeState, on: boolean): Event | null {
  if (standsDown(s) === on) return null;
  return said(standDownRefusal(s, on), { type: 'stand-down', on });
}

function takeover(pair: Pair, node: NodeId, s: NodeState): Event | null {
  const peer = pair.nodes[peerOf(node)];
  const off = peer.state === null && peer.info === null;
  if (!off || pair.storage.lacks(node) !== null) return null;
  const event = said(takeoverRefusal(s), { type: 'peer-off', word: 'operator' });
  // One that has recorded that this node cannot take over waits for it only so long (MEET_PEER_MS):
  // a person sees to it that the two can hear each other before it is switched on again.
  const { role } = peer.findable();
  if (event !== null && role.holder === peerOf(node) && !role.peerMayTakeOver) {
    if (!pair.linkUp || pair.heldUntilMs[node] > pair.ms) return null;
    // Not where the peer itself had taken over from this node: of that a person is warned.
    if (role.epoch > s.record.role.epoch) return null;
    pair.meeting = peerOf(node);
    for (const one of NODES) pair.nodes[one].cutAt = Number.POSITIVE_INFINITY;
  }
  return event;
}

function commit(_pair: Pair, _node: NodeId, { rollout }: NodeState): Event | null {
  const open = rollout?.phase === 'DONE' && rollout.kind === 'update' && !rollout.finalized;
  return open ? { type: 'finalize' } : null;
}

/** A new rollout, as the daemon begins one: only where the pair is well and something is to do. */
export function begin(pair: Pair, next: Next, tally: Tally): void {
  if (!pair.quiet()) return;
  const holder = pair.serving();
  const able = NODES.every((node) => pair.nodes[node].disk.record.canRollBack);
  if (holder === null) return;
  if (able && next() < 0.6) {
    pair.start('rollback');
    return count(tally.acts, 'rollback');
  }
  const counters = (node: NodeId): readonly [number, number] => {
    const world = pair.nodes[node].state?.world;
    const system = world?.system?.counter ?? 0;
    const brings = pair.options.newStorage === undefined;
    return [system, brings ? (world?.storage?.release.counter ?? 0) : system];
  };
  const lowest = Math.min(...counters('A'), ...counters('B'));
  const highest = Math.max(...counters('A'), ...counters('B'));
  const target = lowest < highest ? highest : highest + 1;
  const first = firstRecord('update', pair.ms, holder, pair.options, target);
  const skip = (node: NodeId): boolean => counters(node).every((one) => one >= target);
  const nodes: RolloutRecord['nodes'] = {
    A: { ...first.nodes.A, skip: skip('A') },
    B: { ...first.nodes.B, skip: skip('B') },
  };
  pair.start('update', { to: first.to, nodes });
  count(tally.acts, 'update');
}
