/**
 * Messages in their small form: sizes of real ones, fragments that are lost, bombs; and the order
 * in which they wait for the line. May import tap and the drivers.
 */
import { createHash, randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import t from 'tap';
import { FRAME_BYTES_MAX } from '../../src/drivers/frames.ts';
import { SERIAL_DICTIONARY } from '../../src/drivers/serial-dictionary.ts';
import {
  Assembler,
  FRAGMENT_BYTES_MAX,
  fragmentsOf,
  packMessage,
  unpackMessage,
} from '../../src/drivers/serial-messages.ts';
import { Outbox } from '../../src/drivers/serial-outbox.ts';
import { PAYLOAD_BYTES_MAX } from '../../src/drivers/serial-session.ts';
import { nodeRecord, rolloutRecord, nodeState } from '../core/states.ts';
import { reportOf } from '../../src/updater/report.ts';

t.test('the dictionary is that of version 1', async (t) => {
  // Another dictionary is another version of the protocol: the peer may run another program.
  const digest = createHash('sha256').update(SERIAL_DICTIONARY).digest('hex');
  t.equal(digest, 'e18ddfc4b590dda5dfd27af268423cc0d1df7a4cede52313a7335bfe152eb974');
});

t.test('messages come back, and are small', async (t) => {
  const ids = randomBytes(16).toString('hex');
  const report = { ...reportOf(nodeState('A'), 7), pair: ids, bootId: ids, run: ids };
  const messages = [
    { type: 'report', report: { ...report, record: nodeRecord('A', { pair: ids }) } },
    { type: 'rollout', record: rolloutRecord({ id: ids }) },
  ];
  for (const message of messages) {
    const text = JSON.stringify(message);
    const packed = packMessage(text);
    t.same(unpackMessage(packed), JSON.parse(text));
    t.ok(packed.length * 4 < text.length, `${packed.length} of ${text.length} bytes`);
  }
  t.ok(FRAGMENT_BYTES_MAX <= PAYLOAD_BYTES_MAX);
});

t.test('what is no message is null', async (t) => {
  const bomb = deflateRawSync(`{"x":"${'y'.repeat(FRAME_BYTES_MAX)}"}`);
  t.ok(bomb.length < 1000);
  for (const packed of [bomb, randomBytes(100), Buffer.alloc(0)]) {
    t.equal(unpackMessage(packed), null);
  }
  for (const text of ['[]', 'null', '7', '{', '']) t.equal(unpackMessage(packMessage(text)), null);
  const deep = `{"x":${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
  t.equal(unpackMessage(packMessage(deep)), null, 'nested deeper than a stack');
});

t.test('a lost or repeated fragment costs its message and no other', async (t) => {
  const message = { fill: randomBytes(1000).toString('hex') };
  const packed = packMessage(JSON.stringify(message));
  const count = fragmentsOf(packed, 1).length;
  t.ok(count > 4);
  for (let lost = 0; lost < count; lost += 1) {
    const assembler = new Assembler();
    const damaged = fragmentsOf(packed, 65_535).filter((_, index) => index !== lost);
    const whole = fragmentsOf(packed, 65_536);
    const got = [...damaged, ...whole].map((one) => assembler.push(one)).filter(Boolean);
    t.same(got, [message], `without fragment ${lost}`);
  }
  const twice = new Assembler();
  const doubled = fragmentsOf(packed, 1).flatMap((one, index) =>
    index === 2 ? [one, one] : [one],
  );
  t.same(doubled.map((one) => twice.push(one)).filter(Boolean), []);
  const wild = new Assembler();
  for (const head of [
    '',
    '000000',
    '00010000',
    '000100000000',
    '000100000000ff',
    '00010000ffffaa',
  ]) {
    t.equal(wild.push(Buffer.from(head, 'hex')), null, head);
  }
});

/** A message whose packed form takes one fragment. */
const long = (n: number): string =>
  JSON.stringify({ n, fill: createHash('sha512').update(String(n)).digest('hex') });

t.test('the outbox: newest of a kind, lanes in turn, reports at their rate', async (t) => {
  const outbox = new Outbox((fragments) => fragments.length * 1000);
  const texts: Record<number, unknown[]> = { 0: [], 1: [] };
  const assemblers = [new Assembler(), new Assembler()];
  const lanes: number[] = [];
  const drain = (nowMs: number): void => {
    for (let out = outbox.next(nowMs); out !== null; out = outbox.next(nowMs)) {
      lanes.push(out.lane);
      const message = assemblers[out.lane]!.push(out.fragment) as { n: number } | null;
      if (message !== null) texts[out.lane]!.push(message.n);
    }
  };
  for (const n of [1, 2, 3]) outbox.offer('report', long(n), true, 0);
  for (const n of [4, 5]) outbox.offer('rollout', long(n), false, 0);
  t.equal(outbox.size, 2);
  drain(0);
  t.same(texts, { 0: [3], 1: [5] });
  outbox.offer('report', long(6), true, 100);
  outbox.offer('rollout', long(5), false, 100);
  drain(1499);
  t.same(texts, { 0: [3], 1: [5] }, 'too early, and said a moment ago');
  drain(1500);
  t.same(texts, { 0: [3, 6], 1: [5] }, 'one and a half times what the report took');
  outbox.offer('rollout', long(5), false, 3001);
  drain(3001);
  t.same(texts[1], [5, 5], 'said again later');

  const big = JSON.stringify({ n: 7, fill: randomBytes(500).toString('hex') });
  outbox.offer('report', big, true, 9000);
  outbox.offer('rollout', big, false, 9000);
  lanes.length = 0;
  const first = outbox.next(9000)!;
  assemblers[first.lane]!.push(first.fragment);
  outbox.offer('rollout', big, false, 9000);
  drain(9000);
  t.same(lanes.slice(0, 4), [1 - first.lane, first.lane, 1 - first.lane, first.lane], 'in turn');
  t.same(texts[1], [5, 5, 7], 'what is on its way is not taken again');

  for (let n = 0; n < 100; n += 1) outbox.offer(`request ${n}`, long(n), false, 10_000);
  t.equal(outbox.size, 8, 'bounded');
  outbox.clear();
  t.equal(outbox.size, 0);
  t.equal(outbox.next(20_000), null);
});
