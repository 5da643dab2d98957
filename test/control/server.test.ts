/**
 * The control server: every route, what it refuses, its limits, and the socket itself.
 */
import { existsSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { startControl } from '../../src/control/server.ts';
import { BODY_BYTES_MAX } from '../../src/control/protocol.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { FakeBackend, pairStatus, rolloutRecord } from '../memory/backend.ts';
import { dial, openBench, raw, readAll, until } from './harness.ts';

const BUNDLE = 'ab'.repeat(32);

t.test('every route answers what the daemon says', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  backend.rollouts = [rolloutRecord(), rolloutRecord({ id: 'r0' })];
  const job = backend.put();
  t.same((await raw(bench, 'GET', '/v1/status')).body, pairStatus());
  t.same((await raw(bench, 'GET', '/v1/slots')).body, await backend.slots());
  t.same((await raw(bench, 'GET', '/v1/history?limit=1')).body, { rollouts: [rolloutRecord()] });
  t.match((await raw(bench, 'GET', '/v1/history')).body, { rollouts: { length: 2 } });
  t.same((await raw(bench, 'GET', '/v1/jobs')).body, { jobs: [job] });
  t.same((await raw(bench, 'GET', '/v1/jobs/r1')).body, job);
  const report = await raw(bench, 'POST', '/v1/validate', '{"path":"/a/update.bin"}');
  t.same(report.body, backend.report);
  const answer = await raw(bench, 'POST', '/v1/jobs/r1/cancel', '', { 'x-tandem-caller': 'ann' });
  t.equal(answer.status, 202);
  t.same(backend.asked, [
    { what: 'validate', value: '/a/update.bin' },
    { what: 'cancel', value: 'r1', by: 'ann' },
  ]);
  t.equal(answer.headers['content-type'], 'application/json');
  t.match(answer.headers['x-request-id'], /^r\d+$/);
});

t.test('every kind of job is accepted as it is', async (t) => {
  await using bench = await openBench();
  const requests = [
    { kind: 'stage', path: '/a/update.bin' },
    { kind: 'update', source: { path: '/a/update.bin' } },
    { kind: 'update', source: { bundle: BUNDLE }, order: 'standby-first' },
    { kind: 'update', source: { bundle: BUNDLE }, onSecondFailure: 'rollback' },
    { kind: 'rollback' },
    { kind: 'commit' },
  ];
  for (const request of requests) {
    const answer = await raw(bench, 'POST', '/v1/jobs', JSON.stringify(request));
    t.equal(answer.status, 202);
    t.match(answer.body, { kind: request.kind, state: 'running' });
  }
  t.same(
    bench.backend.asked.map((entry) => entry.value),
    requests,
  );
  t.equal(bench.backend.asked[0]?.by, 'local', 'a caller that says nothing');
});

const REFUSED: readonly (readonly [string, string, string])[] = [
  ['no kind', '{}', 'kind is missing; accepted: stage, prepare, update, rollback, commit'],
  ['an unknown kind', '{"kind":"format"}', 'kind is "format"'],
  ['a kind of the object itself', '{"kind":"toString"}', 'kind is "toString"'],
  ['null', 'null', 'kind is missing'],
  ['a list', '[1]', 'kind is missing'],
  ['not JSON', '{kind', 'not JSON'],
  ['no body', '', 'kind is missing'],
  ['no path', '{"kind":"stage"}', 'path is missing in the request body'],
  ['a relative path', '{"kind":"stage","path":"a"}', 'path is "a"; accepted: an absolute path'],
  ['a zero in the path', '{"kind":"stage","path":"/a\\u0000"}', 'accepted: an absolute path'],
  ['an endless path', `{"kind":"stage","path":"/${'a'.repeat(5000)}"}`, 'path is "/aaa'],
  [
    'an unknown field',
    '{"kind":"commit","force":true}',
    'force is not a field of the request body',
  ],
  ['no source', '{"kind":"update"}', 'source is missing'],
  [
    'an empty source',
    '{"kind":"update","source":{}}',
    'source is {}; accepted: one of the fields path, bundle, prepared',
  ],
  ['two sources', `{"kind":"update","source":{"path":"/a","bundle":"${BUNDLE}"}}`, 'source is'],
  [
    'a short id',
    '{"kind":"update","source":{"bundle":"ab"}}',
    'source.bundle is "ab"; accepted: 64 hexadecimal digits',
  ],
  [
    'a wrong order',
    '{"kind":"update","source":{"path":"/a"},"order":"both"}',
    'active-first, standby-first',
  ],
];

