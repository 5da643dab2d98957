/**
 * The console socket as anybody on the machine meets it: nothing before a login, only what the role
 * allows after it, streams that end with their session, and a crowd at the door that keeps nobody
 * out. May import tap, fast-check, node: and the control room.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { assert, asyncProperty, oneof, string, constantFrom } from 'fast-check';
import t from 'tap';
import { LOGIN_BYTES_MAX } from '../../src/control/access-protocol.ts';
import { ControlClient } from '../../src/control/client.ts';
import { ROUTES } from '../../src/control/routes.ts';
import { startControl, type ControlOptions } from '../../src/control/server.ts';
import type { Role } from '../../src/core/access.ts';
import type { UpdateError } from '../../src/core/errors.ts';
import { FakeBackend } from '../memory/backend.ts';
import { openDesk, PASSWORD, type DeskBench } from '../daemon/access-bench.ts';
import { dial, raw, readAll, until, type Bench } from './harness.ts';

interface Consoles
  extends AsyncDisposable, Pick<Bench, 'backend' | 'socketPath' | 'stop' | 'start'> {
  readonly bench: DeskBench;
  /** The socket of root. */
  readonly control: ControlClient;
  /** A client that has logged in as a new user of this role. */
  readonly as: (role: Role) => Promise<ControlClient>;
}

const none = (): Promise<void> => Promise.resolve();

async function openConsoles(options: Partial<ControlOptions> = {}): Promise<Consoles> {
  const bench = await openDesk();
  const backend = new FakeBackend();
  const { desk, folder } = bench;
  const paths = { control: join(folder, 'control.sock'), console: join(folder, 'console.sock') };
  const control = await startControl(backend, { socketPath: paths.control, desk });
  const door = { socketPath: paths.console, desk, login: true, ...options };
  const console = await startControl(backend, door);
  return {
    bench,
    backend,
    socketPath: paths.console,
    control: new ControlClient(paths.control, { caller: 'root' }),
    stop: none,
    start: none,
    as: async (role) => {
      const user = role.slice(0, 4);
      await bench.add(user, role);
      const client = new ControlClient(paths.console);
      await client.access.login({ user, password: PASSWORD });
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      await console[Symbol.asyncDispose]();
      await control[Symbol.asyncDispose]();
      await bench[Symbol.asyncDispose]();
    },
  };
}

const BODIES: Readonly<Record<string, string>> = {
  '/v1/jobs': '{"kind":"rollback"}',
  '/v1/acts': '{"act":"switchover"}',
  '/v1/users': '{"do":"remove","name":"anna"}',
  '/v1/settings': '{"key":"idleMin","value":"5"}',
  '/v1/operator': '{"do":"take"}',
};
const pathOf = (path: string): string => path.replaceAll(/:\w+/g, 'x');

t.test('the socket is for everyone, the other one is not', async (t) => {
  await using all = await openConsoles();
  t.equal(statSync(all.socketPath).mode & 0o777, 0o666);
  t.equal(statSync(all.control.socketPath).mode & 0o777, 0o660);
});

t.test('without a login no route answers, and the daemon is asked nothing', async (t) => {
  await using all = await openConsoles();
  const walk = async (headers: Record<string, string>, code: string): Promise<void> => {
    for (const { method, path } of ROUTES) {
      if (path === '/v1/session' || path === '/v1/session/recover') continue;
      const body = method === 'POST' ? (BODIES[path] ?? '{}') : '';
      const answer = await raw(all, method, pathOf(path), body, headers);
      t.equal(answer.body.error?.code, code, `${method} ${path}`);
      t.ok(answer.status === 401 || answer.status === 403);
    }
  };
  await walk({}, 'access.no_users');
  await all.bench.add('anna', 'administrator');
  await walk({}, 'access.login_required');
  await walk({ authorization: `Bearer ${'A'.repeat(43)}` }, 'access.login_required');
  // What a caller claims opens nothing.
  await walk({ 'x-tandem-caller': 'root' }, 'access.login_required');
  t.strictSame(all.backend.asked, []);
});

