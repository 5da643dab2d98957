/**
 * Versions and version ranges of manifests and release files. Versions are SemVer 2.0 (semver.org,
 * clauses 2-11); ranges are the small language of docs/bundle.md: alternatives joined by `||`, each
 * a list of comparators joined by spaces (all must hold): `<`, `<=`, `>`, `>=`, `=`, a bare version
 * (equality), or `*` for any. A prerelease is ordered like every other version and gets no special
 * treatment: `<2.0.0` admits `2.0.0-rc.1`; write `<2.0.0-0` to keep it out. Always holds: anything
 * outside this grammar is refused, never guessed. Pure; imports only core.
 */
import { UpdateError } from './errors.ts';

/** Longest version that is read, in characters. */
export const VERSION_CHARS_MAX = 128;
/** Longest range that is read, in characters. */
export const RANGE_CHARS_MAX = 1024;

/** A version taken apart; `build` never takes part in a comparison (SemVer clause 10). */
export interface Version {
  readonly text: string;
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  readonly prerelease: readonly (number | string)[];
  readonly build: string;
}

type Operator = '<' | '<=' | '>' | '>=' | '=';

/** One condition on a version. */
export interface Comparator {
  readonly operator: Operator;
  readonly version: Version;
}

/** Alternatives, each a list of comparators that must all hold; an empty list holds always. */
export interface VersionRange {
  readonly text: string;
  readonly alternatives: readonly (readonly Comparator[])[];
}

const NUMBER = '(0|[1-9][0-9]*)';
const WORDS = '([0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)';
const VERSION = new RegExp(`^${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-${WORDS})?(?:\\+${WORDS})?$`);

function refuse(text: string, max: number, problem: string): never {
  // A quote of a hostile text must not fill the screen, nor move its cursor.
  const shown = JSON.stringify(text.length > max ? `${text.slice(0, 40)}…` : text);
  throw new UpdateError('bundle.invalid_manifest', `${shown}: ${problem}`, {
    detail: { found: text.slice(0, max) },
  });
}

/**
 * A version from its text. Throws `bundle.invalid_manifest` for anything that is not SemVer 2.0,
 * for more than `VERSION_CHARS_MAX` characters and for numbers beyond 2^53 - 1. No leading `v`.
 */
export function parseVersion(text: string): Version {
  const bad = (problem: string): never => refuse(text, VERSION_CHARS_MAX, problem);
  if (text.length > VERSION_CHARS_MAX) {
    bad(`a version has at most ${VERSION_CHARS_MAX} characters, found ${text.length}`);
  }
  const match = VERSION.exec(text);
  if (match === null) return bad('not a version; expected one like 2.1.0 or 2.1.0-rc.1');
  const core = [match[1], match[2], match[3]].map(Number);
  const prerelease = (match[4]?.split('.') ?? []).map((word) => identifier(word, bad));
  const [major = 0, minor = 0, patch = 0] = core;
  const numbers = [...core, ...prerelease.filter((word) => typeof word === 'number')];
  if (!numbers.every(Number.isSafeInteger)) bad('a number in the version is larger than 2^53 - 1');
  return { text, major, minor, patch, prerelease, build: match[5] ?? '' };
}

/** SemVer clause 9: numeric identifiers have no leading zero. */
function identifier(word: string, bad: (problem: string) => never): number | string {
  if (!/^[0-9]+$/.test(word)) return word;
  if (word.length > 1 && word.startsWith('0')) bad('a number in a prerelease starts with 0');
  return Number(word);
}

const versionOf = (version: string | Version): Version =>
  typeof version === 'string' ? parseVersion(version) : version;

/** SemVer clause 11.4: numbers before words, numbers by value, words by their characters. */
function compareIdentifiers(a: number | string, b: number | string): number {
  if (typeof a === 'number' && typeof b === 'number') return Math.sign(a - b);
  if (typeof a === 'number') return -1;
  if (typeof b === 'number') return 1;
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** SemVer clauses 11.3 and 11.4: a prerelease is older than its release. */
function comparePrerelease(a: Version['prerelease'], b: Version['prerelease']): number {
  if (a.length === 0 || b.length === 0) return Math.sign(b.length - a.length);
  for (const [i, word] of a.entries()) {
    const other = b[i];
    if (other === undefined) return 1;
    const order = compareIdentifiers(word, other);
    if (order !== 0) return order;
  }
  return a.length === b.length ? 0 : -1;
}

/**
 * Precedence of two versions (SemVer clause 11): -1, 0 or 1; the build part is ignored. Throws as
 * `parseVersion` does.
 */
export function compareVersions(first: string | Version, second: string | Version): -1 | 0 | 1 {
  const a = versionOf(first);
  const b = versionOf(second);
  const order =
    a.major - b.major ||
    a.minor - b.minor ||
    a.patch - b.patch ||
    comparePrerelease(a.prerelease, b.prerelease);
  if (order === 0) return 0;
  return order < 0 ? -1 : 1;
}

/**
 * A range from its text. Throws `bundle.invalid_manifest` that names the part which is outside the
 * grammar: `^`, `~`, `1.x`, hyphen ranges, an operator without a version, an empty alternative.
 */
export function parseRange(text: string): VersionRange {
  if (text.length > RANGE_CHARS_MAX) {
    const found = `found ${text.length}`;
    refuse(text, RANGE_CHARS_MAX, `a range has at most ${RANGE_CHARS_MAX} characters, ${found}`);
  }
  const alternatives = text.split('||').map((part) => {
    const words = part.split(' ').filter((word) => word !== '');
    if (words.length === 0) {
      refuse(text, RANGE_CHARS_MAX, 'a part of the range is empty; write * for any version');
    }
    return words.filter((word) => word !== '*').map((word) => comparator(word, text));
  });
  return { text, alternatives };
}

function comparator(word: string, range: string): Comparator {
  const bad = (problem: string): never =>
    refuse(range, RANGE_CHARS_MAX, `${problem}; a range is made of < <= > >= = * || and versions`);
  const [, sign = '', rest = ''] = /^([<>=^~]*)(.*)$/s.exec(word) ?? [];
  if (!['', '<', '<=', '>', '>=', '='].includes(sign)) bad(`unknown operator ${sign}`);
  if (rest === '') bad(`no version follows ${sign} (no space may stand between them)`);
  if (/^[0-9]*(?:\.[0-9]+)*(?:\.?[xX*])/.test(rest)) bad(`${rest} is a wildcard`);
  if (!VERSION.test(rest)) bad(`${JSON.stringify(rest.slice(0, 40))} is not a version`);
  return { operator: sign === '' ? '=' : (sign as Operator), version: parseVersion(rest) };
}

function holds({ operator, version }: Comparator, candidate: Version): boolean {
  const order = compareVersions(candidate, version);
  switch (operator) {
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    case '=':
      return order === 0;
  }
}

/** Whether the version lies in the range. Throws as `parseVersion` and `parseRange` do. */
export function satisfies(version: string | Version, range: string | VersionRange): boolean {
  const candidate = versionOf(version);
  const { alternatives } = typeof range === 'string' ? parseRange(range) : range;
  return alternatives.some((all) => all.every((one) => holds(one, candidate)));
}
