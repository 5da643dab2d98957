/**
 * Which action is possible in which state, and why not: the one table behind every action on every
 * screen. Always holds: a refusal is a sentence that names what to wait for or to do first; when
 * nothing fresh is known, nothing is allowed. The daemon judges again and has the last word. Pure;
 * imports core.
 */
import { needOf } from '../src/core/access-rules.ts';
import { atLeast } from '../src/core/access.ts';
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
  'schedule-now',
  'schedule-defer',
  'schedule-cancel',
  'pause',
  'resume',
  'cancel',
  'switchover',
  'stand-down',
  'end-stand-down',
  'takeover',
  'restart',
  'shutdown',
  'support',
  'support-delete',
  'setting',
  'take-operator',
  'release-operator',
  'force-operator',
  'recovery',
  'unlock',
  'shell',
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
  'schedule-now': scheduled,
  'schedule-defer': scheduled,
  'schedule-cancel': scheduled,
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
  // The daemon judges these when it is asked what they would do.
  restart: () => null,
  shutdown: () => null,
  support: () => null,
  'support-delete': () => null,
  setting: () => null,
  'take-operator': (status, { person }) => {
    if (person === null || person.via === 'control') return 'root needs no such right';
    const holder = status.operator ?? null;
    if (person.operator) return 'you hold it already';
    return holder === null ? null : `${holder.user} holds it`;
  },
  'release-operator': (_status, { person }) =>
    person?.operator === true ? null : 'you do not hold it',
  'force-operator': (status, { person }) => {
    if (person === null || person.via === 'control') return 'root needs no such right';
    if (person.operator) return 'you hold it already';
    return (status.operator ?? null) === null ? 'nobody holds it; just take it' : null;
  },
  recovery: () => null,
  unlock: () => null,
  // The daemon knows whether this node opens any.
  shell: () => null,
};

/** What each action asks the daemon for, as the table of roles has it. */
const REQUESTS: Readonly<Record<Action, readonly [route: string, body: object]>> = {
  update: ['POST /v1/jobs', { kind: 'update' }],
  rollback: ['POST /v1/jobs', { kind: 'rollback' }],
  commit: ['POST /v1/jobs', { kind: 'commit' }],
  'schedule-now': ['POST /v1/schedules/:id/answer', { answer: 'now' }],
  'schedule-defer': ['POST /v1/schedules/:id/answer', { answer: 'defer' }],
  'schedule-cancel': ['POST /v1/schedules/:id/answer', { answer: 'cancel' }],
  pause: ['POST /v1/acts', { act: 'pause' }],
  resume: ['POST /v1/acts', { act: 'resume' }],
  cancel: ['POST /v1/jobs/:id/cancel', {}],
  switchover: ['POST /v1/acts', { act: 'switchover' }],
  'stand-down': ['POST /v1/acts', { act: 'stand-down' }],
  'end-stand-down': ['POST /v1/acts', { act: 'stand-down' }],
  takeover: ['POST /v1/acts', { act: 'takeover' }],
  restart: ['POST /v1/jobs', { kind: 'restart' }],
  shutdown: ['POST /v1/jobs', { kind: 'shutdown' }],
  support: ['POST /v1/jobs', { kind: 'support' }],
  'support-delete': ['POST /v1/support/:name/delete', {}],
  setting: ['POST /v1/settings', { key: 'idleMin' }],
  'take-operator': ['POST /v1/operator', {}],
  'release-operator': ['POST /v1/operator', {}],
  'force-operator': ['POST /v1/operator', {}],
  recovery: ['POST /v1/users', { do: 'recovery' }],
  unlock: ['POST /v1/users', { do: 'unlock' }],
  shell: ['POST /v1/shell', { do: 'begin' }],
};

/** Why the role or the right of the person does not allow it, or null when it does. */
export function roleRefusal(action: Action, facts: Facts): string | null {
  const { person } = facts;
  if (person === null || person.via === 'control') return null;
  const [route, body] = REQUESTS[action];
  const need = needOf(route, body);
  const role = need?.role ?? 'administrator';
  if (!atLeast(person.role, role)) return `needs ${role}, ${person.user} is ${person.role}`;
  const holder = freshStatus(facts)?.operator ?? null;
  const held = need?.kind === 'change' && !person.operator && holder !== null;
  return held ? `${holder.user} holds the right to change the pair` : null;
}

/** Why the action is not possible now, or null when it is. */
export function refusalOf(action: Action, facts: Facts): string | null {
  if (facts.readonly) return 'this console is read-only';
  const status = freshStatus(facts);
  if (status === null) return 'the daemon does not answer';
  if (status.state === 'SAFE_MODE') return 'safe mode: the journal has to be repaired first';
  return roleRefusal(action, facts) ?? RULES[action](status, facts);
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

function scheduled({ automation }: PairStatus): string | null {
  const open = automation?.schedules.some(({ state }) => state !== 'ended') === true;
  return open ? null : 'no update is scheduled';
}

function notKept({ rollout }: PairStatus): string | null {
  if (rollout === null || rollout.phase !== 'DONE') return 'no update waits to be made permanent';
  return rollout.finalized ? `${rollout.version} is permanent already` : null;
}
