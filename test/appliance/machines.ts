/**
 * Machines that boot an appliance's disk in software emulation, and a person's work at their serial
 * line. Always holds: waits are generous, since the machine that tests is slow and shared; seconds
 * are reported and never judged. Imports the scripts and node.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeInitramfs } from '../../scripts/appliance/initramfs.ts';
import type { Material } from '../../scripts/appliance/material.ts';
import { Machine } from '../../scripts/vm/machine.ts';
import { processorSeconds } from '../../scripts/vm/processor.ts';

import { KERNEL_ARGUMENTS } from './workshop.ts';

export { processorSeconds } from '../../scripts/vm/processor.ts';

/** Limit of one wait, some ten times what an idle machine takes. */
export const WAIT = { timeoutMs: 180_000 };
/** Switches on a machine with this disk; it stays off after a reset when `resets` says so. */
export async function switchOn(
  name: string,
  dir: string,
  disk: string,
  resets: 'respawn' | 'end' = 'respawn',
): Promise<Machine> {
  const cable = { local: join(dir, `${name}.here`), remote: join(dir, `${name}.there`) };
  return Machine.start({
    name,
    dir: join(dir, name),
    disk: { path: disk, format: 'raw' },
    resets,
    nics: [{ kind: 'link', name: 'pair', mac: '52:54:00:00:00:0a', ...cable }],
  });
}

/**
 * The measure for all other times: processor seconds until the kernel and the initramfs are up, on
 * a machine that is told no slot. It must end in a reset.
 */
export async function control(dir: string, material: Material): Promise<number> {
  const initrd = join(dir, 'initrd');
  await writeFile(initrd, await makeInitramfs(material));
  const append = [...KERNEL_ARGUMENTS, 'panic=2'].join(' ');
  await using machine = await Machine.start({
    name: 'control',
    dir: join(dir, 'control'),
    disk: null,
    kernel: { image: material.kernel, initrd, append },
    resets: 'end',
  });
  await machine.serial.waitFor(/this slot cannot be booted: .* names no root=/, WAIT);
  const seconds = processorSeconds(machine);
  await machine.events.waitFor('END', { ...WAIT, fits: isReset });
  return seconds;
}

/** True for the end of a boot that the guest asked for. */
export function isReset(event: { readonly data: Readonly<Record<string, unknown>> }): boolean {
  return event.data['cause'] === 'guest-reset';
}

/** A shell of root on a machine's serial line. */
export class RootShell {
  readonly #machine: Machine;
  #commands = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Waits for the prompt of a boot; makes the line fit for `run`: no word of the kernel there. */
  async open(): Promise<void> {
    await this.#machine.serial.waitFor(/root@node-a:\S*# /, WAIT);
    await this.run('stty -echo; PS1=; dmesg -n 1');
  }

  /** What a command prints, both outputs; throws when its exit status is another one. */
  async run(command: string, wanted = 0): Promise<string> {
    const { serial } = this.#machine;
    const word = `end-${String((this.#commands += 1))}`;
    // The word is in two pieces in what is typed, so that an echo is not taken for the answer.
    await serial.write(`{ ${command}; } 2>&1; echo "${word.slice(0, 3)}""${word.slice(3)}=$?="\n`);
    const pattern = new RegExp(`([^]*?)${word}=(\\d+)=\r?\n`);
    const [, output = '', status = ''] = await serial.waitFor(pattern, WAIT);
    if (Number(status) === wanted) return output.replaceAll('\r', '');
    throw new Error(`"${command}" ended with ${status}, expected ${String(wanted)}: ${output}`);
  }
}
