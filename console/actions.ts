/**
 * Which action is possible in which state, and why not: the one table behind every action on every
 * screen. Always holds: a refusal is a sentence that names what to wait for or to do first; when
 * nothing fresh is known, nothing is allowed. The daemon judges again and has the last word. Pure;
 * imports core.
 */
import { peerOf } from '../src/core/model.ts';
import { PHASES, type Phase } from '../src/core/records.ts';
import { SAFE_POINTS } from '../src/core/rollout.ts';
import type { PairStatus, RolloutStatus } from '../src/core/status.ts';
import { freshStatus, nodeOf, oldVersion, runningRollout, type Facts } from './facts.ts';

/** Every action that changes something. */
export const ACTIONS = [
  'update',
  'rollback',
  'commit',
  'pause',
  'resume',
  'cancel',
  'switchover',
  'stand-down',
  'end-stand-down',
  'takeover',
] as const;
/** One of them. */
export type Action = (typeof ACTIONS)[number];

type Rule = (status: PairStatus, facts: Facts) => string | null;

const RULES: Readonly<Record<Action, Rule>> = {
  update: (status, facts) => busy(facts) ?? peerSilent(status, facts),
  rollback: (status, facts) =>
    busy(facts) ??
    peerSilent(status, facts) ??
    (oldVersion(facts) === null ? 'no other slot holds a version to return to' : null),
  commit: (status, facts) => busy(facts) ?? peerSilent(status, facts) ?? notKept(status),
  pause: (_status, facts) => {
    const rollout = runningRollout(facts);
    if (rollout === null) return 'no update is running';
    if (rollout.paused != null) return 'it is paused already';
    return safePoint(rollout) === null ? 'no safe point is left on its way' : null;
  },
  resume: (_status, facts) => {
    const rollout = runningRollout(facts);
    if (rollout === null) return 'no update is running';
    return rollout.paused == null ? 'it is not paused' : null;
  },
  cancel: (_status, facts) => {
    const rollout = runningRollout(facts);
    if (rollout === null) return 'no update is running';
    return rollout.canCancel ? null : 'it is too late, or on its way back already';
  },
  switchover: (status, facts) => {
    const found = busy(facts) ?? peerSilent(status, facts);
    if (found !== null) return found;
    const standby = nodeOf(facts, 'A')?.serving === true ? 'B' : 'A';
    const node = nodeOf(facts, standby);
    if (node?.standDown === true) return `node ${standby} has stood down`;
    return node?.admitted === true ? null : `node ${standby} is not admitted yet`;
  },
  'stand-down': (status, facts) => {
    const own = nodeOf(facts, status.self);
    const found = busy(facts);
    if (found !== null) return found;
    if (own?.standDownFor === 'operator') return `node ${status.self} has stood down already`;
    if (own?.standDown === true) return `node ${status.self} has stood down until it is in sync`;
    return own?.role === 'active'
      ? `node ${status.self} is the active node; exchange the roles first`
      : null;
  },
  'end-stand-down': (status, facts) =>
    nodeOf(facts, status.self)?.standDownFor === 'operator'
      ? busy(facts)
      : `node ${status.self} has not stood down by an operator's word`,
  takeover: (status, facts) => {
    const peer = peerOf(status.self);
    return nodeOf(facts, peer) === null
      ? null
      : `node ${peer} answers; exchange the roles instead, which loses nothing`;
  },
};

/** Why the action is not possible now, or null when it is. */
export function refusalOf(action: Action, facts: Facts): string | null {
  if (facts.readonly) return 'this console is read-only';
  const status = freshStatus(facts);
  if (status === null) return 'the daemon does not answer';
  if (status.state === 'SAFE_MODE') return 'safe mode: the journal has to be repaired first';
  return RULES[action](status, facts);
}

/** The safe point at which a rollout that is paused now would rest, or null. */
export function safePoint({ phase }: RolloutStatus): Phase | null {
  const at = PHASES.indexOf(phase);
  return PHASES.find((one, index) => index >= at && SAFE_POINTS.has(one)) ?? null;
}

function busy(facts: Facts): string | null {
  const rollout = runningRollout(facts);
  return rollout === null ? null : `${rollout.kind} ${rollout.id} is running`;
}

function peerSilent(status: PairStatus, facts: Facts): string | null {
  const peer = peerOf(status.self);
  return nodeOf(facts, peer) === null ? `node ${peer} does not answer` : null;
}

function notKept({ rollout }: PairStatus): string | null {
  if (rollout === null || rollout.phase !== 'DONE') return 'no update waits to be made permanent';
  return rollout.finalized ? `${rollout.version} is permanent already` : null;
}
