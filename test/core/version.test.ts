/**
 * Versions and ranges: the rules of SemVer by table, everything else against the `semver` package
 * by generated cases (its `includePrerelease` is our plain ordering). Imports core and packages.
 */
import * as fc from 'fast-check';
import semver from 'semver';
import t from 'tap';
import {
  compareVersions,
  parseRange,
  parseVersion,
  RANGE_CHARS_MAX,
  satisfies,
  VERSION_CHARS_MAX,
} from '../../src/core/version.ts';

/** Seeded: the counts that guard against an empty proof are the same in every run. */
const RUNS = { numRuns: 500, seed: 1 };
const REFUSED = { name: 'UpdateError', code: 'bundle.invalid_manifest' };

/** Small numbers and words, so that equal and neighbouring versions are frequent. */
const number = fc.oneof(fc.nat(3), fc.constantFrom(10, 99, Number.MAX_SAFE_INTEGER));
const word = fc.oneof(
  number.map(String),
  fc.constantFrom('alpha', 'beta', 'rc', 'RC', 'a-b', '-', '0a', '--1'),
);
const words = fc.array(word, { minLength: 1, maxLength: 3 }).map((list) => list.join('.'));
const optional = (sign: string) =>
  fc.oneof(
    fc.constant(''),
    words.map((text) => sign + text),
  );
const version = fc
  .tuple(number, number, number, optional('-'), optional('+'))
  .map(([a, b, c, pre, build]) => `${a}.${b}.${c}${pre}${build}`);
const comparator = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constantFrom('', '=', '<', '<=', '>', '>='), version) },
  { weight: 1, arbitrary: fc.constant(['*', ''] as const) },
);
const range = fc
  .array(
    fc.array(
      comparator.map(([sign, text]) => sign + text),
      { minLength: 1, maxLength: 3 },
    ),
    {
      minLength: 1,
      maxLength: 3,
    },
  )
  .map((alternatives) => alternatives.map((all) => all.join(' ')).join(' || '));

t.test('a version is taken apart', async (t) => {
  t.strictSame(parseVersion('1.20.3-rc.1.0a+build.7'), {
    text: '1.20.3-rc.1.0a+build.7',
    major: 1,
    minor: 20,
    patch: 3,
    prerelease: ['rc', 1, '0a'],
    build: 'build.7',
  });
  t.strictSame(parseVersion('0.0.0').prerelease, []);
});

t.test('what is not a version is refused', async (t) => {
  const texts = [
    '',
    '1',
    '1.2',
    '1.2.3.4',
    'v1.2.3',
    '=1.2.3',
    ' 1.2.3',
    '1.2.3 ',
    '1.2.3\n',
    '01.2.3',
    '1.02.3',
    '1.2.3-',
    '1.2.3-a..b',
    '1.2.3-01',
    '1.2.3+',
    '1.2.3+a+b',
    '1.2.x',
    '1.2.3-ä',
    '-1.2.3',
    '9007199254740992.0.0',
    '1.0.0-9007199254740992',
    `1.0.0-${'a'.repeat(VERSION_CHARS_MAX)}`,
  ];
  for (const text of texts) t.throws(() => parseVersion(text), REFUSED, JSON.stringify(text));
  t.equal(parseVersion(`1.0.0-${'a'.repeat(VERSION_CHARS_MAX - 6)}`).text.length, 128);
});

t.test('the example of clause 11 of SemVer is in order', async (t) => {
  const order = [
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0-rc.1',
    '1.0.0',
    '1.0.1',
    '1.2.0',
    '1.10.0',
    '2.0.0',
  ];
  for (const [i, a] of order.entries()) {
    for (const [k, b] of order.entries()) {
      t.equal(compareVersions(a, b), Math.sign(i - k), `${a} to ${b}`);
    }
  }
  t.equal(compareVersions('1.0.0+a', '1.0.0+b'), 0, 'build is not compared');
});

