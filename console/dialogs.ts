/**
 * Dialogs: what a person types before something is done, and what a failure says. Always holds:
 * Escape closes every dialog and changes nothing; a form does nothing before each of its fields is
 * as it must be; a paste goes into a field and nowhere else. Pure; imports the pieces of the views.
 */
import type { RenderOptions } from '../src/cli/render.ts';
import { plain, wrap } from '../src/cli/render.ts';
import { minutesText } from '../src/cli/render-schedule.ts';
import { SETTING_RULES, type SettingKey } from '../src/core/settings.ts';
import type { Key } from './keys.ts';
import { nameOf } from './keys.ts';
import { lineOf, plainLine, plainLines, span, type Line } from './picture.ts';
import type { Plan } from './plans.ts';
import type { Dialog, Field, FormUse } from './state.ts';
import { wordingOf } from './wordings.ts';

/** A form that is open. */
export type Form = Extract<Dialog, { readonly kind: 'form' }>;

/** Longest line that can be typed; the daemon takes paths of this length. */
const FIELD_MAX = 4096;
/** Longest reason that the daemon takes. */
const REASON_MAX = 500;
/** Longest name, code, password or value. */
const SHORT_MAX = 256;

const FREE = { value: '', wanted: null, needed: true } as const;

/** The form of a login, with the name that was typed before. */
export function loginForm(user: string): Form {
  const fields: readonly Field[] = [
    { ...FREE, name: 'user', label: 'User', value: user },
    { ...FREE, name: 'password', label: 'Password (not shown)', secret: true },
  ];
  const at = user === '' ? 0 : 1;
  return { kind: 'form', purpose: { use: 'login' }, fields, at, problem: null };
}

/** The form that sets a new password with a recovery code; what was typed before stands in it. */
export function recoverForm(typed: { readonly user: string; readonly code: string }): Form {
  const fields: readonly Field[] = [
    { ...FREE, name: 'user', label: 'User', value: typed.user },
    { ...FREE, name: 'code', label: 'Recovery code', value: typed.code },
    { ...FREE, name: 'password', label: 'New password (not shown)', secret: true },
    { ...FREE, name: 'again', label: 'Once more (not shown)', secret: true },
  ];
  const at = typed.user === '' ? 0 : typed.code === '' ? 1 : 2;
  return { kind: 'form', purpose: { use: 'recover' }, fields, at, problem: null };
}

/** The form that changes a setting. */
export function settingForm(key: SettingKey, value: string): Form {
  const { accepted } = SETTING_RULES[key];
  const fields: readonly Field[] = [
    { ...FREE, name: 'value', label: `${key} (${accepted})`, value },
    { ...FREE, name: 'reason', label: 'Reason, if you like', needed: false },
  ];
  return { kind: 'form', purpose: { use: 'setting', key }, fields, at: 0, problem: null };
}

/** The form that puts a scheduled update off. */
export function deferForm(purpose: Extract<FormUse, { readonly use: 'defer' }>): Form {
  const choices = purpose.choicesMin.map(minutesText);
  const fields: readonly Field[] = [
    {
      ...FREE,
      name: 'value',
      label: `For how long (${choices.join(', ')})`,
      value: choices[0] ?? '',
    },
    { ...FREE, name: 'reason', label: 'Reason, if you like', needed: false },
  ];
  return { kind: 'form', purpose, fields, at: 0, problem: null };
}

/** The form that confirms a change. */
export function planForm(plan: Plan): Form {
  const { word, reasonNeeded } = wordingOf(plan);
  const typed: Field = {
    name: 'word',
    label: `Type "${word}" to go on`,
    value: '',
    wanted: word,
    needed: true,
  };
  const label = reasonNeeded === true ? 'Reason, for the audit log' : 'Reason, if you like';
  const reason: readonly Field[] =
    reasonNeeded === null ? [] : [{ ...FREE, name: 'reason', label, needed: reasonNeeded }];
  const purpose: FormUse = { use: 'plan', plan };
  return { kind: 'form', purpose, fields: [typed, ...reason], at: 0, problem: null };
}

