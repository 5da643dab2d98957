/**
 * Images: the same input gives the same bytes wherever and whenever it is made, the content is what
 * was put in, faults are named; and the system image holds a runtime and hooks that really work.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { parseRelease } from '../../src/core/model.ts';
import { unpackImage } from '../../src/drivers/unpack-ext4.ts';
import { BUILD_DIR } from '../../scripts/build.ts';
import { directoriesOf, makeExt4, type ImageFile } from '../../scripts/image/ext4.ts';
import { runTool } from '../../scripts/image/tools.ts';
import { makeStorageImage, makeSystemImage } from '../../scripts/make-image.ts';

const run = promisify(execFile);
const never = new AbortController().signal;

async function digest(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}

async function sources(dir: string, reverse: boolean, timeS: number): Promise<ImageFile[]> {
  await mkdir(dir, { recursive: true });
  const names = ['zeta', 'alpha', 'mid'];
  const files: ImageFile[] = [];
  for (const name of reverse ? names.toReversed() : names) {
    const from = join(dir, name);
    await writeFile(from, `${name}\n`.repeat(5000));
    await chmod(from, reverse ? 0o600 : 0o644);
    await utimes(from, timeS, timeS);
    files.push({ path: `/opt/${name}/file`, mode: 0o755, from });
  }
  return [...files, { path: '/etc/tandem-release', mode: 0o644, text: '{"product":"p"}' }];
}

t.test('the same files give the same bytes, from anywhere and at any time', async (t) => {
  const dir = t.testdir({});
  const one = join(dir, 'one.img');
  const two = join(dir, 'elsewhere', 'two.img');
  await mkdir(join(dir, 'elsewhere'));
  await makeExt4({ out: one, label: 'same', files: await sources(join(dir, 'a'), false, 10) });
  const files = await sources(join(dir, 'b'), true, 1_000_000);
  await makeExt4({ out: two, label: 'same', files });
  t.equal(await digest(one), await digest(two));
  const other = files.map((file) => (file.path.includes('mid') ? { ...file, mode: 0o644 } : file));
  await makeExt4({ out: two, label: 'same', files: other });
  t.not(await digest(one), await digest(two), 'a changed mode is a changed image');
});

t.test('the image holds what was put in, with its modes', async (t) => {
  const dir = t.testdir({});
  const out = join(dir, 'x.img');
  const files = await sources(join(dir, 'a'), false, 10);
  const bytes = await makeExt4({ out, label: 'content', files, sizeBytes: 8 * 1024 * 1024 });
  t.equal(bytes, 8 * 1024 * 1024);
  t.equal((await stat(out)).size, bytes);
  const root = join(dir, 'root');
  await unpackImage(out, root, never);
  t.equal(await readFile(join(root, 'opt/mid/file'), 'utf8'), 'mid\n'.repeat(5000));
  t.equal((await stat(join(root, 'opt/mid/file'))).mode & 0o777, 0o755);
  t.equal((await stat(join(root, 'opt'))).mode & 0o777, 0o755);
  // Two images of one test are made within one second, so the times are looked at, too.
  t.equal((await stat(join(root, 'opt/mid/file'))).mtimeMs, Date.UTC(2026, 0, 1));
  const env = { TZ: 'UTC' };
  const inode = await runTool('debugfs', ['-R', 'stat /opt/mid/file', out], { env });
  const superblock = await runTool('debugfs', ['-R', 'show_super_stats -h', out], { env });
  const times = `${inode.stdout}${superblock.stdout}`.match(/(time|created|checked): .*/g) ?? [];
  t.ok(times.length >= 7, 'times of the file and of the file system');
  t.strictSame(
    times.filter((line) => !/(Thu Jan  1 00:00:00 2026|n\/a)$/.test(line)),
    [],
  );
  t.strictSame(directoriesOf(files), ['/etc', '/opt', '/opt/alpha', '/opt/mid', '/opt/zeta']);
});

t.test('what cannot become an image is named and leaves nothing behind', async (t) => {
  const dir = t.testdir({ big: 'x'.repeat(3 * 1024 * 1024) });
  const out = join(dir, 'y.img');
  const big: ImageFile = { path: '/big', mode: 0o644, from: join(dir, 'big') };
  const small = { out, label: 'small', files: [big], sizeBytes: 2 * 1024 * 1024 };
  await t.rejects(makeExt4(small), { code: 'tool.failed' });
  const odd: ImageFile = { path: '/a"b', mode: 0o644, text: '' };
  await t.rejects(makeExt4({ out, label: 'odd', files: [odd] }), { code: 'usage.invalid' });
  await t.rejects(stat(out), { code: 'ENOENT' });
  const { stdout } = await run('ls', ['-A', dir]);
  t.equal(stdout, 'big\n');
});

