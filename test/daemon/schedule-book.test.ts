/**
 * The book of scheduled updates on disk: what is written is read again, a damaged file is put aside
 * and said so. Imports the daemon.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { FileScheduleBook } from '../../src/daemon/schedule-book.ts';
import { newSchedule } from '../../src/daemon/schedule-rules.ts';

const NOW = Date.parse('2026-11-20T12:00Z');
const RULES = { zone: 'UTC', windows: [], deferrals: 3, choicesMin: [60] };
const MADE = { id: 's1', node: 'A', nowMs: NOW, by: 'anna', version: '2.0.0' } as const;

t.test('what is written is there after a restart', async (t) => {
  const dir = t.testdir();
  const log: string[] = [];
  const book = await FileScheduleBook.open(dir, (line) => log.push(line));
  t.strictSame(book.content, { schedules: [], seenMs: 0 });
  const request = { source: { path: '/u.bin' }, every: 'Sun 02:00', inform: 0 };
  const content = { schedules: [newSchedule(request, RULES, MADE)], seenMs: NOW };
  await book.write(content);
  const again = await FileScheduleBook.open(dir, (line) => log.push(line));
  t.strictSame(again.content, content);
  t.equal(again.content.schedules[0]?.dueAt, '2026-11-22T02:00:00.000Z');
  t.strictSame(log, []);
});

t.test('a file that is damaged, of another version or too long', async (t) => {
  for (const text of ['{"v":1,"sche', '{"v":2,"schedules":[]}', 'null', ' '.repeat(300_000)]) {
    const dir = t.testdir({ 'schedules.json': text });
    const log: string[] = [];
    const book = await FileScheduleBook.open(dir, (line) => log.push(line));
    t.strictSame(book.content, { schedules: [], seenMs: 0 });
    t.match(log, [/schedules\.json cannot be read, so no update is scheduled on this node: /]);
    t.equal(readFileSync(join(dir, 'schedules.json.damaged'), 'utf8'), text, 'kept for a look');
    await book.write({ schedules: [], seenMs: NOW });
    t.ok(existsSync(join(dir, 'schedules.json')));
  }
});

t.test('one entry that is not understood costs itself alone', async (t) => {
  const good = newSchedule({ source: { path: '/u.bin' } }, RULES, MADE);
  const dir = t.testdir();
  const value = { v: 1, schedules: [{ id: 'x' }, good], seenMs: 'soon' };
  writeFileSync(join(dir, 'schedules.json'), JSON.stringify(value));
  const book = await FileScheduleBook.open(dir, () => undefined);
  t.strictSame(book.content, { schedules: [good], seenMs: 0 });
});
