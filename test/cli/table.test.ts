/**
 * The table of verbs and what is made from it: each row complete, each example understood, help,
 * and how a mistyped command line is refused.
 */
import t from 'tap';
import { verbHelp } from '../../src/cli/help.ts';
import { parseCommand } from '../../src/cli/parse.ts';
import { allVerbs, TABLE } from '../../src/cli/table.ts';
import { VERSION } from '../../src/cli/version.ts';
import { run } from './harness.ts';

const verbs = await allVerbs();

t.test('every verb is found by its name, with help and an example that parses', async (t) => {
  t.ok(verbs.length >= 25, `${verbs.length} verbs`);
  t.equal(new Set(verbs.map((verb) => verb.name)).size, verbs.length, 'no name twice');
  for (const verb of verbs) {
    t.match(verb.summary, /^[A-Z].{10,}\.$/, `${verb.name} has a sentence`);
    for (const [name, option] of Object.entries(verb.options)) {
      t.match(option.help, /^\S.{8,}[.;]$/, `${verb.name} --${name}`);
    }
    t.ok(TABLE.some((group) => group.words.includes(verb.name.split(' ')[0]!)));
    const words = verb.example.split(' ');
    t.equal(words[0], 'tandem', verb.example);
    const command = await parseCommand(words.slice(1));
    t.equal(command.kind === 'verb' && command.verb.name, verb.name, verb.example);
    const help = verbHelp(verb);
    t.match(help, verb.example);
    for (const line of help.split('\n')) t.ok(line.length <= 120, line);
    const asked = await run([...verb.name.split(' '), '--help']);
    t.equal(asked.out, help);
    t.equal((await run(['help', ...verb.name.split(' ')])).out, help);
    t.equal(asked.exit, 0);
  }
});

t.test('help lists every verb', async (t) => {
  for (const words of [[], ['help'], ['--help'], ['-h']]) {
    const { exit, out, err } = await run(words);
    t.equal(exit, 0);
    t.equal(err, '');
    for (const verb of verbs) t.ok(out.includes(`\n  ${verb.name}`), verb.name);
    for (const line of out.split('\n')) t.ok(line.length <= 105, line);
  }
  const jobs = await run(['help', 'job']);
  t.match(jobs.out, /job wait \[ID\]/);
  t.notMatch(jobs.out, /bundle/);
  t.equal((await run(['help', 'nothing'])).exit, 2);
});

t.test('the version', async (t) => {
  t.match(VERSION, /^\d+\.\d+\.\d+/);
  t.match(await run(['--version']), { exit: 0, out: `${VERSION}\n` });
  t.same((await run(['--json', '--version'])).json(), { version: VERSION });
});

const WRONG: readonly (readonly [string, string])[] = [
  ['statsu', 'statsu is not a verb; did you mean status?'],
  ['xyzzy', 'xyzzy is not a verb'],
  ['toString', 'toString is not a verb'],
  ['--color status', 'found --color before the verb'],
  ['job', 'job needs one of: list, wait, cancel, pause, resume, log'],
  ['job --json', 'job needs one of: list, wait, cancel, pause, resume, log'],
  [
    'job wiat',
    'job wiat is not a verb; did you mean wait?; job has: list, wait, cancel, pause, resume, log',
  ],
  ['cluster', 'cluster needs one of: status'],
  [
    'support lits',
    'support lits is not a verb; did you mean list?; support has: list, get, delete',
  ],
  ['status extra', 'found 1 argument, status takes 0: tandem status'],
  ['validate', 'found 0 arguments, validate takes 1: tandem validate FILE'],
  ['history a b', 'found 2 arguments, history takes 0 to 1: tandem history [ID]'],
  ['update f --folow', '--folow is not an option of update; did you mean --follow?'],
  ['update f -x', '-x is not an option of update'],
  ['update f --timeout', '--timeout needs a value: --timeout S'],
  ['update f --timeout --wait', '--timeout needs a value: --timeout S'],
  ['update f --timeout 1 --timeout 2', '--timeout is given twice'],
  ['update f --wait=yes', '--wait takes no value'],
  ['update f --timeout 0 --wait', '--timeout is 0; accepted: a whole number from 1 to 2592000'],
  ['update f --timeout 5', '--timeout needs --wait or --follow'],
  ['update f --since-seq x', '--since-seq is x; accepted'],
  ['job wait --timeout soon', '--timeout is soon; accepted'],
  ['update f --order both', '--order is both; accepted: active-first, standby-first'],
  ['update f --on-second-failure x', '--on-second-failure is x; accepted: hold, rollback'],
  ['update f --wait --detach', '--detach does not go with --wait or --follow'],
  ['update f --dry-run --wait', '--wait does not go with --dry-run or --estimate'],
  ['update f --estimate --detach', '--detach does not go with --dry-run or --estimate'],
  ['switchover --wait --no-wait', '--no-wait does not go with --wait'],
  ['switchover --timeout 0', '--timeout is 0; accepted: a whole number from 1 to 2592000'],
  ['takeover --yes', '--yes needs --reason TEXT here'],
  ['history r1 --audit', '--audit takes no ID'],
  ['history --limit many', '--limit is many; accepted: a whole number from 1 to 1000'],
  ['explain 77', '77 is not an exit status; there are: 0, 1, 2'],
  ['explain version.no_pth', 'did you mean version.no_path?'],
];

t.test('a mistyped command line is refused with the nearest name', async (t) => {
  for (const [line, words] of WRONG) {
    const { exit, out, err } = await run(line.split(' '));
    t.equal(exit, 2, line);
    t.ok(err.includes(words), `${line}: ${err}`);
    t.notMatch(err, /\bat .*\.ts/);
    t.equal(out === '', !line.includes('--json'), 'nothing but JSON on standard output');
  }
  t.match((await run(['status', 'extra', '--json'])).json(), {
    error: { code: 'usage.invalid', next: /--help.*tandem help.*openapi/ },
    exit: 2,
  });
  t.equal((await run(Array.from({ length: 2000 }, () => 'x'))).exit, 2);
});
