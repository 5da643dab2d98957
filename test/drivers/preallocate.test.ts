/**
 * Allocation that is really there, on a file system of 4 MiB where the test may mount one, and under
 * a limit of the file size everywhere. May import tap, node: and the driver under test.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { preallocate } from '../../src/drivers/preallocate.ts';

const MODULE = join(import.meta.dirname, '../../src/drivers/preallocate.ts');
const MIB = 1024 * 1024;

/** Runs `preallocate` in a process that may write files of at most `limitBytes`. */
function limited(path: string, sizeBytes: number, limitBytes: number): string {
  const script = `
    const { preallocate } = await import(${JSON.stringify(MODULE)});
    try { await preallocate(${JSON.stringify(path)}, ${sizeBytes}); console.log('done'); }
    catch (error) { console.log(error.code, JSON.stringify(error.detail)); }`;
  const command = `ulimit -f ${limitBytes / 1024} && exec "$0" --input-type=module -e "$1"`;
  const run = spawnSync('bash', ['-c', command, process.execPath, script], { encoding: 'utf8' });
  return run.stdout.trim();
}

t.test('grows, keeps what is there, cuts, again and again', async (t) => {
  const path = join(t.testdir(), 'file');
  await writeFile(path, 'content');
  await preallocate(path, 3 * MIB + 5);
  await preallocate(path, 3 * MIB + 5);
  const bytes = await readFile(path);
  t.equal(bytes.length, 3 * MIB + 5);
  t.equal(bytes.toString('latin1', 0, 8), 'content\0');
  t.ok(bytes.subarray(7).every((byte) => byte === 0));
  const { blocks } = await stat(path);
  t.ok(blocks * 512 >= bytes.length, `${blocks} blocks`);
  await preallocate(path, 4);
  t.equal(await readFile(path, 'latin1'), 'cont');
});

t.test('more than the disk has', async (t) => {
  const path = join(t.testdir(), 'file');
  await t.rejects(preallocate(path, 2 ** 52), { code: 'space.depot' });
  t.equal((await stat(path)).size, 0);
});

t.test('the limit strikes in the middle: the space is given back', async (t) => {
  const path = join(t.testdir(), 'file');
  await writeFile(path, 'content');
  t.match(limited(path, 3 * MIB, 2 * MIB), /^space\.depot .*"missingBytes":[1-9]/);
  t.equal(await readFile(path, 'latin1'), 'content');
  t.equal(limited(path, MIB, 2 * MIB), 'done');
  t.equal((await stat(path)).size, MIB);
});

const mounted = (dir: string): boolean =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', dir]).status === 0;

t.test('a file system that is full', async (t) => {
  const dir = t.testdir();
  if (!mounted(dir)) {
    t.comment('no right to mount; the limit of the file size stands for it');
    return;
  }
  t.teardown(() => execFileSync('umount', [dir]));
  const path = join(dir, 'file');
  await preallocate(path, 3 * MIB);
  const error = await preallocate(join(dir, 'other'), 2 * MIB).catch((e: unknown) => e);
  t.match(error, { code: 'space.depot', detail: { missingBytes: Number } });
  t.equal((await stat(path)).size, 3 * MIB);
});
