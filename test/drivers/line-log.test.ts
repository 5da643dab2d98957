/**
 * The bounded log of lines: order, turn-over, torn lines, a slow and a full disk, on which lines
 * may be lost and nothing else. May import tap, node: and the driver under test.
 */
import { appendFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { FileLineLog } from '../../src/drivers/line-log.ts';

const ENDLESS = 'x'.repeat(400_000);

function place(t: Test): string {
  return join(t.testdir(), 'logs', 'events.ndjson');
}

/** What a next start finds. */
const found = async (path: string, fileBytes?: number): Promise<readonly string[]> => {
  await using log = new FileLineLog(path, fileBytes);
  return await log.read();
};

t.test('lines are kept in their order over restarts; the folder is made', async (t) => {
  const path = place(t);
  t.strictSame(await found(path), [], 'nothing there yet');
  for (let start = 0; start < 3; start++) {
    await using log = new FileLineLog(path);
    for (let line = 0; line < 4; line++) log.append(`start ${start} line ${line}`);
    log.append('two\nlines\nin one');
  }
  const lines = await found(path);
  t.equal(lines.length, 15);
  t.strictSame(lines.slice(4, 6), ['two lines in one', 'start 1 line 0']);
  t.equal((await stat(path)).mode & 0o777, 0o600);
});

t.test('it stays bounded, and the newest lines are those that stay', async (t) => {
  const path = place(t);
  const fileBytes = 4096;
  let lost = 0;
  for (let start = 0; start < 5; start++) {
    await using log = new FileLineLog(path, fileBytes);
    for (let line = 0; line < 300; line++) log.append(`start ${start} line ${line}`.padEnd(99));
    lost += log.lost;
  }
  t.equal(lost, 0);
  for (const name of [path, `${path}.1`]) {
    t.ok((await stat(name)).size <= 2 * fileBytes, `${name} has ${(await stat(name)).size} bytes`);
  }
  const lines = await found(path, fileBytes);
  t.ok(lines.length >= fileBytes / 100 && lines.length <= (4 * fileBytes) / 100, `${lines.length}`);
  const last = Array.from(lines, (_, index) => 300 - lines.length + index);
  t.strictSame(
    lines.map((line) => line.trimEnd()),
    last.map((line) => `start 4 line ${line}`),
  );
});

t.test('a line longer than a file is lost and counted, the others stay', async (t) => {
  const path = place(t);
  {
    await using log = new FileLineLog(path, 4096);
    log.append('before');
    log.append(ENDLESS);
    log.append('after');
    t.equal(log.lost, 1);
  }
  t.strictSame(await found(path, 4096), ['before', 'after']);
});

t.test('a torn last line costs itself alone', async (t) => {
  const path = place(t);
  {
    await using log = new FileLineLog(path);
    log.append('one');
  }
  await appendFile(path, '{"torn":');
  {
    await using log = new FileLineLog(path);
    log.append('two');
    log.append('three');
  }
  t.strictSame(await found(path), ['one', '{"torn":', 'two', 'three']);
});

t.test('lines that wait for a slow disk are bounded; what is too much is counted', async (t) => {
  const path = place(t);
  await using log = new FileLineLog(path);
  for (let line = 0; line < 5000; line++) log.append(`line ${line}`);
  t.ok(log.lost > 0 && log.lost < 5000, `${log.lost} were lost`);
  await log[Symbol.asyncDispose]();
  t.equal((await found(path)).length, 5000 - log.lost);
});

t.test('a disk that does not take lines: they are lost, and later ones are kept', async (t) => {
  const path = place(t);
  const dir = join(path, '..');
  await mkdir(join(dir, '..'), { recursive: true });
  await writeFile(dir, 'a file where the folder should be');
  const log = new FileLineLog(path);
  for (let line = 0; line < 3; line++) log.append(`line ${line}`);
  await log[Symbol.asyncDispose]();
  t.equal(log.lost, 3);
  t.strictSame(await log.read(), []);
  await rm(dir);
  log.append('later');
  await log[Symbol.asyncDispose]();
  t.equal(log.lost, 3);
  t.strictSame(await log.read(), ['later']);
});

t.test('a directory in its place, and bytes that are no text', async (t) => {
  const path = place(t);
  await mkdir(path, { recursive: true });
  const log = new FileLineLog(path);
  log.append('line');
  await log[Symbol.asyncDispose]();
  t.strictSame([log.lost, await log.read()], [1, []]);
  await rm(path, { recursive: true });
  await writeFile(path, Buffer.from([0xff, 0xfe, 0x0a, 0x41, 0x0a]));
  t.equal((await found(path)).at(-1), 'A');
  t.equal((await readFile(path)).length, 5, 'reading changes nothing');
});

const lineOf = (at: number): string => `line ${at}`.padEnd(99);

const wanted = (from: number, to: number): readonly string[] =>
  Array.from({ length: to - from }, (_, index) => `line ${from + index}`);

/** Ten lines in a file. */
async function fill(path: string, from: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const lines = Array.from({ length: 10 }, (_, index) => `${lineOf(from + index)}\n`);
  await writeFile(path, lines.join(''));
}

t.test('the power goes while the files change their names: every kept line is found', async (t) => {
  const fileBytes = 1000;
  const cuts = [
    // Before the rename: the older file is still there, and so is the full one.
    { name: 'before', files: { '.1': 0, '': 10 }, from: 0, to: 20, next: 10 },
    // After it, before the first line of the next file.
    { name: 'after', files: { '.1': 10 }, from: 10, to: 20, next: 10 },
    // The first time of all.
    { name: 'first', files: { '': 10 }, from: 10, to: 20, next: 10 },
  ] as const;
  for (const { name, files, from, to, next } of cuts) {
    const path = join(t.testdir(), 'logs', name);
    for (const [ending, at] of Object.entries(files)) await fill(`${path}${ending}`, at);
    const lines = (await found(path, fileBytes)).map((line) => line.trimEnd());
    t.strictSame(lines, wanted(from, to), name);
    {
      await using log = new FileLineLog(path, fileBytes);
      log.append(lineOf(to));
    }
    const after = (await found(path, fileBytes)).map((line) => line.trimEnd());
    t.strictSame(after, wanted(next, to + 1), `${name}: goes on`);
  }
});
