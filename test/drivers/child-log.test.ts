/**
 * The log of what programs print, at its bounds: bytes and files, two writers, output that is
 * larger than a log, a name that cannot be had, and what is found when the power went while the
 * file got its other name. May import tap, node: and the driver under test.
 */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { CHILD_LOG_CHUNK_BYTES_MAX, openChildLog } from '../../src/drivers/child-log.ts';

const line = (text: string): Buffer => Buffer.from(`${text.padEnd(99)}\n`);

t.test('two files, each at most so large; the newest output stays, whole', async (t) => {
  const dir = join(t.testdir(), 'logs');
  const path = join(dir, 'storage.log');
  const log = openChildLog(path, 1000);
  for (let at = 0; at < 10; at++) log(line(`line ${at}`));
  t.equal((await stat(path)).size, 1000, 'filled to the byte');
  t.strictSame(await readdir(dir), ['storage.log']);
  log(line('line 10'));
  t.strictSame([(await stat(path)).size, (await stat(`${path}.1`)).size], [100, 1000]);
  // A second program, and the next start of the daemon, go on in the same files.
  const other = openChildLog(path, 1000);
  for (let at = 11; at < 40; at++) (at % 2 === 0 ? log : other)(line(`line ${at}`));
  t.strictSame((await readdir(dir)).toSorted(), ['storage.log', 'storage.log.1']);
  const text = `${await readFile(`${path}.1`, 'utf8')}${await readFile(path, 'utf8')}`;
  const lines = text.trimEnd().split('\n');
  const wanted = Array.from({ length: 20 }, (_, index) => `line ${20 + index}`);
  t.strictSame(
    lines.map((one) => one.trimEnd()),
    wanted,
    'nothing between them is missing',
  );
  t.equal((await stat(path)).mode & 0o777, 0o600);
});

t.test('one piece of output is cut, and never larger than a log', async (t) => {
  const path = join(t.testdir(), 'log');
  openChildLog(path)(Buffer.alloc(CHILD_LOG_CHUNK_BYTES_MAX + 1, 'x'));
  t.equal((await stat(path)).size, CHILD_LOG_CHUNK_BYTES_MAX);
  const log = openChildLog(path, 10);
  for (let at = 0; at < 3; at++) log(Buffer.alloc(100, String(at)));
  t.strictSame(
    [await readFile(`${path}.1`, 'utf8'), await readFile(path, 'utf8')],
    ['1'.repeat(10), '2'.repeat(10)],
  );
});

t.test('the power goes around the rename: both names hold what they held', async (t) => {
  const path = join(t.testdir(), 'log');
  await writeFile(path, 'full'.repeat(250));
  await writeFile(`${path}.1`, 'older');
  // After the rename, before the first byte of the next file.
  await rename(path, `${path}.1`);
  openChildLog(path, 1000)(line('next'));
  t.equal(await readFile(`${path}.1`, 'utf8'), 'full'.repeat(250));
  t.match(await readFile(path, 'utf8'), /^next/);
});

t.test('a log that cannot be written stops nobody, and goes on when it can be', async (t) => {
  const path = join(t.testdir(), 'log');
  const log = openChildLog(path, 100);
  await mkdir(join(`${path}.1`, 'in the way'), { recursive: true });
  log(line('one'));
  log(line('two'));
  t.match(await readFile(path, 'utf8'), /^one\s+$/);
  await rm(`${path}.1`, { recursive: true });
  log(line('three'));
  t.match(await readFile(path, 'utf8'), /^three\s+$/);
  openChildLog(join(path, 'below a file'))(line('nowhere'));
});
