/**
 * The real program as a process of its own: exit statuses, streams, Ctrl-C, a closed pipe, and that
 * it loads no more than it needs.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { openBench, until, type Bench } from '../control/harness.ts';
import { pairStatus } from '../memory/backend.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

interface Ended {
  readonly exit: number | null;
  readonly out: string;
  readonly err: string;
}

/** Starts the program; ends with it. */
function tandem(words: readonly string[], env: Record<string, string> = {}, flags: string[] = []) {
  const child = spawn(process.execPath, [...flags, MAIN, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', ...env },
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  const errSoFar = (): string => Buffer.concat(err).toString('utf8');
  const ended = once(child, 'close').then(([exit]): Ended => ({
    exit: exit as number | null,
    out: Buffer.concat(out).toString('utf8'),
    err: errSoFar(),
  }));
  return { child, ended, errSoFar };
}

const env = (bench: Bench): Record<string, string> => ({ TANDEM_SOCKET: bench.socketPath });

t.test('exit status and streams', async (t) => {
  await using bench = await openBench();
  const [status, wrong, gone, help] = await Promise.all([
    tandem(['status', '--json'], env(bench)).ended,
    tandem(['satus', '--json']).ended,
    tandem(['slots', '--socket', '/nowhere/c.sock']).ended,
    tandem([]).ended,
  ]);
  t.match(status, { exit: 0, err: '' });
  t.same(JSON.parse(status.out), pairStatus());
  t.equal(wrong.exit, 2);
  t.match(JSON.parse(wrong.out), { error: { code: 'usage.invalid' }, exit: 2 });
  t.match(gone, { exit: 50, out: '', err: /^tandem: nobody answers on .*\nNext: .*\n\(daemon\./ });
  t.match(help, { exit: 0, err: '', out: /Usage: tandem VERB/ });
});

t.test('a refused configuration stops the daemon with its line', async (t) => {
  const folder = t.testdir({ 'a.jsonc': '{\n  "node": "C"\n}\n' });
  const { exit, err, out } = await tandem(['daemon', '--config', `${folder}/a.jsonc`]).ended;
  t.match({ exit, out }, { exit: 2, out: '' });
  t.match(err, /a\.jsonc:2: node is "C"; accepted: "A" or "B"/);
});

t.test('Ctrl-C and SIGTERM detach from a running job', async (t) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    await using bench = await openBench();
    const { child, ended, errSoFar } = tandem(['update', '/b', '--follow'], env(bench));
    await until(() => bench.backend.listeners === 1);
    bench.backend.emit({ msg: 'Installation started' });
    await until(() => errSoFar().includes('Installation started'));
    child.kill(signal);
    const { exit, err } = await ended;
    t.equal(exit, 40, signal);
    t.match(err, /detached: job r1 still runs; attach again: tandem job wait r1 --follow --since/);
    t.match(bench.backend.asked, [{ what: 'start', value: { source: { path: '/b' } } }]);
  }
});

t.test('a reader that closes the pipe early does no harm', async (t) => {
  const { child, ended } = tandem(['explain']);
  child.stdout.destroy();
  const { err } = await ended;
  t.equal(err, '');
});

t.test('looking at the status loads neither daemon, bundle nor schemas', async (t) => {
  await using bench = await openBench();
  const hook = `data:text/javascript,import {registerHooks} from 'node:module';
    registerHooks({load(url, context, next) {
      if (!url.startsWith('node:')) process.stderr.write(url + '\\n');
      return next(url, context);
    }});`;
  const { err, exit } = await tandem(['status'], env(bench), ['--import', hook]).ended;
  t.equal(exit, 0);
  t.match(err, /src\/cli\/status\.ts/);
  t.notMatch(err, /src\/(bundle|daemon|drivers|install|updater)|node_modules|src\/config/);
});
