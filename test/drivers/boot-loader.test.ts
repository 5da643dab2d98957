/**
 * The files of the boot chooser as a boot loader reads and writes them at power-on, with the rule
 * by which the supervisor chooses. May import tap, node:, the drivers under test and that rule.
 */
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { chooseSlot, type Choice } from '../../scripts/supervisor/policy.ts';
import type { CommitMarks } from '../../src/core/boot.ts';
import { createBoot, openBoot } from '../../src/drivers/boot-file.ts';
import { readBootFiles, saveCounter } from '../../src/drivers/boot-loader.ts';

/** A power-on with these files, on an appliance whose slots all load. */
async function powerOn(dir: string, marks?: CommitMarks): Promise<Choice | null> {
  const seals = async (): Promise<CommitMarks> => {
    if (marks === undefined) throw new Error('the seals are not asked');
    return Promise.resolve(marks);
  };
  return chooseSlot(await readBootFiles(dir), seals, {
    save: async (counter) => saveCounter(dir, counter),
    load: async () => Promise.resolve(true),
    log: () => undefined,
  });
}

t.test('power-ons in files: tries are counted, a committed boot writes nothing', async (t) => {
  const dir = join(t.testdir(), 'boot');
  await createBoot(dir, { default: 'A' });
  const bytes = async () => [
    await readFile(join(dir, 'state'), 'latin1'),
    await readFile(join(dir, 'counter'), 'latin1'),
  ];
  const before = await bytes();
  t.match(await powerOn(dir), { slot: 'A', reason: 'default' });
  t.same(await bytes(), before);
  await using chooser = await openBoot(dir);
  await chooser.arm({ id: 5, slot: 'B', tries: 2 });
  const armed = await bytes();
  t.match(await powerOn(dir), { slot: 'B', reason: 'trial', attempt: 1 });
  t.match(await powerOn(dir), { slot: 'B', reason: 'trial', attempt: 2 });
  t.match(await powerOn(dir), { slot: 'A', reason: 'attempts-used' });
  t.match(await powerOn(dir), { slot: 'A', reason: 'attempts-used' });
  t.equal((await bytes())[0], armed[0], 'the boot loader never writes the state');
  await chooser.revert(5);
  await chooser.arm({ id: 6, slot: 'B', tries: 1 });
  t.match(await powerOn(dir), { slot: 'B', reason: 'trial', attempt: 1 });
  await chooser.commit(6);
  t.match(await powerOn(dir), { slot: 'B', reason: 'default', attempt: 0 });
});

t.test('a counter that cannot be saved or read: the default slot boots', async (t) => {
  const dir = join(t.testdir(), 'boot');
  await createBoot(dir, { default: 'A' });
  await using chooser = await openBoot(dir);
  await chooser.arm({ id: 1, slot: 'B', tries: 2 });
  const fallback = { slot: 'A', reason: 'fallback', attempt: 0 };
  await rm(join(dir, 'counter'));
  t.same(await powerOn(dir), fallback);
  await chooser.revert(1);
  t.same(await powerOn(dir), { slot: 'A', reason: 'default', attempt: 0 }, 'needs no counter');
});

t.test('every bit of the counter: a damaged one is none', async (t) => {
  const dir = join(t.testdir(), 'boot');
  await createBoot(dir, { default: 'A' });
  const path = join(dir, 'counter');
  const good = await readFile(path);
  const length = good.findLastIndex((byte) => byte !== 0) + 1;
  for (let offset = 0; offset < length; offset += 1) {
    const bad = Buffer.from(good);
    bad[offset]! ^= 1 << (offset % 8);
    await writeFile(path, bad);
    t.equal((await readBootFiles(dir)).counter, null, `byte ${offset}`);
  }
});

t.test('files that are missing or of the wrong kind count as lost', async (t) => {
  const dir = t.testdir({ counter: 'short' });
  t.same(await readBootFiles(dir), { state: null, counter: null });
  await rm(join(dir, 'counter'));
  await chmod(dir, 0o700);
  const choice = await powerOn(dir, { A: null, B: 4 });
  t.same(choice, { slot: 'B', reason: 'fallback', attempt: 0 });
  t.equal(await powerOn(dir, { A: null, B: null }), null, 'reboot, never a prompt');
});
