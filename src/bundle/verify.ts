/**
 * The whole check of a bundle without a slot: everything that `openBundle` checks, then every chunk
 * compressed and raw, then each whole image. Always holds: when it returns, every byte of the
 * bundle was read and compared with what is signed. One thread; the installer spreads the same
 * checks over workers. Imports core.
 */
import { createHash } from 'node:crypto';
import { UpdateError } from '../core/errors.ts';
import { checkCompressed, checkRaw, inflateChunk } from './chunk.ts';
import { progressMeter, type OnProgress } from './progress.ts';
import { openBundle, type OpenBundle, type OpenImage } from './reader.ts';
import type { ByteSource } from './source.ts';
import type { TrustRoot } from './trust.ts';

/** How the whole check reports and ends early. */
export interface VerifyOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** Opens a bundle and checks every byte of it (B8.10). Throws `bundle.*` or `trust.*`. */
export async function verifyBundle(
  source: ByteSource,
  root: TrustRoot,
  options: VerifyOptions = {},
): Promise<OpenBundle> {
  const open = await openBundle(source, root, options.signal);
  const total = open.images.reduce((sum, { image }) => sum + image.rawBytes, 0);
  const onBytes = progressMeter(total, options.onProgress);
  for (const image of open.images) await verifyImage(source, image, onBytes, options.signal);
  return open;
}

async function verifyImage(
  source: ByteSource,
  { image, records, dataOffset }: OpenImage,
  onBytes: (rawBytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const whole = createHash('sha256');
  for (const record of records) {
    const at = dataOffset + record.offset;
    const packed = await source.readAt(at, record.compressedBytes, signal);
    checkCompressed(record, packed);
    const raw = inflateChunk(record, packed);
    checkRaw(record, raw);
    whole.update(raw);
    onBytes(record.rawBytes);
    // Freed now and not by the collector: half the resident memory in a long image.
    const { buffer } = raw;
    if (buffer instanceof ArrayBuffer && buffer.byteLength === raw.byteLength) buffer.transfer(0);
  }
  const found = whole.digest('hex');
  if (found === image.rawSha256) return;
  // Every chunk is as signed, so the two statements of the manifest contradict each other.
  throw new UpdateError(
    'bundle.invalid_manifest',
    `image ${image.name} has SHA-256 ${found}, the manifest says ${image.rawSha256}`,
    { detail: { image: image.name, found, expected: image.rawSha256 } },
  );
}
