/**
 * Delta chunks (record kind 3), docs/bundle.md B5.7 and B6.7: segments of a base image, how they
 * lie in an index, and the dictionary that they make. Always holds: segments that were read here
 * are in order, apart from each other, inside of the base and within both limits, so that who reads
 * them needs no more memory than one dictionary. Imports core.
 */
import { UpdateError } from '../core/errors.ts';
import type { ManifestBase } from '../core/manifest.ts';

/** Unit of segments, in bytes: what direct I/O of every disk can read. */
export const UNIT_BYTES = 4096;
/** Segments of one chunk at most. */
export const SEGMENTS_MAX = 64;
/** Units of one chunk's segments at most: 2 MiB. */
export const SEGMENT_UNITS_MAX = 512;
/** Size of a segment in an index. */
export const SEGMENT_BYTES = 8;
/**
 * Zero bytes at the beginning of every dictionary: zstd takes one that begins with the bytes
 * 37 a4 30 ec for a trained dictionary with tables of its own (RFC 8878, section 5).
 */
export const DICTIONARY_HEAD_BYTES = 8;

/** A piece of the base image, in units of 4096 bytes. */
export interface Segment {
  readonly startUnit: number;
  readonly units: number;
}

/** The segments as they lie behind the records of an index. */
export function encodeSegments(segments: readonly Segment[]): Buffer {
  const bytes = Buffer.alloc(segments.length * SEGMENT_BYTES);
  for (const [i, { startUnit, units }] of segments.entries()) {
    bytes.writeUInt32LE(startUnit, i * SEGMENT_BYTES);
    bytes.writeUInt32LE(units, i * SEGMENT_BYTES + 4);
  }
  return bytes;
}

/**
 * Segments of one record of kind 3 (B5.7): `record` is its 88 bytes, `table` everything behind the
 * records, `expected.segment` the number of segments of the records before. A sentence when
 * anything is not as it must be.
 */
export function readSegments(
  record: Buffer,
  table: Buffer,
  base: ManifestBase | undefined,
  expected: { readonly segment: number },
): readonly Segment[] | string {
  if (base === undefined) return 'kind 3, but the image has no base';
  const count = record.readUInt8(1);
  const first = record.readUInt32LE(20);
  if (record.readUInt16LE(2) !== 0) return 'reserved bytes set';
  if (count < 1 || count > SEGMENTS_MAX) {
    return `${count} segments, expected 1 to ${SEGMENTS_MAX}`;
  }
  if (first !== expected.segment) return `first segment ${first}, expected ${expected.segment}`;
  const bytes = table.subarray(first * SEGMENT_BYTES, (first + count) * SEGMENT_BYTES);
  if (bytes.length !== count * SEGMENT_BYTES) return 'segments behind the end of the index';
  const segments: Segment[] = [];
  for (let at = 0; at < bytes.length; at += SEGMENT_BYTES) {
    segments.push({ startUnit: bytes.readUInt32LE(at), units: bytes.readUInt32LE(at + 4) });
  }
  return segmentsFault(segments, base.rawBytes) ?? segments;
}

/** A sentence when segments are not as B5.7 wants them in a base of so many bytes. */
export function segmentsFault(segments: readonly Segment[], baseBytes: number): string | undefined {
  const baseUnits = Math.ceil(baseBytes / UNIT_BYTES);
  let end = 0;
  let total = 0;
  for (const { startUnit, units } of segments) {
    if (units < 1) return 'an empty segment';
    if (startUnit < end) return `a segment at unit ${startUnit}, the one before ends at ${end}`;
    end = startUnit + units;
    if (end > baseUnits) return `a segment up to unit ${end}, the base has ${baseUnits}`;
    total += units;
  }
  if (total <= SEGMENT_UNITS_MAX) return undefined;
  return `${total} units of its base, expected at most ${SEGMENT_UNITS_MAX}`;
}

/** Length in bytes of the dictionary that these segments make (B6.7). */
export function dictionaryBytes(segments: readonly Segment[], baseBytes: number): number {
  return segments.reduce(
    (sum, { startUnit, units }) =>
      sum + Math.min((startUnit + units) * UNIT_BYTES, baseBytes) - startUnit * UNIT_BYTES,
    DICTIONARY_HEAD_BYTES,
  );
}

/**
 * The dictionary of these segments (B6.7): zero bytes, then each segment, the last one cut at the
 * end of the base. `read` gives exactly `length` bytes of the base from `offset` on.
 */
export async function readDictionary(
  segments: readonly Segment[],
  baseBytes: number,
  read: (offset: number, length: number) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const fault = segmentsFault(segments, baseBytes);
  if (fault !== undefined) throw new UpdateError('internal.bug', fault);
  const dictionary = Buffer.alloc(dictionaryBytes(segments, baseBytes));
  let at = DICTIONARY_HEAD_BYTES;
  for (const { startUnit, units } of segments) {
    const offset = startUnit * UNIT_BYTES;
    const length = Math.min(units * UNIT_BYTES, baseBytes - offset);
    dictionary.set(await read(offset, length), at);
    at += length;
  }
  return dictionary;
}
