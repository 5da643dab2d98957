/**
 * `explain` and the exit statuses: every code, state and class is printed as the table has it, the
 * commands in the texts are those of the program, and the numbers those that scripts rely on.
 */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { explainAll } from '../../src/cli/explain.ts';
import { findVerb, parseCommand } from '../../src/cli/parse.ts';
import { CODES, EXIT, type Code } from '../../src/core/codes.ts';
import { isAlarm, recoveryOf, STATE_WORDS } from '../../src/core/recovery.ts';
import { run } from './harness.ts';

const SRC = new URL('../../src/', import.meta.url);
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

interface Printed {
  readonly codes: readonly Record<string, unknown>[];
  readonly states: readonly Record<string, unknown>[];
  readonly statuses: readonly Record<string, unknown>[];
}

const printed = async (...words: readonly string[]): Promise<Printed> =>
  (await run(['explain', ...words, '--json'])).json() as Printed;

t.test('a code, a state, a status, and all of it as JSON', async (t) => {
  for (const code of codes) {
    const { exit, out } = await run(['explain', code]);
    t.equal(exit, 0);
    const head = `${code}: ${isAlarm(code) ? 'alarm, ' : ''}exit ${CODES[code].exit}`;
    t.ok(out.startsWith(head), code);
    const { codes: found } = await printed(code);
    t.match(found, [{ code, exit: CODES[code].exit, title: CODES[code].title }]);
    t.match(found, [recoveryOf(code)]);
  }
  for (const word of Object.keys(STATE_WORDS)) {
    const { exit, out } = await run(['explain', word.toLowerCase()]);
    t.equal(exit, 0);
    t.ok(out.startsWith(`${word}: `), word);
    t.match((await printed(word)).states, [{ state: word, means: /./, costs: /./ }]);
  }
  for (const status of Object.values(EXIT)) {
    const { exit, out } = await run(['explain', String(status)]);
    t.equal(exit, 0);
    t.ok(out.startsWith(`exit ${status}: `));
    const expected = codes.filter((code) => CODES[code].exit === status);
    t.equal((out.match(/^ {2}[a-z_]+\.[a-z_]+$/gm) ?? []).length, expected.length, `${status}`);
    t.match((await printed(String(status))).statuses, [{ exit: status, works: /./ }]);
  }
  const all = await printed();
  t.equal(all.codes.length, codes.length);
  t.equal(all.statuses.length, Object.keys(EXIT).length);
  t.equal(all.states.length, Object.keys(STATE_WORDS).length);
});

t.test('at three in the morning, on a vt220', async (t) => {
  const { out } = await run(['explain', 'FROZEN'], { columns: 80 });
  t.match(out, /^ {2}Means {2}The serving node lost its peer/m);
  t.match(out, /^ {2}To do {2}1\. Bring the peer or the link back/m);
  t.match(out, /^ {12}tandem takeover$/m, 'a command stands alone on its line, as it is typed');
  for (const word of [...codes, ...Object.keys(STATE_WORDS)]) {
    const { out } = await run(['explain', word], { columns: 80 });
    for (const line of out.split('\n')) t.ok(line.length <= 80, `${word}: ${line}`);
    t.notMatch(out, /^ *[^` ]*`[^`]*$/m, `${word}: no command is broken`);
  }
});

t.test('a mistyped word is told with the nearest one', async (t) => {
  const rows = [
    ['frozn', 'FROZEN'],
    ['HOLD-MIXD', 'HOLD_MIXED'],
    ['pair.frozn', 'pair.frozen'],
  ] as const;
  for (const [typed, meant] of rows) {
    const { exit, err } = await run(['explain', typed]);
    t.equal(exit, EXIT.usage);
    t.match(err, `did you mean ${meant}?`);
  }
  t.match((await run(['explain', '99'])).err, 'is not an exit status; there are: 0, 1, 2');
  t.match((await run(['explain', 'xxxxxxxxxxxx'])).err, '`tandem explain` lists them');
});

/** Commands in backquotes, in the texts of the tables and in sentences of the program. */
function commandsIn(text: string): string[] {
  return [...text.matchAll(/\\?`tandem ([^`\\$]+)\\?`/g)].map((match) => match[1] ?? '');
}

t.test('every command that a text names is one that the program has', async (t) => {
  const said = new Set(commandsIn(JSON.stringify(explainAll())));
  t.ok(said.size > 20, `${said.size} commands`);
  for (const command of said) {
    const words = command.split(' ').map((word) => (word === 'CODE' ? 'pair.frozen' : word));
    const parsed = await parseCommand(words).catch((error: unknown) => String(error));
    t.match(parsed, { kind: /^(verb|help|version)$/ }, command);
  }
  // Elsewhere a sentence may name a verb without its arguments.
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' });
  const sources = files.filter((name) => name.endsWith('.ts') && !name.startsWith('core/'));
  const named = sources.flatMap((name) => commandsIn(readFileSync(new URL(name, SRC), 'utf8')));
  for (const command of new Set(named)) {
    if (!/^(-|explain|bundle$|VERB)/.test(command)) {
      await t.resolves(findVerb(command.split(' ')), command);
    }
  }
  await t.rejects(findVerb(['cluster', 'state']), 'a wrong one is found');
});

t.test('the statuses are those that scripts rely on', async (t) => {
  const relied = [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 30, 31, 32, 33, 40, 41];
  t.same(Object.values(EXIT), [...relied, 50, 51]);
});