/** The form that takes a path, or the text that a list is filtered by. */
export function textForm(name: 'path' | 'filter', value: string): Form {
  const label = name === 'path' ? 'Path of the bundle on this node' : 'Show only lines with';
  const field: Field = { name, label, value, wanted: null, needed: name === 'path' };
  return { kind: 'form', purpose: { use: name }, fields: [field], at: 0, problem: null };
}

/** Why something was refused, and what to do about it. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly next: string;
}

/** The note that tells a refusal or a failure, with what to do next. */
export function errorNote(title: string, { code, message, next }: Refusal): Dialog {
  return { kind: 'note', title, lines: [message, `Next: ${next}`, `(${code})`] };
}

/** What a form has become: still open, closed, or complete. */
export type Typed =
  | { readonly kind: 'open'; readonly form: Form }
  | { readonly kind: 'closed' }
  | { readonly kind: 'done'; readonly form: Form };

/** The form after a key. */
export function typeInto(form: Form, key: Key): Typed {
  const name = nameOf(key);
  if (name === 'escape' || name === 'interrupt') return { kind: 'closed' };
  if (name === 'enter') return entered(form);
  const open = (changed: Form): Typed => ({ kind: 'open', form: changed });
  if (name === 'next' || name === 'down') {
    return open({ ...form, at: Math.min(form.at + 1, form.fields.length - 1) });
  }
  if (name === 'up') return open({ ...form, at: Math.max(0, form.at - 1) });
  const field = form.fields[form.at];
  if (field === undefined) return { kind: 'closed' };
  const value = edited(field, key).slice(0, roomOf(field));
  // On a slow line a person's Enter may arrive in one piece with what was typed before it.
  const ended = 'paste' in key && /[\r\n]$/.test(key.paste);
  const problem = ended ? 'Press Enter by itself: one that comes with text does nothing.' : null;
  if (value === field.value && !ended) return open(form);
  const fields = form.fields.with(form.at, { ...field, value });
  return open({ ...form, fields, problem });
}

function roomOf({ name }: Field): number {
  if (name === 'reason') return REASON_MAX;
  return name === 'path' || name === 'filter' || name === 'word' ? FIELD_MAX : SHORT_MAX;
}

function edited({ value, secret }: Field, key: Key): string {
  // A password is what was typed; only what no keyboard has in a line is left out.
  const harmless = (text: string): string =>
    secret === true ? text.replaceAll(/\p{Cc}/gu, '') : plain(text, { columns: 80, unicode: true });
  if ('char' in key) return value + harmless(key.char);
  // The first line of what was pasted: a line end in it must not send the form.
  if ('paste' in key) {
    const text = secret === true ? key.paste : key.paste.trimStart();
    const [first = ''] = text.split(/[\r\n]/, 1);
    return value + harmless(first);
  }
  if (key.name === 'backspace') return value.replace(/.$/su, '');
  return key.name === 'clear' ? '' : value;
}

/** Enter goes to the next field, and from the last one it sends the form if all of it is right. */
function entered(form: Form): Typed {
  const here = problemOf(form.fields[form.at]);
  if (here !== null) return { kind: 'open', form: { ...form, problem: here } };
  if (form.at < form.fields.length - 1) {
    return { kind: 'open', form: { ...form, at: form.at + 1, problem: null } };
  }
  const wrong = form.fields.findIndex((field) => problemOf(field) !== null);
  if (wrong < 0) return { kind: 'done', form };
  return { kind: 'open', form: { ...form, at: wrong, problem: problemOf(form.fields[wrong]) } };
}

function problemOf(field: Field | undefined): string | null {
  if (field === undefined) return null;
  const value = field.secret === true ? field.value : field.value.trim();
  if (field.wanted !== null && value.toLowerCase() !== field.wanted.toLowerCase()) {
    return `Nothing is done before "${field.wanted}" stands here. Esc leaves.`;
  }
  return field.needed && value === '' ? 'Something has to stand here. Esc leaves.' : null;
}

