/**
 * Unpacking of ext4 images: content and modes, what is refused, that nothing half-made stays.
 * Imports tap, the driver and the maker of images.
 */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { unpackImage } from '../../src/drivers/unpack-ext4.ts';
import { makeExt4, type ImageFile } from '../../scripts/image/ext4.ts';

const root = t.testdir();
const signal = (): AbortSignal => AbortSignal.timeout(60_000);
const RELEASE: ImageFile = { path: '/etc/tandem-release', mode: 0o644, text: '{"version":"1"}' };
const good = join(root, 'good.img');
const tool: ImageFile = { path: '/opt/with blank/tool', mode: 0o755, text: '#!/bin/sh\n' };
await makeExt4({ out: good, label: 'good', files: [RELEASE, tool] });

t.test('content and modes arrive; what was there before is gone', async (t) => {
  const target = join(root, 'target');
  await mkdir(join(target, 'old'), { recursive: true });
  await unpackImage(good, target, signal());
  t.equal(await readFile(join(target, 'etc/tandem-release'), 'utf8'), '{"version":"1"}');
  t.equal((await stat(join(target, 'opt/with blank/tool'))).mode & 0o777, 0o755);
  t.same((await readdir(target)).toSorted(), ['etc', 'lost+found', 'opt']);
  await unpackImage(good, target, signal());
  t.equal(await readFile(join(target, 'etc/tandem-release'), 'utf8'), '{"version":"1"}');
});

t.test('what is no image is refused, and the old content stays', async (t) => {
  const target = join(root, 'kept');
  await unpackImage(good, target, signal());
  const text = join(root, 'text.img');
  await writeFile(text, 'not an image');
  const empty = join(root, 'empty.img');
  await writeFile(empty, '');
  const bare = join(root, 'bare.img');
  await makeExt4({ out: bare, label: 'bare', files: [tool] });
  const cases = [
    [text, /while trying to open/],
    [empty, /while trying to open/],
    [join(root, 'nothing.img'), /ENOENT/],
    [bare, /it holds no \/etc\/tandem-release/],
  ] as const;
  for (const [image, message] of cases) {
    await t.rejects(unpackImage(image, target, signal()), { code: 'slot.unpack', message });
  }
  t.ok((await stat(join(target, 'etc/tandem-release'))).isFile());
  t.notOk((await readdir(root)).some((name) => name.endsWith('.part')));
});

t.test('a damaged image is found out although debugfs ends with 0', async (t) => {
  const bytes = await readFile(good);
  // Inode tables and directories lie in the first quarter; the head stays good.
  bytes.fill(0xa5, 16 * 1024, bytes.length / 4);
  const damaged = join(root, 'damaged.img');
  await writeFile(damaged, bytes);
  const target = join(root, 'damaged');
  await t.rejects(unpackImage(damaged, target, signal()), { code: 'slot.unpack' });
  await t.rejects(stat(target), { code: 'ENOENT' });
});

t.test('a wait that ended does not begin, and ends with its own reason', async (t) => {
  const reason = new Error('not wanted');
  const target = join(root, 'aborted');
  await t.rejects(unpackImage(good, target, AbortSignal.abort(reason)), { message: 'not wanted' });
  await t.rejects(stat(target), { code: 'ENOENT' });
  t.notOk((await readdir(root)).includes('aborted.part'));
});

t.test('an unusual name of the directory is refused', async (t) => {
  const target = join(root, 'a b');
  await t.rejects(unpackImage(good, target, signal()), { message: /unusual characters/ });
});
