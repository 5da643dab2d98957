/**
 * The chunk index of an image, docs/bundle.md B5: fixed-size records in the order of the raw image.
 * Always holds: the records that were decoded tile the raw image and the image's member exactly,
 * without gap or overlap, so that who follows them can neither miss a byte nor read one twice; and
 * every length is bounded before anything is allocated for it. Imports core.
 */
import { hash } from 'node:crypto';
import { UpdateError } from '../core/errors.ts';
import type { ManifestImage } from '../core/manifest.ts';
import type { Sha256 } from '../core/model.ts';
import { storedFrameBytes, zeroDigests, zeroFrameBytes } from './frames.ts';

/** How a chunk is kept (B5.4). Kind 3, a frame with a base, is refused by name. */
export const KIND = { zeros: 0, zstd: 1, stored: 2, delta: 3 } as const;
/** Kinds of record that this program reads and writes, docs/bundle.md B5. */
export type ChunkKind = typeof KIND.zeros | typeof KIND.zstd | typeof KIND.stored;

/** One chunk of a raw image, and where it is in the image's member. */
export interface ChunkRecord {
  /** Name of the image, for messages. */
  readonly image: string;
  /** Number of the chunk, from 0. */
  readonly chunk: number;
  readonly kind: ChunkKind;
  /** Position of the frame in the image's member; add the image's `dataOffset` for the file. */
  readonly offset: number;
  readonly compressedBytes: number;
  readonly rawOffset: number;
  readonly rawBytes: number;
  readonly compressedSha256: Sha256;
  readonly rawSha256: Sha256;
}

const MAGIC = 'TDMINDEX';
const INDEX_FORMAT = 1;
const HEAD_BYTES = 32;
const RECORD_BYTES = 88;

/** Size of the index of `chunks` chunks (B5.2). */
export const indexBytes = (chunks: number): number => HEAD_BYTES + chunks * RECORD_BYTES;

/** What the index needs to know of its image. */
export type IndexedImage = Pick<
  ManifestImage,
  'name' | 'rawBytes' | 'chunkBytes' | 'chunks' | 'compressedBytes' | 'imageId'
>;

/** Index of an image; the records are those of the image, in order. */
export function encodeIndex(chunkBytes: number, records: readonly ChunkRecord[]): Buffer {
  const bytes = Buffer.alloc(indexBytes(records.length));
  bytes.write(MAGIC, 0, 'latin1');
  for (const [i, value] of [INDEX_FORMAT, RECORD_BYTES, records.length, 0, chunkBytes].entries()) {
    bytes.writeUInt32LE(value, 8 + 4 * i);
  }
  for (const [i, record] of records.entries()) {
    const at = HEAD_BYTES + i * RECORD_BYTES;
    bytes.writeUInt8(record.kind, at);
    bytes.writeUInt32LE(record.compressedBytes, at + 4);
    bytes.writeBigUInt64LE(BigInt(record.offset), at + 8);
    bytes.writeUInt32LE(record.rawBytes, at + 16);
    bytes.write(record.compressedSha256, at + 24, 'hex');
    bytes.write(record.rawSha256, at + 56, 'hex');
  }
  return bytes;
}

/**
 * Records from an index whose digest was compared with the signed manifest. Throws
 * `bundle.unknown_format` for another layout, `bundle.delta_unsupported` for kind 3, and
 * `bundle.invalid_manifest` when the records do not tile the image (B5.5).
 */
export function decodeIndex(bytes: Uint8Array, image: IndexedImage): readonly ChunkRecord[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  checkHead(view, image);
  const records: ChunkRecord[] = [];
  let offset = 0;
  for (let chunk = 0; chunk < image.chunks; chunk += 1) {
    const at = HEAD_BYTES + chunk * RECORD_BYTES;
    const record = decodeRecord(view.subarray(at, at + RECORD_BYTES), image, chunk, offset);
    offset += record.compressedBytes;
    records.push(record);
  }
  if (offset !== image.compressedBytes) {
    throw invalid(image.name, `covers ${offset} bytes, expected ${image.compressedBytes}`);
  }
  const found = imageIdOf(image, records);
  if (found !== image.imageId) {
    throw invalid(image.name, `gives the image id ${found}, expected ${image.imageId}`);
  }
  return records;
}

