/**
 * Logs of writes built by hand, byte by byte as the format says: what is read of them, also when
 * they are cut short, and the disks that a power cut may leave. Imports the harness and node.
 */
import { readFile, writeFile } from 'node:fs/promises';
import t from 'tap';
import { planReplay, replayWrites, type Unflushed } from '../../scripts/vm/replay.ts';
import { LOG_FORMAT, parseEntry, parseSuper, readWriteLog } from '../../scripts/vm/write-log.ts';

const SECTOR = 512;
const { flush, forced, discard, mark } = LOG_FORMAT.flags;

/** One sector with these 64-bit numbers at its begin. */
function sectorOf(...numbers: readonly (number | bigint)[]): Buffer {
  const bytes = Buffer.alloc(SECTOR);
  for (const [i, number] of numbers.entries()) bytes.writeBigUInt64LE(BigInt(number), i * 8);
  return bytes;
}

const head = (count = 0): Buffer => sectorOf(LOG_FORMAT.magic, 1, count, SECTOR);
const writeOf = (sector: number, text: string, flags = 0): Buffer =>
  Buffer.concat([
    sectorOf(sector, text.length, flags, 0),
    ...text.split('').map((letter) => Buffer.alloc(SECTOR, letter)),
  ]);
const flushEntry = sectorOf(0, 0, flush, 0);
const discardOf = (sector: number, count: number): Buffer => sectorOf(sector, count, discard, 0);

async function logOf(dir: string, ...parts: readonly Buffer[]): Promise<string> {
  await writeFile(`${dir}/log`, Buffer.concat(parts));
  return `${dir}/log`;
}

t.test('every kind of entry is read', async (t) => {
  const text = Buffer.alloc(SECTOR, 'm');
  const parts = [writeOf(3, 'ab'), flushEntry, discardOf(8, 4), writeOf(1, 'c', forced)];
  const path = await logOf(t.testdir(), head(5), ...parts, sectorOf(0, 0, mark, 5), text);
  const log = await readWriteLog(path);
  t.strictSame(
    log.entries.map((one) => [one.kind, one.offsetBytes, one.sizeBytes, one.isForced]),
    [
      ['write', 3 * SECTOR, 2 * SECTOR, false],
      ['flush', 0, 0, false],
      ['discard', 8 * SECTOR, 4 * SECTOR, false],
      ['write', SECTOR, SECTOR, true],
      ['mark', 0, 0, false],
    ],
  );
  t.equal(log.entries[0]?.dataOffset, 2 * SECTOR);
  t.equal(log.entries[3]?.dataOffset, 7 * SECTOR);
  t.strictSame([log.tornBytes, log.hasGap, log.sectorBytes], [0, false, SECTOR]);
});

t.test('entries that the superblock does not count are read, half ones are not', async (t) => {
  const dir = t.testdir();
  const whole = Buffer.concat([head(1), flushEntry, writeOf(1, 'abc')]);
  for (const missing of [0, 1, SECTOR, 3 * SECTOR, 3 * SECTOR + 1]) {
    const path = await logOf(dir, whole.subarray(0, whole.length - missing));
    const { entries, tornBytes, hasGap } = await readWriteLog(path);
    t.equal(entries.length, missing === 0 ? 2 : 1, `${missing} bytes are missing`);
    t.equal(tornBytes, missing === 0 ? 0 : 4 * SECTOR - missing);
    t.equal(hasGap, false);
  }
});

t.test('what follows an entry that never came is not read, and that is said', async (t) => {
  const hole = Buffer.alloc(2 * SECTOR);
  const path = await logOf(t.testdir(), head(), writeOf(1, 'a'), hole, writeOf(2, 'b'));
  const { entries, tornBytes, hasGap } = await readWriteLog(path);
  t.equal(entries.length, 1);
  t.strictSame([tornBytes, hasGap], [4 * SECTOR, true]);
});

t.test('a log before its first flush, an empty one, and what is no log', async (t) => {
  const dir = t.testdir();
  const unflushed = await logOf(dir, Buffer.alloc(SECTOR), writeOf(1, 'a'));
  t.equal((await readWriteLog(unflushed)).entries.length, 1);
  t.strictSame((await readWriteLog(await logOf(dir, Buffer.alloc(0)))).entries, []);
  await t.rejects(readWriteLog(await logOf(dir, Buffer.alloc(SECTOR, 'x'))), {
    code: 'file.unreadable',
  });
  await t.rejects(readWriteLog(`${dir}/none`), { code: 'file.not_found' });
  const other = sectorOf(LOG_FORMAT.magic, 2, 0, SECTOR);
  t.throws(() => parseSuper(other), { code: 'file.unreadable', message: /version 2/ });
  const odd = sectorOf(LOG_FORMAT.magic, 1, 0, 513);
  t.throws(() => parseSuper(odd), { message: /sectors of 513 bytes/ });
  t.equal(parseSuper(sectorOf(LOG_FORMAT.magic, 1, 0, 4096)), 4096);
});

