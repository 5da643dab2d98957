/**
 * What is on a disk after a cut: which writes, in which order, over which base; the same disks as
 * the replay of scripts/vm makes; and that walking along a log on a copy comes to the same as
 * applying it anew each time. Imports the checker and the log's format.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import {
  chances,
  cutAt,
  keyOf,
  readTimeline,
  unflushedAt,
  type CutPoint,
  type Fate,
} from '../../scripts/cuts/timeline.ts';
import { bytesView, FileView, OverlayView, partView, type Piece } from '../../scripts/cuts/view.ts';
import { Walker } from '../../scripts/cuts/walker.ts';
import { replayWrites } from '../../scripts/vm/replay.ts';
import { LOG_FORMAT } from '../../scripts/vm/write-log.ts';

const SECTOR = 512;
const SECTORS = 64;

function sectorOf(...numbers: readonly (number | bigint)[]): Buffer {
  const bytes = Buffer.alloc(SECTOR);
  for (const [i, number] of numbers.entries()) bytes.writeBigUInt64LE(BigInt(number), i * 8);
  return bytes;
}

const HEAD = sectorOf(LOG_FORMAT.magic, 1, 0, SECTOR);
const FLUSH = sectorOf(0, 0, LOG_FORMAT.flags.flush, 0);
const writeOf = (sector: number, letters: string, flags = 0): Buffer =>
  Buffer.concat([
    sectorOf(sector, letters.length, flags, 0),
    ...letters.split('').map((letter) => Buffer.alloc(SECTOR, letter)),
  ]);
const discardOf = (sector: number, count: number): Buffer =>
  sectorOf(sector, count, LOG_FORMAT.flags.discard, 0);

/** Two boots; the second one begins with what the first one did not flush. */
const FIRST = [writeOf(1, 'ab'), FLUSH, writeOf(2, 'cd'), writeOf(8, 'e')];
const SECOND = [writeOf(1, 'f'), FLUSH, FLUSH, discardOf(2, 2), writeOf(2, 'ghij')];

const FIRST_WORDS = ['0 write', '0 flush', '0 write', '0 write'];
const SECOND_WORDS = ['1 write', '1 flush', '1 flush', '1 discard', '1 write'];

async function logs(dir: string, ...boots: readonly (readonly Buffer[])[]): Promise<string[]> {
  const paths = boots.map((_, at) => join(dir, `writes-${at + 1}.log`));
  for (const [at, parts] of boots.entries()) {
    await writeFile(paths[at] ?? '', Buffer.concat([HEAD, ...parts]));
  }
  await writeFile(join(dir, 'start.img'), Buffer.alloc(SECTORS * SECTOR, '.'));
  return paths;
}

/** A letter for each of the first sectors; a sector of two letters would not be one. */
function lettersOf(bytes: Buffer): string {
  const letters = Array.from({ length: 10 }, (_, sector) => {
    const own = bytes.subarray(sector * SECTOR, (sector + 1) * SECTOR);
    const letter = String.fromCharCode(own[0] ?? 0);
    return own.every((byte) => byte === own[0]) ? letter : '?';
  });
  return letters.join('').replaceAll('\0', '0');
}

const data = { startBytes: 0, sizeBytes: SECTORS * SECTOR };

t.test('disks of cuts', async (t) => {
  const dir = t.testdir();
  const paths = await logs(dir, FIRST, SECOND);
  const entries = await readTimeline(paths);
  t.strictSame(
    entries.map(({ boot, kind }) => `${boot} ${kind}`),
    [FIRST_WORDS, SECOND_WORDS].flat(),
  );
  const rows: readonly (readonly [number, number, Fate, string])[] = [
    [0, 0, 'keep', '..........'],
    [0, 1, 'keep', '.a........'],
    [0, 1, 'drop', '..........'],
    [1, 0, 'keep', '.ab.......'],
    [1, 0, 'drop', '..........'],
    [2, 0, 'drop', '.ab.......'],
    [4, 0, 'keep', '.acd....e.'],
    [4, 0, 'drop', '.ab.......'],
    [4, 0, { mask: 2 }, '.ab.....e.'],
    // The cache of the disk outlives the reset.
    [5, 0, 'drop', '.ab.......'],
    [5, 0, { mask: 5 }, '.fcd......'],
    [6, 0, 'drop', '.fcd....e.'],
    [7, 0, 'drop', '.fcd....e.'],
    [8, 0, 'keep', '.f00....e.'],
    [8, 3, 'keep', '.fghi...e.'],
    [8, 3, { mask: 2 }, '.fghi...e.'],
    [9, 0, { mask: 1 }, '.f00....e.'],
    [9, 0, 'keep', '.fghij..e.'],
  ];
  const start = join(dir, 'start.img');
  await using walker = await Walker.open({ start, logs: paths, entries, data }, dir);
  for (const [count, torn, fate, wanted] of rows) {
    const name = `${count} entries, ${torn} sectors, ${JSON.stringify(fate)}`;
    const disk = await walker.at(cutAt(entries, { count, torn, fate }));
    t.equal(lettersOf(disk.read(0, disk.sizeBytes)), wanted, name);
    for (const copy of ['copyDisk', 'copyData'] as const) {
      const path = join(dir, 'cut.img');
      await walker[copy](path);
      t.equal(lettersOf(await readFile(path)), wanted, `${name}, ${copy}`);
    }
  }
  await t.rejects(walker.at(cutAt(entries, { count: 0, torn: 0, fate: 'keep' })), {
    code: 'internal.bug',
  });
  t.throws(() => cutAt(entries, { count: 10, torn: 0, fate: 'keep' }), RangeError);
  t.throws(() => cutAt(entries, { count: 1, torn: 1, fate: 'keep' }), RangeError);
  t.equal(unflushedAt(entries, 5), 3);
});

