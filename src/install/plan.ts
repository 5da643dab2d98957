/**
 * What an install will do, decided before its first write: which image goes into which slot, and
 * which chunks that are. Always holds: a plan exists only for an image that fits its slot. Imports
 * core, bundle, the protocol.
 */
import { zeroDigests } from '../bundle/frames.ts';
import { KIND, type ChunkRecord } from '../bundle/index-codec.ts';
import type { OpenBundle, OpenImage } from '../bundle/reader.ts';
import { UpdateError } from '../core/errors.ts';
import { BLOCK_BYTES } from '../drivers/block-file.ts';
import { checkBase, type BaseJob } from './base-slot.ts';
import type { InstallTarget } from './protocol.ts';

/** One target with the image that goes into it. */
export interface Plan {
  readonly target: InstallTarget;
  readonly opened: OpenImage;
  /** Product name, for the release. */
  readonly product: string;
  /** Records of the image, and of zeros up to the end of the slot when it is formatted. */
  readonly records: readonly ChunkRecord[];
  /** Bytes of all records. */
  readonly bytes: number;
  /** What a delta image is applied against; null for an image that is complete in itself. */
  readonly base: BaseJob | null;
}

/**
 * The plan for one target. Throws `space.slot` with the missing bytes when the image is larger than
 * the slot, `bundle.invalid_manifest` when its chunks are no whole blocks, `internal.bug` when the
 * bundle has no such image of that class, and what `checkBase` throws.
 */
export async function planTarget(
  bundle: OpenBundle,
  target: InstallTarget,
  format: boolean,
): Promise<Plan> {
  const opened = bundle.images.find(({ image }) => image.name === target.image);
  if (opened?.image.class !== target.class) {
    const found = opened === undefined ? 'not in the bundle' : `of class ${opened.image.class}`;
    throw new UpdateError(
      'internal.bug',
      `image ${target.image} is ${found}, expected one of class ${target.class}`,
    );
  }
  checkFits(opened, target);
  const base = await checkBase(opened.image, target);
  const wiped = format ? zerosAfter(opened, target.sizeBytes) : [];
  const records = [...opened.records, ...wiped];
  const bytes = records.reduce((sum, record) => sum + record.rawBytes, 0);
  return { target, opened, product: bundle.manifest.product, records, bytes, base };
}

function checkFits({ image }: OpenImage, target: InstallTarget): void {
  const missingBytes = image.rawBytes - target.sizeBytes;
  if (missingBytes > 0) {
    throw new UpdateError(
      'space.slot',
      `image ${image.name} has ${image.rawBytes} bytes, ` +
        `${target.class} slot ${target.slot} has ${target.sizeBytes}`,
      {
        detail: {
          image: image.name,
          slot: target.slot,
          imageBytes: image.rawBytes,
          slotBytes: target.sizeBytes,
          missingBytes,
        },
      },
    );
  }
  if (image.chunkBytes % BLOCK_BYTES === 0) return;
  throw new UpdateError(
    'bundle.invalid_manifest',
    `image ${image.name} has chunks of ${image.chunkBytes} bytes, ` +
      `expected a multiple of ${BLOCK_BYTES}`,
  );
}

/**
 * A formatted slot keeps nothing of before: zeros follow the image to the end of the slot, from the
 * first whole block after it on. The image's own last block is filled up with zeros when it is
 * written.
 */
function zerosAfter({ image, records }: OpenImage, slotBytes: number): ChunkRecord[] {
  const zeros: ChunkRecord[] = [];
  let rawOffset = Math.ceil(image.rawBytes / BLOCK_BYTES) * BLOCK_BYTES;
  while (rawOffset < slotBytes) {
    const rawBytes = Math.min(image.chunkBytes, slotBytes - rawOffset);
    const digests = zeroDigests(rawBytes);
    zeros.push({
      image: image.name,
      chunk: records.length + zeros.length,
      kind: KIND.zeros,
      offset: image.compressedBytes,
      compressedBytes: 0,
      rawOffset,
      rawBytes,
      compressedSha256: digests.compressed,
      rawSha256: digests.raw,
    });
    rawOffset += rawBytes;
  }
  return zeros;
}
