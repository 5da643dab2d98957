/**
 * Values in two copies: every power cut with every subset of unsynced sectors, every damaged byte,
 * a disk that fails and one that lies. May import tap, fast-check, core and the drivers under test.
 */
import * as fc from 'fast-check';
import t from 'tap';
import type { DiskFile } from '../../src/drivers/disk-file.ts';
import {
  COPY_BYTES,
  encodeValue,
  newCopies,
  readCopies,
  TWO_COPY_BYTES,
  TwoCopy,
  VALUE_BYTES_MAX,
} from '../../src/drivers/two-copy.ts';
import { FakeDisk, KEPT, LOST, PowerCut } from '../memory/disk.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array | undefined): string | null =>
  bytes === undefined ? null : new TextDecoder().decode(bytes);
/** A value of about two and a half sectors, each of which differs from those of other values. */
const valueOf = (n: number): string => `${n}`.repeat(1200);

const fileOn = (disk: FakeDisk): DiskFile => disk.file('value', TWO_COPY_BYTES);
const openOn = (disk: FakeDisk): TwoCopy => new TwoCopy(fileOn(disk), 'boot.io');
const readOn = async (disk: FakeDisk): Promise<string | null> =>
  textOf((await openOn(disk).read()).value?.bytes);
const write = (copy: TwoCopy, text: string): Promise<number | null> =>
  copy.update(() => bytesOf(text));

t.test('values of any size up to the limit come back, each with a higher number', async (t) => {
  const values = fc.array(fc.uint8Array({ maxLength: VALUE_BYTES_MAX, size: 'max' }), {
    maxLength: 5,
  });
  await fc.assert(
    fc.asyncProperty(values, async (list) => {
      const copy = openOn(new FakeDisk());
      for (const [index, value] of list.entries()) {
        t.equal(await copy.update(() => value), index + 1);
        t.same((await copy.read()).value, { seq: index + 1, bytes: value });
      }
    }),
    { seed: 1, numRuns: 20 },
  );
  t.throws(() => encodeValue(1, new Uint8Array(VALUE_BYTES_MAX + 1)), { code: 'internal.bug' });
});

t.test('a cut at every operation, every subset: the old value or the new one', async (t) => {
  const outcomes = { before: 0, after: 0 };
  for (let n = 1; n <= 3; n += 1) {
    for (const at of [1, 2]) {
      const disk = new FakeDisk();
      const copy = openOn(disk);
      for (let m = 1; m <= n; m += 1) await write(copy, valueOf(m));
      disk.cutAt(at);
      await t.rejects(write(copy, valueOf(n + 1)), PowerCut);
      const sectors = disk.pending().length;
      t.equal(sectors, 3);
      for (let mask = 0; mask < 2 ** sectors; mask += 1) {
        const after = disk.clone();
        after.powerOn((_, position) => (mask >> position) & 1);
        const found = await readOn(after);
        outcomes[found === valueOf(n) ? 'before' : 'after'] += 1;
        const whole = mask === 2 ** sectors - 1;
        t.equal(found, valueOf(whole ? n + 1 : n));
        await write(openOn(after), 'next');
        t.equal(await readOn(after), 'next');
      }
    }
  }
  t.same(outcomes, { before: 3 * 2 * 7, after: 3 * 2 });
});

t.test('every damaged byte of a copy: the other one counts', async (t) => {
  const good = newCopies(bytesOf('value'));
  t.match(readCopies(good), { value: { seq: 2 }, states: ['good', 'good'], next: 0 });
  const length = 32 + 'value'.length;
  for (const [copy, other] of [
    [0, 2],
    [COPY_BYTES, 1],
  ] as const) {
    for (let offset = copy; offset < copy + length; offset += 1) {
      const bad = good.slice();
      bad[offset]! ^= 1 << (offset % 8);
      const found = readCopies(bad);
      t.equal(found.value?.seq, other);
      t.equal(found.next, copy, 'and the damaged one is written next');
    }
  }
  const blank = readCopies(new Uint8Array(TWO_COPY_BYTES));
  t.match(blank, { value: null, states: ['blank', 'blank'] });
  t.match(readCopies(new Uint8Array(10)), { value: null, states: ['damaged', 'damaged'] });
});

t.test('a failed write is not forgotten: what is read afterwards is durable', async (t) => {
  for (const at of [1, 2]) {
    for (let seed = 0; seed < 8; seed += 1) {
      const disk = new FakeDisk({ seed });
      const copy = openOn(disk);
      await write(copy, valueOf(1));
      disk.failAt(at);
      await t.rejects(write(copy, valueOf(2)), { code: 'boot.io', detail: { errno: 'EIO' } });
      const found = textOf((await copy.read()).value?.bytes);
      t.ok(found === valueOf(1) || found === valueOf(2));
      disk.powerOff();
      disk.powerOn(LOST);
      t.equal(await readOn(disk), found);
    }
  }
});

t.test('a killed writer: what is read is durable', async (t) => {
  const disk = new FakeDisk();
  await write(openOn(disk), valueOf(1));
  const file = fileOn(disk);
  await file.write(COPY_BYTES, encodeValue(2, bytesOf(valueOf(2))));
  t.equal(await readOn(disk), valueOf(2));
  disk.powerOff();
  disk.powerOn(LOST);
  t.equal(await readOn(disk), valueOf(2));
});

t.test('a disk that lies is found out by reading back', async (t) => {
  const disk = new FakeDisk();
  const file = fileOn(disk);
  const liar: DiskFile = {
    name: file.name,
    sizeBytes: file.sizeBytes,
    read: (offset, lengthBytes) => file.read(offset, lengthBytes),
    write: (offset, bytes) => file.write(offset, bytes.slice(0, 512)),
    sync: () => file.sync(),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
  const copy = new TwoCopy(liar, 'boot.io');
  t.equal(await write(copy, 'short'), 1);
  await t.rejects(write(copy, valueOf(1)), { code: 'boot.io', message: /does not hold/ });
  disk.powerOff();
  disk.powerOn(KEPT);
  t.equal(await readOn(disk), 'short');
});

t.test('a change that throws or has nothing to say writes nothing', async (t) => {
  const disk = new FakeDisk();
  const copy = openOn(disk);
  await write(copy, 'first');
  const { ops } = disk;
  t.equal(await copy.update(() => null), null);
  const refuse = new Error('no');
  await t.rejects(
    copy.update(() => {
      throw refuse;
    }),
    refuse,
  );
  t.equal(disk.ops, ops);
  await Promise.all(['a', 'b', 'c'].map((text) => write(copy, text)));
  t.equal(await readOn(disk), 'c', 'one after the other, in the order of the calls');
});
