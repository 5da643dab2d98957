/**
 * How a rollout ends: the soak, reform and finalize of the good way, and the ways back after a
 * failed first or second node. Every end has both nodes admitted. Pure; imports only core.
 */
import { isCode, type Code } from './codes.ts';
import { afterFirst, admit, toBack } from './driver-steps.ts';
import { current, reasonOf, view, type Move, type View } from './driver-view.ts';
import type { NodeId } from './model.ts';
import { atRest } from './node.ts';
import type { Reason, RolloutRecord } from './records.ts';
import { peerCurrent } from './role.ts';
import { connected, me, other, peerReport, type NodeState } from './state.ts';

/** The updated first node serves and is watched for the soak before the second one is touched. */
export function hand(s: NodeState, rollout: RolloutRecord, first: NodeId): Move | undefined {
  if (rollout.abort !== null) return toBack(rollout, first, 'RB_HAND', null);
  if (me(s) !== first) return undefined;
  if (rollout.nodes[first].skip) return afterFirst(rollout);
  const { boot, run } = s.world;
  if (rollout.soak === null) {
    const soak = { bootId: boot.bootId, run };
    const say = `node ${first} serves its new version`;
    return { phase: 'HAND1', soak, say, node: first };
  }
  if (rollout.soak.bootId !== boot.bootId || rollout.soak.run !== run) {
    const message = `node ${first} restarted while it was watched after the switch`;
    const result = { code: 'health.unexpected_reboot' as const, message };
    return { phase: 'RB_HAND', result, say: message, node: first };
  }
  const bad = servesBadly(s, first);
  if (bad !== undefined) return bad;
  const servedMs = s.world.clock.ms - s.world.phaseSinceMs;
  return servedMs >= rollout.policy.soakS * 1000 ? afterFirst(rollout) : undefined;
}

/** The way back of the pair when the first node does not serve well; undefined while it does. */
export function servesBadly(s: NodeState, first: NodeId): Move | undefined {
  const bad = s.world.troubles['watch-service'];
  if (bad === undefined) return undefined;
  const message = `node ${first} does not serve well in its new version: ${bad.message}`;
  const result = { code: 'health.check' as const, message };
  return { phase: 'RB_HAND', result, say: message, node: first };
}

/** DONE means reformed: roles, epochs, storage and admission are as before the update. */
export function reform(s: NodeState): Move | undefined {
  const peer = peerReport(s);
  const formed =
    peer !== null &&
    connected(s) &&
    peer.admitted &&
    peer.record.role.epoch === s.record.role.epoch &&
    peer.record.standDown === null &&
    s.record.role.peerMayTakeOver &&
    peerCurrent(s);
  if (!formed) return undefined;
  const say = 'the pair has reformed and is highly available';
  return { phase: 'DONE', result: null, say, node: me(s) };
}

/** The first node is back on its old version: admitted again, then the end. */
export function back1(s: NodeState, rollout: RolloutRecord, first: NodeId): Move | undefined {
  const seen = view(s, first);
  if (seen === null || !atRest(seen.record, seen.onTrial)) return undefined;
  const cause = rollout.result ?? reasonOf(seen.update, 'the update of the first node failed');
  const result = firstFailed(rollout, cause, seen);
  return admit(s, first, { phase: 'FAILED', result, say: result.message, node: first });
}

/** Why the first node failed, in the class that scripts act on, with the cause in the sentence. */
function firstFailed(rollout: RolloutRecord, cause: Reason, seen: View): Reason {
  if (cause.code === 'job.cancelled') return cause;
  if (rollout.kind === 'rollback') return { code: 'revert.failed', message: cause.message };
  const storage = cause.code === 'health.storage';
  const code: Code = storage ? 'storage.failed' : 'active.failed';
  const target = rollout.to.images.find((image) => image.class === 'storage')?.release;
  const kept = target !== undefined && seen.storage?.counter === target.counter;
  const note = kept && !storage ? `; the new storage software ${target.version} is kept` : '';
  return { code, message: `${cause.message}${note}` };
}

/** The second node is back on its old version: again, hold the mixed pair, or roll it back. */
export function back2(s: NodeState, rollout: RolloutRecord, second: NodeId): Move | undefined {
  const seen = view(s, second);
  if (seen === null || !atRest(seen.record, seen.onTrial)) return undefined;
  const cause = rollout.result ?? reasonOf(seen.update, 'the update of the second node failed');
  const { message } = cause;
  if (rollout.abort !== null) {
    return admit(s, second, { phase: 'RB_HAND', say: message, node: second });
  }
  if (rollout.nodes[second].attempts <= rollout.policy.retries && rollout.kind === 'update') {
    const say = `node ${second} tries again after: ${message}`;
    return admit(s, second, { phase: 'INSTALL2', job: second, say, node: second });
  }
  if (rollout.policy.onSecondFailure === 'rollback' && rollout.kind === 'update') {
    const result = { code: 'standby.failed_rolled_back' as const, message };
    return admit(s, second, { phase: 'RB_HAND', result, say: message, node: second });
  }
  const code = rollout.kind === 'update' ? 'standby.failed_held' : 'revert.failed';
  return admit(s, second, {
    phase: 'HOLD_MIXED',
    result: { code, message },
    say: message,
    node: second,
  });
}

/** The end of returning the pair; a first node that could not return is told apart. */
export function rolledBack(rollout: RolloutRecord, first: NodeId, s?: NodeState): Move {
  const seen = s === undefined ? null : view(s, first);
  const update = current(rollout, first, seen);
  const cause = rollout.result ?? { code: 'job.cancelled' as const, message: 'cancelled' };
  if (s !== undefined && update?.state !== 'committed') {
    const { message } = reasonOf(update, `node ${first} could not return to its old version`);
    const result = { code: 'revert.failed' as const, message };
    return { phase: 'HOLD_MIXED', result, say: message, node: first };
  }
  const result = isEnd(cause.code) ? cause : { ...cause, code: 'active.failed' as const };
  const say = `the pair runs its old version again: ${cause.message}`;
  return { phase: 'ROLLED_BACK', result, say, node: first };
}

const isEnd = (code: string): boolean =>
  isCode(code) && (code === 'job.cancelled' || code.startsWith('standby.'));

/** FINALIZE on both nodes: the old slots are closed and the floors raised. */
export function finalize(s: NodeState, rollout: RolloutRecord): Move | undefined {
  const done = [me(s), other(s)].every((node) => {
    const record = view(s, node)?.record;
    return record?.canRollBack === false && record.releaseFloor >= rollout.to.counter;
  });
  if (!done) return undefined;
  return { phase: 'DONE', finalized: true, say: 'the new version is permanent', node: me(s) };
}
