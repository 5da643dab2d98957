/**
 * The readers of a disk: partition table, the file on the FAT, decisive writes and stretches of an
 * update, the points that are drawn there, positions in the logs. Each one refuses what it cannot
 * know. Imports the checker and the disk of the tests.
 */
import t from 'tap';
import { readFatFile } from '../../scripts/cuts/fat.ts';
import { partitionView, readGpt } from '../../scripts/cuts/gpt.ts';
import { findMarks, findStretches } from '../../scripts/cuts/marks.ts';
import { drawPoints, type DrawnPoint } from '../../scripts/cuts/points.ts';
import { acknowledgedAt, entriesAt, type Recording } from '../../scripts/cuts/recording.ts';
import { cutAt, keyOf } from '../../scripts/cuts/timeline.ts';
import { bytesView, type DiskView } from '../../scripts/cuts/view.ts';
import { partitionOf } from '../../scripts/appliance/layout.ts';
import { encodeGrubCounter } from '../../src/drivers/boot-grub-env.ts';
import { DiskBench, FAT, LAYOUT } from './disk-bench.ts';
import { update } from './update-story.ts';

const SECTOR = 512;
const whole = (disk: DiskView): Buffer => disk.read(0, disk.sizeBytes);
const fresh = (): Buffer => whole(new DiskBench().disk({ count: 0, torn: 0, fate: 'keep' }));

t.test('partition table', async (t) => {
  const disk = fresh();
  const found = readGpt(bytesView(disk));
  const wanted = LAYOUT.partitions.map(({ number, name, startBytes, sizeBytes }) => {
    return { number, name, startBytes, sizeBytes };
  });
  t.strictSame(found, wanted);
  t.throws(() => partitionView(bytesView(disk), found, 'tandem-no'), { code: 'file.unreadable' });
  // Signature, header, an entry, the checksum of either.
  for (const at of [SECTOR, SECTOR + 24, SECTOR + 80, 2 * SECTOR + 40, SECTOR + 16, SECTOR + 88]) {
    const bad = Buffer.from(disk);
    bad[at] = (bad[at] ?? 0) ^ 1;
    t.throws(() => readGpt(bytesView(bad)), { code: 'file.unreadable' }, `byte ${at}`);
  }
});

t.test('a file on the FAT', async (t) => {
  const { startBytes, sizeBytes } = partitionOf(LAYOUT, 'tandem-boot');
  const part = fresh().subarray(startBytes, startBytes + sizeBytes);
  const counter = encodeGrubCounter({ trialId: 0, used: 0 });
  const read = (name: string): Buffer | null => readFatFile(bytesView(part), name);
  t.ok(read('tries.env')?.equals(counter));
  t.ok(read('TRIES.ENV')?.equals(counter));
  t.equal(read('tries'), null);
  t.equal(read('TANDEM'), null, 'a label is no file');
  const entry = part.subarray(FAT.root + 32, FAT.root + 64);
  const table = part.subarray(FAT.tables, FAT.tables + SECTOR);
  const changed = (change: () => void, name = 'tries.env'): Buffer | null => {
    const before = Buffer.from(part);
    change();
    try {
      return read(name);
    } finally {
      before.copy(part);
    }
  };
  t.equal(
    changed(() => (entry[0] = 0xe5)),
    null,
    'removed',
  );
  t.equal(
    changed(() => (entry[11] = 0x10)),
    null,
    'a folder',
  );
  const damages: readonly (() => void)[] = [
    () => void entry.writeUInt16LE(0, 26),
    () => void entry.writeUInt16LE(9000, 26),
    () => void entry.writeUInt32LE(2 * SECTOR, 28),
    () => void entry.writeUInt32LE(1_000_000, 28),
    () => void table.writeUInt16LE(3, 4),
    () => void part.writeUInt16LE(1024, 11),
    () => void (part[13] = 0),
    () => void part.fill(0, 0, SECTOR),
  ];
  for (const [at, damage] of damages.entries()) {
    t.throws(() => changed(damage), { code: 'file.unreadable' }, `damage ${at}`);
  }
  const long = (): void => {
    // As mtools and Linux write it: the name in small letters before the entry of eight and three.
    entry.copy(part, FAT.root + 64);
    part.write('TRIES~1 ENV', FAT.root + 64, 'latin1');
    entry.fill(0xff);
    entry[0] = 0x41;
    entry[11] = 0x0f;
    const places = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22];
    for (const [at, letter] of 'tries.env\0'.split('').entries()) {
      entry.writeUInt16LE(letter.charCodeAt(0), places[at] ?? 0);
    }
  };
  t.ok(changed(long)?.equals(counter));
});

