/**
 * The boot selection, run by GRUB under QEMU with stub kernels: every row of the table against the
 * pure rules of core, with the bytes that were written; the driver's changes between boots; and a
 * kernel that hangs. `npm run test:boot` runs it. Imports tap, the table and the machine.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Choice } from '../../scripts/supervisor/policy.ts';
import { parseCommandLine } from '../../src/drivers/boot-info.ts';
import { decodeGrubCounter } from '../../src/drivers/boot-grub-env.ts';
import type { Slot } from '../../src/core/model.ts';
import { BootDisk, LOADABLE, makeContents, type SlotContent } from './boot-disk.ts';
import { expectedOf, powerOn, type PowerOn } from './power-on.ts';
import { CASES } from './select-cases.ts';

// Some hundred boots; each one has a time limit of its own.
t.setTimeout(0);
const dir = t.testdir();
await makeContents(dir);
const base = await BootDisk.make(join(dir, 'base.img'), dir);

const words = (choice: Choice | null): string =>
  choice === null ? 'reset' : `${choice.slot} ${choice.reason} ${choice.attempt}`;

/** Offsets at which two disks differ, outside of `[from, to)`. */
function differences(a: Buffer, b: Buffer, [from, to]: readonly [number, number]): boolean {
  const outside = (disk: Buffer): readonly Buffer[] => [disk.subarray(0, from), disk.subarray(to)];
  return outside(a).some((part, index) => !part.equals(outside(b)[index]!));
}

/** The kernel gets exactly the words that the daemon reads, and the system of the slot as root. */
function checkCommandLine(t: import('tap').Test, { commandLine, choice }: PowerOn): void {
  if (choice === null) return;
  const { slot, reason, attempt } = choice;
  const [number, letter] = slot === 'A' ? ['4', 'a'] : ['5', 'b'];
  t.equal(
    commandLine,
    `BOOT_IMAGE=(hd0,gpt${number})/boot/vmlinuz root=PARTLABEL=tandem-system-${letter} ro ` +
      `panic=2 oops=panic tandem.slot=${slot} tandem.reason=${reason} ` +
      `tandem.attempt=${attempt} console=ttyS0 quiet`,
  );
  t.same(parseCommandLine(commandLine), choice);
}

for (const [index, row] of CASES.entries()) {
  t.test(row.name, async (t) => {
    const disk = await base.copyTo(join(dir, `case-${index}.img`));
    const content = { A: 'good', B: 'good', ...row.slots } as Record<Slot, SlotContent>;
    for (const slot of ['A', 'B'] as const) await disk.setSlot(slot, content[slot]);
    await row.prepare(disk);
    const loads = { A: LOADABLE.includes(content.A), B: LOADABLE.includes(content.B) };
    const { counterLost = false, readOnly = false } = row;
    for (const [number, wanted] of row.boots.entries()) {
      const before = await disk.bytes();
      const expected = await expectedOf(disk, { loads, counterLost, readOnly });
      const found = await powerOn(disk, { readOnly });
      const after = await disk.bytes();
      t.equal(words(found.choice), wanted, `GRUB, power-on ${number + 1}`);
      t.equal(words(expected.choice), wanted, `core, power-on ${number + 1}`);
      t.equal(found.end, 'guest-reset');
      checkCommandLine(t, found);
      t.notOk(differences(before, after, disk.counterSector), 'only the counter is ever written');
      const counter = await disk.counterFile();
      if (!counterLost && counter !== null) t.same(decodeGrubCounter(counter), expected.counter);
      t.equal(before.equals(after), !expected.saves, 'nothing is written without a trial');
    }
    await rm(disk.path);
  });
}
