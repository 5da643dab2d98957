/**
 * The steps of one node's turn in a rollout, the same for the first and the second node and for the
 * way back: install, stand down, activate, trial, sync, commit, admit. Each looks at what is
 * observed and answers with a move, or with nothing while it waits. Pure; imports only core.
 */
import { current, reasonOf, view, type Move, type View } from './driver-view.ts';
import type { NodeId } from './model.ts';
import { nodeOf } from './phases.ts';
import type { Phase, Reason, RolloutRecord } from './records.ts';
import { peerCurrent } from './role.ts';
import { me, other, type NodeState } from './state.ts';

/** How long the reports of both nodes may lack the bundle before it counts as lost. */
const NOWHERE_MS = 10_000;

/** First phase that touches a node: one that needs nothing is passed over. */
export function afterStage(rollout: RolloutRecord): Move {
  const first = nodeOf(rollout, 'first');
  const second = nodeOf(rollout, 'second');
  if (rollout.nodes[first].skip) {
    return { phase: 'HAND1', say: `node ${first} needs nothing`, node: first };
  }
  const untouched = `node ${second} is not touched until ${first} is committed`;
  const say = `begins with node ${first}; ${untouched}`;
  return { phase: 'INSTALL1', job: first, say, node: first };
}

/** What follows the first node: the second one, or the end when it needs nothing. */
export function afterFirst(rollout: RolloutRecord): Move {
  const second = nodeOf(rollout, 'second');
  return rollout.nodes[second].skip
    ? { phase: 'REFORM', say: `node ${second} needs nothing`, node: second }
    : { phase: 'INSTALL2', job: second, say: `goes on with node ${second}`, node: second };
}

/** The end of a rollout that was cancelled before anything was changed. */
export function cancelNow(rollout: RolloutRecord, node: NodeId): Move {
  const by = rollout.abort?.by ?? 'nobody';
  const result = { code: 'job.cancelled' as const, message: `cancelled by ${by}` };
  return { phase: 'CANCELLED', result, say: result.message, node };
}

/** Cancelled, and not on the way back already: the way back itself is never cancelled. */
function cancelling(rollout: RolloutRecord): boolean {
  return rollout.abort !== null && !rollout.phase.startsWith('RB_');
}

/** A peer's trouble that waiting does not mend ends the staging; link trouble is waited out. */
export function stage(s: NodeState, rollout: RolloutRecord): Move | undefined {
  const node = other(s);
  if (rollout.abort !== null) return cancelNow(rollout, me(s));
  const seen = view(s, node);
  const trouble = seen?.report?.troubles['fetch'];
  if (trouble !== undefined && !trouble.code.startsWith('pair.')) {
    return { phase: 'CANCELLED', result: trouble, say: trouble.message, node };
  }
  if (rollout.kind === 'rollback') return afterStage(rollout);
  const { bundle } = rollout.to;
  const mine = s.world.troubles['fetch'];
  if (mine !== undefined && !mine.code.startsWith('pair.')) {
    return { phase: 'CANCELLED', result: mine, say: mine.message, node: me(s) };
  }
  if (seen?.report == null) return undefined;
  const [here, there] = [s.world.depot.includes(bundle), seen.report.depot.includes(bundle)];
  if (here && there) return afterStage(rollout);
  const inPhaseMs = s.world.clock.ms - s.world.phaseSinceMs;
  if (here || there || inPhaseMs < NOWHERE_MS) return undefined;
  const message = 'neither node holds the bundle any more';
  const result = { code: 'file.not_found' as const, message };
  return { phase: 'CANCELLED', result, say: message, node };
}

/** On to `good` once the images lie sealed in the node's other slots; to `bad` when they cannot. */
export function install(
  s: NodeState,
  rollout: RolloutRecord,
  node: NodeId,
  good: Phase,
  bad: 'CANCELLED' | 'BACK2',
): Move | undefined {
  const update = current(rollout, node, view(s, node));
  if (update?.state === 'installed') {
    return { phase: good, say: `node ${node} has the images in its other slots`, node };
  }
  if (rollout.abort !== null) {
    return bad === 'CANCELLED' ? cancelNow(rollout, node) : toBack(rollout, node, bad, null);
  }
  if (update?.state !== 'failed') return undefined;
  const { reason } = update;
  return { phase: bad, result: reason, say: reason.message, node };
}

/** The way back, for this reason or because an operator cancelled. */
export function toBack(
  rollout: RolloutRecord,
  node: NodeId,
  phase: Phase,
  reason: Reason | null,
): Move {
  if (reason !== null) return { phase, result: reason, say: reason.message, node };
  const message = `cancelled by ${rollout.abort?.by ?? 'nobody'}`;
  return { phase, result: { code: 'job.cancelled', message }, say: message, node };
}

