/**
 * What the boot loader does at power-on with state, counter and seals in every condition. May
 * import tap, node: and the drivers under test.
 */
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { BootState } from '../../src/core/boot.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { createBoot, openBoot } from '../../src/drivers/boot-file.ts';
import {
  chooseAtPowerOn,
  chooseBoot,
  readBootFiles,
  slotFromEvidence,
  type SlotEvidence,
} from '../../src/drivers/boot-loader.ts';

const sealed = (releaseCounter: number) => ({ releaseCounter });
const NO_SEALS: SlotEvidence = { A: null, B: null };
const never = () => Promise.reject(new Error('nothing may be saved'));
const fails = () => Promise.reject(new UpdateError('boot.io', 'no'));
const ARMED: BootState = {
  seq: 3,
  default: 'A',
  trial: 'B',
  trialId: 1,
  tries: 2,
  otherOk: false,
};

t.test('both copies of the state lost: the seals decide', async (t) => {
  t.equal(slotFromEvidence(NO_SEALS), null);
  t.equal(slotFromEvidence({ A: sealed(1), B: null }), 'A');
  t.equal(slotFromEvidence({ A: null, B: sealed(1) }), 'B');
  t.equal(slotFromEvidence({ A: sealed(1), B: sealed(2) }), 'B');
  t.equal(slotFromEvidence({ A: sealed(2), B: sealed(1) }), 'A');
  t.equal(slotFromEvidence({ A: sealed(2), B: sealed(2) }), 'A', 'equal ones: A');
  const lost = { state: null, counter: { trialId: 1, used: 0 } };
  const choice = await chooseBoot(lost, { A: null, B: sealed(1) }, never);
  t.same(choice, { slot: 'B', reason: 'fallback', attempt: 0, save: null });
  t.equal(await chooseBoot(lost, NO_SEALS, never), null, 'reboot, never a prompt');
});

t.test('attempts that cannot be counted are not made', async (t) => {
  const fallback = { slot: 'A', reason: 'fallback', attempt: 0, save: null };
  const content = { state: ARMED, counter: { trialId: 0, used: 0 } };
  t.same(await chooseBoot(content, NO_SEALS, fails), fallback, 'the counter cannot be saved');
  const unread = { state: ARMED, counter: null };
  const saved: unknown[] = [];
  const save = async (counter: unknown) => void (await Promise.resolve(saved.push(counter)));
  t.same(await chooseBoot(unread, NO_SEALS, save), fallback, 'the counter cannot be read');
  t.same(saved, []);
  const committed = { state: { ...ARMED, trial: null }, counter: null };
  const choice = await chooseBoot(committed, NO_SEALS, save);
  t.same(choice, { slot: 'A', reason: 'default', attempt: 0, save: null }, 'needs no counter');
  const bug = new Error('a bug');
  await t.rejects(
    chooseBoot(content, NO_SEALS, () => Promise.reject(bug)),
    bug,
  );
});

t.test('power-ons in files: tries are counted, a committed boot writes nothing', async (t) => {
  const dir = join(t.testdir(), 'boot');
  await createBoot(dir, { default: 'A' });
  const bytes = async () => [
    await readFile(join(dir, 'state'), 'latin1'),
    await readFile(join(dir, 'counter'), 'latin1'),
  ];
  const before = await bytes();
  t.match(await chooseAtPowerOn(dir, NO_SEALS), { slot: 'A', reason: 'default' });
  t.same(await bytes(), before);
  await using chooser = await openBoot(dir);
  await chooser.arm({ id: 5, slot: 'B', tries: 2 });
  const armed = await bytes();
  t.match(await chooseAtPowerOn(dir, NO_SEALS), { slot: 'B', reason: 'trial', attempt: 1 });
  t.match(await chooseAtPowerOn(dir, NO_SEALS), { slot: 'B', reason: 'trial', attempt: 2 });
  t.match(await chooseAtPowerOn(dir, NO_SEALS), { slot: 'A', reason: 'attempts-used' });
  t.match(await chooseAtPowerOn(dir, NO_SEALS), { slot: 'A', reason: 'attempts-used' });
  t.equal((await bytes())[0], armed[0], 'the boot loader never writes the state');
  await chooser.revert(5);
  await chooser.arm({ id: 6, slot: 'B', tries: 1 });
  t.match(await chooseAtPowerOn(dir, NO_SEALS), { slot: 'B', reason: 'trial', attempt: 1 });
  await chooser.commit(6);
  t.match(await chooseAtPowerOn(dir, NO_SEALS), { slot: 'B', reason: 'default', attempt: 0 });
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
  t.same(await chooseAtPowerOn(dir, { A: sealed(1), B: null }), {
    slot: 'A',
    reason: 'fallback',
    attempt: 0,
    save: null,
  });
});
