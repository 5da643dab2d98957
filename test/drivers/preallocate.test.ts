/**
 * Allocation that is really there, under a limit of the file size and on a file system of 4 MiB
 * where the test may mount one. May import tap, node: and the driver under test.
 */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { preallocate } from '../../src/drivers/preallocate.ts';
import { canMount, withFileLimit, withTmpfs } from './small-disk.ts';

const MODULE = join(import.meta.dirname, '../../src/drivers/preallocate.ts');
const MIB = 1024 * 1024;

/** Allocates argv[1], argv[2] ... of argv's sizes; prints the first error or the sizes. */
const SCRIPT = `
  import { stat } from 'node:fs/promises';
  const { preallocate } = await import(${JSON.stringify(MODULE)});
  const pairs = process.argv.slice(1).map((arg) => arg.split('='));
  let failed = {};
  try {
    for (const [path, size] of pairs) await preallocate(path, Number(size));
  } catch ({ code, detail }) {
    failed = { code, detail };
  }
  const sizes = [];
  for (const [path] of pairs) sizes.push(await stat(path).then((s) => s.size, () => -1));
  console.log(JSON.stringify({ ...failed, sizes }));`;

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

t.test('without the tool zeros are written; a limit in the middle gives all back', async (t) => {
  const path = join(t.testdir(), 'file');
  await writeFile(path, 'content');
  // fallocate fails under the limit as well, so this goes through the writing of zeros.
  const { result } = withFileLimit(2 * MIB, SCRIPT, [`${path}=${3 * MIB}`]);
  t.match(result, { code: 'space.depot', detail: { missingBytes: Number }, sizes: [7] });
  t.equal(await readFile(path, 'latin1'), 'content');
  t.same(withFileLimit(2 * MIB, SCRIPT, [`${path}=${MIB}`]).result, { sizes: [MIB] });
});

t.test('a file system that is full', async (t) => {
  if (!canMount()) {
    t.comment('no right to mount here; the limit of the file size stands for it');
    return;
  }
  const dir = t.testdir();
  const [one, two] = [join(dir, 'one'), join(dir, 'two')];
  const { result } = withTmpfs(dir, 4 * MIB, SCRIPT, [`${one}=${3 * MIB}`, `${two}=${2 * MIB}`]);
  t.match(result, { code: 'space.depot', sizes: [3 * MIB, 0] });
  t.equal((result as { detail: { missingBytes: number } }).detail.missingBytes, MIB);
});
