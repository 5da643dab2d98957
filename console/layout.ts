/**
 * Lays a state out on a terminal: head, body, foot, and a dialog over the end of the body. Always
 * holds: as many lines as the terminal has rows, none of them reaches the last column, and the same
 * state gives the same lines, so that nothing is sent while nothing changes. Pure; imports the
 * pieces of the views.
 */
import { clip, plain, wrap, type RenderOptions } from '../src/cli/render.ts';
import { idleWarning, isWatching } from './access.ts';
import { drawDialog } from './dialogs.ts';
import { ageWords, freshStatus, selfOf } from './facts.ts';
import { fitLine, lineOf, padLine, plainLine, span, textOf } from './picture.ts';
import type { Line, Picture, Style } from './picture.ts';
import { SCREEN } from './screens.ts';
import type { PairStatus } from '../src/core/status.ts';
import { shownScreen, type Body, type State } from './state.ts';

/** Smallest terminal that shows a screen; a smaller one gets the plain mode. */
export const SIZE_MIN = { rows: 24, columns: 80 } as const;

/** How large a terminal is, and whether it surely shows Unicode. */
export interface Sheet {
  readonly rows: number;
  readonly columns: number;
  readonly unicode: boolean;
}

/** Title, two lines of headline. */
const HEAD_ROWS = 3;
/** News, keys. */
const FOOT_ROWS = 2;

/** Room for every key of a screen, where lines may be wrapped. */
const KEYS_MAX = 1000;

/** Rows that a body has on a terminal of so many. */
export function bodyRows(rows: number): number {
  return Math.max(1, rows - HEAD_ROWS - FOOT_ROWS);
}

/** What is shown of the state. */
export function picture(state: State, sheet: Sheet): Picture {
  const { rows, columns, unicode } = sheet;
  const options = withDates(state, { columns: columns - 1, unicode });
  if (rows < SIZE_MIN.rows || columns < SIZE_MIN.columns) return tooSmall(sheet);
  const body = SCREEN[shownScreen(state)].body(state, options);
  const height = bodyRows(rows);
  const top = topOf(state, body, height);
  const shown = body.lines.slice(top, top + height);
  const filled = [...shown, ...Array.from({ length: height - shown.length }, () => [])];
  const over = overlay(state, filled, options);
  const lines = [
    titleLine(state, options),
    ...headline(state, options),
    ...over.lines,
    newsLine(state, body, top, height, options),
    keysLine(state, options),
  ];
  const row = body.rows?.[state.chosen];
  const chosen =
    row === undefined ? { row: rows - 1, column: 0 } : { row: HEAD_ROWS + row - top, column: 0 };
  return {
    lines: lines.map((line) => fitLine(harmless(line, options), options.columns)),
    cursor: over.cursor ?? chosen,
    typing: over.cursor !== null,
  };
}

/** How this console writes dates, as the settings of the node have it. */
export function withDates({ settings }: State, options: RenderOptions): RenderOptions {
  return settings === null ? options : { ...options, dates: settings.settings };
}

/** All of the screen as lines, however many: for a terminal without rows. */
export function listing(state: State, sheet: RenderOptions): readonly string[] {
  const options = withDates(state, sheet);
  const body = SCREEN[shownScreen(state)].body(state, options);
  const dialog = state.dialog === null ? [] : [[], ...drawDialog(state.dialog, options).lines];
  const lines = [
    plainLine(textOf(titleLine(state, options)).trim()),
    ...headline(state, options),
    ...body.lines,
    ...dialog,
    newsLine(state, { lines: [] }, 0, 1, options),
    ...wrap(textOf(keysLine(state, { ...options, columns: KEYS_MAX })), options.columns).map(
      plainLine,
    ),
  ];
  const texts = lines.map((line) => textOf(harmless(line, options)).trimEnd());
  return texts.filter((text, index) => text !== '' || texts[index - 1] !== '');
}

/** Nothing that a terminal would obey is ever in a line, whoever said it. */
function harmless(line: Line, options: RenderOptions): Line {
  return line.map(({ text, style }) => ({ text: plain(text, options), style }));
}

function tooSmall({ rows, columns }: Sheet): Picture {
  const texts = [
    `This terminal has ${columns}x${rows};`,
    `${SIZE_MIN.columns}x${SIZE_MIN.rows} is needed.`,
    'Make it larger, or leave with Ctrl-C Y',
    'and run: tandem console --plain',
  ];
  const lines = Array.from({ length: rows }, (_, row) =>
    fitLine(plainLine(texts[row] ?? ''), Math.max(0, columns - 1)),
  );
  return { lines, cursor: { row: 0, column: 0 }, typing: false };
}

/** The chosen row is always seen. */
function topOf(state: State, body: Body, height: number): number {
  const row = body.rows?.[state.chosen];
  if (row === undefined) return Math.min(state.top, Math.max(0, body.lines.length - height));
  return row < height ? 0 : row - height + 1;
}

/** Longest name of a person in the title. */
const NAME_MAX = 14;

