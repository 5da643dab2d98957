/**
 * A supervisor as a process whose appliance loses both copies of its boot state in every phase of a
 * trial: what was not committed is never booted, and without any commit nothing is.
 */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Slot } from '../../src/core/model.ts';
import { openBoot, recreateBoot, type FileBootChooser } from '../../src/drivers/boot-file.ts';
import { BOOT_STATE_BYTES, readBootFiles } from '../../src/drivers/boot-loader.ts';
import { openSlots } from '../../src/drivers/slots-file.ts';
import { sealOf } from '../contracts/slots.ts';
import { ask, boots, layOut, start, type Seen } from './stand-in.ts';

t.test('a lost boot state never boots what was not committed', async (t) => {
  const dir = await layOut(t, { working: ['A', 'B'] });
  const bootDir = join(dir, 'boot');
  const slots = await openSlots(join(dir, 'slots'));
  const mark = async (slot: Slot, committed: number | null): Promise<void> =>
    slots.seal('system', slot, { ...sealOf('1.0.0'), committed });
  const one = await start(t, dir, '--off');
  let count = 0;
  const reset = async (): Promise<Seen> => {
    await ask(dir, 'reset');
    count += 1;
    return (await boots(dir, count))[count - 1]!;
  };
  /** Loses the state, boots, and makes it again as the daemon does. */
  const lose = async (known: number): Promise<string> => {
    await writeFile(join(bootDir, 'state'), randomBytes(BOOT_STATE_BYTES));
    const { slot, reason } = await reset();
    t.equal(await recreateBoot(bootDir, { slot, trialId: known }), true);
    t.match((await readBootFiles(bootDir)).state, { default: slot, trial: null, trialId: known });
    return `${slot} ${reason}`;
  };
  const change = async (work: (chooser: FileBootChooser) => Promise<void>): Promise<void> => {
    await using chooser = await openBoot(bootDir);
    await work(chooser);
  };
  await mark('A', 0);
  await mark('B', null);
  t.equal(await lose(0), 'A fallback', 'before a trial is armed');
  await change((chooser) => chooser.arm({ id: 1, slot: 'B', tries: 2 }));
  t.equal(await lose(1), 'A fallback', 'armed');
  await change((chooser) => chooser.arm({ id: 2, slot: 'B', tries: 2 }));
  t.match(await reset(), { slot: 'B', reason: 'trial' });
  t.equal(await lose(2), 'A fallback', 'while the trial runs');
  await change((chooser) => chooser.arm({ id: 3, slot: 'B', tries: 2 }));
  t.match(await reset(), { slot: 'B', reason: 'trial' });
  await change((chooser) => chooser.commit(3));
  await mark('B', 3);
  t.equal(await lose(3), 'B fallback', 'committed');
  await change((chooser) => chooser.arm({ id: 4, slot: 'A', tries: 2 }));
  t.match(await reset(), { slot: 'A', reason: 'trial' });
  await change((chooser) => chooser.revert(4));
  t.equal(await lose(4), 'B fallback', 'reverted');
  await writeFile(join(dir, 'slots/system-B.img.seal'), randomBytes(BOOT_STATE_BYTES));
  t.equal(await lose(4), 'A fallback', 'the newer seal is damaged, too');
  await slots.invalidate('system', 'A');
  await mark('B', null);
  await writeFile(join(bootDir, 'state'), randomBytes(BOOT_STATE_BYTES));
  await ask(dir, 'reset');
  const log = async (): Promise<string> => readFile(join(dir, 'boot.log'), 'utf8');
  while (!(await log()).includes('no slot was ever committed')) await sleep(20);
  t.match(await ask(dir, 'status'), { power: 'on', boot: null, pid: null });
  one.child.kill('SIGTERM');
  await one.ended;
});
