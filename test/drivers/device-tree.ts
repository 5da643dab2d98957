/**
 * A machine's /dev and /sys in a folder, with regular files in place of partitions: what the
 * drivers of devices are tested on. Imports node and the drivers of devices.
 */
import { mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeviceRoots } from '../../src/drivers/block-device.ts';
import { SEAL_BLOCK_BYTES } from '../../src/drivers/seal-block.ts';
import { SLOT_SIZES } from '../contracts/slots.ts';

/** Labels and sizes of the slots' partitions, as the layout of the disk has them. */
export const SLOT_PARTITIONS: readonly (readonly [label: string, sizeBytes: number])[] = [
  ['tandem-system-a', SLOT_SIZES.system + SEAL_BLOCK_BYTES],
  ['tandem-system-b', SLOT_SIZES.system + SEAL_BLOCK_BYTES],
  ['tandem-storage-a', SLOT_SIZES.storage + SEAL_BLOCK_BYTES],
  ['tandem-storage-b', SLOT_SIZES.storage + SEAL_BLOCK_BYTES],
];

/** Adds a disk with these partitions, from number 4 on, to the tree in `dir`. */
export async function addDisk(
  dir: string,
  disk: string,
  partitions: readonly (readonly [label: string, sizeBytes: number])[] = SLOT_PARTITIONS,
): Promise<void> {
  const whole = join(dir, 'sys/devices', disk);
  const list = join(dir, 'sys/class/block');
  for (const path of [whole, list, join(dir, 'dev')]) await mkdir(path, { recursive: true });
  await writeFile(join(whole, 'uevent'), `DEVNAME=${disk}\nDEVTYPE=disk\n`);
  await symlink(`../../devices/${disk}`, join(list, disk));
  for (const [index, [label, sizeBytes]] of partitions.entries()) {
    const name = `${disk}${index + 4}`;
    await mkdir(join(whole, name));
    const lines = `DEVNAME=${name}\nDEVTYPE=partition\nPARTN=${index + 4}\nPARTNAME=${label}\n`;
    await writeFile(join(whole, name, 'uevent'), lines);
    await symlink(`../../devices/${disk}/${name}`, join(list, name));
    await writeFile(join(dir, 'dev', name), '');
    await truncate(join(dir, 'dev', name), sizeBytes);
  }
}

/** The roots of the tree in `dir`. */
export function treeRoots(dir: string): DeviceRoots {
  return { dev: join(dir, 'dev'), sys: join(dir, 'sys'), files: true };
}
