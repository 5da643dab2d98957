/**
 * Carries out rows of the table of power-ons: on GRUB under QEMU with stub kernels, and on the pure
 * rules of core, with every byte that is written in between. Imports the machine and the rules.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Choice } from '../../scripts/supervisor/policy.ts';
import type { Slot } from '../../src/core/model.ts';
import { decodeGrubCounter } from '../../src/drivers/boot-grub-env.ts';
import { parseCommandLine } from '../../src/drivers/boot-info.ts';
import { BootDisk, LOADABLE, makeContents, type SlotContent } from './boot-disk.ts';
import { expectedOf, powerOn, stateOf, type PowerOn } from './power-on.ts';
import type { SelectCase } from './select-cases.ts';

const words = (choice: Choice | null): string =>
  choice === null ? 'reset' : `${choice.slot} ${choice.reason} ${choice.attempt}`;

/** Whether two disks differ outside of the bytes `[from, to)`. */
function differences(a: Buffer, b: Buffer, [from, to]: readonly [number, number]): boolean {
  const outside = (disk: Buffer): readonly Buffer[] => [disk.subarray(0, from), disk.subarray(to)];
  return outside(a).some((part, index) => !part.equals(outside(b)[index]!));
}

/** The kernel gets exactly the words that the daemon reads, and the system of the slot as root. */
function checkCommandLine(t: Test, { commandLine, choice }: PowerOn): void {
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

/** Runs each row as a subtest, in order. */
export async function runCases(t: Test, cases: readonly SelectCase[]): Promise<void> {
  // Some dozens of boots; each one has a time limit of its own.
  t.setTimeout(0);
  const dir = t.testdir();
  await makeContents(dir);
  const base = await BootDisk.make(join(dir, 'base.img'), dir);
  for (const row of cases) {
    await t.test(row.name, async (t) => runCase(t, base, dir, row));
  }
}

async function runCase(t: Test, base: BootDisk, dir: string, row: SelectCase): Promise<void> {
  const disk = await base.copyTo(join(dir, 'case.img'));
  const content = { A: 'good', B: 'good', ...row.slots } as Record<Slot, SlotContent>;
  for (const slot of ['A', 'B'] as const) await disk.setSlot(slot, content[slot]);
  await row.prepare(disk);
  const loads = { A: LOADABLE.includes(content.A), B: LOADABLE.includes(content.B) };
  const { counterLost = false, readOnly = false } = row;
  for (const [number, wanted] of row.boots.entries()) {
    const before = await disk.bytes();
    const state = await stateOf(disk);
    const expected = await expectedOf(disk, { loads, counterLost, readOnly });
    const found = await powerOn(disk, { readOnly });
    const after = await disk.bytes();
    t.equal(words(found.choice), wanted, `GRUB, power-on ${number + 1}`);
    t.equal(words(expected.choice), wanted, `core, power-on ${number + 1}`);
    // GRUB gauges its clock when it starts: on a busy computer its 5 s may outlast the watchdog.
    if (wanted !== 'reset') t.equal(found.end, 'guest-reset', 'the kernel came first');
    t.match(found.end, /^(guest-reset|watchdog)$/);
    checkCommandLine(t, found);
    t.notOk(differences(before, after, disk.counterSector), 'only the counter is ever written');
    const counter = await disk.counterFile();
    if (!counterLost && counter !== null) {
      t.same(decodeGrubCounter(counter), expected.counter, 'the counter');
    }
    const idle = state?.trial == null || wanted.includes('attempts-used');
    if (idle) t.ok(before.equals(after), 'nothing is written');
    if (expected.saves) t.notOk(before.equals(after), 'the attempt is written');
  }
  await rm(disk.path);
}
