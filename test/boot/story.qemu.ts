/**
 * The boot chooser over many boots, as an appliance lives: GRUB under QEMU counts and chooses, the
 * real driver arms, commits and reverts in between; and a kernel that hangs becomes a counted
 * attempt, because GRUB has armed the watchdog. `npm run test:boot` runs it. Imports tap and the
 * disk under test.
 */
import { join } from 'node:path';
import t from 'tap';
import type { GrubBootChooser } from '../../src/drivers/boot-grub.ts';
import { decodeGrubCounter } from '../../src/drivers/boot-grub-env.ts';
import { BootDisk, makeContents } from './boot-disk.ts';
import { powerOn } from './power-on.ts';
import { shortDir } from '../drivers/short-dir.ts';

// Each boot has a time limit of its own.
t.setTimeout(0);
const dir = shortDir(t);
await makeContents(dir);

/** Watchdog of 40 s, on a computer that is busy. */
const WATCHDOG_TIMEOUT_MS = 300_000;

async function boots(disk: BootDisk): Promise<string> {
  const { choice } = await powerOn(disk, { timeoutMs: WATCHDOG_TIMEOUT_MS });
  return choice === null ? 'reset' : `${choice.slot} ${choice.reason} ${choice.attempt}`;
}

t.test('the life of an appliance', async (t) => {
  const disk = await BootDisk.make(join(dir, 'life.img'), dir);
  const steps: readonly (string | ((chooser: GrubBootChooser) => Promise<void>))[] = [
    'A default 0',
    (chooser) => chooser.arm({ id: 1, slot: 'B', tries: 2 }),
    'B trial 1',
    (chooser) => chooser.commit(1),
    'B default 0',
    (chooser) => chooser.arm({ id: 9, slot: 'A', tries: 2 }),
    'A trial 1',
    'A trial 2',
    'B attempts-used 0',
    (chooser) => chooser.revert(9),
    'B default 0',
    // The number has a digit more than the one in the counter.
    (chooser) => chooser.arm({ id: 10, slot: 'A', tries: 2 }),
    'A trial 1',
    'A trial 2',
    (chooser) => chooser.commit(10),
    'A default 0',
    (chooser) => chooser.arm({ id: 123_456_789, slot: 'B', tries: 1 }),
    'B trial 1',
    'A attempts-used 0',
    (chooser) => chooser.revert(123_456_789),
    (chooser) => chooser.setOtherOk(true),
    'A default 0',
  ];
  for (const [index, step] of steps.entries()) {
    if (typeof step === 'string') t.equal(await boots(disk), step, `step ${index + 1}`);
    else await disk.system(step);
  }
  const counter = await disk.counterFile();
  t.same(counter && decodeGrubCounter(counter), { trialId: 123_456_789, used: 1 });
});

t.test(
  'a counter that is lost is made again before a trial, and GRUB can count in it',
  async (t) => {
    const disk = await BootDisk.make(join(dir, 'counter.img'), dir);
    await disk.removeCounter();
    t.equal(await disk.counterFile(), null);
    t.equal(await boots(disk), 'A default 0');
    await disk.system((chooser) => chooser.arm({ id: 1, slot: 'B', tries: 2 }));
    t.equal(await boots(disk), 'B trial 1');
    await disk.removeCounter();
    t.equal(await boots(disk), 'A fallback 0', 'without a counter no attempt is made');
  },
);

t.test(
  'both copies of the state are lost: the seals decide, and the system mends it',
  async (t) => {
    const disk = await BootDisk.make(join(dir, 'lost.img'), dir);
    await disk.setMarks({ A: 0, B: 4 });
    await disk.write('tandem-state', 0, Buffer.alloc(8192));
    t.equal(await boots(disk), 'B fallback 0');
    await disk.system(async (chooser) => {
      t.equal(await chooser.recreate({ slot: 'B', trialId: 4 }), true);
    });
    t.equal(await boots(disk), 'B default 0');
    await disk.system((chooser) => chooser.arm({ id: 5, slot: 'A', tries: 1 }));
    t.equal(await boots(disk), 'A trial 1');
    t.equal(await boots(disk), 'B attempts-used 0');
  },
);

t.test('a kernel that hangs: the watchdog that GRUB armed makes an attempt of it', async (t) => {
  const disk = await BootDisk.make(join(dir, 'hang.img'), dir);
  await disk.setSlot('B', 'hang');
  await disk.system((chooser) => chooser.arm({ id: 1, slot: 'B', tries: 1 }));
  const hung = await powerOn(disk, { timeoutMs: WATCHDOG_TIMEOUT_MS });
  t.same(hung.choice, { slot: 'B', reason: 'trial', attempt: 1 });
  t.equal(hung.end, 'watchdog');
  t.equal(await boots(disk), 'A attempts-used 0');
});
