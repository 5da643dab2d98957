/**
 * The serial channel on virtual time: it comes up, carries messages in their small form within the
 * speed of the line, and survives noise, losses, replays, wrong keys, stalls and hang-ups. May
 * import tap, the driver and its cable.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import t, { type Test } from 'tap';
import {
  beatMsOf,
  openSerialLink,
  silentTicksFor,
  type SerialLink,
} from '../../src/drivers/link-serial.ts';
import type { SerialLinkOptions } from '../../src/drivers/link-serial.ts';
import { seeded } from '../memory/link.ts';
import { VirtualClock } from '../updater/virtual-clock.ts';
import { makeLinkKeys, withWrongPin } from './link-keys.ts';
import { clockOf, SerialCable, type Side } from './serial-cable.ts';

const { a: keysA, b: keysB } = await makeLinkKeys(t.testdir());

interface Bench {
  readonly clock: VirtualClock;
  readonly cable: SerialCable;
  readonly a: SerialLink;
  readonly b: SerialLink;
  readonly got: Record<Side, { type?: string; n?: number }[]>;
}

function openEnd(
  t: Test,
  clock: VirtualClock,
  cable: SerialCable,
  side: Side,
  options: Partial<SerialLinkOptions>,
): SerialLink {
  const link = openSerialLink({
    keys: side === 'a' ? keysA : keysB,
    path: '/dev/ttyS1',
    baud: 9600,
    open: cable.opener(side),
    clock: clockOf(clock),
    ...options,
  });
  t.teardown(() => link[Symbol.asyncDispose]());
  return link;
}

function bench(t: Test, baud = 9600, options: Partial<Record<Side, object>> = {}): Bench {
  const clock = new VirtualClock();
  const cable = new SerialCable(clock, baud);
  const a = openEnd(t, clock, cable, 'a', { baud, ...options.a });
  const b = openEnd(t, clock, cable, 'b', { baud, ...options.b });
  const got: Bench['got'] = { a: [], b: [] };
  a.onMessage((message) => void got.a.push(message as object));
  b.onMessage((message) => void got.b.push(message as object));
  return { clock, cable, a, b, got };
}

const up = (link: SerialLink): boolean => link.channels()[0]!.up;
const ups = ({ a, b }: Bench): boolean[] => [up(a), up(b)];
const why = (link: SerialLink): string => {
  const error = link.channels()[0]?.error;
  return error ? `${error.code} ${error.message}` : '';
};

/** A report as a pair in the middle of an update sends it. */
function report(n: number): { type: string; n: number; report: object } {
  const seal = { imageId: hex(32), rawBytes: 300_000_000 + n, rawSha256: hex(32), runsWith: '*' };
  const ids = { bootId: randomUUID(), run: randomUUID(), pair: hex(16), bundle: hex(32) };
  const body = { ...ids, seq: n, seals: [seal, seal, { ...seal, imageId: hex(32) }, seal] };
  return { type: 'report', n, report: { ...body, text: 'x'.repeat(1500) } };
}
const order = (list: object[]): string[] => list.map((one) => JSON.stringify(one)).toSorted();
const hex = (bytes: number): string => randomBytes(bytes).toString('hex');

await t.test('a line that may be silent for longer', async (t) => {
  t.equal(silentTicksFor(1200, 115_200), 6);
  t.equal(silentTicksFor(5000, 115_200), 25);
  t.equal(silentTicksFor(1200, 9600), 6, 'six beats of a slow line are longer');
});

await t.test('it comes up by itself and beats', async (t) => {
  const it = bench(t);
  t.match(it.a.channels(), [{ name: 'serial', up: false, ageMs: null }]);
  await it.clock.advance(1500);
  t.same(ups(it), [true, true]);
  t.match(it.a.channels()[0], { error: null });
  const before = it.cable.sent('a').bytes;
  await it.clock.advance(60_000);
  t.same(ups(it), [true, true]);
  const age = it.a.channels()[0]!.ageMs!;
  t.ok(age >= 0 && age <= 2 * beatMsOf(9600), `${age} ms`);
  const share = (it.cable.sent('a').bytes - before) / (60 * 960);
  t.ok(share > 0.09 && share < 0.101, `beats take ${share} of the line`);
  t.same([it.a.counters().sessions, it.b.counters().sessions], [1, 1]);
  t.equal(it.a.counters().refused, 0);
});

