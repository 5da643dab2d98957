/**
 * Malformed and hostile requests to all three doors: whatever comes, the daemon goes on, answers as
 * described, never with 500, never with a stack, and none of it reaches the node unchecked. Chance
 * comes from SEED, which a failure names; ROUNDS= makes it longer.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import type { Route } from '../../src/control/route.ts';
import { ROUTES } from '../../src/control/routes.ts';
import { startControl } from '../../src/control/server.ts';
import { openDesk, PASSWORD } from '../daemon/access-bench.ts';
import { FakeBackend } from '../memory/backend.ts';
import { chance } from '../pair/faults.ts';
import { wrongWith } from './description.ts';
import { openBench, raw } from './harness.ts';

const SEED = Number(process.env['SEED'] ?? 1);
const ROUNDS = Number(process.env['ROUNDS'] ?? 200);
/** How long a request that is not whole is held. */
const PATIENCE_MS = 60;
const random = chance(SEED);
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
const upTo = (limit: number): number => Math.floor(random() * limit);

/** Values that readers trip over. */
const ODD: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e308,
  '',
  ' ',
  '/',
  '../../etc/shadow',
  '/a\u0000b',
  '\ud800',
  'x'.repeat(5000),
  '__proto__',
  'constructor',
  [],
  [[[]]],
  {},
  { toString: 1 },
];
const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const WORDS = ['kind', 'act', 'do', 'path', 'source', 'reason', 'key', 'value', 'name', 'keep'];
const VALID: readonly object[] = [
  { kind: 'stage', path: '/a' },
  { kind: 'update', source: { path: '/a' }, order: 'active-first', reason: 'x' },
  { kind: 'resolve', keep: 'A', reason: 'x' },
  { act: 'takeover', peer: 'B', reason: 'x' },
  { act: 'stand-down', on: true },
  { key: 'idleMin', value: '5' },
  { source: { bundle: 'a'.repeat(64) } },
  { path: '/a' },
  { do: 'take', force: true },
  { do: 'add', name: 'eve', role: 'viewer', password: 'pa55' },
  { user: 'anna', password: 'wrong' },
  {},
];

/** A body: good, changed in a place, odd as a whole, or no JSON at all. */
function bodyText(): string {
  const draw = random();
  if (draw < 0.1) return pick(['', '{', 'null', '[]', '"x"', '1e999', '\u0000', '{"a":1}{"b":2}']);
  if (draw < 0.15) return deep(pick([10, 1000, 30_000]));
  const body: Record<string, unknown> = { ...pick(VALID) };
  if (draw < 0.2) return JSON.stringify(body).replace(/:"[^"]*"/, `:${deep(20_000)}`);
  if (draw < 0.7) body[pick([...Object.keys(body), ...WORDS])] = pick(ODD);
  if (draw < 0.3) delete body[pick(Object.keys(body))];
  const text = JSON.stringify(body);
  if (draw > 0.97) return text.padEnd(70_000, ' ');
  return draw > 0.94 ? text.replace('{', '{"__proto__":{"kind":"update"},') : text;
}

function target({ path: pattern }: Route): string {
  const part = (): string =>
    pick(['r1', 'r1', 'none', '..', '%2e%2e', '__proto__', 'x'.repeat(200), 'a%00b']);
  const path = pattern.replaceAll(/:\w+/g, part);
  if (random() < 0.7) return path;
  const odd = ['?limit=0', '?since=-1', '?follow=2', '?x=1', '?limit=1&limit=2', '?job=%00', '?%'];
  const more = ['', '/', '//', '?', '#x', ...odd];
  return pick([path, path, path.toUpperCase(), `/${path}`, '*', '/']) + pick(more);
}

const HEADERS: readonly string[] = [
  'x-tandem-caller: a\u00e9',
  `x-tandem-caller: ${'x'.repeat(100)}`,
  'authorization: Bearer',
  'authorization: Bearer ../../x',
  `authorization: Bearer ${'a'.repeat(128)}`,
  'idempotency-key: k1',
  'idempotency-key: "',
  `idempotency-key: ${'k'.repeat(300)}`,
  'content-type: text/plain',
  'expect: 100-continue',
  'connection: upgrade\r\nupgrade: websocket',
  'accept-encoding: gzip',
  `x: ${'y'.repeat(9000)}`,
];

/** A whole request to this route as bytes; some are no HTTP. */
function requestBytes(route: Route): {
  readonly bytes: Buffer;
  readonly method: string;
  readonly path: string;
} {
  const other = pick(['GET', 'POST', 'DELETE', 'PUT', 'HEAD', 'OPTIONS', 'BREW']);
  const method = random() < 0.8 ? route.method : other;
  const path = target(route);
  const body = Buffer.from(method === 'GET' ? '' : bodyText(), 'utf8');
  const headers = ['host: x', 'connection: close', ...(random() < 0.4 ? [pick(HEADERS)] : [])];
  const draw = random();
  const length = draw < 0.03 ? body.length + 7 : draw < 0.06 ? Math.max(0, body.length - 3) : null;
  const framing =
    draw > 0.97
      ? ['transfer-encoding: chunked', `content-length: ${body.length}`]
      : [`content-length: ${length ?? body.length}`];
  const head = `${method} ${path} HTTP/1.1\r\n${[...headers, ...framing].join('\r\n')}\r\n\r\n`;
  const bytes = Buffer.concat([Buffer.from(head, 'latin1'), body]);
  // A few bytes of the head are others.
  if (random() < 0.15) for (let count = upTo(4); count >= 0; count--) bytes[upTo(40)] = upTo(256);
  const cut = random() < 0.05 ? bytes.subarray(0, upTo(bytes.length)) : bytes;
  return { bytes: cut, method, path };
}