t.test('a tool that is missing is named with its package', async (t) => {
  const tool = 'no-such-tool' as 'strip';
  await t.rejects(runTool(tool, []), { code: 'tool.missing', message: /no-such-tool/ });
});

t.test('a storage image says what it is, and can be made to fail', async (t) => {
  const dir = t.testdir({ 'storage.mjs': 'console.log(1)' });
  const file = join(dir, 'storage.mjs');
  const programs = { tandem: file, storage: file, workload: file };
  const spec = { product: 'p', version: '1.2.3', counter: 4, programs, formatLevel: 2 };
  await makeStorageImage({ ...spec, out: join(dir, 'good.img') });
  await makeStorageImage({ ...spec, out: join(dir, 'bad.img'), variant: 'unhealthy' });
  await unpackImage(join(dir, 'good.img'), join(dir, 'good'), never);
  await unpackImage(join(dir, 'bad.img'), join(dir, 'bad'), never);
  const text = await readFile(join(dir, 'good/etc/tandem-release'), 'utf8');
  const release = { product: 'p', class: 'storage', version: '1.2.3', counter: 4, formatLevel: 2 };
  t.strictSame(parseRelease(text), release);
  t.equal(await readFile(join(dir, 'good/opt/storage/storage.mjs'), 'utf8'), 'console.log(1)');
  await t.rejects(stat(join(dir, 'good/opt/storage/fail-health')), { code: 'ENOENT' });
  const drbd = { ...spec, kind: 'drbd', out: join(dir, 'drbd.img') } as const;
  await t.rejects(makeStorageImage(drbd), { code: 'usage.invalid', message: /DRBD/ });
  await writeFile(join(dir, 'drbd.mjs'), 'console.log(2)');
  await makeStorageImage({
    ...drbd,
    programs: { ...programs, storageDrbd: join(dir, 'drbd.mjs') },
  });
  await unpackImage(drbd.out, join(dir, 'drbd'), never);
  t.equal(await readFile(join(dir, 'drbd/opt/storage/storage.mjs'), 'utf8'), 'console.log(2)');
  t.match(await readFile(join(dir, 'bad/opt/storage/fail-health'), 'utf8'), /on purpose/);
});

t.test('a system image holds a runtime, libraries and hooks that work', async (t) => {
  const dir = t.testdir({ 'program.mjs': 'console.log("1.0.0")' });
  const file = join(dir, 'program.mjs');
  const programs = { tandem: file, storage: file, workload: file };
  const spec = { product: 'p', version: '1.0.0', counter: 1, programs, cacheDir: BUILD_DIR };
  const out = join(dir, 'system.img');
  await makeSystemImage({ ...spec, out, variant: 'unhealthy-on-B' });
  const root = join(dir, 'root');
  await unpackImage(out, root, never);
  const inside = join(root, 'usr/bin/node');
  const { stdout: version } = await run(inside, ['--version']);
  t.equal(version.trim(), process.version);
  t.ok((await stat(inside)).size > 100 * 1024 * 1024, 'more than 100 MiB of real content');
  const { stdout: libraries } = await run('find', [root, '-name', 'libc.so*', '-size', '+100k']);
  t.not(libraries, '', 'with the C library as a real file');
  const hooks = join(root, 'etc/tandem/hooks.d/health.d');
  const hook = (name: string, env: NodeJS.ProcessEnv, input: string) => {
    const call = run(join(hooks, name), [], { env: { PATH: process.env['PATH'], ...env } });
    call.child.stdin?.end(input);
    return call;
  };
  await t.resolves(hook('10-runtime', {}, ''));
  await t.resolves(hook('50-self-test', {}, '{"node":"A"}'));
  await t.rejects(hook('50-self-test', {}, '{"node":"B"}'), { code: 1, stderr: /node B/ });
  await t.rejects(hook('50-self-test', { TANDEM_NODE: 'B' }, ''), { code: 1 });
  await writeFile(join(root, 'opt/tandem/tandem.mjs'), 'process.exit(1)');
  await t.rejects(hook('10-runtime', {}, ''), { code: 1, stderr: /program .* does not start/ });
});
