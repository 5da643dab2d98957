/**
 * Appliances with images that fail on purpose: each ends in a reset of the machine, by itself or by
 * its watchdog, and never in a shell or a standstill. What the boot loader makes of the resets is
 * test/boot. `npm run test:appliance` runs it. Imports tap and the machines.
 */
import { join } from 'node:path';
import t from 'tap';
import type { ApplianceVariant } from '../../scripts/appliance/variants.ts';
import type { EndCause } from '../../scripts/vm/machine.ts';
import { switchOn, WAIT } from './machines.ts';
import { diskWith, programsFor, restOf, systemImage } from './workshop.ts';
import { shortDir } from '../drivers/short-dir.ts';

interface Fault {
  readonly variant: ApplianceVariant;
  /** What the serial line shows. */
  readonly words: RegExp;
  readonly end: EndCause;
}

const FAULTS: readonly Fault[] = [
  { variant: 'kernel-header', words: /slot A cannot be loaded/, end: 'guest-reset' },
  { variant: 'file-system', words: /slot A cannot be loaded/, end: 'guest-reset' },
  { variant: 'no-init', words: /cannot be booted: \S+ has no \/sbin\/init/, end: 'guest-reset' },
  { variant: 'init-hangs', words: /this image hangs on purpose/, end: 'watchdog' },
  { variant: 'crash', words: /ended with status 1: this image is broken/, end: 'watchdog' },
  { variant: 'panic', words: /this image panics on purpose/, end: 'guest-reset' },
  { variant: 'kernel-body', words: /slot A, default/, end: 'watchdog' },
];

t.setTimeout(0);
const dir = shortDir(t);
const programs = await programsFor();
const rest = await restOf(dir, programs);

for (const { variant, words, end } of FAULTS) {
  t.test(variant, async (t) => {
    const image = await systemImage(dir, variant, programs);
    // Short, where it has to act; long, where the service is to live for a minute.
    const watchdog = `tandem.watchdog=${variant === 'panic' ? '120' : '20'}`;
    const disk = await diskWith(join(dir, `${variant}.disks`), image, rest, [watchdog]);
    const startedMs = performance.now();
    await using machine = await switchOn(variant, dir, disk, 'end');
    await machine.serial.waitFor(words, WAIT);
    const ended = await machine.events.waitFor('END', WAIT);
    t.equal(ended.data['cause'], end);
    t.notMatch(machine.serial.text, /Kernel panic - not syncing: Attempted to kill init/);
    const seconds = (performance.now() - startedMs) / 1000;
    t.comment(`reset after ${seconds.toFixed(1)} s`);
  });
}
