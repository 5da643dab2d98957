/**
 * Many power-ons of a committed appliance, and power cuts while it boots: always the same slot, and
 * not one byte of the disk is written. `npm run test:boot:cycles` runs it, `CYCLES` says how often
 * (1,000 by default). Imports tap, the machine and the disk under test.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { Machine } from '../../scripts/vm/machine.ts';
import { firstBootState } from '../../src/core/boot-change.ts';
import { BootDisk, makeContents } from './boot-disk.ts';
import { powerOn } from './power-on.ts';
import { setState } from './select-cases.ts';
import { shortDir } from '../drivers/short-dir.ts';

t.setTimeout(0);
const CYCLES = Number(process.env['CYCLES'] ?? 1000);
/** One power-on in so many is cut short. */
const CUT_EVERY = 10;
const dir = shortDir(t);
await makeContents(dir);

/** Cuts the power somewhere in the BIOS, in GRUB or in the kernel; where is not said. */
async function cutShort(disk: BootDisk, cycle: number): Promise<void> {
  const machine = { name: 'cut', dir: join(dir, 'cut'), memoryMiB: 64, resets: 'end' } as const;
  await using running = await Machine.start({
    ...machine,
    disk: { path: disk.path, format: 'raw' },
  });
  await sleep((cycle * 37) % 600);
  await running.cutPower();
}

t.test(`${CYCLES} power cycles of a committed appliance`, async (t) => {
  const disk = await BootDisk.make(join(dir, 'cycles.img'), dir);
  const state = { ...firstBootState('B', true, 12), tries: 2 };
  await setState(disk, { ...state, seq: 31 }, { ...state, seq: 30 });
  await disk.setCounter({ trialId: 12, used: 1 });
  const before = await disk.bytes();
  const found = new Map<string, number>();
  for (let cycle = 1; cycle <= CYCLES; cycle += 1) {
    if (cycle % CUT_EVERY === 0) await cutShort(disk, cycle);
    const { choice } = await powerOn(disk);
    const words = JSON.stringify(choice);
    found.set(words, (found.get(words) ?? 0) + 1);
    if (cycle % 100 === 0) {
      t.ok(before.equals(await disk.bytes()), `nothing is written in ${cycle} cycles`);
    }
  }
  const only = { slot: 'B', reason: 'default', attempt: 0 };
  t.strictSame([...found], [[JSON.stringify(only), CYCLES]]);
  t.ok(before.equals(await disk.bytes()), 'nothing is written');
});
