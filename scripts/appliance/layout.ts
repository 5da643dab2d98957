/**
 * Where everything lies on an appliance's disk: its GPT partitions as data. Always holds: the order
 * and the numbers never change, because boot loader and system name partitions by them; the slots
 * of a class have the same size; every partition begins on a whole mebibyte. Imports core.
 */
import { UpdateError } from '../../src/core/errors.ts';
import type { Slot, SlotClass } from '../../src/core/model.ts';

/** Bytes of a mebibyte, the unit of everything on the disk. */
export const MIB = 1024 * 1024;
/** Bytes of a sector, the unit of GPT and of the boot loader's lists of blocks. */
export const DISK_SECTOR_BYTES = 512;
/**
 * Bytes at the end of each slot that belong to its seal; an image has no place there. They begin
 * with a sector that the boot loader reads (src/drivers/boot-grub-env.ts, `encodeSealMark`).
 */
export const SEAL_BYTES = 4096;

/** Label of each partition in the GPT, in the order of their numbers from 1. */
export const PARTITION_NAMES = [
  'tandem-grub',
  'tandem-boot',
  'tandem-state',
  'tandem-system-a',
  'tandem-system-b',
  'tandem-storage-a',
  'tandem-storage-b',
  'tandem-data',
  'tandem-store',
] as const;
/** Label of a partition. */
export type PartitionName = (typeof PARTITION_NAMES)[number];

/** One partition. */
export interface Partition {
  /** Number in the GPT, from 1: `/dev/vda4`, `(hd0,gpt4)`. */
  readonly number: number;
  readonly name: PartitionName;
  /** Type GUID (Discoverable Partitions Specification, GRUB manual "BIOS installation"). */
  readonly type: string;
  readonly startBytes: number;
  readonly sizeBytes: number;
}

/** What differs between appliances, in bytes; each a multiple of a mebibyte. */
export interface DiskSizes {
  /** Each of the two system slots, seal included. */
  readonly systemBytes: number;
  /** Each of the two slots of the storage software, seal included. */
  readonly storageBytes: number;
  /** File system of the data partition: journal, depot, settings. */
  readonly dataBytes: number;
  /** The replicated store. */
  readonly storeBytes: number;
}

/** A disk. */
export interface DiskLayout {
  readonly partitions: readonly Partition[];
  readonly totalBytes: number;
}

const BIOS_BOOT = '21686148-6449-6E6F-744E-656564454649';
const BASIC_DATA = 'EBD0A0A2-B9E5-4433-87C0-68B6B72699C7';
const LINUX_RESERVED = '8DA63339-0007-60C0-C436-083AC8230908';
const LINUX_DATA = '0FC63DAF-8483-4772-8E79-3D69D8477DE4';
/** Room for GRUB's core with the selection script in it. */
const GRUB_BYTES = MIB;
/** Room for the smallest FAT that every tool makes the same way. */
const BOOT_BYTES = 4 * MIB;
/** Two blocks are used; a partition of its own cannot be smaller. */
const STATE_BYTES = MIB;
/** In front lies the GPT, behind its backup. */
const EDGE_BYTES = MIB;

/** Lays out a disk; throws `internal.bug` for a size that is no whole number of mebibytes. */
export function layoutOf(sizes: DiskSizes): DiskLayout {
  const { systemBytes, storageBytes, dataBytes, storeBytes } = sizes;
  const kinds: Readonly<Record<PartitionName, readonly [type: string, sizeBytes: number]>> = {
    'tandem-grub': [BIOS_BOOT, GRUB_BYTES],
    'tandem-boot': [BASIC_DATA, BOOT_BYTES],
    'tandem-state': [LINUX_RESERVED, STATE_BYTES],
    'tandem-system-a': [LINUX_DATA, systemBytes],
    'tandem-system-b': [LINUX_DATA, systemBytes],
    'tandem-storage-a': [LINUX_DATA, storageBytes],
    'tandem-storage-b': [LINUX_DATA, storageBytes],
    'tandem-data': [LINUX_DATA, dataBytes],
    'tandem-store': [LINUX_DATA, storeBytes],
  };
  let startBytes = EDGE_BYTES;
  const partitions = PARTITION_NAMES.map((name, index): Partition => {
    const [type, sizeBytes] = kinds[name];
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0 || sizeBytes % MIB !== 0) {
      const message = `${name} of ${sizeBytes} bytes, expected a whole number of mebibytes`;
      throw new UpdateError('internal.bug', message);
    }
    const one = { number: index + 1, name, type, startBytes, sizeBytes };
    startBytes += sizeBytes;
    return one;
  });
  return { partitions, totalBytes: startBytes + EDGE_BYTES };
}

/** The partition with this label. */
export function partitionOf(layout: DiskLayout, name: PartitionName): Partition {
  const found = layout.partitions.find((one) => one.name === name);
  if (found === undefined) throw new UpdateError('internal.bug', `no partition ${name}`);
  return found;
}

/** Label of the partition that holds a slot. */
export function slotPartitionName(cls: SlotClass, slot: Slot): PartitionName {
  return `tandem-${cls}-${slot === 'A' ? 'a' : 'b'}`;
}

/** Byte of the partition at which the slot's seal begins; an image ends before it. */
export function sealOffset(partition: Partition): number {
  return partition.sizeBytes - SEAL_BYTES;
}
