/**
 * The whole check of a bundle without a slot: everything that `openBundle` checks, then every chunk
 * compressed and raw, then each whole image. Always holds: when it returns, every byte of the
 * bundle was read and compared with what is signed. What deltas give is checked when their base is
 * at hand. One thread; the installer spreads the same checks over workers. Imports core.
 */
import { createHash } from 'node:crypto';
import { UpdateError } from '../core/errors.ts';
import { checkCompressed, checkRaw, inflateInto } from './chunk.ts';
import { frameDecoder, type FrameDecoder } from './frame-decoder.ts';
import { readDictionary } from './delta.ts';
import { readBase, type BaseBundle } from './delta-base.ts';
import { KIND, type ChunkRecord } from './index-codec.ts';
import { progressMeter, type OnProgress } from './progress.ts';
import { openBundle, type OpenBundle, type OpenImage } from './reader.ts';
import type { ByteSource } from './source.ts';
import type { TrustRoot } from './trust.ts';

/** How the whole check reports and ends early. */
export interface VerifyOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  /** The full bundle that deltas are made from; without it their raw bytes are not looked at. */
  readonly base?: BaseBundle;
}

/**
 * Opens a bundle and checks every byte of it (B8.10). Throws `bundle.*` or `trust.*`; with a base
 * that is another one than that of the deltas `bundle.wrong_base`.
 */
export async function verifyBundle(
  source: ByteSource,
  root: TrustRoot,
  options: VerifyOptions = {},
): Promise<OpenBundle> {
  const open = await openBundle(source, root, options.signal);
  const bases = open.images.map(({ image }) =>
    options.base === undefined ? null : readBase(options.base, image),
  );
  const total = open.images.reduce((sum, { image }) => sum + image.rawBytes, 0);
  const onBytes = progressMeter(total, options.onProgress);
  const decoder = frameDecoder();
  for (const [i, image] of open.images.entries()) {
    await verifyImage(source, decoder, image, bases[i] ?? null, onBytes, options.signal);
  }
  return open;
}

async function verifyImage(
  source: ByteSource,
  decoder: FrameDecoder,
  { image, records, dataOffset }: OpenImage,
  base: ByteSource | null,
  onBytes: (rawBytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const whole = createHash('sha256');
  // One buffer for all chunks: half the resident memory in a long image.
  const room = Buffer.allocUnsafeSlow(Math.min(image.rawBytes, image.chunkBytes) + 1);
  let complete = true;
  for (const record of records) {
    const at = dataOffset + record.offset;
    const packed = await source.readAt(at, record.compressedBytes, signal);
    checkCompressed(record, packed);
    onBytes(record.rawBytes);
    if (record.kind === KIND.delta && base === null) {
      complete = false;
      continue;
    }
    inflateInto(decoder, record, packed, room, await dictionaryOf(record, base, signal));
    const raw = room.subarray(0, record.rawBytes);
    checkRaw(record, raw);
    whole.update(raw);
  }
  if (!complete) return;
  const found = whole.digest('hex');
  if (found === image.rawSha256) return;
  // Every chunk is as signed, so the two statements of the manifest contradict each other.
  throw new UpdateError(
    'bundle.invalid_manifest',
    `image ${image.name} has SHA-256 ${found}, the manifest says ${image.rawSha256}`,
    { detail: { image: image.name, found, expected: image.rawSha256 } },
  );
}

async function dictionaryOf(
  { segments }: ChunkRecord,
  base: ByteSource | null,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  if (segments === undefined || base === null) return undefined;
  return await readDictionary(segments, base.sizeBytes, (offset, length) =>
    base.readAt(offset, length, signal),
  );
}