await t.test('the beat follows from the speed', (t) => {
  t.same([9600, 19_200, 115_200, 921_600].map(beatMsOf), [323, 200, 200, 200]);
  t.end();
});

await t.test('messages of all kinds cross, events do not', async (t) => {
  const it = bench(t, 115_200);
  it.a.send({ type: 'rollout', n: 0 });
  await it.clock.advance(1500);
  const sent = [
    { type: 'report', report: { text: 'Grüße \u0000' } },
    { type: 'rollout', record: { id: hex(600) } },
    { type: 'request', id: '1', request: { do: 'cancel' } },
    { type: 'request', id: '2', request: { do: 'cancel' } },
    { type: 'answer', id: '3', answer: {} },
    { text: 'of no known type' },
  ];
  for (const message of sent) {
    it.a.send(message);
    it.b.send(message);
  }
  it.a.send({ type: 'event', id: '1', event: {} });
  await it.clock.advance(2000);
  t.same(order(it.got.a), order(sent));
  t.same(order(it.got.b), order(sent));
  t.throws(() => it.a.send({ fill: 'x'.repeat(256 * 1024) }), { code: 'internal.bug' });
});

await t.test('the largest message passes at full speed, packed or not', async (t) => {
  const it = bench(t, 921_600);
  await it.clock.advance(1500);
  const fill = randomBytes(196_000)
    .toString('base64')
    .slice(0, 256 * 1024 - 11);
  it.a.send({ fill });
  it.b.send({ fill: 'x'.repeat(fill.length) });
  await it.clock.advance(8000);
  t.same(it.got.a, [{ fill: 'x'.repeat(fill.length) }]);
  t.same(it.got.b, [{ fill }]);
  t.same(ups(it), [true, true]);
});

await t.test('five reports a second at 9600 baud: the newest, within the line', async (t) => {
  const it = bench(t);
  await it.clock.advance(1500);
  const start = it.cable.sent('a').bytes;
  let record = 1;
  for (let n = 1; n <= 300; n += 1) {
    it.a.send(report(n));
    it.b.send(report(n));
    if (n % 50 === 0) record += 1;
    it.a.send({ type: 'rollout', n: record, record: { log: 'x'.repeat(1000) } });
    await it.clock.advance(200);
  }
  const { bytes, waitedMs } = it.cable.sent('a');
  t.ok(bytes - start <= 60 * 960, `${bytes - start} bytes in 60 s, the line carries 57600`);
  await it.clock.advance(3000);
  t.same(ups(it), [true, true]);
  t.ok(waitedMs < 1, `no byte waited behind the line (${waitedMs} ms)`);
  const reports = it.got.b.filter((one) => one.type === 'report').map((one) => one.n!);
  t.ok(reports.length >= 25, `${reports.length} reports arrived`);
  t.ok(reports.length <= 64, 'one a second at most');
  t.same(
    reports,
    reports.toSorted((x, y) => x - y),
    'in order',
  );
  t.ok(reports.at(-1)! > 285, `the last one that arrived is number ${reports.at(-1)}`);
  const records = it.got.b.filter((one) => one.type === 'rollout').map((one) => one.n!);
  t.same([...new Set(records)], [1, 2, 3, 4, 5, 6, 7]);
  t.ok(it.a.waiting() <= 4, `${it.a.waiting()} messages wait`);
});

await t.test('noise between and inside frames costs what it hits', async (t) => {
  const it = bench(t);
  const random = seeded(7);
  await it.clock.advance(1500);
  it.cable.mangle('a', (bytes) => {
    if (random() < 0.7) return bytes;
    const hit = Buffer.from(bytes);
    hit[Math.floor(random() * hit.length)]! ^= 1 << Math.floor(random() * 8);
    return hit;
  });
  let downs = 0;
  it.b.onChange(() => (downs += up(it.b) ? 0 : 1));
  for (let n = 1; n <= 100; n += 1) {
    it.a.send({ type: 'report', n });
    it.cable.inject('b', Buffer.from([0xff, 0x00, n, 0x80]));
    await it.clock.advance(1000);
  }
  t.same(ups(it), [true, true]);
  t.equal(downs, 0, 'a third of the frames damaged, and never down');
  const numbers = it.got.b.map((one) => one.n!);
  t.ok(numbers.length > 50, `${numbers.length} of 100 reports arrived`);
  t.same(numbers, [...new Set(numbers)], 'each once');
  t.ok(it.b.counters().noiseBytes > 100);
  t.equal(it.b.counters().refused, 0, 'a damaged frame is noise, not a forgery');
});

