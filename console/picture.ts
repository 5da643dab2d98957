/**
 * A screen as data: lines of spans, and where the cursor rests. Always holds: no line is wider than
 * the width that it was fitted to, no span holds a control character, and the last column stays
 * empty, because a terminal without the newline glitch would scroll when its last cell is written.
 * Pure; imports nothing.
 */

/** What a piece of text means; a terminal without colours shows the same by weight alone. */
export type Style = 'plain' | 'strong' | 'bar' | 'good' | 'warn' | 'bad' | 'chosen';

/** A piece of a line. */
export interface Span {
  readonly text: string;
  readonly style: Style;
}

/** One line. */
export type Line = readonly Span[];

/** A whole screen. */
export interface Picture {
  /** As many as the terminal has rows. */
  readonly lines: readonly Line[];
  /** Where the hardware cursor rests: the chosen row, or the place where text is typed. */
  readonly cursor: { readonly row: number; readonly column: number };
  /** True while text is typed, so that the cursor has to be seen. */
  readonly typing: boolean;
}

/** A line of plain text. */
export function plainLine(text: string): Line {
  return text === '' ? [] : [{ text, style: 'plain' }];
}

/** Lines of plain text. */
export function plainLines(texts: readonly string[]): readonly Line[] {
  return texts.map(plainLine);
}

/** A span with a meaning. */
export function span(text: string, style: Style): Span {
  return { text, style };
}

/** A line from texts and spans. */
export function lineOf(...parts: readonly (string | Span)[]): Line {
  return parts
    .map((part) => (typeof part === 'string' ? span(part, 'plain') : part))
    .filter(({ text }) => text !== '');
}

/** The text of a line without its meaning. */
export function textOf(line: Line): string {
  return line.map(({ text }) => text).join('');
}

/** The line cut to the width; what was cut ends with a sign. */
export function fitLine(line: Line, width: number): Line {
  let room = width;
  const fitted: Span[] = [];
  for (const { text, style } of line) {
    if (text.length <= room) {
      fitted.push({ text, style });
      room -= text.length;
      continue;
    }
    if (room > 0) fitted.push({ text: `${text.slice(0, room - 1)}~`, style });
    return fitted;
  }
  return fitted;
}

/** The line made as wide as asked with blanks of the style. */
export function padLine(line: Line, width: number, style: Style): Line {
  const missing = width - textOf(line).length;
  return missing <= 0 ? line : [...line, span(' '.repeat(missing), style)];
}