interface Heard {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly text: string;
}

/** What comes back until the daemon ends the connection; null when nothing does. */
async function exchange(path: string, bytes: Buffer, hasty = true): Promise<Heard | null> {
  const socket: Socket = connect(path);
  await once(socket, 'connect');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  // Some clients hang up at once.
  if (hasty && random() < 0.03) socket.destroy();
  else socket.write(bytes);
  // A request that is not whole would be waited for.
  const late = setTimeout(() => socket.end(), PATIENCE_MS);
  await closed;
  clearTimeout(late);
  const all = Buffer.concat(chunks).toString('utf8');
  // What came before the answer: a leave to go on.
  const text = all.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '');
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? NaN);
  if (Number.isNaN(status)) return null;
  const lines = head.split('\r\n').slice(1);
  const headers = Object.fromEntries(
    lines.map((line) => [line.split(':')[0]!.toLowerCase(), line.replace(/^[^:]*:\s*/, '')]),
  );
  return { status, headers, text: rest.join('\r\n\r\n') };
}

t.test(`requests of all kinds, seed ${SEED}`, async (t) => {
  await using bench = await openDesk();
  await bench.add('anna', 'administrator');
  const { token } = await bench.desk.login({ user: 'anna', password: PASSWORD });
  const backend = new FakeBackend();
  backend.put({ id: 'r1' });
  const { desk, folder } = bench;
  const limits = { burst: 1e9, perSecond: 1e9, requestsMax: 1000, clientMax: 1000 };
  const control = join(folder, 'c.sock');
  const door = join(folder, 'd.sock');
  await using _control = await startControl(backend, { socketPath: control, desk, limits });
  const login = { login: true, strangersMax: 1000 } as const;
  await using _door = await startControl(backend, { socketPath: door, desk, limits, ...login });
  const seen = new Map<number, number>();
  let silent = 0;
  for (let round = 0; round < ROUNDS; round++) {
    // Each route has its turn again and again.
    const { bytes, method, path } = requestBytes(ROUTES[round % ROUTES.length]!);
    const bearer = `host: x\r\nauthorization: Bearer ${token}`;
    const socket = random() < 0.6 ? control : door;
    const sent =
      socket === door && random() < 0.7
        ? Buffer.from(bytes.toString('latin1').replace('host: x', bearer), 'latin1')
        : bytes;
    const answer = await exchange(socket, sent);
    if (answer === null) {
      silent++;
      continue;
    }
    seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
    const what = `round ${round}: ${sent.toString('latin1').slice(0, 300)}\n${answer.text}`;
    if (answer.status >= 500 && answer.status !== 503) t.fail(what);
    if (/\bat .*\.ts|node:internal/.test(answer.text)) t.fail(`a stack: ${what}`);
    const whole = sent.subarray(0, 40).equals(bytes.subarray(0, 40)) && method !== 'HEAD';
    const intact = bytes.toString('latin1').startsWith(`${method} ${path} HTTP/1.1\r\n`);
    if (!whole || !intact || answer.status === 400 || answer.text === '') continue;
    if (answer.headers['transfer-encoding'] === 'chunked') continue;
    const plain = path.replace(/#.*/, '');
    const wrong = plain.startsWith('/') ? wrongWith(method, plain, answer) : [];
    if (wrong.length > 0) t.fail(`${wrong.join('\n')}\n${what}`);
  }
  t.comment([...seen].map(([status, count]) => `${status}: ${count}`).join(', '), `${silent} none`);
  t.ok((seen.get(400) ?? 0) > ROUNDS / 10 && (seen.get(200) ?? 0) > ROUNDS / 50, 'both kinds');
  t.ok(silent < ROUNDS / 6);
  const good = 'GET /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';
  t.equal((await exchange(control, Buffer.from(good), false))?.status, 200, 'it goes on');
  for (const { what, value } of backend.asked) {
    const path = (value as { path?: string } | null)?.path;
    const checked = path === undefined || (path.startsWith('/') && !path.includes('\u0000'));
    t.ok(checked, `${what} got a checked value`);
  }
});

t.test('a body that is nested deeper than a stack is a bad request like any other', async (t) => {
  await using bench = await openBench();
  const posts = ROUTES.filter(({ method }) => method === 'POST');
  for (const { path, body } of posts) {
    const target = path.replaceAll(/:\w+/g, 'r1');
    const word = body !== undefined && 'by' in body ? `"${body.by}":"${wordOf(body)}",` : '';
    for (const text of [deep(30_000), `{${word}"reason":${deep(30_000)}}`]) {
      const answer = await raw(bench, 'POST', target, text);
      t.equal(answer.status, 400, `${target} ${word}`);
    }
  }
  t.strictSame(bench.backend.asked, []);
});

/** Any of the words that a body goes by. */
function wordOf({ schemas }: { readonly schemas: object }): string {
  return Object.keys(schemas)[0]!;
}
