/**
 * The listener for other machines: who gets in and who does not, what a role may do, the same
 * routes with the same answers, an audit that names the certificate, files that are replaced, and a
 * listener that cannot be opened. Certificates are made on the spot; loopback only.
 */
import { once } from 'node:events';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { request as plainRequest, type IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort } from '../../scripts/demo/ports.ts';
import { startRemote, type RemoteOptions } from '../../src/control/remote.ts';
import { ROUTES } from '../../src/control/routes.ts';
import type { Role } from '../../src/core/access.ts';
import type { Reason } from '../../src/core/records.ts';
import { openDesk } from '../daemon/access-bench.ts';
import { FakeBackend } from '../memory/backend.ts';
import { makeAuthority, writeFiles, type Identity } from './certificates.ts';
import { wrongWith, type Answered } from './description.ts';
import { until } from './harness.ts';

const ROLES: Readonly<Record<string, Role>> = {
  look: 'viewer',
  fleet: 'operator',
  boss: 'administrator',
};
const authority = await makeAuthority('authority of the test');
const server = await authority.issue('node-a', 'server');
const clients = {
  look: await authority.issue('look'),
  fleet: await authority.issue('fleet'),
  boss: await authority.issue('boss'),
  nobody: await authority.issue('nobody'),
};

async function openRemote(t: Test, changes: Partial<RemoteOptions> = {}) {
  const bench = await openDesk();
  t.teardown(() => bench[Symbol.asyncDispose]());
  const backend = new FakeBackend();
  const files = changes.files ?? (await writeFiles(t.testdir(), server, authority));
  const port = await freePort();
  const troubles: (Reason | null)[] = [];
  const refused: string[] = [];
  const remote = await startRemote(backend, {
    desk: bench.desk,
    host: '127.0.0.1',
    port,
    files,
    roleOf: (name) => ROLES[name] ?? null,
    onTrouble: (reason) => void troubles.push(reason),
    onRefused: (sentence) => void refused.push(sentence),
    ...changes,
  });
  t.teardown(() => remote[Symbol.asyncDispose]());
  return { bench, backend, files, port, troubles, refused, remote };
}

interface Asked {
  readonly port: number;
  readonly method?: string;
  readonly path?: string;
  readonly body?: object;
  readonly as: Identity | null;
  readonly headers?: Record<string, string>;
}

async function ask(asked: Asked): Promise<Answered> {
  const { port, method = 'GET', path = '/v1/status', body, as } = asked;
  const headers = { 'content-type': 'application/json', ...asked.headers };
  const own = as === null ? {} : { cert: as.cert, key: as.key };
  const to = { host: '127.0.0.1', port, method, path, headers, agent: false, ca: authority.pem };
  const sent = request({ ...to, ...own });
  sent.end(body === undefined ? '' : JSON.stringify(body));
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

const codeIn = ({ text }: Answered): string =>
  (JSON.parse(text) as { error: { code: string } }).error.code;

t.test('without a certificate that counts there is no answer at all', async (t) => {
  const { port, backend, refused, troubles } = await openRemote(t);
  t.strictSame(troubles, []);
  const stranger = await (await makeAuthority('another authority')).issue('boss');
  const expired = await authority.issue('boss', 'client', new Date('2001-01-01T00:00:00Z'));
  const wrongUse = await authority.issue('boss', 'server');
  for (const as of [null, stranger, expired, wrongUse]) {
    await t.rejects(ask({ port, as }), { code: /ECONNRESET|ERR_SSL|EPIPE/ });
  }
  const plain = plainRequest({ host: '127.0.0.1', port, path: '/v1/status' });
  plain.end();
  await t.rejects(once(plain, 'response'));
  await until(() => refused.length === 1);
  t.match(refused, [/^not let in: .*127\.0\.0\.1/], 'one entry a minute');
  t.equal(backend.asked.length, 0);
  const old = request({
    host: '127.0.0.1',
    port,
    maxVersion: 'TLSv1.2',
    ca: authority.pem,
    cert: clients.boss.cert,
    key: clients.boss.key,
  });
  old.end();
  await t.rejects(once(old, 'response'), 'TLS 1.3 alone');
});

t.test('a certificate is a login: its role counts, and nothing else is asked for', async (t) => {
  const { port, bench, backend } = await openRemote(t);
  const jobs = { method: 'POST', path: '/v1/jobs' };
  const rollback = { ...jobs, body: { kind: 'rollback' } };
  t.equal((await ask({ port, as: clients.look })).status, 200);
  const looked = await ask({ port, as: clients.look, ...rollback });
  t.equal(looked.status, 403);
  t.equal(codeIn(looked), 'access.role');
  const started = await ask({ port, as: clients.fleet, ...rollback });
  t.equal(started.status, 202);
  t.match(backend.asked.at(-1), { what: 'start', by: 'fleet' });
  const commit = { port, ...jobs, body: { kind: 'commit' } };
  t.equal(codeIn(await ask({ ...commit, as: clients.fleet })), 'access.role');
  const claimed = { 'x-tandem-caller': 'root', authorization: 'Bearer abc' };
  t.equal((await ask({ ...commit, as: clients.boss, headers: claimed })).status, 202);
  t.match(backend.asked.at(-1), { by: 'boss' }, 'the name is that of the certificate');
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', '']) {
    const page = await ask({ ...commit, as: clients.boss, headers: { 'content-type': type } });
    t.equal(page.status, 415, 'a page in a browser could send that');
  }
  const none = await ask({ port, as: clients.nobody });
  t.equal(none.status, 403);
  t.equal(codeIn(none), 'access.certificate');
  t.match(bench.notes, [
    { act: 'rollback', by: 'look', via: 'remote', result: 'refused', code: 'access.role' },
    { act: 'commit', by: 'fleet', via: 'remote', result: 'refused' },
  ]);
  t.equal(bench.desk.operator(), null, 'a machine holds nothing');
  await bench.add('anna', 'operator');
  const anna = await bench.visit('anna');
  bench.desk.operate(anna, { do: 'take' });
  const held = await ask({ port, as: clients.boss, ...rollback });
  t.equal(codeIn(held), 'access.held', 'a person at a console goes first');
});

