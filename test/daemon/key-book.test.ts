/**
 * Idempotency keys over the end of a daemon: what is found again, how long, how many, and what a
 * torn block costs. Imports tap and the daemon.
 */
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { KEYS_MAX, type KeyEntry } from '../../src/control/repeats.ts';
import { openKeyBook } from '../../src/daemon/key-book.ts';

const fail = (line: string): void => void t.fail(line);
const entry = (key: string, changes: Partial<KeyEntry> = {}): KeyEntry => ({
  scope: 'control root',
  key,
  print: 'a'.repeat(64),
  job: null,
  answer: null,
  ...changes,
});

t.test('keys are found after a restart, answers with them; a dropped one is not', async (t) => {
  const dir = t.testdir();
  const answer = { act: 'switchover', changed: true, message: 'node B takes over' };
  {
    await using book = await openKeyBook(dir, () => 0, fail);
    await book.put(entry('k1', { job: 'update-1' }));
    await book.put(entry('k2'));
    await book.put(entry('k2', { answer }));
    await book.put(entry('k3'));
    await book.drop('control root', 'k3');
    t.equal(book.find('control anna', 'k1'), null, 'of somebody else');
  }
  const { size } = await stat(join(dir, 'keys-of-requests'));
  await using book = await openKeyBook(dir, () => 77_000, fail);
  t.strictSame(book.find('control root', 'k1'), entry('k1', { job: 'update-1' }));
  t.strictSame(book.find('control root', 'k2'), entry('k2', { answer }));
  t.equal(book.find('control root', 'k3'), null);
  t.equal((await stat(join(dir, 'keys-of-requests'))).size, size, 'the file does not grow');
});

t.test('a long answer is kept with a shorter message', async (t) => {
  const dir = t.testdir();
  {
    await using book = await openKeyBook(dir, () => 0, fail);
    const message = '\u00e4'.repeat(4000);
    await book.put(entry('k', { answer: { id: 'x', message } }));
    t.match(book.find('control root', 'k'), { answer: { message } });
  }
  await using book = await openKeyBook(dir, () => 0, fail);
  const { answer } = book.find('control root', 'k') as { answer: { id: string; message: string } };
  t.equal(answer.id, 'x');
  t.match(answer.message, /^\u00e4{100,}$/);
});

t.test('a key lives for a day of running time, whatever the number of restarts', async (t) => {
  const dir = t.testdir();
  let ms = 5_000;
  const hours = (count: number): number => (ms += count * 3_600_000);
  {
    await using book = await openKeyBook(dir, () => ms, fail);
    await book.put(entry('old'));
    hours(20);
    t.ok(book.find('control root', 'old'));
    await book.put(entry('other'));
  }
  ms = 0;
  await using book = await openKeyBook(dir, () => ms, fail);
  hours(3);
  t.ok(book.find('control root', 'old'));
  hours(2);
  t.equal(book.find('control root', 'old'), null);
  t.ok(book.find('control root', 'other'));
  await book.put(entry('old', { job: 'j2' }));
  hours(23);
  t.match(book.find('control root', 'old'), { job: 'j2' }, 'it began anew');
});

t.test('there are at most so many; the newest ones stay', async (t) => {
  const dir = t.testdir();
  const names = Array.from({ length: KEYS_MAX + 20 }, (_, index) => `k${index}`);
  const check = (book: Awaited<ReturnType<typeof openKeyBook>>): void => {
    t.equal(book.find('control root', 'k19'), null);
    t.ok(book.find('control root', 'k20'));
    t.ok(book.find('control root', names.at(-1)!));
  };
  {
    await using book = await openKeyBook(dir, () => 0, fail);
    for (const name of names) {
      await book.put(entry(name));
      await book.put(entry(name, { answer: { message: name } }));
    }
    check(book);
  }
  await using book = await openKeyBook(dir, () => 0, fail);
  check(book);
});

t.test('a torn block costs the entry that it was to bring, and no other', async (t) => {
  const dir = t.testdir();
  {
    await using book = await openKeyBook(dir, () => 0, fail);
    await book.put(entry('k1', { job: 'j' }));
    await book.put(entry('k1', { job: 'j', answer: { id: 'j' } }));
  }
  const file = await open(join(dir, 'keys-of-requests'), 'r+');
  // The second block of the ring is that of the answer.
  await file.write(Buffer.alloc(100, 0xee), 0, 100, 2 * 1024 + 100);
  await file.close();
  await using book = await openKeyBook(dir, () => 0, fail);
  t.strictSame(book.find('control root', 'k1'), entry('k1', { job: 'j' }));
});

t.test('without a file a change with a key is refused, and that is logged', async (t) => {
  const lines: string[] = [];
  await using book = await openKeyBook(
    '/proc/nowhere',
    () => 0,
    (line) => void lines.push(line),
  );
  await t.rejects(book.put(entry('k')), { code: 'state.io' });
  t.match(lines, [/keys-of-requests cannot be used/]);
});