t.test('malformed requests never reach the daemon', async (t) => {
  await using bench = await openBench();
  for (const [name, body, words] of REFUSED) {
    const answer = await raw(bench, 'POST', '/v1/jobs', body);
    t.equal(answer.status, 400, name);
    t.equal(answer.body.error?.code, 'usage.invalid', name);
    t.ok(answer.body.error?.message.includes(words), `${name}: ${answer.body.error?.message}`);
    t.ok(answer.body.error?.next);
  }
  const paths: [string, string, number, RegExp][] = [
    ['GET', '/v1/nothing', 404, /not a path of the control API/],
    ['GET', '/', 404, /not a path/],
    ['GET', `/${'x'.repeat(3000)}`, 404, /not a path/],
    ['POST', '/v1/status', 405, /takes GET, found POST/],
    ['DELETE', '/v1/jobs', 405, /takes GET, POST, found DELETE/],
    ['GET', '/v1/jobs/none', 404, /there is no job none/],
    ['GET', '/v1/jobs/a%20b', 404, /not a path/],
    ['GET', '/v1/history?limit=0', 400, /limit is 0; accepted: a whole number from 1 to 1000/],
    ['GET', '/v1/history?limit=x', 400, /limit is x/],
    ['GET', '/v1/events?since=-1', 400, /since is -1/],
    ['POST', '/v1/validate', 400, /path is missing/],
    ['POST', '/v1/schedules', 400, /source is missing/],
  ];
  for (const [method, path, status, words] of paths) {
    const answer = await raw(bench, method, path);
    t.equal(answer.status, status, `${method} ${path.slice(0, 40)}`);
    t.match(answer.body.error?.message, words);
    t.equal(answer.headers['allow'] !== undefined, status === 405);
  }
  for (const [field, value] of [
    ['at', 'yesterday'],
    ['every', 'nonsense'],
    ['zone', 'Mars/Phobos'],
  ] as const) {
    const body = JSON.stringify({ source: { path: '/a' }, [field]: value });
    const answer = await raw(bench, 'POST', '/v1/schedules', body);
    t.equal(answer.status, 400, `${field} is judged before a bundle is staged`);
    t.match(answer.body.error?.message, value);
  }
  t.equal((await raw(bench, 'PUT', '/v1/jobs')).headers['allow'], 'GET, POST');
  t.same(bench.backend.asked, []);
});

t.test('a body that is said to be no JSON is refused', async (t) => {
  await using bench = await openBench();
  const body = '{"kind":"commit"}';
  for (const [type, status] of [
    ['text/plain', 415],
    ['application/xml; charset=utf-8', 415],
    ['', 415],
    ['application/json', 202],
    ['Application/JSON; charset=utf-8', 202],
    // What curl says where nothing else is asked for.
    ['application/x-www-form-urlencoded', 202],
  ] as const) {
    const answer = await raw(bench, 'POST', '/v1/jobs', body, { 'content-type': type });
    t.equal(answer.status, status, type);
    if (status === 415) t.match(answer.body.error?.message, /accepted: application\/json$/);
  }
  t.equal(bench.backend.asked.length, 3);
});

t.test('an error has its HTTP status by class and never a stack', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const cases: [Error, number, string][] = [
    [new UpdateError('job.busy', 'r7 runs'), 409, 'job.busy'],
    [new UpdateError('space.depot', 'x'), 507, 'space.depot'],
    [new UpdateError('permission.denied', 'x'), 403, 'permission.denied'],
    [new UpdateError('trust.untrusted', 'x'), 422, 'trust.untrusted'],
    [new UpdateError('file.not_found', 'x'), 404, 'file.not_found'],
    [new TypeError('cannot read x of undefined'), 500, 'internal.bug'],
  ];
  for (const [error, status, code] of cases) {
    backend.refusal = error;
    const answer = await raw(bench, 'POST', '/v1/jobs', '{"kind":"commit"}');
    t.equal(answer.status, status);
    t.match(answer.body, { error: { code, message: error.message }, request: /^r\d+$/ });
    t.notMatch(answer.text, /\.ts|at .*\(/);
  }
});

