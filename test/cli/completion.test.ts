/**
 * Completion in a real bash, and in zsh and fish where they are installed (`npm run test:shells`
 * installs them for it): what is offered in which place. The man page through groff, where that is
 * installed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { completionFor } from '../../src/cli/completion.ts';
import { parseCommand } from '../../src/cli/parse.ts';
import { allVerbs } from '../../src/cli/table.ts';
import { manPage } from '../../scripts/docs-man.ts';
import { run } from './harness.ts';

const has = (tool: string): boolean => spawnSync(tool, ['--version']).error === undefined;
const folder = mkdtempSync(join(tmpdir(), 'tandem-shell-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, 'update one.bin'), '');
writeFileSync(join(folder, 'other.txt'), '');
// What answers in the place of the program.
const JOBS = '{"jobs":[{"id":"update-1","kind":"update"},{"id":"stage-2","kind":"stage"}]}';
writeFileSync(join(folder, 'tandem'), `#!/bin/sh\necho '${JOBS}'\n`, { mode: 0o755 });
const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` };

/** Words before the cursor, and what is offered: all of it, or some of it. */
const CASES: readonly (readonly [words: readonly string[], offered: readonly string[]])[] = [
  [['upd'], ['update']],
  [['st'], ['stage', 'stand-down', 'status', 'storage']],
  [
    ['job', ''],
    ['cancel', 'list', 'log', 'pause', 'resume', 'wait'],
  ],
  [
    ['job', 'wait', ''],
    ['stage-2', 'update-1'],
  ],
  [['job', 'wait', 'up'], ['update-1']],
  [['job', 'wait', 'x', '--pat'], ['--patient']],
  [['update', '--or'], ['--order']],
  [
    ['update', '--order', ''],
    ['active-first', 'standby-first'],
  ],
  [['update', 'f', '--order', 'active-first', '--on-second-failure', 'h'], ['hold']],
  [['update', 'up'], ['update one.bin']],
  [['update', '--socket', 'ot'], ['other.txt']],
  [
    ['user', 'role', 'anna', ''],
    ['administrator', 'operator', 'viewer'],
  ],
  [['settings', 'set', 'idle'], ['idleMin']],
  [['explain', 'job.b'], ['job.busy']],
  [
    ['storage', 'resolve', '--keep', ''],
    ['A', 'B'],
  ],
  [
    ['completion', ''],
    ['bash', 'fish', 'zsh'],
  ],
  // Verbs of one word that open verbs of two.
  [['prepare', 'up'], ['update one.bin']],
  [['prepare', 'ot'], ['other.txt']],
  [['prepare', 'other.txt', '--wa'], ['--wait']],
  [['prepare', 'sta'], ['status']],
  [['support', '--state-dir', 'ot'], ['other.txt']],
  [['history', '--limit', '5', '--au'], ['--audit']],
  [
    ['pair', 'replace', ''],
    ['A', 'B'],
  ],
  [['help', 'swi'], ['switchover']],
  [['nonsense', 'x'], []],
];

const words = (list: readonly string[]): string =>
  list.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');

t.test('bash', async (t) => {
  const file = join(folder, 'tandem.bash');
  writeFileSync(file, await completionFor('bash'));
  const script = [
    `. '${file}'`,
    'ask() { COMP_WORDS=(tandem "$@"); COMP_CWORD=$#; _tandem;',
    '  printf "%s\\n" "${COMPREPLY[@]}" | sort; echo --; }',
    ...CASES.map(([asked]) => `ask ${words(asked)}`),
    'complete -p tandem',
  ];
  const input = script.join('\n');
  const out = execFileSync('bash', ['--norc', '-u'], { input, env, cwd: folder, encoding: 'utf8' });
  const found = out.split('--\n').map((part) => part.split('\n').filter((line) => line !== ''));
  for (const [index, [asked, offered]] of CASES.entries()) {
    t.strictSame(found[index], offered, asked.join(' '));
  }
  t.strictSame(found.at(-1), ['complete -F _tandem tandem']);
});

