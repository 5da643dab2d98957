/**
 * The simulated disk itself: what a power cut, a failing operation and a dead handle do, since
 * other tests are only as good as it is. May import tap, core and the disk.
 */
import t from 'tap';
import { FakeDisk, KEPT, LOST, PowerCut, randomOf, type PendingSector } from './disk.ts';

const SECTOR = 512;
const filled = (byte: number, sectors: number): Uint8Array =>
  new Uint8Array(sectors * SECTOR).fill(byte);
const firstBytes = (disk: FakeDisk): readonly number[] => {
  const bytes = disk.bytes('f');
  return [bytes[0]!, bytes[SECTOR]!, bytes[2 * SECTOR]!];
};

t.test('unsynced sectors are lost, kept or torn, as the test chooses', async (t) => {
  const disk = new FakeDisk({ seed: 1 });
  const file = disk.file('f', 3 * SECTOR);
  await file.write(0, filled(1, 3));
  await file.sync();
  await file.write(0, filled(2, 2));
  await file.write(SECTOR, filled(3, 1));
  t.same(firstBytes(disk), [2, 3, 1], 'a program reads what it wrote');
  t.same(
    disk.pending().map((sector: PendingSector) => sector.versions.map((bytes) => bytes[0])),
    [
      [1, 2],
      [1, 2, 3],
    ],
  );
  const after = (choice: Parameters<FakeDisk['powerOn']>[0]) => {
    const copy = disk.clone();
    copy.powerOff();
    copy.powerOn(choice);
    return firstBytes(copy);
  };
  t.same(after(LOST), [1, 1, 1]);
  t.same(after(KEPT), [2, 3, 1]);
  t.same(
    after((_, position) => position),
    [1, 2, 1],
    'sectors out of order, an older version',
  );
  const seen = new Set(Array.from({ length: 300 }, (_, seed) => after(seed).join()));
  t.equal(seen.size, 6, 'seeds reach every outcome');
  t.same(after(5), after(5), 'and the same seed the same one');
  t.same(firstBytes(disk), [2, 3, 1], 'the clone was another disk');
});

t.test('a cut falls on the n-th operation, and everything after it fails', async (t) => {
  const disk = new FakeDisk();
  const file = disk.file('f', 3 * SECTOR);
  disk.cutAt(3);
  await file.write(0, filled(1, 1));
  await file.sync();
  await t.rejects(file.write(SECTOR, filled(2, 1)), PowerCut);
  t.equal(disk.off, true);
  await t.rejects(file.sync(), PowerCut);
  await t.rejects(file.read(0, 1), PowerCut);
  t.throws(() => disk.durable('elsewhere'), PowerCut);
  t.equal(disk.ops, 3);
  t.same(disk.trace, ['write f 0+512', 'sync f', 'write f 512+512']);
  disk.powerOn(KEPT);
  t.same(firstBytes(disk), [1, 2, 0], 'the write that was cut may have arrived');
  await t.rejects(file.read(0, 1), PowerCut, 'a handle does not live through a cut');
  t.equal((await disk.file('f', 0).read(0, 1))[0], 1);
  disk.cutAt(1);
  t.throws(() => disk.durable('elsewhere'), PowerCut);
});

t.test('a failed sync makes nothing durable, and the next one does not try again', async (t) => {
  const disk = new FakeDisk();
  const file = disk.file('f', 3 * SECTOR);
  await file.write(0, filled(1, 1));
  disk.failAt(1);
  await t.rejects(file.sync(), { code: 'EIO' });
  await file.write(SECTOR, filled(2, 1));
  await file.sync();
  t.same(firstBytes(disk), [1, 2, 0]);
  disk.powerOff();
  disk.powerOn(LOST);
  t.same(firstBytes(disk), [0, 2, 0]);
});

t.test('a failed write arrives in part', async (t) => {
  const outcomes = new Set<string>();
  for (let seed = 0; seed < 40; seed += 1) {
    const disk = new FakeDisk({ seed });
    disk.failAt(1);
    await t.rejects(disk.file('f', 3 * SECTOR).write(0, filled(1, 2)), { code: 'EIO' });
    outcomes.add(firstBytes(disk).join());
  }
  t.equal(outcomes.size, 4);
});

t.test('writes that do not fit sectors, rot, and limits', async (t) => {
  const disk = new FakeDisk();
  const file = disk.file('f', 3 * SECTOR);
  await file.write(SECTOR - 1, Uint8Array.of(7, 8));
  await file.sync();
  t.same([...disk.bytes('f').subarray(SECTOR - 2, SECTOR + 2)], [0, 7, 8, 0]);
  disk.flip('f', SECTOR, 0xff);
  t.equal(disk.bytes('f')[SECTOR], 8 ^ 0xff);
  await t.rejects(file.write(3 * SECTOR, Uint8Array.of(1)), { code: 'internal.bug' });
  await t.rejects(file.read(3 * SECTOR, 1), { code: 'state.io' });
  const [one, two] = [randomOf(3), randomOf(3)];
  t.equal(one(), two());
});