/** The value of a field, without blanks around it but in a password; empty without such a field. */
export function valueOf(form: Form, name: Field['name']): string {
  const field = form.fields.find((one) => one.name === name);
  return field?.secret === true ? field.value : (field?.value.trim() ?? '');
}

/** How a dialog is drawn: its lines, and where the cursor is, counted in them. */
export interface DrawnDialog {
  readonly lines: readonly Line[];
  readonly cursor: { readonly row: number; readonly column: number } | null;
}

/** The dialog in lines of at most `columns`. */
export function drawDialog(dialog: Dialog, options: RenderOptions): DrawnDialog {
  if (dialog.kind === 'note') {
    const text = dialog.lines.flatMap((one) => wrap(plain(one, options), options.columns));
    const title = lineOf(span(dialog.title, 'strong'));
    return { lines: [title, ...plainLines(text), plainLine('Enter goes on.')], cursor: null };
  }
  if (dialog.kind === 'leave') {
    const question = lineOf(span('Leave the console?', 'strong'), ' [Y] yes  [N] no');
    return { lines: [question, plainLine('What runs goes on without it.')], cursor: null };
  }
  return drawForm(dialog, options);
}

/** What stands above the fields: what happens, and the command that does the same. */
function headOf(purpose: FormUse): {
  readonly title: string;
  readonly effects: readonly string[];
  readonly command: string;
} | null {
  switch (purpose.use) {
    case 'plan': {
      const { title, effects, command, reasonNeeded } = wordingOf(purpose.plan);
      const why = reasonNeeded === null || command.startsWith('no ') ? '' : ' --reason TEXT';
      return { title, effects, command: `${command}${why}` };
    }
    case 'setting': {
      const { summary, applies } = SETTING_RULES[purpose.key];
      const effects = [`${summary[0]?.toUpperCase() ?? ''}${summary.slice(1)}.`];
      return {
        title: `Set ${purpose.key}`,
        effects: [...effects, `It counts ${applies}, on this node alone.`],
        command: `tandem settings set ${purpose.key} VALUE`,
      };
    }
    case 'defer': {
      const { id, what } = purpose;
      const effects = ['It begins by itself at its new time.'];
      const command = `tandem schedule defer ${id} --for TIME`;
      return { title: `Put the update ${what} off`, effects, command };
    }
    case 'recover':
      return {
        title: 'A new password with a recovery code',
        effects: ['A code is made by an administrator, or by root; it works once, until its end.'],
        command: 'tandem user passwd NAME, as root',
      };
    default:
      return null;
  }
}

function drawForm(form: Form, options: RenderOptions): DrawnDialog {
  const lines: Line[] = [];
  const head = headOf(form.purpose);
  if (head !== null) {
    lines.push(lineOf(span(plain(head.title, options), 'strong')));
    for (const text of [...head.effects, `Same as: ${head.command}`]) {
      lines.push(...plainLines(wrap(plain(text, options), options.columns)));
    }
  }
  let cursor = { row: 0, column: 0 };
  for (const [index, field] of form.fields.entries()) {
    const label = `${plain(field.label, options)}: `;
    const value = field.secret === true ? '' : plain(field.value, options);
    const room = Math.max(8, options.columns - label.length - 1);
    // Of a long value the end is seen, because that is where one types.
    const seen = value.length <= room ? value : `~${value.slice(1 - room)}`;
    const here = index === form.at;
    if (here) cursor = { row: lines.length, column: label.length + seen.length };
    lines.push(lineOf(here ? span(label, 'strong') : label, seen));
  }
  if (form.problem !== null) lines.push(lineOf(span(plain(form.problem, options), 'warn')));
  else lines.push(plainLine('Enter goes on, Esc leaves and changes nothing.'));
  return { lines, cursor };
}