function checkHead(view: Buffer, image: IndexedImage): void {
  const { name } = image;
  const format = view.length >= HEAD_BYTES ? view.readUInt32LE(8) : 0;
  if (view.toString('latin1', 0, MAGIC.length) !== MAGIC || format !== INDEX_FORMAT) {
    throw new UpdateError(
      'bundle.unknown_format',
      `the index of image ${name} has a layout that this program does not know`,
      { detail: { image: name, expected: INDEX_FORMAT } },
    );
  }
  const segments = view.readUInt32LE(20);
  const kinds = view.length >= indexBytes(image.chunks) ? image.chunks : 0;
  for (let chunk = 0; chunk < kinds; chunk += 1) {
    if (view[HEAD_BYTES + chunk * RECORD_BYTES] === KIND.delta) throw delta(name, chunk);
  }
  if (segments !== 0) throw delta(name, 0);
  const [recordBytes, count] = [view.readUInt32LE(12), view.readUInt32LE(16)];
  const [chunkBytes, reserved] = [view.readUInt32LE(24), view.readUInt32LE(28)];
  const good =
    recordBytes === RECORD_BYTES &&
    count === image.chunks &&
    chunkBytes === image.chunkBytes &&
    reserved === 0 &&
    view.length === indexBytes(count);
  if (!good) throw invalid(name, 'has a head that does not agree with the manifest');
}

function decodeRecord(
  view: Buffer,
  image: IndexedImage,
  chunk: number,
  expectedOffset: number,
): ChunkRecord {
  const bad = (why: string): UpdateError => invalid(image.name, `says of chunk ${chunk}: ${why}`);
  const kind = view.readUInt8(0);
  const rawOffset = chunk * image.chunkBytes;
  const rawBytes = Math.min(image.chunkBytes, image.rawBytes - rawOffset);
  const offset = Number(view.readBigUInt64LE(8));
  const compressedBytes = view.readUInt32LE(4);
  if (kind !== KIND.zeros && kind !== KIND.zstd && kind !== KIND.stored) {
    throw bad(`kind ${kind}, which this program does not know`);
  }
  if (view.readUIntLE(1, 3) !== 0 || view.readUInt32LE(20) !== 0) throw bad('reserved bytes set');
  if (view.readUInt32LE(16) !== rawBytes) {
    throw bad(`${view.readUInt32LE(16)} raw bytes, expected ${rawBytes}`);
  }
  if (offset !== expectedOffset) throw bad(`offset ${offset}, expected ${expectedOffset}`);
  const record: ChunkRecord = {
    image: image.name,
    chunk,
    kind,
    offset,
    compressedBytes,
    rawOffset,
    rawBytes,
    compressedSha256: view.toString('hex', 24, 56) as Sha256,
    rawSha256: view.toString('hex', 56, 88) as Sha256,
  };
  const why = lengthFault(record) ?? zeroFault(record);
  if (why !== undefined) throw bad(why);
  return record;
}

/** B5.4: each kind has a length or a bound, so no record can ask for more than a chunk. */
function lengthFault({ kind, rawBytes, compressedBytes }: ChunkRecord): string | undefined {
  const found = `${compressedBytes} compressed bytes`;
  if (kind === KIND.zstd) {
    const good = compressedBytes >= 1 && compressedBytes < rawBytes;
    return good ? undefined : `${found}, expected 1 to ${rawBytes - 1}`;
  }
  const expected = kind === KIND.zeros ? zeroFrameBytes(rawBytes) : storedFrameBytes(rawBytes);
  return compressedBytes === expected ? undefined : `${found}, expected ${expected}`;
}

/** A record of zeros whose digests are not those of zeros would say two things at once. */
function zeroFault(record: ChunkRecord): string | undefined {
  if (record.kind !== KIND.zeros) return undefined;
  const zeros = zeroDigests(record.rawBytes);
  const good = record.rawSha256 === zeros.raw && record.compressedSha256 === zeros.compressed;
  return good ? undefined : 'kind 0 with digests of something else than zeros';
}

/**
 * Image id (B5.6): SHA-256 over the raw size, the chunk size and the raw chunk digests; the same
 * for the full and the delta bundle of a release.
 */
export function imageIdOf(
  image: Pick<ManifestImage, 'rawBytes' | 'chunkBytes'>,
  records: readonly Pick<ChunkRecord, 'rawSha256'>[],
): Sha256 {
  const head = Buffer.from('TDMIMAGE\0\0\0\0\0\0\0\0\0\0\0\0', 'latin1');
  head.writeBigUInt64LE(BigInt(image.rawBytes), 8);
  head.writeUInt32LE(image.chunkBytes, 16);
  const digests = Buffer.from(records.map((record) => record.rawSha256).join(''), 'hex');
  return hash('sha256', Buffer.concat([head, digests]), 'hex') as Sha256;
}

function delta(name: string, chunk: number): UpdateError {
  return new UpdateError(
    'bundle.delta_unsupported',
    `image ${name} has a chunk of kind 3 (delta), which this program cannot apply`,
    { detail: { image: name, chunk } },
  );
}

function invalid(name: string, why: string): UpdateError {
  return new UpdateError('bundle.invalid_manifest', `the index of image ${name} ${why}`, {
    detail: { image: name, found: why },
  });
}
