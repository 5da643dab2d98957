/**
 * What a cut disk holds outside its data partition, read with the product's own decoders and
 * without booting it: boot state, try counter, seals, and which known image fills each slot. Always
 * holds: nothing is judged here; an image counts as there only when every byte of it is. Imports
 * core, drivers, the layout's names and the readers beside it.
 */
import { asUpdateError } from '../../src/core/errors.ts';
import type { BootCounter, BootState } from '../../src/core/boot.ts';
import { SLOT_CLASSES, type Slot, type SlotClass, type SlotSeal } from '../../src/core/model.ts';
import {
  decodeGrubCounter,
  decodeGrubState,
  decodeSealMark,
  GRUB_COPY_OFFSETS,
  GRUB_SECTOR_BYTES,
} from '../../src/drivers/boot-grub-env.ts';
import { decodeSealBlock, SEAL_BLOCK_BYTES } from '../../src/drivers/seal-block.ts';
import { COUNTER_FILE } from '../appliance/disk-grub.ts';
import { slotPartitionName } from '../appliance/layout.ts';
import type { DataFacts } from './data.ts';
import { readFatFile } from './fat.ts';
import { partitionView, readGpt, type GptPartition } from './gpt.ts';
import type { DiskView } from './view.ts';

/** An image that a slot may hold. */
export interface KnownImage {
  readonly class: SlotClass;
  readonly version: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** It is compared in pieces of this size, the last one shorter. */
  readonly chunkBytes: number;
  /** SHA-256 of the pieces. */
  readonly chunks: readonly string[];
}

/** What a slot holds. */
export interface SlotFacts {
  /** The number in the seal's first sector, as the boot loader reads it. */
  readonly mark: number | null;
  readonly seal: SlotSeal | null;
  /** The image that is there whole; null = none of those that are known. */
  readonly image: KnownImage | null;
}

/** What a disk holds. */
export interface DiskFacts {
  /** The two copies, as they lie; null = one that does not count. */
  readonly copies: readonly [BootState | null, BootState | null];
  /** The one of them that counts. */
  readonly state: BootState | null;
  /** The try counter; null = none that counts. */
  readonly counter: BootCounter | null;
  readonly slots: Readonly<Record<SlotClass, Readonly<Record<Slot, SlotFacts>>>>;
  readonly data: DataFacts;
}

/** Reads partitions, boot state, counter and slots. Throws `file.unreadable` for a broken GPT. */
export function readDisk(disk: DiskView, images: readonly KnownImage[]): Omit<DiskFacts, 'data'> {
  const partitions = readGpt(disk);
  const state = partitionView(disk, partitions, 'tandem-state');
  const [one, two] = GRUB_COPY_OFFSETS.map((at) =>
    decodeGrubState(state.read(at, GRUB_SECTOR_BYTES)),
  );
  const copies = [one ?? null, two ?? null] as const;
  const slotsOf = (cls: SlotClass): Readonly<Record<Slot, SlotFacts>> => ({
    A: slotFacts(disk, partitions, images, cls, 'A'),
    B: slotFacts(disk, partitions, images, cls, 'B'),
  });
  const [system, storage] = SLOT_CLASSES.map(slotsOf);
  if (system === undefined || storage === undefined) throw new RangeError('classes of slots');
  return {
    copies,
    state: newest(copies),
    counter: counterOn(partitionView(disk, partitions, 'tandem-boot')),
    slots: { system, storage },
  };
}

/** As GRUB and the driver have it: of two equal numbers the first copy counts. */
function newest([one, two]: DiskFacts['copies']): BootState | null {
  if (one === null) return two;
  return two !== null && two.seq > one.seq ? two : one;
}

function counterOn(fat: DiskView): BootCounter | null {
  try {
    const bytes = readFatFile(fat, COUNTER_FILE);
    return bytes === null ? null : decodeGrubCounter(bytes);
  } catch (error) {
    if (asUpdateError(error).code !== 'file.unreadable') throw error;
    return null;
  }
}

function slotFacts(
  disk: DiskView,
  partitions: readonly GptPartition[],
  images: readonly KnownImage[],
  cls: SlotClass,
  slot: Slot,
): SlotFacts {
  const view = partitionView(disk, partitions, slotPartitionName(cls, slot));
  const block = view.read(view.sizeBytes - SEAL_BLOCK_BYTES, SEAL_BLOCK_BYTES);
  return {
    mark: decodeSealMark(block.subarray(0, GRUB_SECTOR_BYTES)),
    seal: decodeSealBlock(block, cls, slot),
    image: images.find((image) => image.class === cls && holds(view, image)) ?? null,
  };
}

function holds(view: DiskView, { sizeBytes, chunkBytes, chunks }: KnownImage): boolean {
  return chunks.every((digest, index) => {
    const at = index * chunkBytes;
    const length = Math.min(chunkBytes, sizeBytes - at);
    return at + length <= view.sizeBytes && view.digest(at, length) === digest;
  });
}