await t.test('lost bytes and frames in pieces', async (t) => {
  const it = bench(t);
  await it.clock.advance(1500);
  let count = 0;
  it.cable.mangle('a', (bytes) => {
    count += 1;
    // Every fourth frame lacks a byte; the others arrive one byte at a time.
    if (count % 4 === 0) return Buffer.concat([bytes.subarray(0, 9), bytes.subarray(10)]);
    for (const byte of bytes) it.cable.inject('b', Buffer.from([byte]));
    return null;
  });
  for (let n = 1; n <= 20; n += 1) {
    it.a.send({ type: 'report', n });
    await it.clock.advance(1000);
  }
  t.same(ups(it), [true, true]);
  t.ok(it.got.b.length >= 10, `${it.got.b.length} of 20`);
  t.ok(it.b.counters().noiseBytes > 0);
});

await t.test('what was recorded is not taken again, from this run or an earlier one', async (t) => {
  const it = bench(t);
  await it.clock.advance(1500);
  it.a.send({ type: 'report', n: 1 });
  await it.clock.advance(1000);
  t.equal(it.got.b.length, 1);
  const tape = [...it.cable.sent('a').frames];
  for (const bytes of tape) it.cable.inject('b', bytes);
  await it.clock.advance(1000);
  t.equal(it.got.b.length, 1, 'the same run');
  t.ok(it.b.counters().refused > 0);
  t.same(ups(it), [true, true], 'nor does it end the session');
  t.equal(it.b.counters().sessions, 1);

  await it.b[Symbol.asyncDispose]();
  const again = openEnd(t, it.clock, it.cable, 'b', {});
  const heard: unknown[] = [];
  again.onMessage((message) => heard.push(message));
  it.cable.mangle('a', () => null);
  for (let round = 0; round < 5; round += 1) {
    for (const bytes of tape) it.cable.inject('b', bytes);
    await it.clock.advance(1000);
  }
  t.equal(up(again), false, 'a tape does not bring the channel up');
  t.same(heard, []);
  t.equal(again.counters().sessions, 0);
});

await t.test('a peer that starts again is met anew: down, then up', async (t) => {
  const it = bench(t, 115_200);
  await it.clock.advance(1500);
  const seen: boolean[] = [];
  it.a.onChange(() => seen.push(up(it.a)));
  await it.b[Symbol.asyncDispose]();
  const again = openEnd(t, it.clock, it.cable, 'b', { baud: 115_200 });
  await it.clock.advance(1000);
  t.same([up(it.a), up(again)], [true, true]);
  t.same(seen, [false, true]);
  it.a.send({ type: 'report', n: 5 });
  const heard: unknown[] = [];
  again.onMessage((message) => heard.push(message));
  await it.clock.advance(500);
  t.same(heard, [{ type: 'report', n: 5 }]);
});

await t.test('a wrong key stays down and both sides say why', async (t) => {
  const it = bench(t, 9600, { a: { keys: withWrongPin(keysA) } });
  await it.clock.advance(20_000);
  t.same(ups(it), [false, false]);
  t.match(why(it.a), /^pair\.wrong_peer .*not that of the peer/);
  t.match(why(it.b), /^pair\.peer_unreachable .*does not hear this node/);
  t.ok(it.a.counters().wrongPeer > 3);
  t.same([it.a.counters().sessions, it.b.counters().sessions], [0, 0]);
});

await t.test('a line that leads back, noise alone, silence: each is named', async (t) => {
  const clock = new VirtualClock();
  const cable = new SerialCable(clock, 9600);
  const a = openEnd(t, clock, cable, 'a', {});
  await clock.advance(3000);
  t.match(why(a), /nothing of the peer has arrived/);
  cable.inject('a', Buffer.concat([randomBytes(50), Buffer.alloc(1)]));
  await clock.advance(100);
  t.match(why(a), /only noise arrives; this node uses 9600 baud/);
  cable.mangle('a', (bytes) => {
    cable.inject('a', bytes);
    return null;
  });
  await clock.advance(3000);
  t.match(why(a), /^pair\.wrong_peer .*leads back to this node/);
});