const keysOf = (points: readonly DrawnPoint[]): string => points.map(({ key }) => key).join(' ');

t.test('stretches of an update and the points in them', async (t) => {
  const { bench, bootsAt } = await update('none');
  const [second = 0, third = 0] = bootsAt;
  const entries = bench.entries.map((entry, at) => {
    return { ...entry, boot: at < second ? 0 : at < third ? 1 : 2 };
  });
  const marks = findMarks(entries, LAYOUT.partitions, (entry, size) =>
    bench.written(entry).subarray(0, size),
  );
  const words = marks.map(({ what, state }) => (state ? `${what} ${state.trial}` : what));
  const seals = 'seal, seal, seal, seal';
  const wanted = `${seals}, state B, counter, counter, state null, seal`;
  t.equal(words.join(', '), wanted);
  const stretches = findStretches(entries, marks);
  const [armed = 0, committed = 0] = [4, 7].map((at) => marks[at]?.entry);
  const unsealed = marks[0]?.entry ?? 0;
  t.strictSame(stretches, [
    { kind: 'slot', from: Math.max(0, unsealed - 5), to: armed },
    { kind: 'arming', from: 0, to: second },
    { kind: 'boot', from: second, to: committed },
    { kind: 'commit', from: 0, to: entries.length },
  ]);
  const draw = (kind: 'slot' | 'arming', wanted: number, seed: number): readonly DrawnPoint[] =>
    drawPoints(entries, marks, stretches, { kind, wanted, seed });
  const slot = draw('slot', 120, 5);
  t.ok(slot.length >= 120);
  t.equal(new Set(slot.map(({ key }) => key)).size, slot.length, 'no disk twice');
  t.equal(keysOf(slot), keysOf(draw('slot', 120, 5)), 'a seed draws the same');
  t.not(keysOf(slot), keysOf(draw('slot', 120, 6)));
  const arming = draw('arming', 0, 5);
  t.ok(arming.every(({ isDecisive }) => isDecisive));
  for (let torn = 1; torn < 8; torn += 1) {
    const key = keyOf(cutAt(entries, { count: armed, torn, fate: 'keep' }));
    t.ok(keysOf(arming).includes(key), `the state's write after ${torn} sectors`);
  }
  const fates = arming.filter(({ point }) => point.count === armed + 1 && point.torn === 0);
  t.ok(fates.length >= 2, 'done and not flushed: there, or not');
  const except = new Set(slot.map(({ key }) => key));
  const more = drawPoints(entries, marks, stretches, {
    kind: 'arming',
    wanted: 9,
    seed: 5,
    except,
  });
  t.notOk(more.some(({ key }) => except.has(key)));
});

t.test('positions in logs', async (t) => {
  const { bench } = await update('none');
  const entries = bench.entries.map((entry, at) => ({ ...entry, boot: at < 3 ? 0 : 1 }));
  const end = (at: number): number => entries[at]?.endBytes ?? 0;
  t.equal(entriesAt(entries, { boot: 0, bytes: 0 }), 0);
  t.equal(entriesAt(entries, { boot: 0, bytes: end(0) }), 2, 'a flush has no data here');
  t.equal(entriesAt(entries, { boot: 0, bytes: end(2) - 1 }), 2);
  t.equal(entriesAt(entries, { boot: 1, bytes: 0 }), 3);
  t.equal(entriesAt(entries, { boot: 9, bytes: 0 }), entries.length);
  const write = (key: string, at: number) => {
    return { node: 'A' as const, key, hash: `${key}${at}`, at: { boot: 0, bytes: end(at) } };
  };
  const acknowledged = [write('k', 0), write('l', 2), { ...write('m', 0), node: 'B' as const }];
  const recording = { acknowledged } as unknown as Recording;
  t.strictSame([...acknowledgedAt(recording, 'A', entries, 1)], []);
  t.strictSame([...acknowledgedAt(recording, 'A', entries, 2)], [['k', 'k0']]);
  t.strictSame([...acknowledgedAt(recording, 'A', entries, 9).keys()], ['k', 'l']);
});
