/**
 * Hooks as programs: their contract, which names count, and programs that hang, flood, fork, die or
 * cannot be run. May import tap, node: and the drivers under test.
 */
import { appendFile, chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import { DirectoryHooks } from '../../src/drivers/hooks-dir.ts';
import { hooksContract, type HookSpec } from '../contracts/hooks.ts';
import { MemoryHooks, type HookAnswer } from '../memory/hooks.ts';

const never = new AbortController().signal;

/** Writes an executable script. */
async function script(path: string, text: string, mode = 0o755): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, mode);
  return path;
}

const SCRIPTS: Readonly<Record<HookSpec['answer'], string>> = {
  good: 'exit 0',
  retry: 'exit 75',
  veto: 'echo no such luck >&2; exit 1',
  hang: 'exec sleep 1000',
};

const answerOf = (spec: HookSpec) => async (_input: object, signal: AbortSignal) => {
  if (spec.answer === 'hang') {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }
  const answer: HookAnswer = spec.answer === 'retry' ? 'retry' : 'good';
  return spec.answer === 'veto' ? { veto: 'no such luck' } : answer;
};

await hooksContract(t, 'in memory', async (_, specs) => {
  const hooks = new MemoryHooks(specs.map((spec) => ({ ...spec, answer: answerOf(spec) })));
  return Promise.resolve({ hooks, started: async () => Promise.resolve([...hooks.calls]) });
});

await hooksContract(t, 'in a directory', async (t, specs) => {
  const dir = t.testdir();
  const log = join(dir, 'started');
  await writeFile(log, '');
  for (const { point, name, answer } of specs) {
    const text = `echo ${point}/${name} >> ${log}\n${SCRIPTS[answer]}`;
    await script(join(dir, `${point}.d`, name), text);
  }
  const started = async () => (await readFile(log, 'utf8')).split('\n').filter(Boolean);
  return { hooks: new DirectoryHooks(dir), started };
});

/** Runs one script as the only hook of `check`; returns the veto. */
async function vetoOf(
  t: Test,
  text: string,
  options: { timeoutMs?: number; mode?: number } = {},
): Promise<UpdateError> {
  const dir = t.testdir();
  await script(join(dir, 'check.d/hook'), text, options.mode);
  const timeoutMs = options.timeoutMs ?? 20_000;
  try {
    await new DirectoryHooks(dir, { timeoutMs }).run('check', {}, never);
  } catch (error) {
    if (error instanceof UpdateError) return error;
    throw error;
  }
  throw new Error('no veto');
}

/** Whether this process runs; one that only waits to be reaped does not. */
async function alive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return stat !== '' && !/\) Z /.test(stat);
}

/** Waits for the end of a process for a while. */
async function gone(pid: number): Promise<boolean> {
  for (let n = 0; n < 200 && (await alive(pid)); n += 1) await sleep(20);
  return !(await alive(pid));
}

t.test('a hook gets JSON on its input, its point, and nothing of ours', async (t) => {
  const dir = t.testdir();
  process.env['TANDEM_SECRET'] = 'x';
  t.teardown(() => delete process.env['TANDEM_SECRET']);
  const words = '"$TANDEM_HOOK_POINT $PWD ${TANDEM_SECRET-unset}"';
  const text = `cat > ${dir}/input; echo ${words} > ${dir}/env`;
  await script(join(dir, 'pre-switch.d/note'), text);
  const input = { version: '2.0.0', text: 'ünïcödé', big: 'x'.repeat(200_000) };
  const hooks = new DirectoryHooks(dir);
  t.same(await hooks.run('pre-switch', input, never), { ran: 1, retry: false });
  t.same(JSON.parse(await readFile(join(dir, 'input'), 'utf8')), input);
  t.equal(await readFile(join(dir, 'env'), 'utf8'), 'pre-switch / unset\n');
});

t.test('a hook knows node, root and boot, and is marked for a power cut', async (t) => {
  const names = ['TANDEM_POWER', 'TANDEM_NODE', 'TANDEM_ROOT', 'TANDEM_BOOT'];
  const before = names.map((name) => process.env[name]);
  t.teardown(() => {
    for (const [i, name] of names.entries()) {
      if (before[i] === undefined) delete process.env[name];
      else process.env[name] = before[i];
    }
  });
  const dir = t.testdir();
  await script(join(dir, 'check.d/note'), `env | grep ^TANDEM_ | sort > ${dir}/env`);
  const told = async (): Promise<string[]> => {
    await new DirectoryHooks(dir).run('check', {}, never);
    return (await readFile(join(dir, 'env'), 'utf8')).trimEnd().split('\n');
  };
  for (const name of names) process.env[name] = `the ${name}`;
  t.strictSame(await told(), [
    'TANDEM_BOOT=the TANDEM_BOOT',
    'TANDEM_HOOK_POINT=check',
    'TANDEM_NODE=the TANDEM_NODE',
    'TANDEM_POWER=the TANDEM_POWER',
    'TANDEM_ROOT=the TANDEM_ROOT',
  ]);
  for (const name of names) delete process.env[name];
  t.strictSame(await told(), ['TANDEM_HOOK_POINT=check'], 'what is not set stays so');
});