t.test('numbers that no disk has are no entry', async (t) => {
  const max = 2n ** 64n - 1n;
  t.equal(parseEntry(sectorOf(max, max, 0, 0), 0, SECTOR), null);
  t.equal(parseEntry(sectorOf(0, 1, 64, 0), 0, SECTOR), null);
  t.equal(parseEntry(sectorOf(0, 0, mark, max), 0, SECTOR), null);
  t.equal(parseEntry(Buffer.alloc(8), 0, SECTOR), null);
  t.equal(parseEntry(sectorOf(5, 0, 16, 0), 0, SECTOR), null, 'neither a write nor a flush');
});

/** The first letter of each sector of the disk after a cut; `.` for what was there before. */
async function cut(
  dir: string,
  log: string,
  unflushed: Unflushed,
  count?: number,
): Promise<string> {
  await writeFile(`${dir}/start`, Buffer.alloc(6 * SECTOR, '.'));
  const spec = { start: `${dir}/start`, target: `${dir}/cut`, logs: [log], unflushed };
  await replayWrites(count === undefined ? spec : { ...spec, count });
  const disk = await readFile(`${dir}/cut`);
  t.equal(disk.length, 6 * SECTOR);
  return Array.from({ length: 6 }, (_, i) => disk.toString('latin1', i * SECTOR, i * SECTOR + 1))
    .join('')
    .replaceAll('\0', '0');
}

t.test('what was flushed is there, what was not is kept or gone', async (t) => {
  const dir = t.testdir();
  const parts = [writeOf(0, 'ab'), flushEntry, writeOf(1, 'c'), discardOf(0, 1)];
  const log = await logOf(dir, head(), ...parts, writeOf(5, 'f', forced), writeOf(3, 'd'));
  t.equal(await cut(dir, log, 'keep'), '0c.d.f');
  t.equal(await cut(dir, log, 'drop'), 'ab...f', 'a forced write needs no flush');
  t.equal(await cut(dir, log, 'drop', 1), '......');
  t.equal(await cut(dir, log, 'drop', 2), 'ab....');
  t.equal(await cut(dir, log, 'keep', 1), 'ab....');
  t.equal(await cut(dir, log, 'keep', 0), '......');
  await t.rejects(cut(dir, log, 'keep', 7), { code: 'usage.invalid', message: /6 entries and 7/ });
});

t.test('a seed decides, and each decision is possible', async (t) => {
  const dir = t.testdir();
  const log = await logOf(dir, head(), writeOf(0, 'a'), flushEntry, writeOf(0, 'xyz'));
  const ends = new Map<string, number>();
  for (let seed = 0; seed < 40; seed += 1) {
    const end = await cut(dir, log, { seed });
    ends.set(end, (ends.get(end) ?? 0) + 1);
    if (seed < 3) t.equal(await cut(dir, log, { seed }), end, 'the same seed, the same disk');
  }
  t.strictSame([...ends.keys()].toSorted(), ['a.....', 'x.....', 'xy....', 'xyz...']);
  t.ok((ends.get('a.....') ?? 0) > 8);
  t.ok((ends.get('xyz...') ?? 0) > 8);
});

t.test('the plan counts what is whole, torn and gone', async (t) => {
  const dir = t.testdir();
  const log = await logOf(dir, head(), writeOf(0, 'abcdef'), writeOf(0, 'u'), writeOf(1, 'v'));
  await writeFile(`${dir}/start`, Buffer.alloc(6 * SECTOR));
  const spec = { start: `${dir}/start`, target: `${dir}/cut`, logs: [log] };
  const dropped = await replayWrites({ ...spec, unflushed: 'drop' });
  t.strictSame(dropped, { entries: 3, whole: 0, torn: 0, dropped: 3 });
  for (let seed = 0; seed < 20; seed += 1) {
    const { whole, torn, dropped } = await replayWrites({ ...spec, unflushed: { seed } });
    t.equal(whole + torn + dropped, 3);
  }
  const read = await readWriteLog(log);
  t.equal(planReplay(read, 3, 'keep').length, 3);
});

t.test('the log of a larger disk is refused', async (t) => {
  const dir = t.testdir();
  const log = await logOf(dir, head(), writeOf(5, 'ab'));
  await t.rejects(cut(dir, log, 'keep'), { code: 'usage.invalid', message: /past the 3072 bytes/ });
});