t.test('ranges by table', async (t) => {
  const rows: readonly (readonly [range: string, version: string, inside: boolean])[] = [
    ['*', '0.0.1-alpha', true],
    ['1.2.3', '1.2.3', true],
    ['1.2.3', '1.2.3+build', true],
    ['=1.2.3', '1.2.4', false],
    ['>=1.0.0 <2.0.0', '1.0.0', true],
    ['>=1.0.0 <2.0.0', '2.0.0', false],
    ['>=1.0.0  <2.0.0', '1.9.9', true],
    ['>=1.0.0 <2.0.0||3.0.0', '3.0.0', true],
    ['>=1.0.0 <2.0.0 || 3.0.0', '2.5.0', false],
    ['<2.0.0', '2.0.0-rc.1', true],
    ['<2.0.0-0', '2.0.0-rc.1', false],
    ['>=1.0.0', '1.0.0-rc.1', false],
    ['>1.0.0-rc.1', '1.0.0', true],
    ['<=1.0.0', '1.0.0', true],
    ['>2.0.0 <1.0.0', '1.5.0', false],
  ];
  for (const [text, candidate, inside] of rows) {
    t.equal(satisfies(candidate, text), inside, `${candidate} in ${text}`);
    t.equal(satisfies(parseVersion(candidate), parseRange(text)), inside, 'parsed before');
  }
});

t.test('what is not in the grammar of ranges is refused by name', async (t) => {
  const rows: readonly (readonly [range: string, says: RegExp])[] = [
    ['', /empty/],
    ['  ', /empty/],
    ['1.0.0 ||', /empty/],
    ['|| 1.0.0', /empty/],
    ['^1.0.0', /unknown operator \^/],
    ['~1.0.0', /unknown operator ~/],
    ['=>1.0.0', /unknown operator =>/],
    ['==1.0.0', /unknown operator ==/],
    ['!1.0.0', /"!1.0.0" is not a version/],
    ['1.x', /wildcard/],
    ['1.2.X', /wildcard/],
    ['1.*', /wildcard/],
    ['>=*', /wildcard/],
    ['x', /wildcard/],
    ['1.0.0 - 2.0.0', /"-" is not a version/],
    ['>= 1.0.0', /no version follows >=/],
    ['1.0.0 | 2.0.0', /not a version/],
    ['>=1.0', /not a version/],
    ['1.0.0,2.0.0', /not a version/],
    ['1.0.0\t2.0.0', /not a version/],
    ['v1.0.0', /not a version/],
    [`${'1.0.0 || '.repeat(200)}1.0.0`, new RegExp(`at most ${RANGE_CHARS_MAX} characters`)],
  ];
  for (const [text, says] of rows) {
    t.throws(() => parseRange(text), { ...REFUSED, message: says }, JSON.stringify(text));
  }
});

t.test('an error quotes a hostile text short and escaped', async (t) => {
  t.throws(() => parseVersion(`\u001b[2J${'x'.repeat(500)}`), {
    message: /^"\\u001b\[2Jx{36}…": a version has at most 128 characters, found 504$/,
  });
});

t.test('agrees with semver on every generated pair', async (t) => {
  fc.assert(
    fc.property(version, version, (a, b) => compareVersions(a, b) === semver.compare(a, b)),
    RUNS,
  );
  t.pass(`${RUNS.numRuns} pairs`);
});

t.test('agrees with semver on every generated range', async (t) => {
  let inside = 0;
  fc.assert(
    fc.property(version, range, (candidate, text) => {
      const found = satisfies(candidate, text);
      if (found) inside += 1;
      return found === semver.satisfies(candidate, text, { includePrerelease: true });
    }),
    RUNS,
  );
  t.ok(inside > 50 && inside < RUNS.numRuns - 50, 'both answers were common');
});

t.test('agrees with semver on what a version is', async (t) => {
  const piece = fc.constantFrom('0', '1', '01', '.', '.', '-', '+', 'a', '1.0.0', '1.2.3-', ' ');
  const text = fc.array(piece, { maxLength: 8 }).map((list) => list.join(''));
  let valid = 0;
  fc.assert(
    fc.property(fc.oneof(version, text), (candidate) => {
      let ours = true;
      try {
        parseVersion(candidate);
      } catch {
        ours = false;
      }
      if (ours) valid += 1;
      // semver trims what stands around a version, a manifest may not have it.
      return ours === (semver.valid(candidate) !== null && candidate === candidate.trim());
    }),
    { ...RUNS, examples: [['1.0.0'], [' 1.0.0'], ['1.0.0-01']] },
  );
  t.ok(valid > 50, 'valid ones were common');
});

t.test('the order is total and the range follows it', async (t) => {
  fc.assert(
    fc.property(version, version, version, (a, b, c) => {
      const antisymmetric = compareVersions(a, b) + compareVersions(b, a) === 0;
      const [low, mid, high] = [a, b, c].toSorted(compareVersions) as [string, string, string];
      return antisymmetric && satisfies(mid, `>=${low} <=${high}`);
    }),
    RUNS,
  );
  t.pass(`${RUNS.numRuns} triples`);
});
