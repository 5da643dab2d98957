/**
 * The console as a pure machine: what a key, a fact or an answer makes of its state, and what it
 * asks of the world for that. Always holds: Escape leads one step back until the overview is shown;
 * a letter that is refused says why and does nothing; an answer that nobody waits for any more
 * opens nothing. Pure; imports core and the parts of the console.
 */
import type { UpdateError } from '../src/core/errors.ts';
import type { PairStatus, TandemEvent } from '../src/core/status.ts';
import { refusalOf } from './actions.ts';
import { errorNote, planForm, textForm, typeInto, valueOf } from './dialogs.ts';
import type { Refusal } from './dialogs.ts';
import { heardEvents, heardNothing, heardStatus } from './facts.ts';
import { hotLetter, nameOf, type Key } from './keys.ts';
import { actionOf, wordingOf, type Ask } from './plans.ts';
import { SCREEN } from './screens.ts';
import type { Answer, Body, Dialog, Numbered, ScreenName, State, Step, Target } from './state.ts';
import { shownScreen } from './state.ts';

/** What can happen to a console. */
export type Input =
  | { readonly key: Key; readonly pageRows: number }
  | { readonly status: PairStatus }
  | { readonly silentMs: number; readonly error: UpdateError }
  | { readonly events: readonly TandemEvent[] }
  | { readonly answer: Answer; readonly id: number };

const stay = (state: State): Step => ({ state, asks: [] });

/** The state after something happened, and what is asked because of it. */
export function step(state: State, input: Input): Step {
  if ('key' in input) return press(state, input.key, input.pageRows);
  if ('answer' in input) return answered(state, input.id, input.answer);
  const { facts } = state;
  if ('status' in input) return stay(statusCame(state, input.status));
  if ('events' in input) return stay({ ...state, facts: heardEvents(facts, input.events) });
  return stay({ ...state, facts: heardNothing(facts, input.silentMs, input.error) });
}

/** News that were told stand until the pair has gone on. */
function statusCame(state: State, status: PairStatus): State {
  const before = state.facts.status;
  const phase = status.rollout?.phase;
  const moved = before?.state !== status.state || before.rollout?.phase !== phase;
  const job = state.job === status.rollout?.id ? null : state.job;
  const flash = moved ? null : state.flash;
  return { ...state, facts: heardStatus(state.facts, status), flash, job };
}

function asking(state: State, ask: Ask, words: string | null): Step {
  const id = state.asked + 1;
  const asks: readonly Numbered[] = [{ id, ask }];
  const waiting = words === null ? state.waiting : { id, words };
  return { state: { ...state, asked: id, waiting, flash: null }, asks };
}

function press(state: State, key: Key, pageRows: number): Step {
  const name = nameOf(key);
  if (name === 'redraw') return asking(state, { ask: 'redraw' }, null);
  if (state.dialog !== null) return pressInDialog(state, state.dialog, key);
  if (name === 'interrupt') return stay({ ...state, dialog: { kind: 'leave' } });
  if (name === 'escape') return stay(back(state));
  if (state.waiting !== null || 'paste' in key) return stay(state);
  if (name === 'enter') {
    const target = SCREEN[shownScreen(state)].enter?.(state) ?? null;
    return target === null ? stay(state) : follow(state, target);
  }
  const picked = pick(state, key);
  if (picked !== null) return stay(picked);
  const moved = move(state, key, pageRows);
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

/** A screen that is open already is gone back to, so that the way back never grows. */
function goTo(state: State, screen: ScreenName): State {
  const at = state.screens.indexOf(screen);
  const screens = at < 0 ? [...state.screens, screen] : state.screens.slice(0, at + 1);
  return { ...state, screens, top: 0, chosen: 0, flash: null };
}

function follow(state: State, target: Target): Step {
  if ('go' in target) {
    const next = goTo(state, target.go);
    if (target.go === 'choose') return asking({ ...next, bundles: null }, { ask: 'bundles' }, null);
    return stay(target.go === 'log' ? { ...next, list: 'events', filter: '' } : next);
  }
  if ('plan' in target) return stay({ ...state, dialog: planForm(target.plan) });
  if ('ask' in target) return asking(state, target.ask, target.words);
  if ('type' in target) {
    const value = target.type === 'filter' ? state.filter : '';
    return stay({ ...state, dialog: textForm(target.type, value) });
  }
  if ('leave' in target) return stay({ ...state, dialog: { kind: 'leave' } });
  const listed: State = { ...state, list: target.list, top: 0 };
  if (target.list === 'events') return stay(listed);
  const ask = target.list === 'audit' ? 'audit' : 'history';
  return asking(listed, { ask }, null);
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
  const closed: State = { ...state, dialog: null };
  if (typed.kind === 'closed') return stay(closed);
  const { form } = typed;
  if (form.plan === null) {
    const name = form.fields[0]?.name;
    if (name === 'filter') return stay({ ...closed, filter: valueOf(form, 'filter'), top: 0 });
    const path = valueOf(form, 'path');
    if (path.startsWith('/')) {
      const words = 'Reading and checking the bundle; Esc leaves it';
      return asking(closed, { ask: 'check', source: { path } }, words);
    }
    const problem = 'A path begins with "/": the daemon works in another folder.';
    return stay({ ...state, dialog: { ...form, problem } });
  }
  // The state of the pair may have changed while the person typed.
  const refusal = refusalOf(actionOf(form.plan), state.facts);
  if (refusal !== null) {
    const problem = `Not now: ${refusal}. Esc leaves.`;
    return stay({ ...state, dialog: { ...form, problem } });
  }
  const reason = valueOf(form, 'reason');
  const words = `${wordingOf(form.plan).title}: asked`;
  return asking(closed, { ask: 'change', plan: form.plan, reason }, words);
}

function answered(state: State, id: number, answer: Answer): Step {
  const awaited = state.waiting?.id === id;
  const calm: State = awaited ? { ...state, waiting: null } : state;
  switch (answer.kind) {
    case 'bundles':
      return stay({ ...calm, bundles: answer.bundles, chosen: 0 });
    case 'history':
      return stay({ ...calm, history: answer.rollouts });
    case 'audit':
      return stay({ ...calm, audit: answer.entries });
    case 'changed': {
      // It has happened, whether the person still waits or not.
      const flash = { text: answer.message, style: 'strong' } as const;
      const { job } = answer;
      const begun: State = { ...calm, screens: ['overview'], job };
      const next = awaited && job !== null ? goTo(begun, 'progress') : calm;
      return stay({ ...next, flash });
    }
    case 'refused':
      return stay(refused(calm, awaited, answer.error));
    case 'checks': {
      if (!awaited) return stay(calm);
      const { source, report } = answer;
      return stay({ ...goTo(calm, 'checks'), source, checks: report });
    }
    case 'takeover': {
      if (!awaited) return stay(calm);
      const { view } = answer;
      if (view.refusal !== null) return stay(refused(calm, true, view.refusal));
      if (!view.needless) {
        return stay({ ...calm, dialog: planForm({ do: 'takeover', view }) });
      }
      const lines = [`Node ${view.node} serves already, and needs no word for it.`];
      return stay({ ...calm, dialog: { kind: 'note', title: 'Nothing to do', lines } });
    }
  }
}

/** A refusal opens a note only before the person who waits for it. */
function refused(state: State, awaited: boolean, error: Refusal): State {
  if (!awaited) return { ...state, flash: { text: error.message, style: 'warn' } };
  return { ...state, dialog: errorNote('Refused', error) };
}
