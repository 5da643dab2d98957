/**
 * Pieces that every view is made of: marks, bars, times, sizes, columns. Always holds: a pure
 * function of its arguments, lines never wider than asked, ASCII only unless Unicode is certain,
 * state told by sign and word and never by colour. Imports core.
 */
import type { Progress } from '../core/model.ts';
import type { Settings } from '../core/settings.ts';

/** What the lines are made for. */
export interface RenderOptions {
  /** Width of the terminal in characters. */
  readonly columns: number;
  /** True only when the terminal surely shows UTF-8. */
  readonly unicode: boolean;
  /** How a console writes dates; absent is ISO order and the local zone. */
  readonly dates?: Dates;
}

/** Order and zone of a date. */
export type Dates = Pick<Settings, 'dateOrder' | 'timeZone'>;

/** How far a step is. */
export type Mark = 'done' | 'now' | 'todo' | 'failed' | 'skipped';

const ASCII_MARKS: Readonly<Record<Mark, string>> = {
  done: '[x]',
  now: '[>]',
  todo: '[ ]',
  failed: '[!]',
  skipped: '[-]',
};
const UNICODE_MARKS: Readonly<Record<Mark, string>> = {
  done: '[✓]',
  now: '[▸]',
  todo: '[ ]',
  failed: '[✗]',
  skipped: '[-]',
};

/** The sign of a step, three characters wide. */
export function mark(kind: Mark, { unicode }: RenderOptions): string {
  return (unicode ? UNICODE_MARKS : ASCII_MARKS)[kind];
}

/**
 * Characters that take two cells or none: they would shift all that stands behind them. Marks that
 * combine, East Asian wide and full-width forms (Unicode Annex 11), everything above the basic
 * plane, and halves of such characters.
 */
const UNEVEN = new RegExp(
  '[\\p{M}\\p{Cs}\\u1100-\\u115f\\u2329\\u232a\\u2e80-\\ua4cf\\ua960-\\ua97f\\uac00-\\ud7a3' +
    '\\uf900-\\ufaff\\ufe10-\\ufe6f\\uff00-\\uff60\\uffe0-\\uffe6\\u{10000}-\\u{10ffff}]',
  'gu',
);

/**
 * Text from a peer, a log or a bundle without anything that a terminal would obey: control
 * characters and direction marks are replaced, what is not one cell wide as well, and all that is
 * not ASCII where Unicode is not sure.
 */
export function plain(text: string, { unicode }: RenderOptions): string {
  const safe = text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, ' ');
  return unicode ? safe.replaceAll(UNEVEN, '?') : safe.replaceAll(/[^\x20-\x7e]/g, '?');
}

/** The line cut to the width, with a sign that something was cut. */
export function clip(line: string, width: number): string {
  if (line.length <= width) return line;
  return width <= 1 ? line.slice(0, Math.max(0, width)) : `${line.slice(0, width - 1)}~`;
}