/** Who is logged in and who may change the pair; empty where there are no logins and no holder. */
function personWords({ facts }: State, options: RenderOptions): string {
  const { person } = facts;
  const short = (name: string): string => clip(plain(name, options), NAME_MAX);
  const holder = freshStatus(facts)?.operator ?? null;
  const login = person !== null && person.via === 'console';
  const here = login ? `  ${short(person.user)} (${person.role})` : '';
  if (login && person.watching) return `${here} LOCKED`;
  if (login && person.operator) return `${here}  changes: you`;
  if (holder !== null) return `${here}  changes: ${short(holder.user)}`;
  return login ? `${here}  changes: nobody` : '';
}

function titleLine(state: State, options: RenderOptions): Line {
  const { facts } = state;
  const self = selfOf(facts);
  const pair = facts.status?.pair ?? null;
  const person = personWords(state, options);
  // Where people log in, their names have the room of the pair's.
  const of = pair === null || person !== '' ? '' : ` of pair ${plain(pair, options).slice(0, 12)}`;
  const node = self === null ? '' : `node ${self}${of}`;
  const right = `${node}${person}${facts.readonly ? '  read-only' : ''} `;
  const left = ` Tandem  ${SCREEN[shownScreen(state)].title}`;
  const gap = ' '.repeat(Math.max(2, options.columns - left.length - right.length));
  return padLine([span(left + gap + right, 'bar')], options.columns, 'bar');
}

const STATE_STYLES: Readonly<Record<PairStatus['state'], Style>> = {
  HEALTHY: 'good',
  HEALTHY_MIXED: 'good',
  UPDATING: 'strong',
  SYNCING: 'warn',
  EXPOSED: 'warn',
  ALONE: 'bad',
  FROZEN: 'bad',
  SAFE_MODE: 'bad',
};

/** Always two lines, so that nothing below moves when the sentence grows. */
function headline(state: State, options: RenderOptions): readonly Line[] {
  const { facts } = state;
  // Without a login nothing of the pair is known here.
  if (state.access.at === 'out') return [[], []];
  const status = freshStatus(facts);
  if (status === null) {
    const age = ageWords(facts.silentMs);
    const since = age === '' ? '' : ` (silent for ${age})`;
    const text = facts.lost === null ? 'asking the daemon' : `the daemon does not answer${since}`;
    return [lineOf(span('UNKNOWN', 'warn'), `  ${text}`), []];
  }
  const word = span(status.state, STATE_STYLES[status.state]);
  const mixed = status.state === 'HEALTHY_MIXED' ? ', in two versions' : '';
  const indent = status.state.length + 2;
  const text = plain(status.ha.text, options) + mixed;
  const [first = '', second = ''] = wrap(text, options.columns - indent);
  return [lineOf(word, `  ${first}`), second === '' ? [] : plainLine(' '.repeat(indent) + second)];
}

function newsLine(
  state: State,
  body: Body,
  top: number,
  height: number,
  options: RenderOptions,
): Line {
  const more = body.lines.length > height;
  const last = Math.min(top + height, body.lines.length);
  const place = more ? `${top + 1}-${last} of ${body.lines.length}` : '';
  const news: Line = idleWarning(state)
    ? [span('No key for a while: this console logs out in less than a minute.', 'warn')]
    : state.waiting !== null
      ? [span(`${plain(state.waiting.words, options)} ...`, 'strong')]
      : state.flash === null
        ? []
        : [span(plain(state.flash.text, options), state.flash.style)];
  if (place === '') return news;
  const left = fitLine(news, options.columns - place.length - 1);
  return [...padLine(left, options.columns - place.length, 'plain'), span(place, 'plain')];
}

function keysLine(state: State, { columns }: RenderOptions): Line {
  if (state.dialog !== null) return plainLine('Esc Leave');
  if (isWatching(state)) return plainLine('Locked: any key asks for the password; Ctrl-C leaves');
  const keys = SCREEN[shownScreen(state)].keys(state).map(({ letter, label, refusal }) => {
    const short = label.split(':')[0] ?? label;
    return refusal === null ? `${letter} ${short}` : `(${letter} ${short})`;
  });
  const fixed = state.screens.length > 1 ? ['Esc Back', '? Help'] : ['? Help'];
  const room = columns - fixed.join('  ').length - 2;
  let text = '';
  for (const key of keys) {
    const longer = text === '' ? key : `${text}  ${key}`;
    if (longer.length > room) break;
    text = longer;
  }
  return plainLine([...(text === '' ? [] : [text]), ...fixed].join('  '));
}

interface Overlaid {
  readonly lines: readonly Line[];
  /** Where text is typed, on the whole screen. */
  readonly cursor: { readonly row: number; readonly column: number } | null;
}

const MARGIN = '| ';

/** The dialog over the last lines of the body, with a line above it that sets it apart. */
function overlay(state: State, lines: readonly Line[], options: RenderOptions): Overlaid {
  if (state.dialog === null) return { lines, cursor: null };
  const inner = { ...options, columns: options.columns - MARGIN.length };
  const drawn = drawDialog(state.dialog, inner);
  const kept = drawn.lines.slice(-(lines.length - 1));
  const cut = drawn.lines.length - kept.length;
  const first = lines.length - kept.length;
  const dialog = kept.map((line) => lineOf(MARGIN, ...line));
  const above: Line = [];
  const cursor =
    drawn.cursor === null
      ? null
      : {
          row: HEAD_ROWS + first + drawn.cursor.row - cut,
          column: MARGIN.length + drawn.cursor.column,
        };
  return { lines: [...lines.slice(0, first - 1), above, ...dialog], cursor };
}
