/**
 * The depot directory: its contract, what is really allocated, a full disk, leftovers. The bundles
 * are sample files with a small head, since a driver knows nothing of the real format. May import
 * tap, node: and the driver under test.
 */
import { createHash } from 'node:crypto';
import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import { parseSha256, type Sha256 } from '../../src/core/model.ts';
import { openDepot, RESERVE_BYTES, type ReadHead } from '../../src/drivers/depot-dir.ts';
import { depotContract, type DepotHarness } from '../contracts/depot.ts';
import { makeDepotDisk, memoryDepot } from '../memory/depot.ts';
import { canMount, withTmpfs } from './small-disk.ts';

const MIB = 1024 * 1024;
const digestOf = (n: number): Sha256 =>
  parseSha256(createHash('sha256').update(`sample ${n}`).digest('hex'));
const manifestOf = (n: number): Manifest => ({ releaseCounter: n }) as Manifest;
const sample = (n: number): { bundle: Sha256; bytes: number } => ({
  bundle: digestOf(n),
  bytes: 100_000 + n,
});

/** Head of a sample file: its first line is `sample N`. */
const readHead: ReadHead = async (path) => {
  const n = Number(/^sample (\d+)\n/.exec(await readFile(path, 'latin1'))?.[1] ?? -1);
  if (n < 0) throw new UpdateError('bundle.wrong_type', `${path} is no sample`);
  return { bundle: digestOf(n), manifest: manifestOf(n) };
};

async function put(path: string, text: string): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(text);
}

t.test('directory', async (t) => {
  await depotContract(t, async (t): Promise<DepotHarness> => {
    const dir = join(t.testdir(), 'depot');
    return {
      depot: await openDepot(dir, readHead),
      sample,
      fill: (n, path) => put(path, `sample ${n}\n`),
      spoil: (n, path) => put(path, `sample ${n + 1}\n`),
      full: async () => {
        const depot = await openDepot(dir, readHead);
        const there = async (bundle: Sha256): Promise<boolean> =>
          (await depot.list()).some((entry) => entry.bundle === bundle);
        return {
          list: () => depot.list(),
          admit: (bundle) => depot.admit(bundle),
          retain: (bundles) => depot.retain(bundles),
          reserve: async (bundle, bytes) =>
            await depot.reserve(bundle, (await there(bundle)) ? bytes : 2 ** 52),
        };
      },
      reopen: () => openDepot(dir, readHead),
    };
  });
});

t.test('memory', async (t) => {
  await depotContract(t, async (): Promise<DepotHarness> => {
    const disk = makeDepotDisk(2 ** 30);
    const fill = (path: string, n: number): void => {
      const file = disk.files.get(path);
      if (file) file.holds = { bundle: digestOf(n), manifest: manifestOf(n) };
    };
    return await Promise.resolve({
      depot: memoryDepot(disk),
      sample,
      fill: (n, path) => Promise.resolve(fill(path, n)),
      spoil: (n, path) => Promise.resolve(fill(path, n + 1)),
      full: () => Promise.resolve(memoryDepot({ ...disk, capacityBytes: 1000 })),
      reopen: () => Promise.resolve(memoryDepot(disk)),
    });
  });
});

t.test('a reservation is allocated blocks, and 64 MiB more until the bundle is in', async (t) => {
  const dir = t.testdir();
  const depot = await openDepot(dir, readHead);
  const path = await depot.reserve(digestOf(1), MIB);
  const found = await stat(path);
  t.equal(found.size, MIB);
  t.ok(found.blocks * 512 >= MIB);
  const pad = await stat(join(dir, 'reserve.pad'));
  t.equal(pad.size, RESERVE_BYTES);
  t.ok(pad.blocks * 512 >= RESERVE_BYTES);
  await put(path, 'sample 1\n');
  await depot.admit(digestOf(1));
  t.same(await readdir(dir), [`${digestOf(1)}.bin`], 'the 64 MiB are free again');
});

t.test('another reservation takes the place of a partial file', async (t) => {
  const dir = t.testdir();
  const depot = await openDepot(dir, readHead);
  await depot.reserve(digestOf(1), MIB);
  await depot.reserve(digestOf(2), MIB);
  t.same((await readdir(dir)).toSorted(), [`${digestOf(2)}.part`, 'reserve.pad'].toSorted());
  await depot.retain([]);
  t.same(await readdir(dir), []);
});

t.test('a partial file of another size is brought to the new one', async (t) => {
  const depot = await openDepot(t.testdir(), readHead);
  const path = await depot.reserve(digestOf(1), MIB);
  await put(path, 'sample 1\n');
  await depot.reserve(digestOf(1), 2 * MIB);
  t.equal((await stat(path)).size, 2 * MIB);
  t.match(await readFile(path, 'latin1'), /^sample 1\n\0/);
  await depot.reserve(digestOf(1), 4096);
  t.equal((await stat(path)).size, 4096);
});

t.test('an entry that no longer verifies is not listed, and retain takes it away', async (t) => {
  const dir = t.testdir();
  const depot = await openDepot(dir, readHead);
  await writeFile(join(dir, `${digestOf(1)}.bin`), 'rotten');
  await writeFile(join(dir, `${digestOf(2)}.bin`), 'sample 3\n');
  await writeFile(join(dir, 'notes.txt'), 'not ours');
  t.same(await depot.list(), []);
  await depot.retain([]);
  t.same(await readdir(dir), ['notes.txt']);
});

t.test('a full disk is found before the first byte; what is there stays', async (t) => {
  if (!canMount()) {
    t.comment('no right to mount here; the contract suite covers a disk that is too small');
    return;
  }
  const dir = t.testdir();
  const module = join(import.meta.dirname, '../../src/drivers/depot-dir.ts');
  const script = `
    import { readdir, statfs } from 'node:fs/promises';
    const { openDepot } = await import(${JSON.stringify(module)});
    const depot = await openDepot(process.argv[1], async () => { throw new Error('no'); });
    const free = async () => {
      const s = await statfs(process.argv[1]);
      return s.bavail * s.bsize;
    };
    const codes = [];
    const attempt = (digest, mib) => depot.reserve(digest.repeat(64), mib * 2 ** 20)
      .then(() => codes.push('done'), (error) => codes.push(error.code));
    const before = await free();
    await attempt('a', 20);
    const after = await free();
    await attempt('b', 8);
    await attempt('b', 8);
    const names = await readdir(process.argv[1]);
    console.log(JSON.stringify({ codes, lost: before - after, names }));`;
  const { result } = withTmpfs(dir, 76 * MIB, script, [dir]);
  const part = `${'b'.repeat(64)}.part`;
  t.match(result, { codes: ['space.depot', 'done', 'done'], lost: 0 });
  t.same((result as { names: string[] }).names.toSorted(), [part, 'reserve.pad']);
});

t.test('a depot that cannot be used says so', async (t) => {
  const dir = t.testdir({ file: 'x' });
  await t.rejects(openDepot(join(dir, 'file'), readHead), { code: 'file.unreadable' });
});
