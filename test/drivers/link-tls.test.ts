/**
 * The network link between two nodes: its contract, wrong keys, strangers on the port, silence,
 * restarts, a peer that does not read, a clock at 1970. May import tap, node: and the driver.
 */
import { once } from 'node:events';
import { connect as connectTcp, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { encodeFrame, FrameParser, KEEP_ALIVE_FRAME } from '../../src/drivers/frames.ts';
import { tlsOptions, type NodeKeys } from '../../src/drivers/keys.ts';
import {
  linkTimersFor,
  openTlsLink,
  type Endpoint,
  type LinkTimers,
} from '../../src/drivers/link-tls.ts';
import type { TlsLink, TlsLinkOptions } from '../../src/drivers/link-tls.ts';
import { Inbox, peerLinkContract, untilUp } from '../contracts/peer-link.ts';
import { makeLinkKeys, withWrongPin } from './link-keys.ts';
import { tcpProxy } from './tcp-proxy.ts';

const FREE: Endpoint = { host: '127.0.0.1', port: 0 };
const NOWHERE: Endpoint = { host: '127.0.0.1', port: 1 };
const TIMERS: Partial<LinkTimers> = { pingMs: 20, silentTicks: 25, retryMs: 5, retryMaxMs: 20 };
const { a: keysA, b: keysB, stranger } = await makeLinkKeys(t.testdir());

async function openLink(t: Test, options: Partial<TlsLinkOptions>): Promise<TlsLink> {
  const node = options.node ?? 'B';
  const keys = node === 'A' ? keysA : keysB;
  const timers = { ...TIMERS, ...options.timers };
  const link = await openTlsLink({ node, keys, listen: FREE, peer: NOWHERE, ...options, timers });
  t.teardown(() => link[Symbol.asyncDispose]());
  return link;
}

/** A bare TLS client on the port of node B. */
function bareClient(t: Test, link: TlsLink, options: object): TLSSocket {
  const socket = connect({
    rejectUnauthorized: false,
    ALPNProtocols: ['tandem-link/1'],
    ...link.address()!,
    ...options,
  });
  socket.on('error', () => undefined);
  t.teardown(() => void socket.destroy());
  return socket;
}

const asPeer = (keys: NodeKeys): object => tlsOptions(keys);

/** Returns once the socket is closed, however that came. */
async function closed(socket: Socket): Promise<void> {
  if (socket.closed) return;
  await new Promise((resolve) => void socket.once('close', resolve));
}

/** Returns once the condition holds, looked at in each turn of the event loop. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}

const shown = (link: TlsLink): string | undefined => link.channels()[0]?.error?.code;

t.test('a link that may be silent for longer', async (t) => {
  t.strictSame(linkTimersFor(1200), { silentTicks: 6, handshakeMs: 4000 });
  t.strictSame(linkTimersFor(6000), { silentTicks: 30, handshakeMs: 20_000 });
  t.strictSame(linkTimersFor(600), { silentTicks: 3, handshakeMs: 4000 });
});

await t.test('contract', async (t) => {
  await peerLinkContract(t, async (t) => {
    const b = await openLink(t, {});
    const proxy = await tcpProxy(() => b.address()!);
    t.teardown(() => proxy[Symbol.asyncDispose]());
    const a = await openLink(t, { node: 'A', peer: proxy.endpoint });
    return { a, b, cut: () => proxy.cut(), heal: () => proxy.heal() };
  });
});

await t.test('wrong key: both sides stay down and both say so', async (t) => {
  for (const side of ['A', 'B'] as const) {
    const b = await openLink(t, { keys: side === 'B' ? withWrongPin(keysB) : keysB });
    const a = await openLink(t, {
      node: 'A',
      peer: b.address()!,
      keys: side === 'A' ? withWrongPin(keysA) : keysA,
    });
    const got = [new Inbox(a), new Inbox(b)];
    await until(() => shown(a) === 'pair.wrong_peer' && shown(b) === 'pair.wrong_peer');
    a.send({ type: 'report' });
    b.send({ type: 'report' });
    // Long enough for many attempts with the pauses that follow other failures.
    await new Promise((resolve) => setTimeout(resolve, 100));
    const counted = { A: a.counters().wrongPeer, B: b.counters().wrongPeer };
    t.same(counted, { A: 0, B: 0, [side]: 1 }, 'counted where the pin is, retried slowly');
    t.equal(a.counters().connections + b.counters().connections, 0);
    t.same(
      got.flatMap((inbox) => inbox.messages),
      [],
    );
  }
});

await t.test('strangers get nowhere and do not disturb', async (t) => {
  const b = await openLink(t, {});
  const got = new Inbox(b);
  const a = await openLink(t, { node: 'A', peer: b.address()! });
  await untilUp(b, true);

  const bare = bareClient(t, b, {});
  bare.write(encodeFrame({ type: 'report', n: 'no certificate' }));
  bare.resume();
  await closed(bare);
  t.equal(b.counters().wrongPeer, 1, 'no certificate');

  const other = bareClient(t, b, asPeer(stranger));
  other.write(encodeFrame({ type: 'report', n: 'a key that is not pinned' }));
  other.resume();
  await closed(other);
  t.equal(b.counters().wrongPeer, 2, 'a key that is not pinned');

  const old = bareClient(t, b, {
    ...asPeer(keysA),
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
  });
  await closed(old);
  await until(() => b.counters().strays === 1);

  const plain = connectTcp(b.address()!);
  plain.on('error', () => undefined);
  plain.end('GET / HTTP/1.1\r\nHost: appliance\r\n\r\n');
  plain.resume();
  await closed(plain);
  await until(() => b.counters().strays === 2);

  const foreign = bareClient(t, b, { ...asPeer(keysA), ALPNProtocols: ['http/1.1'] });
  await closed(foreign);
  const nameless = bareClient(t, b, { ...asPeer(keysA), ALPNProtocols: undefined });
  nameless.resume();
  await closed(nameless);
  await until(() => b.counters().strays === 4);

  t.ok(b.channels()[0]?.up, 'the link stayed up');
  a.send({ type: 'report', n: 'from the peer' });
  t.same(await got.until(1), [{ type: 'report', n: 'from the peer' }]);
  t.equal(b.counters().connections, 1);
});

await t.test('a frame that is none closes the connection and is counted', async (t) => {
  const b = await openLink(t, {});
  const bad = {
    oversize: Buffer.from([0x7f, 0xff, 0xff, 0xff, 0x20]),
    'not JSON': Buffer.concat([Buffer.from([0, 0, 0, 3]), Buffer.from('abc')]),
  };
  let count = 0;
  for (const [name, bytes] of Object.entries(bad)) {
    const socket = bareClient(t, b, asPeer(keysA));
    socket.write(KEEP_ALIVE_FRAME);
    socket.resume();
    await untilUp(b, true);
    socket.write(bytes);
    await untilUp(b, false);
    count += 1;
    t.equal(b.counters().badMessages, count, name);
    t.equal(shown(b), 'pair.bad_message');
    await closed(socket);
  }
});

await t.test('a peer that falls silent is found out on both sides', async (t) => {
  const b = await openLink(t, {});
  const proxy = await tcpProxy(() => b.address()!);
  t.teardown(() => proxy[Symbol.asyncDispose]());
  const a = await openLink(t, { node: 'A', peer: proxy.endpoint, timers: { handshakeMs: 300 } });
  await Promise.all([untilUp(a, true), untilUp(b, true)]);
  proxy.freeze();
  await Promise.all([untilUp(a, false), untilUp(b, false)]);
  t.match(b.channels()[0]?.error, { code: 'pair.peer_unreachable', message: /silent for 500 ms/ });
  await until(() => proxy.accepted() >= 3);
  t.match(shown(a), 'pair.peer_unreachable', 'attempts that nobody answers end and are repeated');
  proxy.heal();
  await Promise.all([untilUp(a, true), untilUp(b, true)]);
  t.equal(b.counters().connections, 2);
});

await t.test('the link comes back after a restart of the peer', async (t) => {
  const first = await openLink(t, {});
  const listen = first.address()!;
  const a = await openLink(t, { node: 'A', peer: listen });
  await untilUp(a, true);
  await first[Symbol.asyncDispose]();
  await untilUp(a, false);
  const attempts = a.counters().connections;
  const second = await openLink(t, { listen });
  await Promise.all([untilUp(a, true), untilUp(second, true)]);
  t.same([attempts, a.counters().connections, second.counters().connections], [1, 2, 1]);
});

await t.test('a newer connection replaces an older one, which goes down first', async (t) => {
  const b = await openLink(t, {});
  const seen: boolean[] = [];
  b.onChange(() => seen.push(b.channels()[0]!.up));
  const first = bareClient(t, b, asPeer(keysA));
  first.resume().write(KEEP_ALIVE_FRAME);
  await untilUp(b, true);
  const second = bareClient(t, b, asPeer(keysA));
  second.resume().write(KEEP_ALIVE_FRAME);
  await closed(first);
  await until(() => seen.length === 3);
  t.same(seen, [true, false, true]);
});

await t.test('only node B listens, and an address in use is retried', async (t) => {
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  const { port } = blocker.address() as AddressInfo;
  const listen = { host: '127.0.0.1', port };
  const b = await openLink(t, { listen });
  t.equal(shown(b), 'link.listen_failed');
  t.equal(b.address(), null);
  blocker.close();
  await once(blocker, 'close');
  await until(() => b.address() !== null);
  await b[Symbol.asyncDispose]();

  const a = await openLink(t, { node: 'A', listen });
  t.equal(a.address(), null);
  const wrongWay = connectTcp(listen);
  const [refused] = await once(wrongWay, 'error');
  t.match(refused, { code: 'ECONNREFUSED' }, 'node A has no port for the link');
  await t.rejects(openLink(t, { node: 'A', keys: keysB }), { code: 'pair.keys_damaged' });
});

await t.test('a peer that does not read gets the newest state of each kind', async (t) => {
  const b = await openLink(t, { timers: { silentTicks: 1000 } });
  const socket = bareClient(t, b, asPeer(keysA));
  socket.write(KEEP_ALIVE_FRAME);
  await untilUp(b, true);
  const fill = 'x'.repeat(100_000);
  b.send({ type: 'rollout', n: 1 });
  for (let n = 1; n <= 300; n += 1) {
    b.send({ type: 'report', n, fill });
    b.send({ type: 'rollout', n });
    if (n === 200 || n === 201) b.send({ type: 'request', id: `q${n}`, n });
    await new Promise((resolve) => setImmediate(resolve));
  }
  const parser = new FrameParser();
  const got: { type: string; n: number }[] = [];
  socket.on('data', (chunk: Buffer) => {
    parser.push(chunk);
    for (let frame = parser.next(); frame; frame = parser.next()) {
      if (frame.kind === 'message') got.push(frame.message as { type: string; n: number });
    }
  });
  const last = (type: string): number | undefined => got.findLast((m) => m.type === type)?.n;
  await until(() => last('report') === 300 && last('rollout') === 300);
  const reports = got.filter((m) => m.type === 'report').map((m) => m.n);
  t.ok(reports.length < 250, `${reports.length} of 300 reports were sent`);
  t.same(
    reports,
    reports.toSorted((x, y) => x - y),
    'in order',
  );
  t.same(
    got.filter((m) => m.type === 'request').map((m) => m.n),
    [200, 201],
    'requests do not replace each other',
  );
});

await t.test('no session is resumed: every connection proves both keys', async (t) => {
  const b = await openLink(t, {});
  const first = bareClient(t, b, asPeer(keysA));
  let session: Buffer | undefined;
  first.on('session', (data: Buffer) => (session = data));
  first.resume().write(KEEP_ALIVE_FRAME);
  await until(() => session !== undefined);
  const second = bareClient(t, b, { ...asPeer(keysA), session });
  second.resume().write(KEEP_ALIVE_FRAME);
  await once(second, 'secureConnect');
  t.equal(second.isSessionReused(), false);
  await until(() => b.counters().connections === 2);
});

await t.test('a clock at 1970 changes nothing', async (t) => {
  const RealDate = Date;
  t.teardown(() => (globalThis.Date = RealDate));
  globalThis.Date = class extends RealDate {
    constructor() {
      super(0);
    }
    static override now(): number {
      return 0;
    }
  } as DateConstructor;
  const b = await openLink(t, {});
  const a = await openLink(t, { node: 'A', peer: b.address()! });
  const atB = new Inbox(b);
  await Promise.all([untilUp(a, true), untilUp(b, true)]);
  a.send({ type: 'report' });
  t.same(await atB.until(1), [{ type: 'report' }]);
  t.equal(new Date().getTime(), 0);
});
