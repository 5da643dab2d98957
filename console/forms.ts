/**
 * What a form does once it is complete. Always holds: a change is judged again by the table of what
 * is possible, because the pair may have changed while the person typed; a form that is not right
 * stays open and says why. Pure; imports core and the parts of the model.
 */
import { minutesText } from '../src/cli/render-schedule.ts';
import { readMinutes } from '../src/core/schedule-time.ts';
import { SETTING_RULES, withSetting, DEFAULT_SETTINGS } from '../src/core/settings.ts';
import { refusalOf } from './actions.ts';
import { asking, stay } from './answers.ts';
import { valueOf, type Form } from './dialogs.ts';
import { actionOf, type Plan } from './plans.ts';
import type { State, Step } from './state.ts';
import { wordingOf } from './wordings.ts';

/** The name and the code in a form of the login; no password. */
export function noted(state: State, form: Form): State['typed'] {
  const { typed } = state;
  const hasCode = form.fields.some(({ name }) => name === 'code');
  return { user: valueOf(form, 'user'), code: hasCode ? valueOf(form, 'code') : typed.code };
}

/** Sends a form whose fields are as they must be. */
export function sendForm(state: State, form: Form): Step {
  const closed: State = { ...state, dialog: null };
  const wrong = (problem: string): Step => stay({ ...state, dialog: { ...form, problem } });
  switch (form.purpose.use) {
    case 'filter':
      return stay({ ...closed, filter: valueOf(form, 'filter'), top: 0 });
    case 'path': {
      const path = valueOf(form, 'path');
      if (!path.startsWith('/')) {
        return wrong('A path begins with "/": the daemon works in another folder.');
      }
      const words = 'Reading and checking the bundle; Esc leaves it';
      return asking(closed, { ask: 'check', source: { path } }, words);
    }
    case 'login':
    case 'recover':
      return sendLogin(state, form);
    case 'setting': {
      const { key } = form.purpose;
      const value = valueOf(form, 'value');
      if (withSetting(DEFAULT_SETTINGS, key, value) === null) {
        return wrong(`Accepted: ${SETTING_RULES[key].accepted}. Esc leaves.`);
      }
      return change(state, form, { do: 'setting', key, value });
    }
    case 'defer': {
      const { id, what, choicesMin } = form.purpose;
      const minutes = readMinutes(valueOf(form, 'value'));
      if (minutes === null || !choicesMin.includes(minutes)) {
        return wrong(`Accepted: ${choicesMin.map(minutesText).join(', ')}. Esc leaves.`);
      }
      return change(state, form, { do: 'schedule-defer', id, what, minutes });
    }
    case 'plan':
      return change(state, form, form.purpose.plan);
  }
}

function change(state: State, form: Form, plan: Plan): Step {
  const refusal = refusalOf(actionOf(plan), state.facts);
  if (refusal !== null) {
    const problem = `Not now: ${refusal}. Esc leaves.`;
    return stay({ ...state, dialog: { ...form, problem } });
  }
  const reason = valueOf(form, 'reason');
  const words = `${wordingOf(plan).title}: asked`;
  return asking({ ...state, dialog: null }, { ask: 'change', plan, reason }, words);
}

function sendLogin(state: State, form: Form): Step {
  const typed = noted(state, form);
  const user = typed.user;
  const password = valueOf(form, 'password');
  const closed: State = { ...state, typed, dialog: null };
  const words = 'Logging in';
  if (form.purpose.use === 'login') return asking(closed, { ask: 'login', user, password }, words);
  if (valueOf(form, 'again') !== password) {
    const fields = form.fields.map((field) => (field.secret ? { ...field, value: '' } : field));
    const at = fields.findIndex(({ secret }) => secret);
    const problem = 'The two passwords differ; type both again.';
    return stay({ ...state, typed, dialog: { ...form, fields, at, problem } });
  }
  return asking(closed, { ask: 'recover', user, code: typed.code, password }, words);
}