t.test('every verb and option is offered, and everything offered is understood', async (t) => {
  const bash = await completionFor('bash');
  const missing: string[] = [];
  for (const { name: verb, options, example } of await allVerbs()) {
    for (const [name, { choices = [] }] of Object.entries(options)) {
      if (!bash.includes(`'--${name}'`)) missing.push(`${verb} --${name}`);
      const words = example.split(' ').slice(1);
      for (const choice of words.includes(`--${name}`) ? [] : choices) {
        // Throws for what is not understood.
        await parseCommand([...words, `--${name}`, choice]);
      }
    }
  }
  t.strictSame(missing, []);
  t.match((await run(['completion', 'zsh', '--json'])).json(), { shell: 'zsh', script: /compdef/ });
  t.match(await run(['completion', 'tcsh']), { exit: 2, err: /accepted: bash, zsh, fish/ });
});

t.test('zsh', { skip: has('zsh') ? false : 'zsh is not installed' }, async (t) => {
  const file = join(folder, '_tandem');
  writeFileSync(file, await completionFor('zsh'));
  t.equal(spawnSync('zsh', ['-n', file]).status, 0, 'it is understood');
  // Without a terminal there is no line to complete: what offers is asked, in place of the widgets.
  const script = [
    `_describe() { local name=$2; print -l -- "\${(@)\${(P@)name}%%:*}"; }`,
    '_files() { print -l -- "<file>"; }',
    'compdef() { :; }',
    `. '${file}'`,
    'ask() { words=(tandem "$@"); CURRENT=$(( $# + 1 )); _tandem; print -- --; }',
    'ask upd; ask job ""; ask update f --order ""; ask user role anna ""; ask update ""',
    'ask prepare f --wa',
  ].join('\n');
  const out = execFileSync('zsh', ['-f'], { input: script, env, encoding: 'utf8' });
  const found = out.split('--\n').map((part) => part.split('\n').filter(Boolean));
  t.ok(found[0]?.includes('update'));
  t.ok(found[1]?.includes('wait'));
  t.strictSame(found[2], ['active-first', 'standby-first']);
  t.strictSame(found[3]?.toSorted(), ['administrator', 'operator', 'viewer']);
  t.strictSame(found[4], ['<file>']);
  t.ok(found[5]?.includes('--wait'));
});

t.test('fish', { skip: has('fish') ? false : 'fish is not installed' }, async (t) => {
  const file = join(folder, 'tandem.fish');
  writeFileSync(file, await completionFor('fish'));
  t.equal(spawnSync('fish', ['--no-execute', file]).status, 0, 'it is understood');
  for (const [asked, offered] of CASES) {
    if (['user', 'nonsense', 'help'].includes(asked[0]!)) continue;
    const line = `tandem ${asked.join(' ')}`;
    const script = `source '${file}'; complete -C '${line}'`;
    const options = { env: { ...env, HOME: folder }, cwd: folder, encoding: 'utf8' } as const;
    const out = execFileSync('fish', ['--no-config', '-c', script], options);
    const found = out.split('\n').map((one) => one.split('\t')[0]!.replaceAll('\\ ', ' '));
    for (const word of offered) t.ok(found.includes(word), `${line}: ${word} in ${out}`);
  }
});

const roff = (text: string): string => text.replaceAll('-', '\\-');

t.test('the man page names everything, and roff takes it without a warning', async (t) => {
  const page = await manPage();
  const wanted = (await allVerbs()).flatMap(({ name, example, options }) => {
    const flags = Object.keys(options).map((option) => `\\fB\\-\\-${roff(option)}\\fR`);
    return [`.SS "tandem ${roff(name)}`, roff(example), ...flags];
  });
  t.strictSame(
    wanted.filter((words) => !page.includes(words)),
    [],
  );
  if (!has('groff')) return;
  const made = spawnSync('groff', ['-man', '-Tutf8', '-ww'], { input: page, encoding: 'utf8' });
  t.equal(made.stderr, '');
  // Bold by overstriking, and blanks that fill a line, are of no account.
  const text = made.stdout.split(/.[\b]/).join('').replaceAll(/\s+/g, ' ');
  t.match(text, /Go by the exit status/);
});
