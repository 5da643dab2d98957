/**
 * The control client: every call, the daemon's own errors, and what it says when nobody, or
 * something else, answers.
 */
import { chmodSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ControlClient } from '../../src/control/client.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { jobStatus, pairStatus, rolloutRecord } from '../memory/backend.ts';
import { openBench, until } from './harness.ts';

t.test('every call gives what the daemon says', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const client = new ControlClient(bench.socketPath, { caller: 'ann' });
  backend.rollouts = [rolloutRecord()];
  t.same(await client.status(), pairStatus());
  t.same(await client.slots(), await backend.slots());
  t.same(await client.history(5), [rolloutRecord()]);
  t.same(await client.start({ kind: 'commit' }), jobStatus({ kind: 'commit' }));
  t.same(await client.jobs(), [jobStatus({ kind: 'commit' })]);
  t.same(await client.job('r1'), jobStatus({ kind: 'commit' }));
  t.same(await client.cancel('r1'), jobStatus({ kind: 'commit' }));
  t.same(await client.validate('/a/update.bin'), backend.report);
  t.same(
    backend.asked.map((entry) => entry.by),
    ['ann', 'ann', undefined],
  );
});

t.test('a refusal of the daemon arrives as it is', async (t) => {
  await using bench = await openBench();
  const client = new ControlClient(bench.socketPath);
  const detail = { missingBytes: 7, nodes: ['A', 'B'] };
  bench.backend.refusal = new UpdateError('space.depot', '7 bytes are missing', { detail });
  await t.rejects(client.start({ kind: 'commit' }), {
    name: 'UpdateError',
    code: 'space.depot',
    exit: 15,
    message: '7 bytes are missing',
    detail,
  });
  await t.rejects(client.job('a/../b'), { code: 'job.unknown' });
  await t.rejects(client.job('none'), { code: 'job.unknown' });
  const away = client.answerSchedule('../x', { answer: 'now' });
  await t.rejects(away, { code: 'schedule.unknown' });
});

t.test('nobody listens', async (t) => {
  await using bench = await openBench();
  const client = new ControlClient(bench.socketPath);
  await bench.stop();
  const gone = { code: 'daemon.unreachable', exit: 50 };
  await t.rejects(client.status(), { ...gone, message: /c\.sock: there is no such socket$/ });
  const plain = join(t.testdir({ plain: '' }), 'plain');
  await t.rejects(new ControlClient(plain).status(), gone);
  await t.rejects(new ControlClient('/dev/null/c.sock').status(), gone);
  await t.rejects(new ControlClient(`/${'x'.repeat(200)}`).status(), { name: 'UpdateError' });
});

t.test('a user who may not', { skip: process.getuid?.() === 0 ? 'root may' : false }, async (t) => {
  await using bench = await openBench();
  chmodSync(bench.socketPath, 0);
  await t.rejects(new ControlClient(bench.socketPath).status(), { code: 'permission.denied' });
});

/** Something else that answers on a socket, with these bytes. */
async function impostor(bytes: string): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-impostor-'));
  const path = join(folder, 's');
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(bytes));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
}

const ok = (body: string): string =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

t.test('what is not a daemon is told apart', async (t) => {
  const answers: [string, string][] = [
    ['nothing', ''],
    ['another protocol', '220 mail ready\r\n'],
    ['HTML', ok('<html>')],
    ['HTML in lines', ok('<html>\n<body>\n')],
    ['lines without objects', ok('7\n')],
    ['half an answer', ok('{}').slice(0, -1)],
    ['an error without report', 'HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n{}'],
  ];
  for (const [name, bytes] of answers) {
    await using other = await impostor(bytes);
    const client = new ControlClient(other.path);
    await t.rejects(client.status(), { code: 'daemon.unreachable' }, name);
    await t.rejects(client.events().next(), { code: 'daemon.unreachable' }, `${name}, events`);
  }
});

t.test('an error code of a newer daemon stays readable', async (t) => {
  const body = '{"error":{"code":"moon.full","message":"not tonight","next":"wait"}}';
  await using other = await impostor(ok(body).replace('200 OK', '409 Conflict'));
  await t.rejects(new ControlClient(other.path).status(), {
    code: 'internal.bug',
    message: 'moon.full: not tonight',
  });
});

t.test('an interrupted call ends at once', async (t) => {
  await using bench = await openBench();
  const gate = Promise.withResolvers<void>();
  bench.backend.gate = gate.promise;
  const over = new AbortController();
  const call = new ControlClient(bench.socketPath).validate('/a', over.signal);
  await until(() => bench.backend.asked.length === 1);
  over.abort();
  await t.rejects(call, { code: 'wait.detached' });
  await until(() => bench.backend.aborted === 1);
  gate.resolve();
});
