/**
 * The table of codes: its form, and that nothing in it was taken back. Imports core.
 */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { CODES, EXIT, isCode, type Code } from '../../src/core/codes.ts';
import { EXIT_WORDS } from '../../src/core/exit.ts';

const ENTRIES = Object.entries(CODES) as [Code, (typeof CODES)[Code]][];
/**
 * Reserved by the interface: decisions of later settings, and the answer to --detailed-exitcode.
 */
const WITHOUT_CODE = ['done', 'nothingToDo'];

t.test('every code has a word, a title and a next action', async (t) => {
  t.ok(ENTRIES.length > 60);
  for (const [code, { exit, title, next }] of ENTRIES) {
    t.match(code, /^[a-z]+\.[a-z]+(_[a-z]+)*$/);
    t.match(title, /^[A-Z].*\.$/, `${code}: the title is a sentence`);
    t.match(next, /^[A-Z].*\.$/, `${code}: the next action is a sentence`);
    t.not(exit, EXIT.done, `${code} is no success`);
    t.ok(Object.values(EXIT).includes(exit), `${code}: ${exit} is an exit status`);
  }
});

t.test('no two codes say the same', async (t) => {
  const titles = ENTRIES.map(([, entry]) => entry.title);
  t.equal(new Set(titles).size, titles.length);
});

t.test('exit statuses are those that scripts know', async (t) => {
  t.strictSame(
    Object.values(EXIT),
    [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 30, 31, 32, 33, 40, 41, 50, 51],
  );
  t.strictSame(Object.keys(EXIT_WORDS), Object.keys(EXIT));
  t.equal(new Set(Object.values(EXIT_WORDS)).size, Object.keys(EXIT).length);
});

t.test('every exit status but the reserved ones has a code', async (t) => {
  const used = new Set<number>(ENTRIES.map(([, entry]) => entry.exit));
  const unused = Object.entries(EXIT).filter(([, status]) => !used.has(status));
  t.strictSame(
    unused.map(([name]) => name),
    WITHOUT_CODE,
  );
});

t.test('a code keeps its exit status', async (t) => {
  const rows: readonly (readonly [code: Code, exit: number])[] = [
    ['internal.bug', 1],
    ['usage.invalid', 2],
    ['bundle.wrong_type', 10],
    ['bundle.truncated', 10],
    ['bundle.trailing_data', 10],
    ['version.same_or_newer', 11],
    ['version.no_path', 12],
    ['version.blocked', 12],
    ['version.downgrade', 12],
    ['version.incompatible', 12],
    ['updater.too_old', 12],
    ['trust.untrusted', 13],
    ['product.other', 14],
    ['hardware.other', 14],
    ['space.depot', 15],
    ['pair.peer_unreachable', 24],
    ['active.failed', 30],
    ['storage.failed', 31],
    ['standby.failed_held', 32],
    ['standby.failed_rolled_back', 32],
    ['revert.failed', 33],
    ['wait.timed_out', 40],
    ['job.cancelled', 41],
    ['daemon.unreachable', 50],
    ['permission.denied', 51],
  ];
  for (const [code, exit] of rows) t.equal(CODES[code].exit, exit, code);
});

t.test('a word is a code only if it is in the table', async (t) => {
  t.equal(isCode('bundle.truncated'), true);
  for (const word of ['', 'bundle', 'bundle.nothing', 'toString', '__proto__', 'constructor']) {
    t.equal(isCode(word), false, JSON.stringify(word));
  }
});

t.test('a part of the table never hides an entry of another one', async (t) => {
  const folder = new URL('../../src/core/', import.meta.url);
  const files = readdirSync(folder).filter((name) => /^codes(?:-[a-z]+)?\.ts$/.test(name));
  const words = files.flatMap((file) => {
    const text = readFileSync(new URL(file, folder), 'utf8');
    return [...text.matchAll(/^ {2}'([a-z._]+)': \{$/gm)].map((match) => match[1]);
  });
  t.equal(words.length, ENTRIES.length);
  t.equal(new Set(words).size, ENTRIES.length);
});
