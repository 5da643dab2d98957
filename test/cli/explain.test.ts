/**
 * `explain` and the exit statuses: every code and every class is printed, and the numbers are those
 * that scripts rely on.
 */
import t from 'tap';
import { CODES, EXIT, type Code } from '../../src/core/codes.ts';
import { run } from './harness.ts';

const codes = Object.keys(CODES) as Code[];

t.test('without a word it prints every code with its next action', async (t) => {
  const { exit, out } = await run(['explain']);
  t.equal(exit, 0);
  for (const code of codes) {
    t.ok(out.includes(`\n  ${code}\n    ${CODES[code].title}\n    ${CODES[code].next}\n`), code);
  }
  const headings = [...out.matchAll(/^exit (\d+): \S/gm)].map((match) => Number(match[1]));
  t.same(headings, Object.values(EXIT));
});

t.test('a code, a status, and both as JSON', async (t) => {
  for (const code of codes) {
    const { exit, out } = await run(['explain', code]);
    t.equal(exit, 0);
    t.ok(out.startsWith(`exit ${CODES[code].exit}: `), code);
    t.equal(out.match(/^ {2}\S/gm)?.length, 1, code);
    const { codes: found } = (await run(['explain', code, '--json'])).json() as { codes: object[] };
    t.match(found, [{ code, exit: CODES[code].exit, title: CODES[code].title }]);
  }
  for (const status of Object.values(EXIT)) {
    const { exit, out } = await run(['explain', String(status)]);
    t.equal(exit, 0);
    const expected = codes.filter((code) => CODES[code].exit === status);
    t.equal((out.match(/^ {2}\S+$/gm) ?? []).length, expected.length, String(status));
  }
  const { codes: all } = (await run(['explain', '--json'])).json() as { codes: object[] };
  t.equal(all.length, codes.length);
});

t.test('the statuses are those that scripts rely on', async (t) => {
  const relied = [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 30, 31, 32, 33, 40, 41];
  t.same(Object.values(EXIT), [...relied, 50, 51]);
});
