/**
 * What an operator may say when, as pure refusals: exchange of roles, takeover, stand-down, pause.
 * The machine refuses the same by doing nothing; here is the code and the sentence for a person.
 * Always holds: nothing here changes anything. Imports core.
 */
import { UpdateError } from '../core/errors.ts';
import { isUndecided } from '../core/node.ts';
import { restPoint } from '../core/pause.ts';
import type { NodeReport } from '../core/report.ts';
import { holdsRole, OPERATOR, peerCurrent } from '../core/role.ts';
import { connected, me, onTrial, other, peerReport, running } from '../core/state.ts';
import type { NodeState } from '../core/state.ts';
import { operatorMayPromote } from '../core/takeover.ts';

type Refusal = UpdateError | null;

function busy(s: NodeState, what: string): Refusal {
  const { rollout } = s;
  if (!running(rollout)) return null;
  const message = `${rollout.id} is running (phase ${rollout.phase}); ${what}`;
  return new UpdateError('job.busy', message, { detail: { job: rollout.id } });
}

/** Why the node that serves may not hand its service over now (rules R2 and R9). */
export function switchoverRefusal(s: NodeState): Refusal {
  const found = busy(s, 'it moves the service by itself');
  if (found !== null) return found;
  const peer = peerReport(s);
  if (peer === null) {
    return new UpdateError('pair.peer_unreachable', `node ${other(s)} does not answer`);
  }
  const why = notAble(s, peer);
  return why === null ? null : new UpdateError('switchover.refused', why);
}

function notAble(s: NodeState, peer: NodeReport): string | null {
  const node = `node ${other(s)}`;
  if (peer.record.standDown?.rollout === OPERATOR) {
    return `${node} has stood down by an operator's word; \`tandem stand-down --end\` ends that`;
  }
  if (s.world.store.splitBrain) return 'both copies of the storage were written alone';
  if (!peerCurrent(s)) {
    const { peer: copy } = s.world.store;
    return `the copy of the storage on ${node} is ${copy === 'current' ? 'not connected' : copy}`;
  }
  const able = peer.admitted && s.record.role.peerMayTakeOver;
  return able ? null : `${node} is not admitted yet`;
}

/** Why the operator's word that the peer is off does not count here and now (rules R3, R4, I8). */
export function takeoverRefusal(s: NodeState): Refusal {
  const node = `node ${me(s)}`;
  const { store } = s.world;
  if (store.splitBrain) {
    const message = `both copies of the storage were written alone; ${node} may lack writes`;
    return new UpdateError('store.split_brain', message);
  }
  if (connected(s)) {
    return new UpdateError('takeover.connected', `node ${other(s)} answers this node`);
  }
  if (onTrial(s)) {
    return new UpdateError('takeover.trial', `${node} runs a version that is on trial`);
  }
  if (s.record.role.holder !== me(s) && isUndecided(s.record)) {
    return new UpdateError('takeover.trial', `${node} is about to restart for a version on trial`);
  }
  if (s.record.knownStale || store.local === 'stale') {
    const message = `the copy of the storage on ${node} lags behind that of node ${other(s)}`;
    return new UpdateError('takeover.stale', message);
  }
  if (s.record.role.holder === me(s) || operatorMayPromote(s)) return null;
  const message = `whether the copy of the storage on ${node} is whole is not known`;
  return new UpdateError('takeover.stale', message);
}

/**
 * True when this node needs no word: it serves, or will, without its peer. In a split brain it does
 * not, and the word that would help is another one.
 */
export function takeoverNeedless(s: NodeState): boolean {
  const { holder, peerMayTakeOver } = s.record.role;
  return holder === me(s) && !peerMayTakeOver && !s.world.store.splitBrain;
}

/** Why this node may not promise to stay down now (rule R5); taking it back is never refused. */
export function standDownRefusal(s: NodeState, on: boolean): Refusal {
  if (standsDown(s) === on || !on) return null;
  const found = busy(s, 'it asks for the promises that it needs by itself');
  if (found !== null) return found;
  if (s.record.role.holder === me(s)) {
    return new UpdateError('standdown.active', `node ${me(s)} is the active node`);
  }
  if (s.record.standDown !== null) {
    const message = `node ${me(s)} is stood down already, until its storage is current again`;
    return new UpdateError('standdown.refused', message);
  }
  if (holdsRole(s)) return null;
  const message = `node ${me(s)} has not heard yet that node ${other(s)} is the active one`;
  return new UpdateError('standdown.refused', message);
}

/** True while this node is stood down by an operator's word. */
export function standsDown(s: NodeState): boolean {
  return s.record.standDown?.rollout === OPERATOR;
}

/** Why the rollout cannot be paused, or resumed, now. */
export function pauseRefusal(s: NodeState, on: boolean): Refusal {
  const { rollout } = s;
  if (!running(rollout)) {
    return new UpdateError('job.not_pausable', 'no update is running');
  }
  if (!on || restPoint(rollout) !== null) return null;
  const why = rollout.abort === null ? 'no safe point is left on its way' : 'it is cancelled';
  const message = `${rollout.id} is in phase ${rollout.phase}: ${why}`;
  return new UpdateError('job.not_pausable', message);
}

/** True while the rollout that runs is paused. */
export function isPaused(s: NodeState): boolean {
  return running(s.rollout) && (s.rollout.paused ?? null) !== null;
}