t.test('the same disks as of the replay beside the machines', async (t) => {
  const dir = t.testdir();
  const paths = await logs(dir, FIRST);
  const entries = await readTimeline(paths);
  const start = join(dir, 'start.img');
  for (const unflushed of ['keep', 'drop'] as const) {
    await using walker = await Walker.open({ start, logs: paths, entries, data }, dir);
    for (let count = 0; count <= entries.length; count += 1) {
      const target = join(dir, 'replayed.img');
      await replayWrites({ start, target, logs: paths, count, unflushed });
      const disk = await walker.at(cutAt(entries, { count, torn: 0, fate: unflushed }));
      t.ok(disk.read(0, disk.sizeBytes).equals(await readFile(target)), `${count} ${unflushed}`);
    }
  }
});

t.test('draws by a seed', async (t) => {
  const dir = t.testdir();
  const long = Array.from({ length: 12 }, (_, at) => writeOf(at * 4, 'wxyz'));
  const entries = await readTimeline(await logs(dir, long));
  const at = (fate: Fate): CutPoint => ({ count: entries.length, torn: 0, fate });
  const keys = new Set<string>();
  const fates = { whole: 0, gone: 0, torn: 0 };
  for (let seed = 0; seed < 40; seed += 1) {
    const cut = cutAt(entries, at({ seed }));
    t.strictSame(cut, cutAt(entries, at({ seed })), 'the same seed, the same cut');
    keys.add(keyOf(cut));
    for (const [entry] of entries.entries()) {
      const own = cut.parts.filter((part) => part.entry === entry);
      const bytes = own.reduce((sum, { from, to }) => sum + to - from, 0);
      t.equal(bytes % SECTOR, 0);
      if (bytes === 0) fates.gone += 1;
      else if (bytes === 4 * SECTOR) fates.whole += 1;
      else fates.torn += 1;
    }
  }
  t.ok(keys.size >= 39, `${keys.size} of 40 differ`);
  for (const [fate, count] of Object.entries(fates)) t.ok(count > 40, `${fate}: ${count} of 480`);
  t.not(chances(1)(), chances(2)());
});

t.test('a write that was forced is never lost', async (t) => {
  const dir = t.testdir();
  const forced = writeOf(1, 'a', LOG_FORMAT.flags.forced);
  const entries = await readTimeline(await logs(dir, [forced, writeOf(2, 'b')]));
  const { parts } = cutAt(entries, { count: 2, torn: 0, fate: 'drop' });
  t.strictSame(parts, [{ entry: 0, from: 0, to: SECTOR }]);
});

function piece(offsetBytes: number, text: string | null, sizeBytes = 2): Piece {
  const source = text === null ? null : { view: bytesView(Buffer.from(text)), offsetBytes: 1 };
  return { offsetBytes, sizeBytes, source };
}

t.test('views', async (t) => {
  const bytes = Buffer.from('0123456789');
  const view = bytesView(bytes);
  const over = new OverlayView(view, [piece(2, '.ab.'), piece(3, null), piece(8, '.yz')]);
  t.equal(over.read(0, 10).toString('latin1'), '01a\0\x00567yz');
  t.equal(over.read(4, 5).toString('latin1'), '\x00567y');
  t.equal(partView(over, 8, 2).read(1, 1).toString('latin1'), 'z');
  t.equal(over.digest(5, 2), view.digest(5, 2));
  t.not(over.digest(5, 4), view.digest(5, 4));
  t.equal(over.digest(5, 4), bytesView(Buffer.from('567y')).digest(0, 4));
  t.throws(() => over.read(9, 2), { code: 'file.unreadable' });
  t.throws(() => partView(view, 0, 4).read(3, 2), { code: 'file.unreadable' });
  t.throws(() => new OverlayView(view, [piece(9, null)]), { code: 'file.unreadable' });
  const path = join(t.testdir(), 'file');
  await writeFile(path, bytes);
  using file = new FileView(path);
  t.equal(file.read(3, 4).toString('latin1'), '3456');
  t.throws(() => file.read(8, 3), { code: 'file.unreadable' });
  t.throws(() => new FileView(`${path}.not`), { code: 'file.not_found' });
});
