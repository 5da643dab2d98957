/**
 * The seal of a slot as it lies in the last block of its partition: the first sector is the mark
 * that the boot loader reads (boot-grub-env.ts), behind it stands what the seal says, with its
 * checksum. `committed` is kept in the mark alone, so boot loader and system cannot disagree; and
 * since a commit changes nothing but that sector, a write of it that is torn leaves the rest as it
 * was. Always holds: what cannot be read whole counts as no seal, and a mark that cannot be read as
 * never committed. Imports core and the boot loader's blocks.
 */
import { UpdateError } from '../core/errors.ts';
import { encodeFrame, FRAME_HEADER_BYTES, isNewerFrame, readFrame } from '../core/frame.ts';
import type { Slot, SlotClass, SlotSeal } from '../core/model.ts';
import { decodeSealMark, encodeSealMark, GRUB_SECTOR_BYTES } from './boot-grub-env.ts';

/** Size of the block; an image ends before it. It is also the largest block that disks have. */
export const SEAL_BLOCK_BYTES = 4096;
/** Schema of the seal in the block. */
export const SEAL_BLOCK_SCHEMA = 1;

/** Longest JSON behind the mark. */
const VALUE_BYTES_MAX = SEAL_BLOCK_BYTES - GRUB_SECTOR_BYTES - FRAME_HEADER_BYTES;

/** Whose seal it is: one that lies in another slot's block counts for nothing. */
interface SealValue {
  readonly schema: number;
  readonly class: SlotClass;
  readonly slot: Slot;
  readonly seal: Omit<SlotSeal, 'committed'>;
}

/**
 * The block of a slot with this seal; null = of a slot that holds nothing. Throws `slot.io` when it
 * does not fit, `boot.io` for the number of a trial that the boot loader cannot compare.
 */
export function encodeSealBlock(
  cls: SlotClass,
  slot: Slot,
  seal: SlotSeal | null,
): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(SEAL_BLOCK_BYTES);
  if (seal === null) return block;
  const { committed, ...content } = seal;
  const value: SealValue = { schema: SEAL_BLOCK_SCHEMA, class: cls, slot, seal: content };
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  if (bytes.length > VALUE_BYTES_MAX) {
    const message = `the seal of ${cls} slot ${slot} has ${bytes.length} bytes`;
    const detail = { sizeBytes: bytes.length, maxBytes: VALUE_BYTES_MAX };
    throw new UpdateError('slot.io', `${message}, at most ${VALUE_BYTES_MAX} fit`, { detail });
  }
  block.set(encodeSealMark(committed));
  block.set(encodeFrame('value', SEAL_BLOCK_SCHEMA, 1, bytes), GRUB_SECTOR_BYTES);
  return block;
}

/**
 * The seal in the block of this slot, or null when there is none that counts. Throws
 * `state.newer_schema` for one that only a newer program can read, nothing else.
 */
export function decodeSealBlock(block: Uint8Array, cls: SlotClass, slot: Slot): SlotSeal | null {
  const newer = (found: string): never => {
    const message = `the seal of ${cls} slot ${slot} has ${found}, expected ${SEAL_BLOCK_SCHEMA}`;
    throw new UpdateError('state.newer_schema', message);
  };
  if (isNewerFrame(block, GRUB_SECTOR_BYTES)) newer('a newer format');
  const frame = readFrame(block, GRUB_SECTOR_BYTES);
  if (frame?.kind !== 'value') return null;
  const value = parsed(frame.payload);
  if (typeof value?.schema === 'number' && value.schema > SEAL_BLOCK_SCHEMA) {
    newer(`schema ${value.schema}`);
  }
  if (value?.class !== cls || value.slot !== slot) return null;
  if (typeof value.seal !== 'object' || value.seal === null) return null;
  return { ...value.seal, committed: decodeSealMark(block.subarray(0, GRUB_SECTOR_BYTES)) };
}

function parsed(bytes: Uint8Array): Partial<SealValue> | null {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Partial<SealValue> | null;
  } catch {
    return null;
  }
}