const BODIES: Readonly<Record<string, object>> = {
  '/v1/jobs': { kind: 'rollback' },
  '/v1/jobs/preview': { kind: 'rollback' },
  '/v1/acts': { act: 'switchover' },
  '/v1/acts/preview': { act: 'switchover' },
  '/v1/users': { do: 'unlock' },
  '/v1/settings': { key: 'idleMin', value: '5' },
  '/v1/precheck': { source: { path: '/a' } },
  '/v1/validate': { path: '/a' },
  '/v1/prepare': { do: 'retry' },
  '/v1/pair/replace': { node: 'B', reason: 'a test' },
  '/v1/schedules': { source: { path: '/a' }, at: '+2h' },
  '/v1/schedules/:id/answer': { answer: 'cancel' },
};

t.test('the same routes with the same answers, but what is of a console', async (t) => {
  const { port, backend } = await openRemote(t);
  backend.put({ id: 'r1' });
  const archive = backend.supports.archives[0]!.name;
  const closed: string[] = [];
  for (const { method, path } of ROUTES) {
    const target = path.replace(':id', 'r1').replace(':name', archive);
    const body = method === 'POST' ? (BODIES[path] ?? {}) : undefined;
    const given = body === undefined ? {} : { body };
    const answer = await ask({ port, method, path: target, as: clients.boss, ...given });
    t.strictSame(wrongWith(method, target, answer), []);
    // Open, too, is what says that nothing is prepared or scheduled.
    const isOpen = answer.status < 300 || /^(?:prepare|schedule)\.unknown$/.test(codeIn(answer));
    if (!isOpen) closed.push(`${method} ${path} ${codeIn(answer)}`);
  }
  t.strictSame(closed, [
    'POST /v1/session access.role',
    'POST /v1/session/recover access.role',
    'DELETE /v1/session access.role',
    'POST /v1/session/activity access.role',
    'POST /v1/session/password access.role',
    'POST /v1/operator access.role',
    'POST /v1/shell access.role',
  ]);
  const session = await ask({ port, path: '/v1/session', as: clients.look });
  t.match(JSON.parse(session.text), { user: 'look', role: 'viewer', via: 'remote', idleS: null });
});

t.test('a crowd that proves nothing keeps nobody out', async (t) => {
  const { port } = await openRemote(t);
  const crowd = Array.from({ length: 80 }, () => connect({ host: '127.0.0.1', port }));
  for (const one of crowd) one.on('error', () => {});
  await Promise.all(crowd.slice(0, 40).map((one) => once(one, 'connect')));
  t.equal((await ask({ port, as: clients.look })).status, 200);
  for (const one of crowd) one.destroy();
});

t.test(
  'files that are replaced count; a certificate that was revoked counts no more',
  async (t) => {
    const folder = t.testdir();
    const crl = join(folder, 'revoked.pem');
    const files = { ...(await writeFiles(folder, server, authority)), crl };
    await writeFile(crl, await authority.revoke([]));
    const opened = await openRemote(t, { files, lookMs: 20 });
    const { port, troubles } = opened;
    t.equal((await ask({ port, as: clients.fleet })).status, 200);
    const follow = request({
      host: '127.0.0.1',
      port,
      path: '/v1/events?follow=1',
      ca: authority.pem,
      cert: clients.fleet.cert,
      key: clients.fleet.key,
    });
    follow.end();
    const [stream] = (await once(follow, 'response')) as [IncomingMessage];
    stream.on('error', () => {}).resume();
    await writeFile(crl, await authority.revoke([clients.fleet]));
    await new Promise((resolve) => stream.once('close', resolve));
    await t.rejects(ask({ port, as: clients.fleet }), 'revoked');
    t.equal((await ask({ port, as: clients.look })).status, 200);
    await writeFile(files.key, 'not a key');
    await until(() => troubles.length === 1);
    t.match(troubles[0], {
      code: 'remote.failed',
      message: /are no certificate, key and authorities/,
    });
    t.equal((await ask({ port, as: clients.look })).status, 200, 'what was good goes on');
    await writeFile(files.key, server.key);
    await until(() => troubles.length === 2);
    t.equal(troubles[1], null);
  },
);

t.test('what keeps the listener closed is told, and tried again', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const { files, troubles } = await openRemote(t, { port, lookMs: 20 });
  t.match(troubles, [{ code: 'remote.failed', message: /cannot listen on 127.* EADDRINUSE/ }]);
  await chmod(files.key, 0o644);
  await until(() => troubles.length === 2);
  t.match(troubles[1]?.message, /node\.key has the mode 644; only its owner may read a key/);
  await rm(files.ca);
  await until(() => troubles.length === 3);
  t.match(troubles[2]?.message, /ca\.crt cannot be read: ENOENT/);
  await writeFile(files.ca, authority.pem);
  await chmod(files.key, 0o600);
  taken.close();
  await until(() => troubles.at(-1) === null);
  t.equal((await ask({ port, as: clients.look })).status, 200);
});
