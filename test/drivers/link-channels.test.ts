/**
 * Network and serial line as one link: the contract of PeerLink, and what goes which way when the
 * network is cut. The network is the one in memory, or the real one; the line is in memory. May
 * import tap, the drivers and what is beside them.
 */
import t from 'tap';
import { joinChannels } from '../../src/drivers/link-channels.ts';
import { openSerialLink } from '../../src/drivers/link-serial.ts';
import { openTlsLink } from '../../src/drivers/link-tls.ts';
import type { PeerLink } from '../../src/ports.ts';
import { peerLinkContract } from '../contracts/peer-link.ts';
import { MemoryWire } from '../memory/link.ts';
import { VirtualClock } from '../updater/virtual-clock.ts';
import { makeLinkKeys } from './link-keys.ts';
import { clockOf, SerialCable } from './serial-cable.ts';
import { tcpProxy } from './tcp-proxy.ts';

const { a: keysA, b: keysB } = await makeLinkKeys(t.testdir());
const FREE = { host: '127.0.0.1', port: 0 };
const path = '/dev/ttyS1';

/** The part of a virtual clock that a cable uses, on real time. */
const realTime = {
  get nowMs(): number {
    return performance.now();
  },
  schedule(delayMs: number, action: () => void): () => void {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Returns once every channel of both is up. */
async function untilAll(...links: readonly PeerLink[]): Promise<void> {
  for (const link of links) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (link.channels().every((channel) => channel.up)) resolve();
    };
    link.onChange(look);
    look();
    await promise;
  }
}

await t.test('contract: real network, line in memory', async (t) => {
  await peerLinkContract(t, async (t) => {
    // A cable on real time; its speed is that of a pseudo terminal, which has none.
    const cable = new SerialCable(realTime, 50_000_000);
    const fast = { retryMs: 5, retryMaxMs: 20, silentTicks: 25 };
    const timers = { ...fast, beatMs: 20 };
    const line = { path, baud: 50_000_000, timers };
    const serialA = openSerialLink({ ...line, keys: keysA, open: cable.opener('a') });
    const serialB = openSerialLink({ ...line, keys: keysB, open: cable.opener('b') });
    const tls = { timers: { ...fast, pingMs: 20 } };
    const far = await openTlsLink({ ...tls, node: 'B', keys: keysB, listen: FREE, peer: FREE });
    const proxy = await tcpProxy(() => far.address()!);
    t.teardown(() => proxy[Symbol.asyncDispose]());
    const peer = proxy.endpoint;
    const near = await openTlsLink({ ...tls, node: 'A', keys: keysA, listen: FREE, peer });
    const [a, b] = [joinChannels(near, serialA), joinChannels(far, serialB)];
    t.teardown(() => a[Symbol.asyncDispose]());
    t.teardown(() => b[Symbol.asyncDispose]());
    await untilAll(a, b);
    return {
      a,
      b,
      channels: ['network', 'serial'],
      cut: () => {
        proxy.cut();
        cable.cut();
      },
      heal: () => {
        proxy.heal();
        cable.heal();
      },
    };
  });
});

await t.test('cut network: messages go on; cut line: down; each channel says why', async (t) => {
  const clock = new VirtualClock();
  const wire = new MemoryWire({
    schedule: (delayMs, action) => void clock.schedule(delayMs, action),
    now: () => clock.nowMs,
    noticeMs: 1200,
  });
  const cable = new SerialCable(clock, 115_200);
  const line = { path, baud: 115_200, clock: clockOf(clock) };
  const serialA = openSerialLink({ ...line, keys: keysA, open: cable.opener('a') });
  const serialB = openSerialLink({ ...line, keys: keysB, open: cable.opener('b') });
  const [a, b] = [joinChannels(wire.open('A'), serialA), joinChannels(wire.open('B'), serialB)];
  t.teardown(() => a[Symbol.asyncDispose]());
  t.teardown(() => b[Symbol.asyncDispose]());
  const got: unknown[] = [];
  const states: string[] = [];
  b.onMessage((message) => got.push((message as { n: number }).n));
  const state = (): string =>
    b
      .channels()
      .map(({ name, up }) => `${name} ${up}`)
      .join(', ');
  b.onChange(() => states.push(state()));

  await clock.advance(3000);
  t.equal(state(), 'network true, serial true');
  const beats = cable.sent('a').bytes;
  for (let n = 1; n <= 20; n += 1) a.send({ type: 'report', n });
  await clock.advance(1000);
  t.equal(got.length, 20, 'over the network each one');
  t.ok(cable.sent('a').bytes - beats < 200, 'the line carries its beats alone');

  wire.cut();
  await clock.advance(1300);
  t.equal(state(), 'network false, serial true');
  for (let n = 21; n <= 40; n += 1) {
    a.send({ type: 'report', n });
    a.send({ type: 'event', id: String(n), event: {} });
    await clock.advance(200);
  }
  await clock.advance(1000);
  t.ok(got.length > 23 && got.length <= 26, `${got.length - 20} reports in five seconds`);
  t.equal(got.at(-1), 40, 'the newest one is among them');
  t.match(b.channels()[0]?.error, { code: 'pair.peer_unreachable' });
  t.equal(b.channels()[1]?.error, null);

  cable.cut();
  await clock.advance(1500);
  t.equal(state(), 'network false, serial false');
  a.send({ type: 'report', n: 41 });
  t.throws(() => a.send({ fill: 'x'.repeat(256 * 1024) }), { code: 'internal.bug' });
  cable.heal();
  await clock.advance(1500);
  t.equal(state(), 'network false, serial true');
  a.send({ type: 'report', n: 42 });
  await clock.advance(100);
  t.same(got.slice(-2), [40, 42]);
  wire.heal();
  await clock.advance(1300);
  t.equal(state(), 'network true, serial true');
  const before = cable.sent('a').bytes;
  a.send({ type: 'report', n: 43 });
  await clock.advance(0);
  t.equal(got.at(-1), 43);
  t.equal(cable.sent('a').bytes, before);
  t.same(states, [
    'network false, serial true',
    'network true, serial true',
    'network false, serial true',
    'network false, serial false',
    'network false, serial true',
    'network true, serial true',
  ]);
});
