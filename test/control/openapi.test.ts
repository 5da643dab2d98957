/**
 * The description of the API against the daemon: every operation is called on two daemons in
 * memory, each kind of error is provoked, and each answer is checked by what the description says
 * of it; nothing undescribed is answered, and nothing is described that is not there.
 */
import { request } from 'node:http';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ROUTES } from '../../src/control/routes.ts';
import { startControl } from '../../src/control/server.ts';
import { CODES, type Code } from '../../src/core/codes.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { openDesk, PASSWORD } from '../daemon/access-bench.ts';
import { DaemonPair, GOOD } from '../daemon/harness.ts';
import { DOCUMENT, operationOf, wrongBy, wrongWith, type Answered } from './description.ts';
import { openBench, raw } from './harness.ts';

type Json = Readonly<Record<string, unknown>>;

t.test('the file in docs is what the daemon serves', async (t) => {
  await using bench = await openBench();
  const served = await raw(bench, 'GET', '/v1/openapi.json');
  const file = new URL('../../docs/openapi.json', import.meta.url);
  t.strictSame(JSON.parse(readFileSync(file, 'utf8')), served.body, 'npm run docs writes it');
});

t.test('the document is whole: names, references, parameters, schemas', async (t) => {
  const operations = Object.values(DOCUMENT.paths).flatMap((one) => Object.values(one));
  t.equal(operations.length, ROUTES.length);
  const names = operations.map(({ operationId }) => operationId);
  t.equal(new Set(names).size, names.length);
  const text = JSON.stringify(DOCUMENT);
  const lost = [...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].filter(([, path = '']) => {
    return path.split('/').reduce<unknown>((at, key) => (at as Json)[key], DOCUMENT) === undefined;
  });
  t.strictSame(lost, [], 'every reference leads somewhere');
  const used = new Set([...text.matchAll(/schemas\/([\w.-]+)"/g)].map((match) => match[1]));
  const unused = Object.keys(DOCUMENT.components.schemas).filter((name) => !used.has(name));
  t.strictSame(unused, [], 'no schema that nothing names');
  // Each of them is a schema that a validator takes, or this throws.
  for (const name of Object.keys(DOCUMENT.components.schemas)) {
    wrongBy({ $ref: `#/components/schemas/${name}` }, null);
  }
  for (const [path, methods] of Object.entries(DOCUMENT.paths)) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    for (const { parameters = [] } of Object.values(methods)) {
      const inPath = parameters.filter((one) => one['in'] === 'path');
      t.strictSame(
        inPath.map((one) => one['name']),
        named,
        path,
      );
    }
  }
});

const UPDATE = { kind: 'update', source: { path: GOOD } };

/** Every operation once where it succeeds, in an order in which each can. */
const CALLS: readonly (readonly [method: string, path: string, body?: object])[] = [
  ['GET', '/v1/status'],
  ['GET', '/v1/slots'],
  ['GET', '/v1/takeover'],
  ['GET', '/v1/storage'],
  ['GET', '/v1/power'],
  ['GET', '/v1/settings'],
  ['POST', '/v1/settings', { key: 'dateOrder', value: 'iso' }],
  ['GET', '/v1/support'],
  ['GET', '/v1/bundles'],
  ['GET', '/v1/prepare'],
  ['POST', '/v1/jobs', { kind: 'prepare', source: { path: GOOD } }],
  ['GET', '/v1/prepare'],
  ['POST', '/v1/prepare', { do: 'retry' }],
  ['POST', '/v1/prepare', { do: 'cancel', reason: 'a test' }],
  ['GET', '/v1/openapi.json'],
  ['GET', '/v1/metrics'],
  ['POST', '/v1/validate', { path: GOOD }],
  ['POST', '/v1/precheck', { source: { path: GOOD } }],
  ['POST', '/v1/validate', { path: '/none.bin' }],
  ['POST', '/v1/precheck', { source: { path: '/none.bin' } }],
  ['POST', '/v1/acts', { act: 'stand-down', on: false }],
  ['POST', '/v1/jobs/preview', { kind: 'verify' }],
  ['POST', '/v1/jobs/preview', { kind: 'commit' }],
  ['POST', '/v1/acts/preview', { act: 'switchover' }],
  ['POST', '/v1/acts/preview', { act: 'pause' }],
  ['POST', '/v1/jobs', { kind: 'verify' }],
  ['POST', '/v1/schedules', { source: { path: GOOD }, at: '+2h', inform: 60 }],
  ['GET', '/v1/schedules'],
  ['POST', '/v1/schedules/SCHEDULE/answer', { answer: 'defer', minutes: 60 }],
  ['POST', '/v1/schedules/SCHEDULE/answer', { answer: 'cancel' }],
  ['POST', '/v1/jobs', UPDATE],
  ['GET', '/v1/jobs'],
  ['GET', '/v1/jobs/JOB'],
  ['POST', '/v1/jobs/JOB/cancel', { reason: 'a test' }],
  ['GET', '/v1/history?limit=5'],
  ['GET', '/v1/status'],
  ['GET', '/v1/audit?limit=50'],
  ['GET', '/v1/events?since=0'],
  ['POST', '/v1/users', { do: 'add', name: 'anna', role: 'operator', password: PASSWORD }],
  ['GET', '/v1/users'],
  ['POST', '/v1/session', { user: 'anna', password: PASSWORD }],
  ['GET', '/v1/session'],
  ['POST', '/v1/session/activity'],
  ['POST', '/v1/operator', { do: 'release' }],
  ['POST', '/v1/shell', { do: 'end', outcome: 'nothing' }],
  ['DELETE', '/v1/session'],
];
/** Operations of archives, of passwords of sessions: called on a daemon that answers by itself. */
const ELSEWHERE = new Set(
  ['supportArchive', 'streamSupport', 'deleteSupport', 'recover'].concat(
    'changePassword',
    'replaceNode',
  ),
);

async function call(
  socketPath: string,
  method: string,
  path: string,
  body: object | undefined,
  headers: Record<string, string> = {},
): Promise<Answered> {
  const sent = request({ socketPath, method, path, agent: false, headers });
  sent.end(body === undefined ? '' : JSON.stringify(body));
  const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

t.test('every operation, on daemons', async (t) => {
  const pair = new DaemonPair();
  t.teardown(() => pair.close());
  await pair.open();
  await using bench = await openDesk();
  const { desk } = bench;
  const socketPath = join(bench.folder, 'c.sock');
  await using _server = await startControl(pair.a.backend, { socketPath, desk });
  const called = new Set<string>();
  let [job, schedule] = ['', ''];
  for (const [method, path, body] of CALLS) {
    const target = path.replace('JOB', job).replace('SCHEDULE', schedule);
    const answer = await pair.clock.until(call(socketPath, method, target, body));
    t.ok(answer.status < 300, `${method} ${target}: ${answer.status} ${answer.text.slice(0, 200)}`);
    t.strictSame(wrongWith(method, target, answer), [], `${method} ${target}`);
    if (path === '/v1/jobs' && method === 'POST') {
      job = (JSON.parse(answer.text) as { id: string }).id;
      await pair.clock.advance(body === UPDATE ? 200 : 20_000);
    }
    if (path === '/v1/schedules' && method === 'POST') {
      schedule = (JSON.parse(answer.text) as { id: string }).id;
    }
    called.add(operationOf(method, target)!.operationId);
  }
  const others = ROUTES.map(({ name }) => name).filter((name) => !called.has(name));
  t.strictSame(new Set(others), ELSEWHERE);
});

t.test('archives, recovery and passwords', async (t) => {
  await using bench = await openDesk();
  const { desk } = bench;
  await using fake = await openBench({ desk });
  await bench.add('anna', 'viewer');
  const { body } = await raw(fake, 'POST', '/v1/users', '{"do":"recovery","name":"anna"}');
  const { code } = body as { code?: string };
  const password = 'quite another phrase';
  const recover = { user: 'anna', code, password };
  const archive = fake.backend.supports.archives[0]!.name;
  for (const [method, path, sent] of [
    ['POST', '/v1/session/recover', recover],
    ['GET', `/v1/support/${archive}`],
    ['POST', '/v1/support', {}],
    ['POST', `/v1/support/${archive}/delete`, {}],
    ['POST', '/v1/pair/replace', { node: 'B', reason: 'a test' }],
  ] as const) {
    const answer = await call(fake.socketPath, method, path, sent);
    t.equal(answer.status, path.startsWith('/v1/pair') ? 202 : 200, `${path} ${answer.text}`);
    t.strictSame(wrongWith(method, path, answer), []);
  }
  const console = join(bench.folder, 'console.sock');
  await using _door = await startControl(fake.backend, { socketPath: console, desk, login: true });
  const login = await call(console, 'POST', '/v1/session', { user: 'anna', password });
  const { token } = JSON.parse(login.text) as { token: string };
  const change = { old: password, password: PASSWORD };
  const path = '/v1/session/password';
  const headers = { authorization: `Bearer ${token}` };
  const answer = await call(console, 'POST', path, change, headers);
  t.equal(answer.status, 200);
  t.strictSame(wrongWith('POST', path, answer), []);
  t.strictSame(
    wrongWith('GET', '/v1/status', await call(console, 'GET', '/v1/status', undefined)),
    [],
  );
});

t.test('each code, from each operation that may refuse: described, never a stack', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const wrong: string[] = [];
  const bodies = [
    ['/v1/jobs', '{"kind":"commit"}'],
    ['/v1/acts', '{"act":"switchover"}'],
  ] as const;
  for (const [index, code] of (Object.keys(CODES) as Code[]).entries()) {
    backend.refusal = new UpdateError(code, 'found this, expected that');
    const [path, body] = bodies[index % 2]!;
    const answer = await raw(bench, 'POST', path, body);
    const shown = DOCUMENT.components.responses[`R${answer.status}`]!;
    if (answer.body.error?.code !== code) wrong.push(`${code}: ${answer.text}`);
    if (!(shown['x-tandem-codes'] as string[]).includes(code)) wrong.push(`${code}: not listed`);
    wrong.push(...wrongWith('POST', path, answer));
  }
  t.strictSame(wrong, []);
});

t.test('the judge can fail', async (t) => {
  const status = { $ref: '#/components/schemas/JobStatus' };
  t.not(wrongBy(status, {}).length, 0);
  const job = {
    id: 'x',
    kind: 'update',
    state: 'done',
    exit: 0,
    code: null,
    message: '',
    next: null,
    startedAt: '2026-11-21T11:35:48.000Z',
    endedAt: null,
  };
  t.strictSame(wrongBy(status, job), []);
  t.not(wrongBy(status, { ...job, more: 1 }).length, 0, 'a field too many');
  t.not(wrongBy(status, { ...job, kind: 'dance' }).length, 0, 'a word too many');
  const answer = { status: 418, headers: {}, text: '{}' };
  t.match(wrongWith('GET', '/v1/status', answer), [/not described/]);
  const leak = { error: { code: 'internal.bug', message: 'at x (/a/src/b.ts:1)', next: 'x' } };
  t.match(wrongWith('GET', '/v1/status', { ...answer, status: 500, text: JSON.stringify(leak) }), [
    /a stack/,
  ]);
});
