/**
 * What a node keeps of a prepared update, in real files: read back as it was, never guessed where
 * it is damaged, and left alone where a later program wrote it. May import tap, core and the
 * daemon's room.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { asUpdateError } from '../../src/core/errors.ts';
import type { Sha256 } from '../../src/core/model.ts';
import { openPrepareDisk, planText } from '../../src/daemon/prepare-disk.ts';
import { columnAt, PLAN, preparationOf } from '../core/prepare-cases.ts';

const failure = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (cause: unknown) => asUpdateError(cause).code,
  );

t.test('the record of both nodes, over the end of a daemon', async (t) => {
  const dir = t.testdir();
  const log: string[] = [];
  const open = () => openPrepareDisk(dir, (line) => void log.push(line));
  const disk = await open();
  t.equal(disk.found, null);
  const kept = preparationOf({}, { B: columnAt('replicate', 'failed') });
  await disk.write(preparationOf());
  await disk.write(kept);
  t.strictSame((await open()).found, kept);
  t.strictSame(log, []);
  const path = join(dir, 'prepare', 'preparation.json');
  for (const text of [
    '',
    '{',
    '[]',
    JSON.stringify({ ...kept, order: null }),
    'x'.repeat(300_000),
  ]) {
    await writeFile(path, text);
    const damaged = await open();
    t.equal(damaged.found, null, text.slice(0, 20));
    await damaged.write(kept);
  }
  t.equal(log.length, 5, 'each is told');
  await writeFile(path, JSON.stringify({ ...kept, v: 2 }));
  const later = await open();
  t.equal(later.found, null);
  t.equal(await failure(later.write(kept)), 'state.newer_schema');
  t.match(JSON.parse(await readFile(path, 'utf8')), { v: 2 }, 'a later one is left alone');
});

t.test('the plan: the very bytes, or it is lost', async (t) => {
  const dir = t.testdir();
  const disk = await openPrepareDisk(dir, () => {});
  const { digest, text } = planText(PLAN);
  t.equal(await failure(disk.readPlan(digest)), 'prepare.plan_lost');
  await disk.writePlan(PLAN, digest);
  t.strictSame(await disk.readPlan(digest), PLAN);
  t.equal(await failure(disk.readPlan('a'.repeat(64) as Sha256)), 'prepare.plan_lost');
  t.equal(await failure(disk.writePlan(PLAN, 'a'.repeat(64) as Sha256)), 'prepare.plan_lost');
  const path = join(dir, 'prepare', 'plan.json');
  t.equal(await readFile(path, 'utf8'), text);
  await writeFile(path, text.replace('"bytes": 1000', '"bytes": 1001'));
  t.equal(await failure(disk.readPlan(digest)), 'prepare.plan_lost');
  await rm(path);
  await mkdir(path);
  t.equal(await failure(disk.readPlan(digest)), 'prepare.plan_lost');
  t.equal(await failure(disk.writePlan(PLAN, digest)), 'state.io');
});
