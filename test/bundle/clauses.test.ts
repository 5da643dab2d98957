/**
 * docs/bundle.md and the code say the same: every clause that the code cites exists, every code
 * word that the text names exists, and the limits in the text are those of the code.
 */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import * as limits from '../../src/bundle/limits.ts';
import { PAYLOAD_TYPES } from '../../src/bundle/signature.ts';
import { CODES } from '../../src/core/codes.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const text = read('docs/bundle.md');
const clauses = new Set([...text.matchAll(/\*\*(B\d+\.\d+)\*\*/g)].map(([, clause]) => clause!));
const chapters = new Set([...text.matchAll(/^## (B\d+) /gm)].map(([, chapter]) => chapter!));

await t.test('every clause that is cited exists', (t) => {
  const files = readdirSync(new URL('src/bundle', root)).map((name) => `src/bundle/${name}`);
  const cited = [...files, 'docs/bundle.md'].flatMap((path) =>
    [...read(path).matchAll(/\bB\d+(?:\.\d+)?\b/g)].map(([clause]) => [path, clause] as const),
  );
  t.ok(cited.length > 40);
  for (const [path, clause] of cited) {
    if (!clauses.has(clause) && !chapters.has(clause)) t.fail(`${path} cites ${clause}`);
  }
  t.end();
});

await t.test('clauses are numbered without gaps', (t) => {
  for (const chapter of chapters) {
    const numbers = [...clauses]
      .filter((clause) => clause.startsWith(`${chapter}.`))
      .map((clause) => Number(clause.split('.')[1]));
    t.same(
      numbers,
      numbers.map((_, i) => i + 1),
      chapter,
    );
  }
  t.equal(chapters.size, 9);
  t.end();
});

await t.test('every code exists', (t) => {
  const named = [...text.matchAll(/`((?:bundle|trust)\.[a-z_]+)`/g)].map(([, code]) => code!);
  const files = new Set(['bundle.bin', 'bundle.md']);
  for (const code of new Set(named)) if (!files.has(code)) t.ok(code in CODES, code);
  t.end();
});

const grouped = (value: number): string => value.toLocaleString('en-US');

await t.test('numbers of the text', (t) => {
  const shown = [
    limits.MANIFEST_BYTES_MAX,
    limits.SIGNATURE_BYTES,
    limits.CHUNKS_MAX,
    limits.CHUNK_BYTES_MIN,
    limits.CHUNK_BYTES_MAX,
    limits.CHUNK_BYTES_DEFAULT,
    limits.MEMBER_BYTES_MAX,
    limits.ROOT_BYTES_MAX,
    limits.ROOTS_BYTES_MAX,
    limits.UPDATER_BYTES_MAX,
  ];
  for (const value of shown) t.ok(text.includes(grouped(value)), grouped(value));
  for (const type of Object.values(PAYLOAD_TYPES))
    t.ok(text.includes(`DSSEv1 ${type.length} ${type} N `));
  t.end();
});

await t.test('each attack has a test of its name', (t) => {
  const table = text.slice(text.indexOf('## B9'));
  const rows = table
    .split('\n')
    .filter((line) => /^\| [a-z]/.test(line) && !line.startsWith('| attack'));
  t.ok(rows.length >= 27, `${rows.length} attacks`);
  for (const row of rows) {
    const [, file, title] = /\| `([a-z/-]+)`: ([^|]+?) +\|$/.exec(row) ?? [];
    const found = file !== undefined && read(`test/${file}.test.ts`).includes(title ?? '-');
    t.ok(found, row.slice(2, 90).trim());
  }
  const cves = new Set([...table.matchAll(/CVE-\d+-\d+/g)].map(([cve]) => cve));
  const tests = readdirSync(new URL('test/bundle', root)).map((name) =>
    read(`test/bundle/${name}`),
  );
  for (const cve of cves)
    t.ok(
      tests.some((test) => test.includes(cve)),
      cve,
    );
  t.equal(cves.size, 9);
  t.end();
});