/** As `wrap`, for sentences with commands in backquotes: such a command is never broken. */
export function wrapCommands(text: string, width: number, indent = ''): string[] {
  const whole = text.replaceAll(/`[^`]+`/g, (command) => command.replaceAll(' ', '\u00a0'));
  return wrap(whole, width, indent).map((line) => line.replaceAll('\u00a0', ' '));
}

/** Words wrapped at the width; a longer word is cut into pieces. */
export function wrap(text: string, width: number, indent = ''): string[] {
  const room = Math.max(10, width - indent.length);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((long) => pieces(long, room))) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(indent + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, indent + line];
}

function pieces(word: string, room: number): string[] {
  if (word.length <= room) return [word];
  return Array.from({ length: Math.ceil(word.length / room) }, (_, index) =>
    word.slice(index * room, (index + 1) * room),
  );
}

const two = (number: number): string => String(number).padStart(2, '0');

/** Seconds as `0:07`, `12:34` or `1:02:03`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = two(whole % 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

/**
 * Wall-clock time as `2026-11-21 11:35:48`, local and in ISO order unless asked for otherwise; UTC
 * says so. What is not a time comes back as it is.
 */
export function stamp(iso: string, { dates }: Pick<RenderOptions, 'dates'> = {}): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const utc = dates?.timeZone === 'utc';
  // The same clock, turned so that its UTC fields are the ones of the zone that is shown.
  const shown = utc ? date : new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  if (Number.isNaN(shown.getTime())) return iso;
  const [day = '', time = ''] = shown.toISOString().split('T');
  const [, year = '', month = '', dayOfMonth = ''] = /^(.*)-(..)-(..)$/.exec(day) ?? [];
  const order = dates?.dateOrder ?? 'iso';
  const words = {
    iso: day,
    'day-first': `${dayOfMonth}.${month}.${year}`,
    'month-first': `${month}/${dayOfMonth}/${year}`,
  }[order];
  return `${words} ${time.slice(0, 8)}${utc ? 'Z' : ''}`;
}

/** A size in the largest unit of 1024 that keeps it above 1, with three digits. */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/**
 * Percent done, rounded down: 100 only when it is over, and null while the total is not known.
 */
export function percent(progress: Progress): number | null {
  const { doneBytes, totalBytes } = progress;
  if (totalBytes <= 0) return null;
  return Math.max(0, Math.min(100, Math.floor((100 * doneBytes) / totalBytes)));
}

/** A bar of `width` characters with its brackets. */
export function bar(done: number, width: number, { unicode }: RenderOptions): string {
  const room = Math.max(1, width - 2);
  const full = Math.max(0, Math.min(room, Math.floor((done / 100) * room)));
  const [on, off] = unicode ? ['█', '░'] : ['#', '-'];
  return `[${on.repeat(full)}${off.repeat(room - full)}]`;
}

/** `57 %, 112 MiB/s, ETA 0:12`, as far as it is known. */
export function progressWords(progress: Progress): string {
  const done = percent(progress);
  const parts = [done === null ? bytes(progress.doneBytes) : `${done} %`];
  if (progress.rateBps !== undefined) parts.push(`${bytes(progress.rateBps)}/s`);
  if (progress.etaS !== undefined) parts.push(`ETA ${duration(progress.etaS)}`);
  return parts.join(', ');
}

/** Two blocks of lines side by side, or one below the other where they do not fit. */
export function sideBySide(
  left: readonly string[],
  right: readonly string[],
  { columns }: RenderOptions,
): string[] {
  const half = Math.floor((columns - 2) / 2);
  if (half < 34) return [...left, '', ...right].map((line) => clip(line, columns));
  const rows = Math.max(left.length, right.length);
  return Array.from({ length: rows }, (_, index) => {
    const first = clip(left[index] ?? '', half).padEnd(half);
    return `${first}  ${clip(right[index] ?? '', half)}`.trimEnd();
  });
}

/** A table with its columns as wide as their widest cell; the last column is cut at the width. */
export function table(rows: readonly (readonly string[])[], { columns }: RenderOptions): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
    }
  }
  return rows.map((row) => {
    const line = row.map((cell, index) => cell.padEnd(widths[index]!)).join('  ');
    return clip(line.trimEnd(), columns);
  });
}

/**
 * A table whose last column is text: what does not fit beside the others stands below them, whole.
 * A first row that is the head of the table is only cut.
 */
export function listing(
  rows: readonly (readonly string[])[],
  options: RenderOptions,
  { head = true }: { readonly head?: boolean } = {},
): string[] {
  const { columns } = options;
  const last = Math.max(0, (rows[0]?.length ?? 0) - 1);
  const widths = rows.map((row) => row.slice(0, last).map((cell) => cell.length));
  const used = Array.from({ length: last }, (_, at) => Math.max(...widths.map((row) => row[at]!)));
  const room = columns - used.reduce((sum, width) => sum + width + 2, 0);
  const fits = (row: readonly string[], index: number): boolean =>
    (head && index === 0) || row[last]!.length <= room;
  const beside = rows.map((row, index) => (fits(row, index) ? row : [...row.slice(0, last), '']));
  const lines = table(beside, options);
  return rows.flatMap((row, index) => {
    const below = fits(row, index) ? [] : wrap(row[last]!, columns - 4);
    return [lines[index]!, ...below.map((line) => `    ${line}`)];
  });
}
