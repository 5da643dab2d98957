/**
 * Slots as partitions of a disk: the image from the first byte on, the seal in the last block
 * (seal-block.ts). Always holds: a device is what its label in the GPT says, looked at anew each
 * time it is opened; one that is mounted, or that this boot runs from, is never unsealed or sealed
 * anew, only the mark of a commit is written into it; each change is one write of one block past
 * the page cache, durable and read back before it counts. Imports core, ports, node and the drivers
 * of devices.
 */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { UpdateError } from '../core/errors.ts';
import { SLOT_CLASSES, type Slot, type SlotClass, type SlotSeal } from '../core/model.ts';
import type { SlotInfo, Slots } from '../ports.ts';
import { checkDevice, DEVICE_ROOTS, findPartitions, type DeviceRoots } from './block-device.ts';
import { allocateSlab, BLOCK_BYTES } from './block-file.ts';
import { isErrno } from './fs-atomic.ts';
import { decodeSealBlock, encodeSealBlock, SEAL_BLOCK_BYTES } from './seal-block.ts';

/** A slot's device node, and the label that it must carry; null = a device without partitions. */
export interface SlotDevice {
  readonly path: string;
  readonly label: string | null;
}

/** The devices of all slots. */
export type SlotDevices = Readonly<Record<SlotClass, Readonly<Record<Slot, SlotDevice>>>>;

/** What else is known of the machine. */
export interface BlockSlotsOptions {
  /** The system slot that this boot runs from; null = none of them, as in a factory. */
  readonly booted: Slot | null;
  /** For tests. */
  readonly roots?: DeviceRoots;
}

/** Label of the partition that holds a slot: `tandem-system-a`. */
export function slotLabel(cls: SlotClass, slot: Slot): string {
  return `tandem-${cls}-${slot.toLowerCase()}`;
}

/**
 * The partitions with the labels of the slots, on `disk` or, when that is null, on the one disk
 * that has them. Throws `slot.io` when one is missing, when two carry one label, and when they are
 * on different disks.
 */
export async function findSlotDevices(
  disk: string | null,
  roots: DeviceRoots = DEVICE_ROOTS,
): Promise<SlotDevices> {
  const places = SLOT_CLASSES.flatMap((cls) => [slotLabel(cls, 'A'), slotLabel(cls, 'B')]);
  const found = await findPartitions(places, disk, roots);
  const disks = [...new Set(found.map((one) => one.disk))];
  if (disks.length > 1) {
    const message = `the slots are spread over the disks ${disks.join(', ')}, expected one`;
    throw new UpdateError('slot.io', message, { detail: { disks } });
  }
  const at = (cls: SlotClass, slot: Slot): SlotDevice => {
    const label = slotLabel(cls, slot);
    const one = found.find((partition) => partition.label === label);
    if (one === undefined) throw new UpdateError('internal.bug', `${label} was not looked for`);
    return { path: one.path, label };
  };
  return {
    system: { A: at('system', 'A'), B: at('system', 'B') },
    storage: { A: at('storage', 'A'), B: at('storage', 'B') },
  };
}

/**
 * The slots on these devices. Their sizes are asked for once, here. Throws `slot.io` when a device
 * is not there or is not what it has to be, is no whole number of blocks, or when the two slots of
 * a class differ in size: what fits into one of them has to fit into the other.
 */
export async function openBlockSlots(
  devices: SlotDevices,
  options: BlockSlotsOptions,
): Promise<Slots> {
  const roots = options.roots ?? DEVICE_ROOTS;
  const sizes = { system: 0, storage: 0 };
  for (const cls of SLOT_CLASSES) {
    const { A, B } = devices[cls];
    const [a, b] = [await sizeOf(A, roots), await sizeOf(B, roots)];
    if (a !== b) {
      const message = `${A.path} has ${a} bytes and ${B.path} ${b}, expected equal ${cls} slots`;
      throw new UpdateError('slot.io', message);
    }
    sizes[cls] = a;
  }
  return new BlockSlots(devices, sizes, { ...options, roots });
}

class BlockSlots implements Slots {
  readonly #devices: SlotDevices;
  /** Of the whole device. */
  readonly #sizes: Readonly<Record<SlotClass, number>>;
  readonly #options: Required<BlockSlotsOptions>;
  /** Direct I/O needs aligned memory; the queue keeps its users apart. */
  readonly #slab = allocateSlab(BLOCK_BYTES).subarray(0, BLOCK_BYTES);
  #queue: Promise<unknown> = Promise.resolve();

  constructor(
    devices: SlotDevices,
    sizes: Readonly<Record<SlotClass, number>>,
    options: Required<BlockSlotsOptions>,
  ) {
    this.#devices = devices;
    this.#sizes = sizes;
    this.#options = options;
  }

  async info(cls: SlotClass, slot: Slot): Promise<SlotInfo> {
    const { sizeBytes } = this.device(cls, slot);
    const block = await this.#with(cls, slot, constants.O_RDONLY, (file) => this.#read(file));
    return { class: cls, slot, sizeBytes, seal: decodeSealBlock(block, cls, slot) };
  }

  async invalidate(cls: SlotClass, slot: Slot): Promise<void> {
    this.#refuseBooted(cls, slot, 'unsealed');
    await this.#write(cls, slot, null, constants.O_EXCL);
  }

