/**
 * The service address and the sample workload behind it: the contract of the port with real
 * processes on a real store, then what a client sees. Imports tap, the drivers and the harness.
 */
import { Agent, request } from 'node:http';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import type { NodeId } from '../../src/core/model.ts';
import { startServiceProcess } from '../../src/drivers/service-process.ts';
import type { ServiceAddress } from '../../src/ports.ts';
import { bundleEntry, PROJECT_DIR } from '../../scripts/build.ts';
import { freePort } from '../../scripts/demo/ports.ts';
import { serviceAddressContract } from '../contracts/service-address.ts';
import { codeOf } from '../contracts/store.ts';
import { makeImageDir, makeStoragePair, startLevel } from '../storage/pair.ts';

const root = t.testdir();
const image = await makeImageDir(join(root, 'image'), 1, '7.8.9');
const program = join(root, 'records.mjs');
await bundleEntry(join(PROJECT_DIR, 'images/workload/records.ts'), program);
const signal = (): AbortSignal => AbortSignal.timeout(20_000);
const pair = await makeStoragePair(join(root, 'pair'), image);
t.teardown(() => pair[Symbol.asyncDispose]());
await startLevel(pair);
await pair.a.put('kept', 'from before');

function start(node: NodeId, port: number, socket: string, onExit?: (reason: string) => void) {
  return startServiceProcess({
    node,
    program,
    address: `127.0.0.1:${port}`,
    storageSocket: socket,
    releaseFile: join(image, 'etc/tandem-release'),
    logFile: join(root, `workload-${node}.log`),
    ...(onExit ? { onExit } : {}),
  });
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One request; status 0 when the connection is refused or broken. */
async function ask(port: number, method: string, path: string, body = ''): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const call = request({ port, host: '127.0.0.1', method, path, agent }, (response) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (piece: string) => (text += piece));
    response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    response.on('error', () => resolve({ status: 0, text: '' }));
  });
  call.on('error', () => resolve({ status: 0, text: '' }));
  call.end(body);
  return await promise;
}
const agent = new Agent({ keepAlive: true });
t.teardown(() => agent.destroy());

await serviceAddressContract(t, 'process', async (t) => {
  const port = await freePort();
  const of: Record<NodeId, ServiceAddress> = {
    A: start('A', port, pair.a.socket),
    B: start('B', port, pair.b.socket),
  };
  t.teardown(async () => {
    await of.A[Symbol.asyncDispose]();
    await of.B[Symbol.asyncDispose]();
  });
  return {
    address: (node) => of[node],
    whoServes: async () => {
      const { status, text } = await ask(port, 'GET', '/healthz');
      return status === 200 ? (JSON.parse(text) as { node: NodeId }).node : null;
    },
    breakSelfTest: async (node) => {
      await of[node][Symbol.asyncDispose]();
      of[node] = start(node, port, join(root, 'no.sock'));
    },
  };
});

t.test('records over HTTP', async (t) => {
  const port = await freePort();
  await using service = start('A', port, pair.a.socket);
  await service.acquire(1, signal());
  t.same(await ask(port, 'GET', '/healthz'), {
    status: 200,
    text: '{"node":"A","epoch":1,"version":"7.8.9"}\n',
  });
  t.same(await ask(port, 'PUT', '/records/a%2Fb', 'text'), { status: 204, text: '' });
  t.same(await ask(port, 'GET', '/records/a%2Fb'), { status: 200, text: 'text' });
  t.equal(await pair.b.get('a/b'), 'text', 'acknowledged means on both');
  t.match(await ask(port, 'GET', '/records?prefix=a'), { text: '{"keys":["a/b"],"more":false}\n' });
  t.match(await ask(port, 'GET', '/records?limit=1&after=a/b'), { text: /"keys":\["kept"\]/ });
  t.match(await ask(port, 'DELETE', '/records/a%2Fb'), { status: 204 });
  t.match(await ask(port, 'DELETE', '/records/a%2Fb'), { status: 404 });
  t.match(await ask(port, 'GET', '/records/a%2Fb'), { status: 404 });
  t.match(await ask(port, 'PUT', '/records/no%20key', 'x'), { status: 400 });
  t.match(await ask(port, 'PUT', '/records/%zz', 'x'), { status: 400 });
  t.match(await ask(port, 'PUT', '/records/big', 'x'.repeat(1_048_577)), { status: 400 });
  t.match(await ask(port, 'GET', '/records?limit=x'), { status: 400 });
  t.match(await ask(port, 'POST', '/records/key'), { status: 405 });
  t.match(await ask(port, 'GET', '/'), { status: 404 });
});

t.test('on a secondary a write is answered with 503', async (t) => {
  const port = await freePort();
  await using service = start('B', port, pair.b.socket);
  await service.selfTest(signal());
  await service.acquire(1, signal());
  t.match(await ask(port, 'PUT', '/records/key', 'x'), { status: 503, text: /store.read_only/ });
  t.match(await ask(port, 'GET', '/records/kept'), { status: 200, text: 'from before' });
});

t.test('a workload that dies while the address is held comes back with it', async (t) => {
  const port = await freePort();
  const ends: string[] = [];
  await using service = start('A', port, pair.a.socket, (reason) => ends.push(reason));
  await service.acquire(4, signal());
  const { pid } = service;
  process.kill(pid ?? NaN, 'SIGKILL');
  for (let status = 0; status !== 200 || ends.length === 0;) {
    ({ status } = await ask(port, 'GET', '/healthz'));
  }
  t.same(ends, ['was ended by SIGKILL']);
  t.match((await ask(port, 'GET', '/healthz')).text, /"epoch":4/);
  t.equal(service.held(), true);
  t.not(service.pid, pid);
});

t.test('an address that somebody else keeps is refused with the reason', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  await using service = start('A', port, pair.a.socket);
  await t.rejects(service.acquire(1, signal()), { code: 'service.failed', message: /EADDRINUSE/ });
  t.equal(service.held(), false);
  other.close();
  await service.acquire(1, signal());
  t.equal(service.held(), true);
});

t.test('release cuts a request that waits for a frozen store', async (t) => {
  const port = await freePort();
  await using service = start('A', port, pair.a.socket);
  await service.acquire(1, signal());
  pair.wire.cut();
  await pair.a.until((s) => s.frozen);
  const waiting = ask(port, 'PUT', '/records/waits', 'x');
  t.match(await ask(port, 'GET', '/records/kept'), { status: 200 });
  await service.release();
  t.equal((await ask(port, 'GET', '/healthz')).status, 0);
  t.ok([0, 503].includes((await waiting).status));
  pair.wire.heal();
  await pair.a.until((s) => s.peer === 'current');
});

t.test('a program that cannot run says so, and is not started for ever', async (t) => {
  const dir = t.testdir({ 'bad.mjs': "console.error('no such luck'); process.exit(1);" });
  const ends: string[] = [];
  const six = Promise.withResolvers<void>();
  await using service = startServiceProcess({
    node: 'A',
    program: join(dir, 'bad.mjs'),
    address: '127.0.0.1:1',
    storageSocket: join(dir, 'sock'),
    releaseFile: join(dir, 'release'),
    logFile: join(dir, 'log'),
    onExit: (reason) => {
      ends.push(reason);
      if (ends.length === 6) six.resolve();
    },
  });
  await six.promise;
  t.same(new Set(ends), new Set(['ended with status 1: no such luck']));
  t.equal(await codeOf(service.acquire(1, signal())), 'service.failed');
  t.equal(await codeOf(service.selfTest(signal())), 'health.check');
  await service.release();
});
