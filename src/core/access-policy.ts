/**
 * What a user may be called, and what is accepted as a password. Always holds: a refusal says what
 * is accepted and never repeats the password. The rules ask for length, since length is what makes
 * guessing slow, and refuse only what is guessed first. Pure; imports nothing.
 */

/** Shortest password, in characters. */
export const PASSWORD_MIN = 10;
/** Longest one. */
export const PASSWORD_MAX = 128;
/** Different characters in it, at least. */
const DIFFERENT_MIN = 5;
/** Longest row of neighbours, such as 12345 or qwert, that does not make it a silly one. */
const NEIGHBOURS_MAX = 5;
const NAME = /^[a-z][a-z0-9._-]{0,31}$/;
/** Keys that lie or count in a row; each is read in both directions. */
const ROWS = ['abcdefghijklmnopqrstuvwxyz', '01234567890', 'qwertyuiop', 'qwertzuiop', 'asdfghjkl'];
const WORDS = ['password', 'passwort', 'administrator', 'changeme', 'letmein', 'tandem', 'welcome'];

/** Whether a text can be the name of a user. */
export function isUserName(text: string): boolean {
  return NAME.test(text);
}

/** What names are accepted, for a refusal. */
export const USER_NAME_WORDS =
  'a lower-case letter, then up to 31 of lower-case letters, digits, dot, dash and underscore';

/** The same password in one form, whatever keyboard it comes from. */
export function normalPassword(text: string): string {
  return text.normalize('NFKC');
}

/** Why a password is not accepted for this user, one sentence; null when it is. */
export function passwordRefusal(name: string, password: string): string | null {
  const text = normalPassword(password);
  const { length } = Array.from(text);
  if (length < PASSWORD_MIN || length > PASSWORD_MAX) {
    return `found ${length} characters; accepted: ${PASSWORD_MIN} to ${PASSWORD_MAX}`;
  }
  // eslint-disable-next-line no-control-regex -- a control character is a mistake of the terminal
  if (/[\u0000-\u001f\u007f]/.test(text)) return 'it has a control character in it';
  const plain = text.toLowerCase();
  const different = new Set(plain).size;
  if (different < DIFFERENT_MIN) {
    return `found ${different} different characters; accepted: at least ${DIFFERENT_MIN}`;
  }
  const word = [name, ...WORDS].find((one) => one.length > 2 && plain.includes(one));
  // What is left without the word must be good by itself.
  if (word !== undefined && plain.replaceAll(word, '').length < PASSWORD_MIN - 2) {
    return `without "${word}" in it, too little is left`;
  }
  if (withoutRows(plain).length < DIFFERENT_MIN) {
    return 'it is a row of keys or of digits; accepted: words that do not belong together';
  }
  return null;
}

/** The text with each long row of neighbours as its first character alone. */
function withoutRows(text: string): string {
  let rest = '';
  for (let at = 0; at < text.length;) {
    const length = rowLength(text, at);
    rest += text.charAt(at);
    at += length >= NEIGHBOURS_MAX ? length : 1;
  }
  return rest;
}

function rowLength(text: string, at: number): number {
  let longest = 1;
  for (const row of ROWS) {
    for (const way of [row, row.split('').toReversed().join('')]) {
      for (let length = longest + 1; way.includes(text.slice(at, at + length)); length++) {
        if (at + length > text.length) break;
        longest = length;
      }
    }
  }
  return longest;
}