t.test('a hook that does not read its input', async (t) => {
  const dir = t.testdir();
  await script(join(dir, 'check.d/deaf'), 'exec 0<&-; exit 0');
  const input = { big: 'x'.repeat(1_000_000) };
  t.same(await new DirectoryHooks(dir).run('check', input, never), { ran: 1, retry: false });
});

t.test('which names count', async (t) => {
  const dir = t.testdir({ 'check.d': { folder: {} } });
  const counted = ['10-a', '20_b.sh', '30.py', 'Z.hook'];
  const passedOver = ['README.txt', '10-a.bak', '20.sh.dpkg-old', 'x~', '.hidden', 'a b', 'sh.'];
  for (const name of [...passedOver, ...counted]) {
    await script(join(dir, 'check.d', name), `echo ${name.replace(' ', '_')} >> ${dir}/log`);
  }
  const result = await new DirectoryHooks(dir).run('check', {}, never);
  t.equal(result.ran, counted.length);
  t.same((await readFile(join(dir, 'log'), 'utf8')).trim().split('\n'), counted);
  const none = new DirectoryHooks(dir);
  await t.rejects(none.run('../check', {}, never), { code: 'internal.bug' });
});

t.test('what cannot be run is a veto, not silence', async (t) => {
  t.match(await vetoOf(t, 'exit 0', { mode: 0o644 }), {
    code: 'hook.refused',
    message: /check\.d\/hook is not executable/,
  });
  const dir = t.testdir();
  await mkdir(join(dir, 'check.d'));
  await symlink('nowhere', join(dir, 'check.d/link'));
  await t.rejects(new DirectoryHooks(dir).run('check', {}, never), { code: 'hook.refused' });
  const odd = join(t.testdir({ 'health.d': {} }), 'health.d/odd');
  await writeFile(odd, '#!/no/such/interpreter\n');
  await chmod(odd, 0o755);
  await t.rejects(new DirectoryHooks(join(odd, '../..')).run('health', {}, never), {
    code: 'hook.veto',
    message: /cannot be executed/,
  });
  const file = t.testdir({ 'check.d': 'a file' });
  await t.rejects(new DirectoryHooks(file).run('check', {}, never), { code: 'hook.refused' });
});

t.test('a hook that hangs, with children that would live on', async (t) => {
  const dir = t.testdir();
  const text = `sleep 1000 & echo $! > ${dir}/child; trap '' TERM; echo waiting; wait; sleep 1000`;
  await script(join(dir, 'check.d/hook'), text);
  const hooks = new DirectoryHooks(dir, { timeoutMs: 300 });
  await t.rejects(hooks.run('check', {}, never), {
    code: 'hook.refused',
    message: /did not end within 300 ms: waiting/,
    detail: { hook: 'hook', output: ['waiting'] },
  });
  t.ok(await gone(Number(await readFile(join(dir, 'child'), 'utf8'))), 'its child is gone');
});

t.test('a hook that ends and leaves a child with its pipes open', async (t) => {
  const dir = t.testdir();
  await script(join(dir, 'check.d/hook'), `sleep 1000 & echo $! > ${dir}/child; echo done; exit 0`);
  const hooks = new DirectoryHooks(dir);
  t.same(await hooks.run('check', {}, never), { ran: 1, retry: false });
  t.ok(await gone(Number(await readFile(join(dir, 'child'), 'utf8'))), 'its child is gone');
});

t.test('a hook that floods its output: the last lines are kept', async (t) => {
  const flood = 'head -c 30000000 /dev/zero | tr "\\0" x; echo; echo the end; exit 3';
  const veto = await vetoOf(t, flood);
  t.match(veto.message, /ended with status 3: .*\nthe end$/s);
  t.ok(veto.message.length < 5000, `${veto.message.length} characters`);
  const lines = await vetoOf(t, 'for n in 1 2 3 4 5 6 7; do echo "line $n"; done; exit 1');
  t.same(lines.detail?.['output'], ['line 3', 'line 4', 'line 5', 'line 6', 'line 7']);
});

t.test('control characters do not reach a terminal; other ends are named', async (t) => {
  const colours = await vetoOf(t, String.raw`printf 'a\033[31mb\007c\n'; exit 2`);
  t.same(colours.detail?.['output'], ['a [31mb c']);
  t.match((await vetoOf(t, 'kill -KILL $$')).message, /was ended by SIGKILL/);
  t.match((await vetoOf(t, 'exit 74')).message, /ended with status 74$/);
});

t.test('too many hooks are refused before one of them runs', async (t) => {
  const dir = t.testdir();
  for (let n = 0; n <= 100; n += 1) {
    await script(join(dir, `check.d/${n}`), `echo ran >> ${dir}/log`);
  }
  await appendFile(join(dir, 'log'), '');
  await t.rejects(new DirectoryHooks(dir).run('check', {}, never), { code: 'hook.refused' });
  t.equal(await readFile(join(dir, 'log'), 'utf8'), '');
});
