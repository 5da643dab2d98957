/**
 * Processor time of emulated machines over their boots, the one measure that a busy computer does
 * not change, and the boot that all others are compared with. Always holds: what a process used in
 * its last moments before its end may be missing, never more than one look's worth. Imports the
 * machine and the maker of the initramfs.
 */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeInitramfs } from '../appliance/initramfs.ts';
import { prepareMaterial } from '../appliance/material.ts';
import { BUILD_DIR } from '../build.ts';
import { Machine } from '../vm/machine.ts';

/** Clock ticks of the kernel in a second: proc(5), `utime`. */
const TICKS_PER_S = 100;
const LOOK_MS = 250;
const CONTROL_MS = 180_000;

/** Seconds of processor time that a process has used; null when it is gone. */
export function processorSeconds(pid: number | null): number | null {
  if (pid === null) return null;
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
  } catch {
    return null;
  }
}

/** Counts what machines use from its start to `stop`. */
export class Meter {
  readonly #machines: readonly Machine[];
  readonly #first = new Map<number, number>();
  readonly #last = new Map<number, number>();
  readonly #timer: NodeJS.Timeout;

  constructor(machines: readonly Machine[]) {
    this.#machines = machines;
    this.#look(true);
    this.#timer = setInterval(() => this.#look(false), LOOK_MS);
  }

  /** Ends the count; seconds of all machines together. */
  stop(): number {
    clearInterval(this.#timer);
    this.#look(false);
    let seconds = 0;
    for (const [pid, last] of this.#last) seconds += last - (this.#first.get(pid) ?? 0);
    return seconds;
  }

  #look(isFirst: boolean): void {
    for (const { pid } of this.#machines) {
      const seconds = processorSeconds(pid);
      if (pid === null || seconds === null) continue;
      if (isFirst) this.#first.set(pid, seconds);
      this.#last.set(pid, seconds);
    }
  }
}

/**
 * Processor seconds of the control: a boot of the appliance's kernel and initramfs alone, past boot
 * loader and disk, which ends in a reset because it is told no slot.
 */
export async function controlSeconds(dir: string): Promise<number> {
  const material = await prepareMaterial(BUILD_DIR, () => undefined);
  const initrd = join(dir, 'control.initrd');
  await writeFile(initrd, await makeInitramfs(material));
  const append = 'console=ttyS0,115200 quiet nokaslr panic=2';
  await using machine = await Machine.start({
    name: 'control',
    dir: join(dir, 'control'),
    disk: null,
    kernel: { image: material.kernel, initrd, append },
    resets: 'end',
  });
  await machine.serial.waitFor(/this slot cannot be booted/, { timeoutMs: CONTROL_MS });
  return processorSeconds(machine.pid) ?? 0;
}
