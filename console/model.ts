/**
 * The console as a pure machine: what a key, a fact or an answer makes of its state, and what it
 * asks of the world for that. Always holds: Escape leads one step back until the overview is shown;
 * a letter that is refused says why and does nothing; an answer that nobody waits for any more
 * opens nothing. Pure; imports core and the parts of the console.
 */
import type { SessionView } from '../src/core/access.ts';
import { UpdateError, type ErrorReport } from '../src/core/errors.ts';
import type { PairStatus, TandemEvent } from '../src/core/status.ts';
import {
  accessRefused,
  hasLeft,
  isWatching,
  keyCame,
  loggedOut,
  personCame,
  timePassed,
} from './access.ts';
import { answered, asking, goTo, stay } from './answers.ts';
import {
  deferForm,
  loginForm,
  planForm,
  recoverForm,
  settingForm,
  textForm,
  typeInto,
} from './dialogs.ts';
import { heardEvents, heardNothing, heardStatus, strangeStatus } from './facts.ts';
import { noted, sendForm } from './forms.ts';
import { hotLetter, nameOf, type Key } from './keys.ts';
import type { Ask } from './plans.ts';
import { SCREEN } from './screens.ts';
import type { Answer, Body, Dialog, FormUse, ScreenName, State, Step, Target } from './state.ts';
import { shownScreen } from './state.ts';

/** What can happen to a console. */
export type Input =
  | { readonly key: Key; readonly pageRows: number }
  | { readonly status: PairStatus }
  | { readonly silentMs: number; readonly error: UpdateError }
  | { readonly events: readonly TandemEvent[] }
  | { readonly answer: Answer; readonly id: number }
  /** Who is logged in, as the daemon says; null when it knows no logins. */
  | { readonly person: SessionView | null }
  /** The daemon wants a login first. */
  | { readonly access: ErrorReport }
  /** The person typed something that is no key of the console. */
  | { readonly typed: true }
  /** So many seconds have passed. */
  | { readonly passedS: number };

/** The state after something happened, and what is asked because of it. */
export function step(state: State, input: Input): Step {
  const next = react(state, input);
  if (!hasLeft(state, next.state)) return next;
  const left = asking(next.state, { ask: 'logout' }, null);
  return { ...left, asks: [...next.asks, ...left.asks] };
}

function react(state: State, input: Input): Step {
  if ('key' in input) return press(keyCame(state), input.key, input.pageRows);
  if ('answer' in input) return answered(state, input.id, input.answer);
  if ('person' in input) return stay(personCame(state, input.person));
  if ('access' in input) return stay(accessRefused(state, input.access));
  if ('typed' in input) return stay(keyCame(state));
  if ('passedS' in input) return stay(timePassed(state, input.passedS));
  const { facts, access } = state;
  if ('error' in input) {
    return stay({ ...state, facts: heardNothing(facts, input.silentMs, input.error) });
  }
  // What was on its way when the person left is not for the next one.
  if (access.at === 'out') return stay(state);
  if ('events' in input) return eventsCame(state, input.events);
  return stay(statusCame(state, input.status));
}

/** An archive that is ready is listed at once. */
function eventsCame(state: State, events: readonly TandemEvent[]): Step {
  const next: State = { ...state, facts: heardEvents(state.facts, events) };
  const { making } = state;
  const end = events.find(
    ({ job, state: word }) =>
      making !== null && job === making && (word === 'ended' || word === 'failed'),
  );
  if (end === undefined) return stay(next);
  const style = end.state === 'ended' ? 'good' : 'bad';
  const flash = { text: end.msg, style } as const;
  const asked = asking({ ...next, making: null }, { ask: 'support' }, null);
  return { ...asked, state: { ...asked.state, flash } };
}

/** News that were told stand until the pair has gone on. */
function statusCame(state: State, status: PairStatus): State {
  const strange = strangeStatus(status);
  if (strange !== null) {
    const error = new UpdateError('daemon.other_version', strange);
    return { ...state, facts: heardNothing({ ...state.facts, status: null }, 0, error) };
  }
  const before = state.facts.status;
  const phase = status.rollout?.phase;
  const moved = before?.state !== status.state || before.rollout?.phase !== phase;
  const job = state.job === status.rollout?.id ? null : state.job;
  const flash = moved ? null : state.flash;
  return { ...state, facts: heardStatus(state.facts, status), flash, job };
}

function press(state: State, key: Key, pageRows: number): Step {
  const name = nameOf(key);
  if (name === 'redraw') return asking(state, { ask: 'redraw' }, null);
  if (state.dialog !== null) return pressInDialog(state, state.dialog, key);
  if (name === 'interrupt') return stay({ ...state, dialog: { kind: 'leave' } });
  if (isWatching(state) && state.waiting === null) {
    const user = state.facts.person?.user ?? '';
    return stay({ ...state, dialog: loginForm(user) });
  }
  if (name === 'escape') return stay(back(state));
  if (state.waiting !== null || 'paste' in key) return stay(state);
  if (name === 'enter') {
    const target = SCREEN[shownScreen(state)].enter?.(state) ?? null;
    return target === null ? stay(state) : follow(state, target);
  }
  // What was said of the key before is said no more; a failure stays in sight.
  const calm = state.flash?.style === 'bad' ? state : { ...state, flash: null };
  const picked = pick(calm, key);
  if (picked !== null) return stay(picked);
  const moved = move(calm, key, pageRows);
  return moved === null ? pressLetter(state, key) : stay(moved);
}

/** One step back: what is waited for, then the screen. */
function back(state: State): State {
  if (state.waiting !== null) return { ...state, waiting: null };
  const screens = state.screens.slice(0, Math.max(1, state.screens.length - 1));
  return { ...state, screens, top: 0, chosen: 0, flash: null };
}

