/**
 * Kinds of terminals, by the word in TERM: what each can do, in the bytes that it understands.
 * Always holds: nothing is read from a database of the machine, so a screen has the same bytes
 * everywhere; a kind that is not known gets the least that all of them understand. Pure; imports
 * the styles.
 */
import type { Style } from '../picture.ts';

/** What a terminal can do. */
export interface Kind {
  /** The word that names it in tests and for people. */
  readonly name: string;
  readonly colours: boolean;
  /** Hides and shows the cursor; null where it is always seen. */
  readonly cursor: { readonly hide: string; readonly show: string } | null;
  /** Enters and leaves a screen of its own; null where there is only one. */
  readonly screen: { readonly enter: string; readonly leave: string } | null;
  /** Marks what is pasted. */
  readonly marksPastes: boolean;
  /** Scrolls a part of the screen. */
  readonly scrolls: boolean;
  /** Answers the question where its cursor is; where it may not, the size is not asked for. */
  readonly answers: boolean;
}

const CURSOR = { hide: '\x1b[?25l', show: '\x1b[?25h' } as const;
const SCREEN = { enter: '\x1b[?1049h', leave: '\x1b[?1049l' } as const;

const vt100: Kind = {
  name: 'vt100',
  colours: false,
  cursor: null,
  screen: null,
  marksPastes: false,
  scrolls: true,
  answers: true,
};
const vt102: Kind = { ...vt100, name: 'vt102' };
const vt220: Kind = { ...vt102, name: 'vt220', cursor: CURSOR };
const ansi: Kind = { ...vt100, name: 'ansi', colours: true, scrolls: false };
const linux: Kind = { ...vt220, name: 'linux', colours: true };
const xterm: Kind = { ...linux, name: 'xterm', screen: SCREEN, marksPastes: true };
const unknown: Kind = { ...vt100, name: 'unknown', scrolls: false };

/** Begin of TERM, and the kind; the first that fits counts. */
const KINDS: readonly (readonly [begin: RegExp, kind: Kind])[] = [
  [/^(xterm|putty|tmux|rxvt|konsole|gnome|vte|alacritty|kitty|foot)/, xterm],
  [/^screen/, { ...xterm, name: 'screen' }],
  [/^(linux|con)/, linux],
  [/^(vt[2345]\d\d)/, vt220],
  [/^vt102/, vt102],
  [/^vt1\d\d/, vt100],
  [/^(ansi|pcansi|cygwin|bsdos)/, ansi],
];

/** The kind for the word in TERM; null for a terminal that cannot place its cursor. */
export function kindOf(
  term: string | undefined,
  env: { readonly noColour: boolean } = { noColour: false },
): Kind | null {
  const word = (term ?? '').toLowerCase();
  if (word === '' || word === 'dumb' || word === 'network' || word === 'dialup') return null;
  const found = KINDS.find(([begin]) => begin.test(word))?.[1] ?? unknown;
  return env.noColour ? { ...found, colours: false } : found;
}

const MONO: Readonly<Record<Style, string>> = {
  plain: '',
  strong: '1',
  bar: '7',
  good: '1',
  warn: '4',
  bad: '7',
  chosen: '7',
};
const COLOURED: Readonly<Record<Style, string>> = {
  ...MONO,
  good: '32',
  warn: '33',
  bad: '1;31',
};

/** The parameters of SGR for a style; empty for plain text. */
export function sgrOf(style: Style, kind: Kind): string {
  return (kind.colours ? COLOURED : MONO)[style];
}

/**
 * Brings a terminal into the state that the console counts on, whatever a program or noise on the
 * line left behind: ASCII in both character sets, no attributes, no scroll region, cursor keys and
 * keypad as usual.
 */
export const RESET = '\x1b(B\x1b)0\x0f\x1b[m\x1b[r\x1b[?1l\x1b>';

/** What is sent before the first screen. */
export function entering(kind: Kind): string {
  const pastes = kind.marksPastes ? '\x1b[?2004h' : '';
  return `${kind.screen?.enter ?? ''}${RESET}${pastes}${kind.cursor?.hide ?? ''}`;
}

/** What is sent after the last one: a clean terminal, the cursor at the left. */
export function leaving(kind: Kind, rows: number): string {
  const pastes = kind.marksPastes ? '\x1b[?2004l' : '';
  const end = kind.screen?.leave ?? `\x1b[${rows};1H\r\n`;
  return `${pastes}${RESET}${kind.cursor?.show ?? ''}${end}`;
}

/** Asks for the size: the cursor goes as far as it can, says where it is, and comes back. */
export const PROBE = '\x1b7\x1b[r\x1b[999;999H\x1b[6n\x1b8';
