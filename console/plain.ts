/**
 * The console line by line: for TERM=dumb, screen readers and logs. The same screens as text, one
 * line of input at a time: a letter or the begin of a label, a number to choose, `esc` to go back.
 * Always holds: no cursor moves, no colours, nothing is drawn twice; news are printed only when
 * they say something new. Imports core and the model.
 */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { renderEvent } from '../src/cli/render-records.ts';
import type { RenderOptions } from '../src/cli/render.ts';
import { idleWarning, isWatching } from './access.ts';
import { drawDialog } from './dialogs.ts';
import { freshStatus, runningRollout } from './facts.ts';
import type { Key } from './keys.ts';
import { listing, withDates } from './layout.ts';
import { textOf } from './picture.ts';
import { SCREEN } from './screens.ts';
import type { Cause } from './session.ts';
import { shownScreen, type Dialog, type State } from './state.ts';

/** Pages mean nothing where everything is printed. */
export const PLAIN_ROWS = Number.MAX_SAFE_INTEGER;

const HINT = 'Type a letter or word and Enter; esc goes back, ? is help.';

/**
 * The keys that a line of input stands for. In a form the line is the text of its field; elsewhere
 * it is a letter, the begin of a label, or the number of a row.
 */
export function keysOf(line: string, state: State): readonly Key[] | null {
  const text = line.trim();
  const word = text.toLowerCase();
  if (word === 'esc') return [{ name: 'escape' }];
  // A password is the line as it is, blanks and all.
  if (asksSecret(state) && line !== '') {
    return [{ name: 'clear' }, { paste: line }, { name: 'enter' }];
  }
  if (isWatching(state) && state.dialog === null) return [{ name: 'enter' }];
  if (state.dialog?.kind === 'form') {
    return text === ''
      ? [{ name: 'enter' }]
      : [{ name: 'clear' }, { paste: text }, { name: 'enter' }];
  }
  if (text === '') return [{ name: 'enter' }];
  if (state.dialog?.kind === 'leave') return [{ char: text[0] ?? '' }];
  if (word === 'back') return [{ name: 'escape' }];
  if (/^\d{1,3}$/.test(text)) {
    const rows = Array.from({ length: Number(text) - 1 }, (): Key => ({ name: 'down' }));
    return [{ name: 'home' }, ...rows, { name: 'enter' }];
  }
  if (word === '?' || word === 'help') return [{ char: '?' }];
  const keys = SCREEN[shownScreen(state)].keys(state);
  const found =
    keys.find(({ letter }) => letter.toLowerCase() === word) ??
    keys.find(({ label }) => label.toLowerCase().startsWith(word));
  return found === undefined ? null : [{ char: found.letter }];
}

/** Whether the next line is a password. */
export function asksSecret({ dialog }: State): boolean {
  return dialog?.kind === 'form' && dialog.fields[dialog.at]?.secret === true;
}

/** The outside of the plain mode. */
export interface PlainOutside {
  readonly input: Readable;
  readonly out: (text: string) => void;
  /** While it is on, what is typed is not shown. */
  readonly hide?: (on: boolean) => void;
  readonly options: RenderOptions;
}

/** Prints what is new of a session, and turns lines into keys. */
export class PlainView {
  readonly #outside: PlainOutside;
  /** The state that was printed last; null before the first one. */
  #printed: State | null = null;
  #state: State;
  #seq = 0;
  #word = '';
  /** True while the keys of one line are pressed: what they lead to is printed once. */
  #held = false;
  #hidden = false;
  #warned = false;

  constructor(outside: PlainOutside, state: State) {
    this.#outside = outside;
    this.#state = state;
  }

  /** The state has changed. */
  show(state: State, cause: Cause): void {
    const before = this.#state;
    const first = freshStatus(before.facts) === null && freshStatus(state.facts) !== null;
    // A login that ended, or that is wanted now, is told whatever brought it.
    const led = shownScreen(before) !== shownScreen(state) || before.dialog !== state.dialog;
    this.#state = state;
    if (cause === 'news' && !first && !led) this.#news(state);
    else if (!this.#held) this.#tell(state);
  }

  /** Hands lines on as keys until the end of input. */
  async read(press: (key: Key) => void, signal: AbortSignal): Promise<void> {
    this.#print([HINT]);
    const lines = createInterface({ input: this.#outside.input, signal, terminal: false });
    try {
      for await (const line of lines) {
        const keys = keysOf(line, this.#state);
        if (keys === null) {
          this.#print([`"${line.trim().slice(0, 40)}" is no choice here. ${HINT}`]);
          continue;
        }
        this.#held = true;
        for (const key of keys) press(key);
        this.#held = false;
        if (this.#state !== this.#printed) this.#tell(this.#state);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#hide(false);
    }
  }

  #hide(on: boolean): void {
    if (on !== this.#hidden) this.#outside.hide?.(on);
    this.#hidden = on;
  }

  /** What a key or an answer has led to: a dialog, another screen, or other lines of the same. */
  #tell(state: State): void {
    const before = this.#printed;
    const { options } = this.#outside;
    const lines = listing({ ...state, dialog: null }, options);
    this.#printed = state;
    this.#noteNews(state);
    // Before the question is printed, so that an answer which comes at once is not shown either.
    this.#hide(asksSecret(state));
    if (state.waiting !== null) return this.#print([`${state.waiting.words} ...`]);
    const moved = before === null || shownScreen(before) !== shownScreen(state);
    if (moved) this.#print(['', ...lines]);
    if (state.dialog !== null) return this.#dialog(before?.dialog ?? null, state.dialog);
    if (moved) return;
    if (before.dialog !== null) return this.#print([lines[0] ?? '', ...lines.slice(-1)]);
    const old = new Set(listing({ ...before, dialog: null }, options));
    return this.#print(lines.filter((line) => !old.has(line)));
  }

  /** A form is told when it opens, then only what is to be typed, and what is wrong. */
  #dialog(before: Dialog | null, dialog: Dialog): void {
    const { options } = this.#outside;
    const all = drawDialog(dialog, options).lines.map(textOf);
    if (dialog.kind !== 'form') return this.#print(['', ...all]);
    const { fields, at, problem, purpose } = dialog;
    const opened = before?.kind !== 'form' || before.purpose !== purpose;
    const head = all.slice(0, all.length - fields.length - 1);
    const asked = `${fields[at]?.label ?? ''}:`;
    this.#print([...(opened ? ['', ...head] : []), ...(problem === null ? [] : [problem]), asked]);
  }

  /** While an update runs and is looked at, its events; else only another word for the pair. */
  #news(state: State): void {
    const { events } = state.facts;
    const watches = shownScreen(state) === 'progress' && runningRollout(state.facts) !== null;
    const fresh = events.filter(({ seq, pct }) => seq > this.#seq && pct === null);
    const options = withDates(state, this.#outside.options);
    if (watches) this.#print(fresh.map((event) => renderEvent(event, 'update', options)));
    const word = freshStatus(state.facts)?.state ?? 'UNKNOWN';
    const warned = idleWarning(state);
    if (warned && !this.#warned) this.#print(['No key for a while: logs out in a minute. Enter.']);
    this.#warned = warned;
    if (word !== this.#word) this.#print(listing(state, options).slice(1, 3));
    this.#noteNews(state);
  }

  #noteNews(state: State): void {
    this.#seq = state.facts.events.at(-1)?.seq ?? this.#seq;
    this.#word = freshStatus(state.facts)?.state ?? 'UNKNOWN';
  }

  #print(lines: readonly string[]): void {
    if (lines.length > 0) this.#outside.out(`${lines.join('\n')}\n`);
  }
}
