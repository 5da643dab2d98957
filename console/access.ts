/**
 * Who uses a console, as a pure part of the model: login, logout, the time without a key, the lock
 * while an update runs. Always holds: while nobody is logged in the console knows nothing of the
 * pair and asks for nothing but a login; a password is in a form or on its way to the daemon and
 * nowhere else; only keys of a person are activity. Pure; imports core and the shapes.
 */
import type { SessionView } from '../src/core/access.ts';
import type { ErrorReport } from '../src/core/errors.ts';
import { recoverForm, loginForm } from './dialogs.ts';
import { runningRollout } from './facts.ts';
import { firstState, type Dialog, type State } from './state.ts';

/** A person is warned so long before a console logs out. */
export const WARNING_S = 60;

/** Codes that say that no login can succeed, whoever tries. */
const HOPELESS: ReadonlySet<string> = new Set(['access.no_users', 'access.users_damaged']);

/** Whether a code is about who is logged in, and not about what was asked. */
export function isAccessCode(code: string): boolean {
  return code === 'access.login_required' || code === 'access.idle' || HOPELESS.has(code);
}

/** True when this console logs out, or locks, in less than a minute. */
export function idleWarning(state: State): boolean {
  const limit = limitS(state);
  return limit !== null && state.quietS >= Math.max(limit - WARNING_S, limit / 2);
}

/** True when it may only look on, because nobody pressed a key for too long. */
export function isWatching({ access, facts }: State): boolean {
  return access.at !== 'out' && facts.person?.watching === true;
}

function limitS({ access, facts }: State): number | null {
  const { person } = facts;
  if (access.at === 'out' || person === null || person.watching) return null;
  return person.idleS;
}

/** The daemon has told who is logged in; null when it knows no logins. */
export function personCame(state: State, person: SessionView | null): State {
  const facts = { ...state.facts, person };
  const known: State = { ...state, facts, access: { at: 'in' } };
  if (person?.watching === true && state.facts.person?.watching !== true) return locked(known);
  return state.access.at === 'out' ? { ...known, dialog: null, quietS: 0 } : known;
}

/** A login was accepted: what is shown goes on where it was locked, or begins. */
export function loggedIn(state: State, person: SessionView): State {
  const facts = { ...state.facts, person };
  const typed = { user: person.user, code: '' };
  return { ...state, facts, typed, access: { at: 'in' }, dialog: null, waiting: null, quietS: 0 };
}

/** Nobody is logged in any more: all that was known is forgotten. */
export function loggedOut(state: State, why: ErrorReport | null): State {
  const { facts, asked, settings, typed, dialog } = state;
  const fresh = firstState(facts.readonly);
  const before = state.access.at === 'out';
  const out: State = {
    ...fresh,
    // Numbers go on, so that an answer to the one who left is never taken for another's.
    asked,
    settings,
    typed,
    facts: { ...fresh.facts, lost: facts.lost, silentMs: facts.silentMs },
    access: { at: 'out', why, waitS: before ? state.access.waitS : 0 },
  };
  const hopeless = why !== null && HOPELESS.has(why.code);
  const open: Dialog | null = hopeless ? null : loginForm(typed.user);
  if (!before) return { ...out, dialog: open };
  // What is being typed at the login stays; where nobody could log in, now somebody can.
  const { screens, waiting } = state;
  const wasHopeless = HOPELESS.has(state.access.why?.code ?? '');
  return { ...out, screens, waiting, dialog: wasHopeless || hopeless ? open : dialog };
}

/** The daemon has refused something because of who is logged in. */
export function accessRefused(state: State, error: ErrorReport): State {
  if (error.code === 'access.idle' && state.facts.person !== null) return locked(state);
  const { access } = state;
  if (access.at === 'out') {
    // Each question says that nobody is logged in; that is news only when it was another reason.
    const same = error.code === 'access.login_required' && !HOPELESS.has(access.why?.code ?? '');
    if (same || access.why?.code === error.code) return heard(state);
    return loggedOut(heard(state), error.code === 'access.login_required' ? null : error);
  }
  const begin = access.at === 'unknown' && error.code === 'access.login_required';
  return loggedOut(heard(state), begin ? null : error);
}

/** An answer of any kind shows that the daemon is there. */
function heard(state: State): State {
  const { facts } = state;
  if (facts.lost === null && facts.silentMs === 0) return state;
  return { ...state, facts: { ...facts, lost: null, silentMs: 0 } };
}

/** A key was pressed. */
export function keyCame(state: State): State {
  return state.quietS === 0 ? state : { ...state, quietS: 0 };
}

/** So many seconds have passed. */
export function timePassed(state: State, seconds: number): State {
  const { access, recovery, quietS } = state;
  const leftS = (recovery?.leftS ?? 0) - seconds;
  const next: State = {
    ...state,
    quietS: quietS + seconds,
    access:
      access.at === 'out' && access.waitS > 0
        ? { ...access, waitS: Math.max(0, access.waitS - seconds) }
        : access,
    recovery: recovery === null || leftS <= 0 ? null : { ...recovery, leftS },
  };
  const limit = limitS(state);
  return limit !== null && next.quietS >= limit ? overdue(next) : next;
}

/** True when somebody was logged in and is not any more: then the daemon has to be told. */
export function hasLeft(before: State, after: State): boolean {
  return before.access.at === 'in' && after.access.at === 'out';
}

/** Too long without a key: locked while an update runs, else logged out. */
function overdue(state: State): State {
  return runningRollout(state.facts) === null ? loggedOut(state, IDLE) : locked(state);
}

const IDLE: ErrorReport = {
  code: 'access.idle',
  message: 'Nobody pressed a key for a while, so this console logged out.',
  next: 'Log in again.',
};

/** It may look on until the daemon ends the session: how the update ended is seen, too. */
function locked(state: State): State {
  const { facts } = state;
  const { person } = facts;
  const watching = person === null ? null : { ...person, watching: true };
  const calm = { dialog: null, waiting: null, flash: null };
  return { ...state, facts: { ...facts, person: watching }, ...calm };
}

/** A login was refused: the form opens again, without the password. */
export function loginRefused(state: State, error: ErrorReport, recovering: boolean): State {
  const { access, typed } = state;
  const waitS = waitOf(error);
  const form = recovering ? recoverForm(typed) : loginForm(typed.user);
  const problem = error.message;
  const hopeless = HOPELESS.has(error.code);
  return {
    ...state,
    waiting: null,
    access: access.at === 'out' ? { ...access, waitS, why: hopeless ? error : null } : access,
    dialog: hopeless ? null : { ...form, problem },
  };
}

function waitOf({ detail }: ErrorReport): number {
  const found = detail?.['waitS'] ?? detail?.['lockedS'];
  return typeof found === 'number' && Number.isFinite(found) ? Math.max(0, Math.ceil(found)) : 0;
}
