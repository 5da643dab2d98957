/**
 * The runner of test files: whatever a file does wrong is counted and shown. Imports the runner.
 */
import t from 'tap';
import { runFiles, type Limits } from '../../scripts/test-files.ts';

const TAP = `import t from ${JSON.stringify(import.meta.resolve('tap'))};\n`;
const FILES = {
  'good.test.ts': `${TAP}t.equal(1, 1); t.test('sub', async (t) => { t.ok(1); t.ok(2); });`,
  'deep.test.ts': `${TAP}t.test('a', async (t) => {
    t.ok(1);
    t.test('b', async (t) => { t.equal(1, 2, 'number'); });
  });`,
  'skip.test.ts': `${TAP}t.ok(1); t.test('not now', { skip: 'why' }, () => {});`,
  'without.test.ts': `${TAP}t.plan(0, 'needs a tool that is not here');`,
  'status.test.ts': `${TAP}t.ok(1); process.on('exit', () => { process.exitCode = 3; });`,
  'signal.test.ts': `console.error('last words'); process.kill(process.pid, 'SIGKILL');`,
  'empty.test.ts': ``,
  'syntax.test.ts': `const = 1;`,
  'plan.test.ts': `${TAP}t.plan(2); t.ok(1);`,
  'bail.test.ts': `${TAP}t.bailout('stop');`,
  'throws.test.ts': `${TAP}t.ok(1); setTimeout(() => { throw new Error('late'); }, 10);`,
  'hang.test.ts': `console.log('TAP version 14\\nok 1\\n1..1'); setInterval(() => {}, 1000);`,
  'orphan.test.ts': `import { spawn } from 'node:child_process';
    spawn('sleep', ['3'], { detached: true, stdio: 'inherit' }).unref();
    console.log('TAP version 14\\nok 1\\n1..1');`,
};

/** As generous as a busy machine needs. */
const LIMITS: Limits = { testS: 20, fileMs: 20_000, graceMs: 5000 };

async function runOne(root: string, name: string, limits = LIMITS) {
  const said: string[] = [];
  const counts = await runFiles([name], { root, limits, say: (text) => said.push(text) });
  return { counts, text: said.join('\n') };
}

t.test('what a file did is counted and shown', async (t) => {
  const root = t.testdir(FILES);
  const rows: readonly (readonly [string, passed: number, failed: number, says: RegExp])[] = [
    ['good', 3, 0, /^ {2}ok .* 3 {2}good\.test\.ts$/],
    ['deep', 1, 1, /not ok {2}deep\.test\.ts > a > b > number\n.* at .*deep\.test\.ts:4:/],
    ['skip', 1, 0, /^ {2}ok .* 1 {2}skip\.test\.ts, 1 skipped$/],
    ['without', 0, 0, /^ {2}ok /],
    ['status', 1, 1, /status\.test\.ts > exit status 3\n/],
    ['signal', 0, 1, /died of SIGKILL\n +last words\n/],
    ['empty', 0, 1, /it has no test/],
    ['syntax', 0, 1, /exit status 1\n(.*\n)*.*SyntaxError/],
    ['plan', 1, 1, /plan/],
    ['bail', 0, 1, /bailed out: stop/],
    ['throws', 1, 1, /throws\.test\.ts > late/],
  ];
  for (const [name, passed, failed, says] of rows) {
    const { counts, text } = await runOne(root, `${name}.test.ts`);
    t.match(counts, { passed, failed, skipped: name === 'skip' ? 1 : 0 }, name);
    t.match(text, says, name);
    t.match(text.split('\n').at(-1), failed === 0 ? /^ {2}ok / : /^ {2}not ok /, name);
  }
});

t.test('a file that does not end is ended', async (t) => {
  const limits = { ...LIMITS, fileMs: 1000, graceMs: 500 };
  const { counts, text } = await runOne(t.testdir(FILES), 'hang.test.ts', limits);
  t.match(counts, { passed: 1, failed: 1 });
  t.match(text, /did not end within 1 s/);
});

t.test('a process that a file leaves behind is told of and does not hold up the run', async (t) => {
  const limits = { ...LIMITS, graceMs: 100 };
  const { counts, text } = await runOne(t.testdir(FILES), 'orphan.test.ts', limits);
  t.match(counts, { passed: 1, failed: 1 });
  t.match(text, /a process that it started lives on/);
});

t.test('counts of several files add up', async (t) => {
  const names = ['good.test.ts', 'deep.test.ts', 'skip.test.ts'];
  for (const lanes of [1, 3]) {
    const counts = await runFiles(names, { root: t.testdir(FILES), say: () => {}, lanes });
    t.same(counts, { passed: 5, failed: 1, skipped: 1 });
  }
});
