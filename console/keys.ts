/**
 * What a person can press, as the model of the console sees it: a few named keys, printable
 * characters, and text that was pasted. Always holds: a paste is never keys, so nothing that was
 * copied can press one. Imports nothing.
 */

/** Keys with a name; every terminal has them, or a control character that stands for them. */
export const KEY_NAMES = [
  'enter',
  'escape',
  'up',
  'down',
  'left',
  'right',
  'pageup',
  'pagedown',
  'home',
  'end',
  'backspace',
  'clear',
  'next',
  'interrupt',
  'redraw',
] as const;
/** `clear` is Ctrl-U, `next` is Tab, `interrupt` is Ctrl-C, `redraw` is Ctrl-L. */
export type KeyName = (typeof KEY_NAMES)[number];

/** One key, or text that came in one piece. */
export type Key =
  { readonly name: KeyName } | { readonly char: string } | { readonly paste: string };

/** The named key of that name, or null for a character or a paste. */
export function nameOf(key: Key): KeyName | null {
  return 'name' in key ? key.name : null;
}

/** The character as the letter of a hot key, in upper case; null for anything else. */
export function hotLetter(key: Key): string | null {
  return 'char' in key && key.char.length === 1 ? key.char.toUpperCase() : null;
}
