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
import { encodeSegments, readSegments, SEGMENT_BYTES, type Segment } from './delta.ts';
import { storedFrameBytes, zeroDigests, zeroFrameBytes } from './frames.ts';

/** How a chunk is kept (B5.4). */
export const KIND = { zeros: 0, zstd: 1, stored: 2, delta: 3 } as const;
/** Kinds of record that this program reads and writes, docs/bundle.md B5. */
export type ChunkKind = (typeof KIND)[keyof typeof KIND];

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
  /** Kind 3, and no other: the segments of the base that its dictionary is made of (B6.7). */
  readonly segments?: readonly Segment[];
}

const MAGIC = 'TDMINDEX';
const INDEX_FORMAT = 1;
const HEAD_BYTES = 32;
const RECORD_BYTES = 88;

/** Size of the index of `chunks` chunks with so many segments of a base (B5.2). */
export const indexBytes = (chunks: number, segments = 0): number =>
  HEAD_BYTES + chunks * RECORD_BYTES + segments * SEGMENT_BYTES;

/** What the index needs to know of its image. */
export type IndexedImage = Pick<
  ManifestImage,
  'name' | 'rawBytes' | 'chunkBytes' | 'chunks' | 'compressedBytes' | 'imageId' | 'base'
>;

/** Index of an image; the records are those of the image, in order. */
export function encodeIndex(chunkBytes: number, records: readonly ChunkRecord[]): Buffer {
  const segments = records.flatMap((record) => record.segments ?? []);
  const head = [INDEX_FORMAT, RECORD_BYTES, records.length, segments.length, chunkBytes];
  const bytes = Buffer.alloc(indexBytes(records.length));
  bytes.write(MAGIC, 0, 'latin1');
  for (const [i, value] of head.entries()) bytes.writeUInt32LE(value, 8 + 4 * i);
  let first = 0;
  for (const [i, record] of records.entries()) {
    const at = HEAD_BYTES + i * RECORD_BYTES;
    const own = record.segments?.length ?? 0;
    bytes.writeUInt8(record.kind, at);
    bytes.writeUInt8(own, at + 1);
    bytes.writeUInt32LE(record.compressedBytes, at + 4);
    bytes.writeBigUInt64LE(BigInt(record.offset), at + 8);
    bytes.writeUInt32LE(record.rawBytes, at + 16);
    bytes.writeUInt32LE(own === 0 ? 0 : first, at + 20);
    bytes.write(record.compressedSha256, at + 24, 'hex');
    bytes.write(record.rawSha256, at + 56, 'hex');
    first += own;
  }
  return Buffer.concat([bytes, encodeSegments(segments)]);
}

/**
 * Records from an index whose digest was compared with the signed manifest. Throws
 * `bundle.unknown_format` for another layout, and `bundle.invalid_manifest` when the records do not
 * tile the image (B5.5) or the segments do not lie in the base (B5.7).
 */
export function decodeIndex(bytes: Uint8Array, image: IndexedImage): readonly ChunkRecord[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const segments = checkHead(view, image);
  const records: ChunkRecord[] = [];
  const expected = { offset: 0, segment: 0 };
  for (let chunk = 0; chunk < image.chunks; chunk += 1) {
    const record = decodeRecord(view, image, chunk, expected);
    expected.offset += record.compressedBytes;
    expected.segment += record.segments?.length ?? 0;
    records.push(record);
  }
  if (expected.offset !== image.compressedBytes) {
    throw invalid(image.name, `covers ${expected.offset} bytes, expected ${image.compressedBytes}`);
  }
  if (expected.segment !== segments) {
    throw invalid(image.name, `uses ${expected.segment} segments, it has ${segments}`);
  }
  const found = imageIdOf(image, records);
  if (found !== image.imageId) {
    throw invalid(image.name, `gives the image id ${found}, expected ${image.imageId}`);
  }
  return records;
}

/** Checks the head (B5.3); returns the number of segments, for which the index has the bytes. */
function checkHead(view: Buffer, image: IndexedImage): number {
  const { name } = image;
  const format = view.length >= HEAD_BYTES ? view.readUInt32LE(8) : 0;
  if (view.toString('latin1', 0, MAGIC.length) !== MAGIC || format !== INDEX_FORMAT) {
    throw new UpdateError(
      'bundle.unknown_format',
      `the index of image ${name} has a layout that this program does not know`,
      { detail: { image: name, expected: INDEX_FORMAT } },
    );
  }
  const [recordBytes, count, segments] = [12, 16, 20].map((at) => view.readUInt32LE(at));
  const [chunkBytes, reserved] = [view.readUInt32LE(24), view.readUInt32LE(28)];
  const good =
    recordBytes === RECORD_BYTES &&
    count === image.chunks &&
    segments !== undefined &&
    (segments === 0 || image.base !== undefined) &&
    chunkBytes === image.chunkBytes &&
    reserved === 0 &&
    view.length === indexBytes(count, segments);
  if (!good) throw invalid(name, 'has a head that does not agree with the manifest');
  return segments;
}

function decodeRecord(
  whole: Buffer,
  image: IndexedImage,
  chunk: number,
  expected: { readonly offset: number; readonly segment: number },
): ChunkRecord {
  const bad = (why: string): UpdateError => invalid(image.name, `says of chunk ${chunk}: ${why}`);
  const view = whole.subarray(indexBytes(chunk), indexBytes(chunk + 1));
  const kind = view.readUInt8(0);
  const rawOffset = chunk * image.chunkBytes;
  const rawBytes = Math.min(image.chunkBytes, image.rawBytes - rawOffset);
  const offset = Number(view.readBigUInt64LE(8));
  const compressedBytes = view.readUInt32LE(4);
  if (!isKind(kind)) throw bad(`kind ${kind}, which this program does not know`);
  if (view.readUInt32LE(16) !== rawBytes) {
    throw bad(`${view.readUInt32LE(16)} raw bytes, expected ${rawBytes}`);
  }
  if (offset !== expected.offset) throw bad(`offset ${offset}, expected ${expected.offset}`);
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
  if (kind === KIND.delta) {
    const own = readSegments(view, whole.subarray(indexBytes(image.chunks)), image.base, expected);
    if (typeof own === 'string') throw bad(own);
    return { ...record, segments: own };
  }
  if (view.readUIntLE(1, 3) !== 0 || view.readUInt32LE(20) !== 0) throw bad('reserved bytes set');
  return record;
}

const isKind = (kind: number): kind is ChunkKind => kind >= KIND.zeros && kind <= KIND.delta;

/** B5.4: each kind has a length or a bound, so no record can ask for more than a chunk. */
function lengthFault({ kind, rawBytes, compressedBytes }: ChunkRecord): string | undefined {
  const found = `${compressedBytes} compressed bytes`;
  if (kind === KIND.zstd || kind === KIND.delta) {
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

function invalid(name: string, why: string): UpdateError {
  return new UpdateError('bundle.invalid_manifest', `the index of image ${name} ${why}`, {
    detail: { image: name, found: why },
  });
}