t.test('a body that is too long is cut off, bytes that are not HTTP are refused', async (t) => {
  await using bench = await openBench();
  const answer = await raw(bench, 'POST', '/v1/jobs', `"${'a'.repeat(BODY_BYTES_MAX)}"`);
  t.equal(answer.status, 413);
  t.equal(answer.headers['connection'], 'close');
  t.match(answer.body.error?.message, /longer than 65536 bytes/);
  for (const [bytes, status] of [
    ['\x16\x03\x01\x02\x00', '400 Bad Request'],
    ['STATUS please\r\n\r\n', '400 Bad Request'],
    [`GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, '431 Request Header Fields Too Large'],
  ] as const) {
    const socket = await dial(bench);
    socket.end(bytes);
    const text = await readAll(socket);
    t.ok(text.startsWith(`HTTP/1.1 ${status}\r\n`), text.slice(0, 40));
    t.match(JSON.parse(text.split('\r\n\r\n')[1]!), { error: { code: 'usage.invalid' } });
  }
});

t.test('one request more than the limit is told that the daemon is busy', async (t) => {
  await using bench = await openBench({ limits: { requestsMax: 2 } });
  const { backend } = bench;
  const gate = Promise.withResolvers<void>();
  backend.gate = gate.promise;
  const first = raw(bench, 'POST', '/v1/validate', '{"path":"/a"}');
  const second = raw(bench, 'POST', '/v1/validate', '{"path":"/b"}');
  await until(() => backend.asked.length === 2);
  const third = await raw(bench, 'GET', '/v1/status');
  t.equal(third.status, 503);
  t.match(third.body.error, { code: 'daemon.busy', message: '2 requests are open already' });
  gate.resolve();
  t.equal((await first).status, 200);
  t.equal((await second).status, 200);
  t.equal((await raw(bench, 'GET', '/v1/status')).status, 200);
});

t.test('a client that leaves aborts its validation', async (t) => {
  await using bench = await openBench();
  const gate = Promise.withResolvers<void>();
  bench.backend.gate = gate.promise;
  const socket = await dial(bench);
  const body = '{"path":"/a"}';
  socket.write(
    `POST /v1/validate HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await until(() => bench.backend.asked.length === 1);
  socket.destroy();
  await until(() => bench.backend.aborted === 1);
  gate.resolve();
  t.equal((await raw(bench, 'GET', '/v1/status')).status, 200);
});

t.test('the socket is for owner and group only, and goes with the server', async (t) => {
  const before = process.umask();
  await using bench = await openBench({ group: 'no-such-group' });
  t.equal(statSync(bench.socketPath).mode & 0o777, 0o660);
  t.equal(process.umask(), before);
  await bench.stop();
  t.notOk(existsSync(bench.socketPath));
  await bench.start();
  t.equal((await raw(bench, 'GET', '/v1/status')).status, 200);
});

t.test('a second daemon on the socket is refused and the first one goes on', async (t) => {
  await using bench = await openBench();
  const { socketPath } = bench;
  await t.rejects(startControl(new FakeBackend(), { socketPath }), {
    code: 'state.locked',
    message: `another daemon answers on the control socket ${socketPath}`,
  });
  t.equal((await raw(bench, 'GET', '/v1/status')).status, 200);
});

t.test('a socket that a killed daemon left is taken over', async (t) => {
  await using bench = await openBench();
  await bench.stop();
  const listen = `require('node:net').Server().listen(process.argv[1], () => console.log('up'))`;
  const child = spawn(process.execPath, ['-e', listen, bench.socketPath]);
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.ok(statSync(bench.socketPath).isSocket(), 'the file is still there');
  await bench.start();
  t.equal((await raw(bench, 'GET', '/v1/status')).status, 200);
});

t.test('a path that is no place for a socket is refused', async (t) => {
  const folder = t.testdir({ plain: 'keep' });
  const backend = new FakeBackend();
  const plain = join(folder, 'plain');
  const refused = { code: 'file.unreadable' };
  await t.rejects(startControl(backend, { socketPath: plain }), refused);
  t.equal(statSync(plain).size, 4, 'and stays as it was');
  await t.rejects(startControl(backend, { socketPath: join(folder, 'none/c.sock') }), refused);
  await t.rejects(startControl(backend, { socketPath: `/tmp/${'x'.repeat(200)}` }), refused);
});

t.test('the server ends although clients hang on it', async (t) => {
  await using bench = await openBench();
  const idle = await dial(bench);
  const half = await dial(bench);
  half.write('GET /v1/status HTTP/1.1\r\nhost');
  const follower = await dial(bench);
  follower.write('GET /v1/events?follow=1 HTTP/1.1\r\nhost: x\r\n\r\n');
  await until(() => bench.backend.listeners === 1);
  const ends = [idle, half, follower].map((socket) => readAll(socket).catch(() => 'cut'));
  await bench.stop();
  await Promise.all(ends);
  await until(() => bench.backend.listeners === 0);
  t.notOk(existsSync(bench.socketPath));
});