t.test('each role gets what the table says, on the wire', async (t) => {
  await using all = await openConsoles();
  const viewer = await all.as('viewer');
  t.match(await viewer.status(), { self: 'A', operator: null });
  t.match(await viewer.history(), []);
  await t.rejects(viewer.start({ kind: 'rollback' }), { code: 'access.role' });
  await t.rejects(viewer.act({ act: 'pause' }), { code: 'access.role' });
  await t.rejects(viewer.validate('/a/update.bin'), { code: 'access.role' });
  await t.rejects(viewer.access.users(), { code: 'access.role' });
  t.strictSame(all.backend.asked, []);

  const operator = await all.as('operator');
  t.match(await operator.start({ kind: 'rollback' }), { kind: 'rollback' });
  t.match(await viewer.status(), { operator: { user: 'oper', role: 'operator' } });
  await t.rejects(operator.start({ kind: 'commit' }), { code: 'access.role' });
  const takeover = { act: 'takeover', peer: 'B', reason: 'off' } as const;
  await t.rejects(operator.act(takeover), { code: 'access.role' });
  t.strictSame(all.backend.asked, [{ what: 'start', value: { kind: 'rollback' }, by: 'oper' }]);

  const administrator = await all.as('administrator');
  await t.rejects(administrator.act(takeover), { code: 'access.held', detail: { user: 'oper' } });
  const force = { do: 'take', force: true, reason: 'it burns' } as const;
  t.match(await administrator.access.operator(force), { changed: true });
  t.match(await administrator.act(takeover), { act: 'takeover' });
  t.equal((await administrator.access.users()).users.length, 3);
  t.match(await administrator.access.operator({ do: 'take' }), { changed: false });
  const unreasoned = { do: 'take', force: true } as const;
  await t.rejects(administrator.access.operator(unreasoned), { code: 'usage.invalid' });
});

t.test('the name is that of the session, whatever the client claims', async (t) => {
  await using all = await openConsoles();
  await all.as('operator');
  const client = new ControlClient(all.socketPath, { caller: 'root' });
  await client.access.login({ user: 'oper', password: PASSWORD });
  await client.cancel('r1').catch(() => undefined);
  t.match(all.backend.asked, [{ what: 'cancel', by: 'oper' }]);
});

t.test('the socket of root is bound by nothing of this', async (t) => {
  await using all = await openConsoles();
  const { control } = all;
  t.match(await control.access.session(), { user: 'root', role: 'administrator', via: 'control' });
  const add = { do: 'add', name: 'anna', role: 'operator', password: PASSWORD } as const;
  t.match(await control.access.changeUser(add), { user: { name: 'anna' } });
  const anna = new ControlClient(all.socketPath);
  await anna.access.login({ user: 'anna', password: PASSWORD });
  await anna.access.operator({ do: 'take' });
  t.match(await control.start({ kind: 'commit' }), { kind: 'commit' });
  t.match(await control.status(), { operator: { user: 'anna' } });
  const { code = '' } = await control.access.changeUser({ do: 'recovery', name: 'anna' });
  const password = 'a lamp in the cellar';
  await anna.access.recover({ user: 'anna', code, password });
  t.match(await anna.access.session(), { user: 'anna', operator: false });
  await anna.access.changePassword({ old: password, password: PASSWORD });
});

t.test('a login that fails is never good, and a logout ends it', async (t) => {
  await using all = await openConsoles();
  const client = await all.as('viewer');
  await client.status();
  await client.access.logout();
  await t.rejects(client.status(), { code: 'access.login_required', exit: 51 });
  await client.access.logout();
  await t.rejects(client.access.login({ user: 'view', password: 'x' }), {
    code: 'access.denied',
    exit: 51,
  });
  await t.rejects(client.status(), { code: 'access.login_required' });
});

t.test('a mistyped password at a console costs no session', async (t) => {
  await using all = await openConsoles();
  const client = await all.as('viewer');
  const again = client.access.login({ user: 'view', password: 'x' });
  t.match(await client.access.session(), { user: 'view' }, 'asked while the login is judged');
  await t.rejects(again, { code: 'access.denied' });
  t.match(await client.access.session(), { user: 'view' });
});

