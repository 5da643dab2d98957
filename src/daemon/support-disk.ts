/**
 * What a support archive takes of a machine whose slots are partitions: their seals, and the state
 * of GRUB's boot chooser, decoded and as it lies on the disk. Always holds: nothing is written, and
 * of a slot its seal alone is read. Imports the drivers of devices.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { SLOT_CLASSES } from '../core/model.ts';
import {
  DEVICE_ROOTS,
  findPartitions,
  STATE_LABEL,
  type DeviceRoots,
} from '../drivers/block-device.ts';
import {
  decodeGrubCounter,
  decodeGrubState,
  GRUB_COPY_OFFSETS,
  GRUB_SECTOR_BYTES,
  GRUB_STATE_BYTES,
} from '../drivers/boot-grub-env.ts';
import { findSlotDevices, openBlockSlots } from '../drivers/slots-block.ts';
import type { SupportPartitions } from './support-request.ts';

/** The seals of all slots. Throws what the driver of the slots throws. */
export async function partitionSeals(
  { disk }: SupportPartitions,
  roots: DeviceRoots = DEVICE_ROOTS,
): Promise<unknown> {
  // Nothing is written, so it does not matter which one runs.
  const slots = await openBlockSlots(await findSlotDevices(disk, roots), { booted: null, roots });
  const found: unknown[] = [];
  for (const cls of SLOT_CLASSES) {
    for (const slot of ['A', 'B'] as const) found.push(await slots.info(cls, slot));
  }
  return found;
}

/** Both copies of the state and the try counter; null = it does not count. */
export async function grubBoot(
  { disk, counter }: SupportPartitions,
  roots: DeviceRoots = DEVICE_ROOTS,
): Promise<unknown> {
  const bytes = await grubState(disk, roots);
  const copies = GRUB_COPY_OFFSETS.map((at) => decodeGrubState(bytes.subarray(at)));
  const sector = counter === null ? null : await head(counter, GRUB_SECTOR_BYTES);
  return { copies, counter: sector === null ? null : decodeGrubCounter(sector) };
}

/** The used part of the state's partition. Throws `slot.io` when it is not there. */
export async function grubState(
  disk: string | null,
  roots: DeviceRoots = DEVICE_ROOTS,
): Promise<Buffer> {
  const [partition] = await findPartitions([STATE_LABEL], disk, roots);
  return await head(partition?.path ?? '', GRUB_STATE_BYTES);
}

async function head(path: string, sizeBytes: number): Promise<Buffer> {
  await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const bytes = Buffer.alloc(sizeBytes);
  const { bytesRead } = await handle.read(bytes, 0, sizeBytes, 0);
  return bytes.subarray(0, bytesRead);
}