/** R5: the promise is durable on the node, and counted on by the driver, before it goes down. */
export function down(
  s: NodeState,
  rollout: RolloutRecord,
  node: NodeId,
  good: Phase,
  bad: Phase | null,
): Move | undefined {
  if (me(s) === node) return undefined;
  const promised = view(s, node)?.record.standDown?.rollout === rollout.id;
  if (cancelling(rollout) && bad !== null) return toBack(rollout, node, bad, null);
  if (!promised || s.record.role.peerMayTakeOver) return undefined;
  const again = good === 'RB_ACT' ? { job: node } : {};
  return { phase: good, say: `node ${node} stands down and restarts`, node, ...again };
}

/**
 * On to `good` once the node runs its trial; to `bad` when it came up in its old slot. Back to
 * `before` when this node itself is to go down and serves meanwhile, because an operator said that
 * its peer is off: it gives the service away first.
 */
export function activate(
  s: NodeState,
  rollout: RolloutRecord,
  node: NodeId,
  [before, good, bad]: readonly [before: Phase, good: Phase, bad: Phase],
): Move | undefined {
  const update = current(rollout, node, view(s, node));
  switch (update?.state) {
    case 'trial':
    case 'healthy':
    case 'committing':
    case 'committed':
      return { phase: good, say: `node ${node} came up in its new slot`, node };
    case 'reverting':
    case 'reverted':
    case 'failed':
      return toBack(rollout, node, bad, reasonOf(update, 'the activation failed'));
    case 'arming':
    case 'rebooting':
      return undefined;
    default:
      if (update?.state === 'installed' && cancelling(rollout)) {
        return toBack(rollout, node, bad, null);
      }
      if (me(s) !== node) return undefined;
      return { phase: before, say: `node ${node} serves, and hands over before it restarts`, node };
  }
}

/**
 * A trial that the driver has seen is gone from the node's record: its journal was damaged and
 * repaired. The node takes the trial back by itself; the driver turns back with it.
 */
function forgotten(
  rollout: RolloutRecord,
  node: NodeId,
  seen: View | null,
  bad: Phase,
): Move | undefined {
  const update = current(rollout, node, seen);
  const known = update !== null && update.state !== 'installing' && update.state !== 'installed';
  if (seen === null || known) return undefined;
  const message = `node ${node} has lost the record of its trial`;
  return toBack(rollout, node, bad, { code: 'health.unexpected_reboot', message });
}

/** On to `good` once the trial is healthy; to `bad` when it reverts or is cancelled. */
export function trial(
  s: NodeState,
  rollout: RolloutRecord,
  node: NodeId,
  good: Phase,
  bad: Phase,
): Move | undefined {
  const seen = view(s, node);
  const update = current(rollout, node, seen);
  switch (update?.state) {
    case 'healthy':
    case 'committing':
    case 'committed':
      return { phase: good, say: `node ${node} is healthy`, node };
    case 'reverting':
    case 'reverted':
      return toBack(rollout, node, bad, reasonOf(update, 'the trial failed'));
    default:
      if (update !== null && cancelling(rollout)) return toBack(rollout, node, bad, null);
      return forgotten(rollout, node, seen, bad);
  }
}

/** On to `good` once the node's copy of the storage is level with the active's. */
export function sync(
  s: NodeState,
  rollout: RolloutRecord,
  node: NodeId,
  good: Phase,
  bad: Phase,
): Move | undefined {
  const seen = view(s, node);
  const update = current(rollout, node, seen);
  if (update?.state === 'reverting' || update?.state === 'reverted') {
    return toBack(rollout, node, bad, reasonOf(update, 'the trial failed'));
  }
  if (update !== null && cancelling(rollout)) return toBack(rollout, node, bad, null);
  if (update?.state !== 'healthy') return forgotten(rollout, node, seen, bad);
  if (!peerCurrent(s)) return undefined;
  return { phase: good, say: `the storage of node ${node} is in sync`, node };
}

/** The driver asks and never assumes: it goes on from the verdict, whichever it is (rule R8). */
export function commit(
  s: NodeState,
  rollout: RolloutRecord,
  node: NodeId,
  good: Phase,
  bad: Phase,
): Move | undefined {
  const seen = view(s, node);
  const update = current(rollout, node, seen);
  if (update?.state === 'committed') {
    return { phase: good, say: `node ${node} is committed`, node };
  }
  if (update?.state !== 'reverting' && update?.state !== 'reverted') {
    return forgotten(rollout, node, seen, bad);
  }
  return toBack(rollout, node, bad, reasonOf(update, 'the trial failed'));
}

/** R6: admitted by the generic rules of role.ts; the rollout only waits for it. */
export function admit(s: NodeState, node: NodeId, move: Move): Move | undefined {
  if (me(s) === node) return move;
  const seen = view(s, node);
  const ready = seen?.report?.admitted === true && seen.record.standDown === null;
  return ready && s.record.role.peerMayTakeOver ? move : undefined;
}