  async seal(cls: SlotClass, slot: Slot, seal: SlotSeal): Promise<void> {
    const booted = cls === 'system' && slot === this.#options.booted;
    if (booted) {
      const before = (await this.info(cls, slot)).seal;
      const same = before !== null && sameContent(before, seal);
      if (!same) this.#refuseBooted(cls, slot, 'sealed anew');
    }
    // The file system that runs is mounted from the slot whose commit is marked. Of a block device
    // O_EXCL asks whether it is mounted or held (open(2)); Linux ignores it for other files.
    await this.#write(cls, slot, seal, booted ? 0 : constants.O_EXCL);
  }

  device(cls: SlotClass, slot: Slot): { readonly path: string; readonly sizeBytes: number } {
    const { path } = this.#devices[cls][slot];
    return { path, sizeBytes: this.#sizes[cls] - SEAL_BLOCK_BYTES };
  }

  #refuseBooted(cls: SlotClass, slot: Slot, done: string): void {
    if (cls !== 'system' || slot !== this.#options.booted) return;
    const message = `system slot ${slot} is booted and is not ${done}`;
    throw new UpdateError('boot.conflict', message, { detail: { slot } });
  }

  async #write(
    cls: SlotClass,
    slot: Slot,
    seal: SlotSeal | null,
    exclusive: number,
  ): Promise<void> {
    const block = encodeSealBlock(cls, slot, seal);
    const flags = constants.O_RDWR | constants.O_DSYNC | exclusive;
    await this.#with(cls, slot, flags, async (file, path) => {
      // What a newer program has sealed is not this one's to take away.
      decodeSealBlock(await this.#read(file), cls, slot);
      this.#slab.set(block);
      await whole(file.sizeBytes - SEAL_BLOCK_BYTES, (from, at) =>
        file.handle
          .write(this.#slab, from, SEAL_BLOCK_BYTES - from, at)
          .then((r) => r.bytesWritten),
      );
      const back = await this.#read(file);
      if (block.every((byte, index) => byte === back[index])) return;
      throw new UpdateError('slot.readback', `${path} does not hold the seal that was written`);
    });
  }

  /** The block as it is on the device, in a copy. */
  async #read(file: OpenSlot): Promise<Uint8Array> {
    await whole(file.sizeBytes - SEAL_BLOCK_BYTES, (from, at) =>
      file.handle.read(this.#slab, from, SEAL_BLOCK_BYTES - from, at).then((r) => r.bytesRead),
    );
    return this.#slab.slice();
  }

  /** Opens the device for one piece of work, in turn, and makes sure that it is still the one. */
  async #with<T>(
    cls: SlotClass,
    slot: Slot,
    flags: number,
    work: (file: OpenSlot, path: string) => Promise<T>,
  ): Promise<T> {
    const device = this.#devices[cls][slot];
    const { path } = device;
    const once = async (more: number): Promise<T> => {
      await using handle = await open(path, flags | more | constants.O_NONBLOCK);
      const sizeBytes = await checkDevice(handle, path, device.label, this.#options.roots);
      if (sizeBytes !== this.#sizes[cls]) {
        const found = `${path} has ${sizeBytes} bytes now`;
        throw new UpdateError('slot.io', `${found}, it had ${this.#sizes[cls]} at the start`);
      }
      return await work({ handle, sizeBytes }, path);
    };
    const turn = this.#queue.then(() => guarded(path, () => directly(once)));
    this.#queue = turn.catch(() => null);
    return await turn;
  }
}

interface OpenSlot {
  readonly handle: FileHandle;
  readonly sizeBytes: number;
}

/** Whether both are of one image: only what is known of its commit may differ. */
function sameContent(a: SlotSeal, b: SlotSeal): boolean {
  return JSON.stringify({ ...a, committed: null }) === JSON.stringify({ ...b, committed: null });
}

/** Past the page cache, or through it where a file system does not know the other way. */
async function directly<T>(work: (more: number) => Promise<T>): Promise<T> {
  try {
    return await work(constants.O_DIRECT);
  } catch (error) {
    if (!isErrno(error) || error.code !== 'EINVAL') throw error;
    return await work(0);
  }
}

/** Reads or writes the block at `offset` to its end; a device that ends before is an error. */
async function whole(
  offset: number,
  step: (from: number, at: number) => Promise<number>,
): Promise<void> {
  for (let done = 0; done < SEAL_BLOCK_BYTES;) {
    const bytes = await step(done, offset + done);
    if (bytes === 0) throw new UpdateError('slot.io', `the device ends at byte ${offset + done}`);
    done += bytes;
  }
}

async function sizeOf({ path, label }: SlotDevice, roots: DeviceRoots): Promise<number> {
  return await guarded(path, async () => {
    await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const sizeBytes = await checkDevice(handle, path, label, roots);
    if (sizeBytes > SEAL_BLOCK_BYTES && sizeBytes % SEAL_BLOCK_BYTES === 0) return sizeBytes;
    const message = `${path} has ${sizeBytes} bytes, expected a multiple of ${SEAL_BLOCK_BYTES}`;
    throw new UpdateError('slot.io', `${message} and room for an image`);
  });
}

async function guarded<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof UpdateError) throw cause;
    const word = (cause as NodeJS.ErrnoException).code ?? String(cause);
    const busy = word === 'EBUSY' ? ': it is mounted, or something else holds it' : '';
    const detail = { path, error: word };
    throw new UpdateError('slot.io', `${path}: ${word}${busy}`, { cause, detail });
  }
}
