/**
 * One power-on of a disk in an emulated machine, to the end that the stub kernel makes of it, and
 * the same power-on as the pure rules decide it. The two must agree, on everything that the boot
 * loader writes too. Imports the machine, the rules and the formats.
 */
import { join } from 'node:path';
import { Machine, type EndCause } from '../../scripts/vm/machine.ts';
import { chooseSlot, type Choice } from '../../scripts/supervisor/policy.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { BootCounter, BootReason, BootState } from '../../src/core/boot.ts';
import type { Slot } from '../../src/core/model.ts';
import {
  decodeGrubCounter,
  decodeGrubState,
  decodeSealMark,
  GRUB_COPY_OFFSETS,
  GRUB_SECTOR_BYTES,
} from '../../src/drivers/boot-grub-env.ts';
import type { BootDisk } from './boot-disk.ts';

/** What a power-on led to. */
export interface PowerOn {
  /** What was booted, as the kernel's command line says; null = nothing, and a reset. */
  readonly choice: Choice | null;
  /** The command line as the kernel got it; empty when none was started. */
  readonly commandLine: string;
  /** Everything on the serial line. */
  readonly text: string;
  readonly end: EndCause;
}

/** A boot takes half a second on an idle computer; the watchdog 40 s. */
const BOOT_TIMEOUT_MS = 60_000;
let machines = 0;

/** Switches a machine with this disk on; its kernel, or the selection, resets it in the end. */
export async function powerOn(
  disk: BootDisk,
  options: { readonly readOnly?: boolean; readonly timeoutMs?: number } = {},
): Promise<PowerOn> {
  machines += 1;
  const path = disk.path;
  const file = `driver=raw,node-name=ro0,read-only=on,file.driver=file,file.filename=${path}`;
  const device = 'virtio-blk-pci,addr=04,drive=ro0,bootindex=0';
  await using machine = await Machine.start({
    name: `boot-${String(machines)}`,
    dir: join(path, '..', `vm-${String(machines)}`),
    disk: options.readOnly === true ? null : { path, format: 'raw' },
    memoryMiB: 64,
    resets: 'end',
    ...(options.readOnly === true ? { extra: ['-blockdev', file, '-device', device] } : {}),
  });
  const timeoutMs = options.timeoutMs ?? BOOT_TIMEOUT_MS;
  await machine.events.waitFor('END', { timeoutMs });
  const end = machine.events.ends[0] ?? 'died';
  const text = machine.serial.text;
  const commandLine = /(BOOT_IMAGE=.*) KERNEL-END/.exec(text)?.[1] ?? '';
  return { choice: choiceOf(commandLine), commandLine, text, end };
}

function choiceOf(commandLine: string): Choice | null {
  if (commandLine === '') return null;
  const word = (name: string): string =>
    new RegExp(`(?:^| )tandem\\.${name}=(\\S+)`).exec(commandLine)?.[1] ?? '';
  return {
    slot: word('slot') as Slot,
    reason: word('reason') as BootReason,
    attempt: Number(word('attempt')),
  };
}

/** What the pure rules make of the same disk: the choice, and the counter afterwards. */
export interface Expected {
  readonly choice: Choice | null;
  readonly counter: BootCounter | null;
  /** Whether the counter was written at all. */
  readonly saves: boolean;
}

/**
 * Carries out the rules of core on what the disk holds. `loads` says which slots can be loaded,
 * `counterLost` that the file system around the counter is damaged, `readOnly` that no write works.
 */
export async function expectedOf(
  disk: BootDisk,
  world: {
    readonly loads: Readonly<Record<Slot, boolean>>;
    readonly counterLost?: boolean;
    readonly readOnly?: boolean;
  },
): Promise<Expected> {
  const file = world.counterLost === true ? null : await disk.counterFile();
  let saves = false;
  let counter = file === null ? null : decodeGrubCounter(file);
  const choice = await chooseSlot(
    { state: await stateOf(disk), counter },
    async () => ({
      A: decodeSealMark(await disk.mark('A')),
      B: decodeSealMark(await disk.mark('B')),
    }),
    {
      save: async (saved) => {
        if (world.readOnly === true) throw new UpdateError('boot.io', 'nothing can be written');
        saves = true;
        counter = await Promise.resolve(saved);
      },
      load: async (slot) => Promise.resolve(world.loads[slot]),
      log: () => undefined,
    },
  );
  return { choice, counter, saves };
}

/** The state that counts, as the system reads it. */
export async function stateOf(disk: BootDisk): Promise<BootState | null> {
  const [first, second] = await Promise.all(
    GRUB_COPY_OFFSETS.map(async (at) =>
      decodeGrubState(await disk.read('tandem-state', at, GRUB_SECTOR_BYTES)),
    ),
  );
  if (first == null) return second ?? null;
  return second != null && second.seq > first.seq ? second : first;
}