/** The body as the smallest terminal shows it. */
function bodyOf(state: State): Body {
  return SCREEN[shownScreen(state)].body(state, { columns: 79, unicode: false });
}

/** Up, down and pages; null for any other key. */
function move(state: State, key: Key, pageRows: number): State | null {
  const page = Math.max(1, pageRows - 1);
  const by: Readonly<Record<string, number>> = {
    up: -1,
    down: 1,
    pageup: -page,
    pagedown: page,
    home: -Infinity,
    end: Infinity,
    ' ': page,
    '-': -page,
  };
  const amount = by['char' in key ? key.char : (nameOf(key) ?? '')];
  if (amount === undefined) return null;
  const body = bodyOf(state);
  const rows = body.rows?.length ?? 0;
  if (rows > 0) return { ...state, chosen: within(state.chosen + amount, rows - 1) };
  // The last line may be scrolled to the bottom and no further.
  const last = Math.max(0, body.lines.length - pageRows);
  return { ...state, top: within(state.top + amount, last) };
}

/** A digit chooses the row of that number, where there are rows. */
function pick(state: State, key: Key): State | null {
  const number = /^[1-9]$/.test(hotLetter(key) ?? '') ? Number(hotLetter(key)) : null;
  const rows = number === null ? 0 : (bodyOf(state).rows?.length ?? 0);
  return number !== null && number <= rows ? { ...state, chosen: number - 1 } : null;
}

const within = (value: number, max: number): number => Math.max(0, Math.min(value, max));

function pressLetter(state: State, key: Key): Step {
  const letter = hotLetter(key);
  if (letter === null) return stay(state);
  if (letter === '?') return stay(goTo(state, 'help'));
  const hot = SCREEN[shownScreen(state)].keys(state).find((one) => one.letter === letter);
  if (hot === undefined) {
    const text = `"${letter}" is no key of this screen.`;
    return stay({ ...state, flash: { text, style: 'plain' } });
  }
  if (hot.refusal !== null) {
    const text = `${hot.label}: not now, ${hot.refusal}`;
    return stay({ ...state, flash: { text, style: 'warn' } });
  }
  return follow({ ...state, flash: null }, hot.target);
}

/** What a screen asks for when it is opened. */
const ON_OPENING: Partial<Readonly<Record<ScreenName, Ask>>> = {
  choose: { ask: 'bundles' },
  power: { ask: 'power' },
  support: { ask: 'support' },
  settings: { ask: 'settings' },
  users: { ask: 'users' },
};

function follow(state: State, target: Target): Step {
  if ('go' in target) {
    const next = goTo(state, target.go);
    const ask = ON_OPENING[target.go];
    // What was known the last time may be over; until the answer comes nothing is shown.
    const blank: State = { ...next, bundles: null, power: null, users: null };
    if (ask !== undefined) return asking(blank, ask, null);
    return stay(target.go === 'log' ? { ...next, list: 'events', filter: '' } : next);
  }
  if ('plan' in target) return stay({ ...state, dialog: planForm(target.plan) });
  if ('ask' in target) return asking(state, target.ask, target.words);
  if ('open' in target) return stay({ ...state, dialog: formFor(state, target.open) });
  if ('note' in target) return stay({ ...state, dialog: { kind: 'note', ...target.note } });
  if ('logout' in target) {
    // Whoever comes next is somebody else, mostly.
    const nobody: State = { ...state, typed: { user: '', code: '' } };
    return stay(loggedOut(nobody, null));
  }
  if ('leave' in target) return stay({ ...state, dialog: { kind: 'leave' } });
  const listed: State = { ...state, list: target.list, top: 0 };
  if (target.list === 'events') return stay(listed);
  const ask = target.list === 'audit' ? 'audit' : 'history';
  return asking(listed, { ask }, null);
}

function formFor(state: State, purpose: FormUse): Dialog {
  switch (purpose.use) {
    case 'plan':
      return planForm(purpose.plan);
    case 'path':
      return textForm('path', '');
    case 'filter':
      return textForm('filter', state.filter);
    case 'login':
      return loginForm(state.typed.user);
    case 'recover':
      return recoverForm(state.typed);
    case 'defer':
      return deferForm(purpose);
    case 'setting': {
      const value = state.settings?.settings[purpose.key];
      return settingForm(purpose.key, value === undefined ? '' : String(value));
    }
  }
}

function pressInDialog(state: State, dialog: Dialog, key: Key): Step {
  const closed: State = { ...state, dialog: null };
  if (dialog.kind === 'form') return pressInForm(state, dialog, key);
  const name = nameOf(key);
  const leaves = name === 'escape' || name === 'interrupt' || name === 'enter';
  if (dialog.kind === 'note') return stay(leaves ? closed : state);
  const letter = hotLetter(key);
  if (letter === 'Y') return asking(closed, { ask: 'leave' }, null);
  return stay(leaves || letter === 'N' ? closed : state);
}

function pressInForm(
  state: State,
  dialog: Extract<Dialog, { readonly kind: 'form' }>,
  key: Key,
): Step {
  const typed = typeInto(dialog, key);
  if (typed.kind === 'open') return stay({ ...state, dialog: typed.form });
  if (typed.kind === 'done') return sendForm(state, typed.form);
  // Of a login only the password is forgotten: a recovery code is long, and works once.
  const { use } = dialog.purpose;
  const kept = use === 'login' || use === 'recover';
  const typedHere = kept ? { typed: noted(state, dialog) } : {};
  return stay({ ...state, ...typedHere, dialog: null });
}
