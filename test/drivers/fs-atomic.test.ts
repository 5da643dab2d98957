/**
 * Small files that are replaced whole, files in place, and readers with a limit. May import tap,
 * node: and the drivers under test.
 */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import { createDiskFile, openDiskFile } from '../../src/drivers/disk-file.ts';
import { ioError, readFileLimited, writeFileAtomic } from '../../src/drivers/fs-atomic.ts';

t.test('a file is replaced, with its mode, and nothing is left beside it', async (t) => {
  const dir = t.testdir({ file: 'old', '.file.tmp': 'left by a power cut' });
  const path = join(dir, 'file');
  const umask = process.umask(0o077);
  t.teardown(() => process.umask(umask));
  await writeFileAtomic(path, 'new', { mode: 0o644 });
  t.equal(await readFile(path, 'utf8'), 'new');
  t.equal((await stat(path)).mode & 0o777, 0o644, 'whatever the umask');
  await writeFileAtomic(path, Buffer.from('secret'));
  t.equal((await stat(path)).mode & 0o777, 0o600, 'private unless told otherwise');
  t.same(await readdir(dir), ['file']);
});

t.test('many writers of one file in one process: one after the other', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'file');
  const texts = Array.from({ length: 20 }, (_, n) => `${n}`.repeat(5000));
  await Promise.all(texts.map((text) => writeFileAtomic(path, text)));
  t.equal(await readFile(path, 'utf8'), texts.at(-1), 'the last call wins');
  t.same(await readdir(dir), ['file']);
});

t.test('what cannot be written: an error, and the old content stays', async (t) => {
  const dir = t.testdir({ file: 'old', folder: { inside: '' } });
  await t.rejects(writeFileAtomic(join(dir, 'none/file'), 'new'), {
    code: 'state.io',
    detail: { errno: 'ENOENT' },
  });
  await t.rejects(writeFileAtomic(join(dir, 'folder'), 'new'), { code: 'state.io' });
  t.same((await readdir(dir)).toSorted(), ['file', 'folder']);
  await writeFileAtomic(join(dir, 'file'), 'new');
  t.equal(await readFile(join(dir, 'file'), 'utf8'), 'new', 'a failed call blocks no later one');
});

t.test('a reader with a limit', async (t) => {
  const dir = t.testdir({ empty: '', four: '1234', folder: {} });
  t.equal((await readFileLimited(join(dir, 'four'), 4)).toString(), '1234');
  t.equal((await readFileLimited(join(dir, 'empty'), 4)).length, 0);
  await t.rejects(readFileLimited(join(dir, 'four'), 3), {
    code: 'file.unreadable',
    detail: { maxBytes: 3, sizeBytes: 4 },
  });
  await t.rejects(readFileLimited(join(dir, 'none'), 3), { code: 'file.not_found' });
  await t.rejects(readFileLimited(join(dir, 'four/none'), 3), { code: 'file.not_found' });
  await t.rejects(readFileLimited(join(dir, 'folder'), 3), { code: 'file.unreadable' });
  await t.rejects(readFileLimited('/dev/zero', 3), { code: 'file.unreadable' });
  await promisify(execFile)('mkfifo', [join(dir, 'pipe')]);
  await t.rejects(readFileLimited(join(dir, 'pipe'), 3), { code: 'file.unreadable' });
  await symlink('loop', join(dir, 'loop'));
  await t.rejects(readFileLimited(join(dir, 'loop'), 3), { code: 'file.unreadable' });
});

t.test('a file in place: allocated, bounded, of fixed size', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'disk');
  await createDiskFile(path, 100_000, Buffer.from('start'));
  const { size, blocks } = await stat(path);
  t.equal(size, 100_000);
  t.ok(blocks * 512 >= size);
  await using file = await openDiskFile(path, { maxBytes: 100_000 });
  t.equal(Buffer.from(await file.read(0, 6)).toString(), 'start\0');
  await file.write(99_998, Buffer.from('ab'));
  await t.rejects(file.write(99_999, Buffer.from('ab')), { code: 'internal.bug' });
  await t.rejects(file.read(99_999, 2), { code: 'state.io' });
  t.equal((await stat(path)).size, 100_000);
  await t.rejects(openDiskFile(path, { maxBytes: 99_999 }), { code: 'state.io' });
  await t.rejects(openDiskFile(dir, { maxBytes: 1, readOnly: true }), { code: 'state.io' });
  await mkdir(join(dir, 'full'));
  await t.rejects(createDiskFile(join(dir, 'full'), 10), /EISDIR|ENOTEMPTY|directory/);
  t.same((await readdir(dir)).toSorted(), ['disk', 'full'], 'no leftovers');
});

t.test('only errors of the system become errors for users', async (t) => {
  const bug = new TypeError('a bug');
  t.equal(ioError(bug, 'state.io', 'x'), bug);
  const known = new UpdateError('boot.conflict', 'y');
  t.equal(ioError(known, 'state.io', 'x'), known);
});