t.test('an event stream is no activity, and ends with its session', async (t) => {
  await using all = await openConsoles({ heartbeatMs: 5 });
  const client = await all.as('viewer');
  const { clock, desk } = all.bench;
  const seen: number[] = [];
  let lost: UpdateError | null = null;
  const follow = (async () => {
    for await (const { seq } of client.follow({ onLost: (error) => (lost = error) }))
      seen.push(seq);
  })();
  all.backend.emit({ seq: 1 });
  await until(() => seen.length === 1);
  clock.ms += 599_000;
  await client.status();
  t.match(await client.access.session(), { leftS: 1 });
  clock.ms += 1_000;
  desk.operator();
  await t.rejects(follow, { code: 'access.login_required', message: /no key for 600 s/ });
  t.match(lost, { code: 'daemon.unreachable' });
});

t.test('bodies before a login are short, and answers never have a stack', async (t) => {
  await using all = await openConsoles();
  await all.as('viewer');
  const long = JSON.stringify({ user: 'a', password: 'x'.repeat(LOGIN_BYTES_MAX) });
  t.equal((await raw(all, 'POST', '/v1/session', long)).status, 413);
  const odd = ['', '{', '[]', 'null', '{"user":1}', '{"user":"a","password":""}'];
  odd.push('{"user":"view","password":"x","role":"administrator"}');
  odd.push(`{"user":"view","password":"x","tty":"a${String.raw`\u001b`}[2J"}`);
  for (const body of odd) {
    const answer = await raw(all, 'POST', '/v1/session', body);
    t.equal(answer.body.error?.code, 'usage.invalid', body);
    t.notMatch(answer.text, /at .*\.ts/);
  }
  const secret = await raw(all, 'POST', '/v1/session', '{"user":"a","password":["swordfish"]}');
  t.notMatch(secret.text, 'swordfish');
});

t.test('no header opens anything', async (t) => {
  await using all = await openConsoles();
  const client = await all.as('administrator');
  const { token } = await all.bench.desk.login({ user: 'admi', password: PASSWORD });
  const words = constantFrom('Bearer ', 'bearer ', 'Basic ', 'Bearer  ', '', token, token.slice(1));
  const text = string({ unit: 'grapheme-ascii', maxLength: 300 });
  const header = oneof(text, words).chain((head) => oneof(text, words).map((tail) => head + tail));
  await assert(
    asyncProperty(header, async (authorization) => {
      if (authorization.trim() === `Bearer ${token}`) return true;
      const answer = await raw(all, 'GET', '/v1/status', '', { authorization });
      return answer.body.error?.code === 'access.login_required' && answer.status === 401;
    }),
    { numRuns: 150 },
  );
  t.match(await client.status(), { self: 'A' }, 'and who is inside stays there');
});

t.test(
  'a crowd at the door is small and leaves soon, and nobody inside is pushed out',
  async (t) => {
    await using all = await openConsoles({ strangersMax: 4, strangerMs: 400, heartbeatMs: 20 });
    const client = await all.as('viewer');
    const seen: number[] = [];
    const over = new AbortController();
    let lost = 0;
    const follow = (async () => {
      const options = { signal: over.signal, onLost: () => void lost++ };
      for await (const { seq } of client.follow(options)) seen.push(seq);
    })();
    all.backend.emit({ seq: 1 });
    await until(() => seen.length === 1);
    const crowd = await Promise.all(Array.from({ length: 10 }, () => dial(all)));
    const gone = (): number => crowd.filter(({ closed, destroyed }) => closed || destroyed).length;
    for (const socket of crowd) socket.on('error', () => undefined).resume();
    await until(() => gone() >= 6);
    t.equal(gone(), 6, 'the newest four are left');
    t.match(await client.status(), { self: 'A' });
    await until(() => gone() === 10);
    all.backend.emit({ seq: 2 });
    await until(() => seen.length === 2);
    t.equal(lost, 0);
    over.abort();
    await follow;
  },
);

t.test('a client that never ends its request is cut off', async (t) => {
  await using all = await openConsoles({ strangerMs: 100 });
  await all.bench.add('anna', 'viewer');
  const socket = await dial(all);
  socket.on('error', () => undefined);
  socket.write('POST /v1/session HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"user":');
  t.equal(await readAll(socket), '');
  await setImmediate();
});