await t.test(
  'cut: six beats later both are down; healed: up, and only then messages',
  async (t) => {
    const it = bench(t);
    await it.clock.advance(1500);
    it.cable.cut();
    await it.clock.advance(5 * 323);
    t.same(ups(it), [true, true], 'five silent beats are not enough');
    await it.clock.advance(3 * 323);
    t.same(ups(it), [false, false]);
    t.match(why(it.a), /^pair\.peer_unreachable .*silent for 1938 ms/);
    it.a.send({ type: 'report', n: 1 });
    t.equal(it.a.waiting(), 0, 'dropped');
    it.cable.heal();
    await it.clock.advance(3000);
    t.same(ups(it), [true, true]);
    it.a.send({ type: 'report', n: 2 });
    await it.clock.advance(500);
    t.same(it.got.b, [{ type: 'report', n: 2 }]);
  },
);

await t.test('a line that works one way is down on both sides', async (t) => {
  const it = bench(t);
  await it.clock.advance(1500);
  it.cable.mangle('a', () => null);
  await it.clock.advance(4000);
  t.same(ups(it), [false, false]);
  t.match(why(it.a), /the peer is heard but does not hear this node/);
  t.match(why(it.b), /silent/);
  it.cable.heal();
  await it.clock.advance(4000);
  t.same(ups(it), [true, true]);
});

await t.test('a line that takes no bytes costs no memory and is opened again', async (t) => {
  const it = bench(t, 9600, { a: { timers: { stallTicks: 100 } } });
  await it.clock.advance(1500);
  it.cable.stall('a', true);
  for (let n = 1; n <= 20; n += 1) {
    it.a.send(report(n));
    it.a.send({ type: 'request', id: String(n) });
    await it.clock.advance(200);
  }
  t.ok(it.a.waiting() <= 10, `${it.a.waiting()} messages wait`);
  t.equal(it.cable.opens('a'), 1);
  await it.clock.advance(100 * 323);
  t.same(ups(it), [false, false]);
  t.equal(it.a.waiting(), 0, 'nothing is kept for a peer that does not hear');
  t.ok(it.cable.opens('a') >= 2, 'opened again');
  it.cable.stall('a', false);
  await it.clock.advance(100 * 323);
  t.same(ups(it), [true, true]);
  it.a.send({ type: 'report', n: 99 });
  await it.clock.advance(1000);
  t.equal(it.got.b.at(-1)?.n, 99);
});

await t.test('after a short stall the newest state of each kind goes on', async (t) => {
  const it = bench(t, 115_200);
  await it.clock.advance(1500);
  it.cable.stall('a', true);
  for (let n = 1; n <= 5; n += 1) {
    it.a.send({ type: 'report', n });
    it.a.send({ type: 'rollout', n });
    await it.clock.advance(150);
  }
  it.cable.stall('a', false);
  await it.clock.advance(2500);
  t.same(ups(it), [true, true]);
  const last = (type: string): unknown => it.got.b.findLast((one) => one.type === type)?.n;
  t.same([last('report'), last('rollout')], [5, 5]);
  t.ok(it.got.b.length < 8, `${it.got.b.length} messages`);
});

await t.test('a line that hangs up is opened again, with growing pauses', async (t) => {
  const it = bench(t);
  await it.clock.advance(1500);
  it.cable.hangUp('a', true);
  await it.clock.advance(50);
  t.equal(up(it.a), false, 'at once');
  t.match(why(it.a), /^link\.serial_failed .*hung up/);
  await it.clock.advance(100);
  t.match(why(it.a), /^link\.serial_failed no such line/);
  const early = it.cable.opens('a');
  await it.clock.advance(60_000);
  const attempts = it.cable.opens('a') - early;
  t.ok(attempts > 25 && attempts < 40, `${attempts} attempts in a minute`);
  it.cable.plugIn('a');
  await it.clock.advance(6000);
  t.same(ups(it), [true, true]);
  t.equal(it.a.counters().opened, 2);
  it.cable.hangUp('a');
  await it.clock.advance(150);
  t.equal(it.a.counters().opened, 3, 'the first pause is the short one again');
});

await t.test('who closes it is told nothing any more, the other one notices', async (t) => {
  const it = bench(t);
  await it.clock.advance(1500);
  let changes = 0;
  it.a.onChange(() => (changes += 1));
  await it.a[Symbol.asyncDispose]();
  await it.a[Symbol.asyncDispose]();
  it.a.send({ type: 'report' });
  await it.clock.advance(4000);
  t.same(ups(it), [false, false]);
  t.equal(changes, 0);
  t.match(why(it.a), /this node closed the link/);
});
