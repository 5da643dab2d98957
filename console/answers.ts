/**
 * What an answer of the world makes of a console's state. Always holds: an answer that nobody waits
 * for any more opens nothing, and one to a person who has logged out is thrown away. Pure; imports
 * core and the parts of the model.
 */
import { accessRefused, isAccessCode, loggedIn, loginRefused } from './access.ts';
import { errorNote, planForm, type Refusal } from './dialogs.ts';
import type { Ask } from './plans.ts';
import type { Answer, Numbered, ScreenName, State, Step } from './state.ts';

/** The state, and nothing is asked. */
export const stay = (state: State): Step => ({ state, asks: [] });

/** Asks the world; with words the person waits for the answer. */
export function asking(state: State, ask: Ask, words: string | null): Step {
  const id = state.asked + 1;
  const asks: readonly Numbered[] = [{ id, ask }];
  const waiting = words === null ? state.waiting : { id, words, ask: ask.ask };
  return { state: { ...state, asked: id, waiting, flash: null }, asks };
}

/** A screen that is open already is gone back to, so that the way back never grows. */
export function goTo(state: State, screen: ScreenName): State {
  const at = state.screens.indexOf(screen);
  const screens = at < 0 ? [...state.screens, screen] : state.screens.slice(0, at + 1);
  return { ...state, screens, top: 0, chosen: 0, flash: null };
}

/** The state after an answer. */
export function answered(state: State, id: number, answer: Answer): Step {
  const awaited = state.waiting?.id === id;
  const login = awaited && (state.waiting?.ask === 'login' || state.waiting?.ask === 'recover');
  if (answer.kind === 'session') return stay(awaited ? loggedIn(state, answer.view) : state);
  if (answer.kind === 'refused') {
    const { error } = answer;
    if (login) return stay(loginRefused(state, error, state.waiting?.ask === 'recover'));
    if (isAccessCode(error.code)) return stay(accessRefused(state, error));
  }
  if (state.access.at === 'out') return stay(state);
  const calm: State = awaited ? { ...state, waiting: null } : state;
  return taken(calm, answer, awaited);
}

function taken(
  calm: State,
  answer: Exclude<Answer, { readonly kind: 'session' }>,
  awaited: boolean,
): Step {
  switch (answer.kind) {
    case 'bundles':
      return stay({ ...calm, bundles: answer.bundles, chosen: 0 });
    case 'history':
      return stay({ ...calm, history: answer.rollouts });
    case 'audit':
      return stay({ ...calm, audit: answer.entries });
    case 'power':
      return stay({ ...calm, power: answer.views });
    case 'support':
      return stay({ ...calm, support: answer.view });
    case 'settings':
      return stay({ ...calm, settings: answer.view });
    case 'users':
      return stay({ ...calm, users: answer.view });
    case 'recovery':
      return stay({
        ...calm,
        recovery: answer.made,
        flash: { text: 'The code is shown until its end.', style: 'strong' },
      });
    case 'making': {
      const text = 'The support bundle is being made; it goes on when you leave this screen.';
      return stay({ ...calm, making: answer.job, flash: { text, style: 'strong' } });
    }
    case 'nothing':
      return stay(calm);
    case 'changed':
      return stay(changed(calm, answer, awaited));
    case 'refused':
      return stay(refused(calm, awaited, answer.error));
    case 'checks': {
      if (!awaited) return stay(calm);
      const { source, report } = answer;
      return stay({ ...goTo(calm, 'checks'), source, checks: report });
    }
    case 'takeover':
      return stay(awaited ? takeover(calm, answer) : calm);
  }
}

/** It has happened, whether the person still waits or not. */
function changed(
  calm: State,
  { message, job, home }: Extract<Answer, { readonly kind: 'changed' }>,
  awaited: boolean,
): State {
  const flash = { text: message, style: 'strong' } as const;
  const begun: State = { ...calm, screens: ['overview'], job };
  const seen = job === null ? begun : goTo(begun, 'progress');
  const next = awaited && (job !== null || home === true) ? seen : calm;
  return { ...next, flash };
}

function takeover(calm: State, { view }: Extract<Answer, { readonly kind: 'takeover' }>): State {
  if (view.refusal !== null) return refused(calm, true, view.refusal);
  if (!view.needless) return { ...calm, dialog: planForm({ do: 'takeover', view }) };
  const lines = [`Node ${view.node} serves already, and needs no word for it.`];
  return { ...calm, dialog: { kind: 'note', title: 'Nothing to do', lines } };
}

/** A refusal opens a note only before the person who waits for it. */
function refused(state: State, awaited: boolean, error: Refusal): State {
  if (!awaited) return { ...state, flash: { text: error.message, style: 'warn' } };
  return { ...state, dialog: errorNote('Refused', error) };
}
