/**
 * The files of a kernel in a folder: command line, boot id, the key for restarts, the kernel's log
 * and a watchdog that counts how often it was fed. Imports node and the drivers under test.
 */
import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { BootInfo } from '../../src/core/boot.ts';
import type { MachineRoots } from '../../src/drivers/host-machine.ts';

/** The files of one machine. */
export interface MachineTree extends Disposable {
  readonly roots: MachineRoots;
  /** A pipe in place of the device. */
  readonly watchdog: string;
  /** What the watchdog was told since the last call. */
  fed(): string;
  /** Whether somebody has it open; what it was told must have been asked for before. */
  watched(): boolean;
  /** Keys that the kernel got. */
  keys(): Promise<string>;
  /** Lines of the kernel's log without their priorities. */
  said(): Promise<string>;
}

/** The command line that the boot loader makes for a boot. */
export function commandLine({ slot, reason, attempt }: Omit<BootInfo, 'bootId'>): string {
  const root = `root=PARTLABEL=tandem-system-${slot.toLowerCase()}`;
  const words = `tandem.slot=${slot} tandem.reason=${reason} tandem.attempt=${attempt}`;
  return `BOOT_IMAGE=(hd0,gpt4)/boot/vmlinuz ${root} ro panic=2 ${words} console=ttyS0\n`;
}

/** Makes them in `dir`. */
export async function makeMachineTree(dir: string, boot: BootInfo): Promise<MachineTree> {
  const roots = { proc: join(dir, 'proc'), sys: join(dir, 'sys'), dev: join(dir, 'dev') };
  const dog = join(roots.sys, 'class/watchdog/watchdog0');
  const files: Readonly<Record<string, string>> = {
    [join(roots.proc, 'cmdline')]: commandLine(boot),
    [join(roots.proc, 'sys/kernel/random/boot_id')]: `${boot.bootId}\n`,
    [join(roots.proc, 'sysrq-trigger')]: '',
    [join(roots.dev, 'kmsg')]: '',
    [join(dog, 'identity')]: 'i6300ESB timer\n',
    [join(dog, 'timeout')]: '30\n',
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  const watchdog = join(roots.dev, 'watchdog');
  await promisify(execFile)('mkfifo', [watchdog]);
  const reader = openSync(watchdog, constants.O_RDONLY | constants.O_NONBLOCK);
  return {
    roots,
    watchdog,
    fed: () => waiting(reader) ?? '',
    watched: () => waiting(reader) !== '',
    keys: () => readFile(join(roots.proc, 'sysrq-trigger'), 'utf8'),
    said: async () => (await readFile(join(roots.dev, 'kmsg'), 'utf8')).replaceAll(/^<2>/gm, ''),
    [Symbol.dispose]: () => closeSync(reader),
  };
}

/** What waits in the pipe; null = nothing, empty = nothing, and nobody could write more. */
function waiting(fd: number): string | null {
  try {
    const bytes = Buffer.alloc(1000);
    return bytes.toString('latin1', 0, readSync(fd, bytes));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return null;
    throw error;
  }
}
