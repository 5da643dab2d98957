/**
 * The frame: how one piece of JSON lies on a disk that is written in place. A frame starts at a
 * sector, has a header of 32 bytes, the payload, and zeros up to the next sector:
 *
 *     0  4  magic: ff 'T' 'J' and the format, a digit ('1')
 *     4  4  kind: 0 head, 1 snapshot, 2 record, 3 value
 *     8  4  generation
 *    12  4  length of the payload in bytes
 *    16  8  sequence number
 *    24  4  CRC-32C of the payload
 *    28  4  CRC-32C of bytes 0 to 27
 *
 * Numbers are little-endian. Always holds: a payload is UTF-8, which has no byte ff, so no sector
 * inside a frame can be taken for the start of one; and the header has a checksum of its own, so
 * that it can bear witness even if its payload is damaged. Pure; imports only core.
 */
import { crc32c } from './crc32c.ts';
import { UpdateError } from './errors.ts';

/** What a disk writes whole or not at all. */
export const SECTOR_BYTES = 512;
/** Length of a frame's header, in bytes. */
export const FRAME_HEADER_BYTES = 32;
/** Longest payload of a frame, in bytes. */
export const PAYLOAD_BYTES_MAX = 64 * 1024;

const MAGIC = [0xff, 0x54, 0x4a] as const;
const FORMAT = 0x31;
const KINDS = ['head', 'snapshot', 'record', 'value'] as const;

/** Head: says which generation a file holds; snapshot and record: see journal.ts; value: a copy. */
export type FrameKind = (typeof KINDS)[number];

/** A header whose own checksum is right. */
export interface FrameHeader {
  readonly kind: FrameKind;
  readonly generation: number;
  readonly seq: number;
  readonly lengthBytes: number;
  readonly payloadCrc: number;
}

/** A whole frame; both checksums are right. */
export interface Frame extends FrameHeader {
  /** A copy, independent of the file's bytes. */
  readonly payload: Uint8Array;
}

/** Bytes that a frame takes on disk with a payload of this length: whole sectors. */
export function frameBytes(payloadBytes: number): number {
  return Math.ceil((FRAME_HEADER_BYTES + payloadBytes) / SECTOR_BYTES) * SECTOR_BYTES;
}

/** The frame as it goes to disk; throws `internal.bug` for a payload above the limit. */
export function encodeFrame(
  kind: FrameKind,
  generation: number,
  seq: number,
  payload: Uint8Array,
): Uint8Array {
  if (payload.length > PAYLOAD_BYTES_MAX) {
    const message = `A record has ${payload.length} bytes, at most ${PAYLOAD_BYTES_MAX} fit`;
    throw new UpdateError('internal.bug', message, { detail: { sizeBytes: payload.length } });
  }
  const bytes = new Uint8Array(frameBytes(payload.length));
  const view = new DataView(bytes.buffer);
  bytes.set([...MAGIC, FORMAT]);
  view.setUint32(4, KINDS.indexOf(kind), true);
  view.setUint32(8, generation, true);
  view.setUint32(12, payload.length, true);
  view.setBigUint64(16, BigInt(seq), true);
  view.setUint32(24, crc32c(payload), true);
  view.setUint32(28, crc32c(bytes.subarray(0, 28)), true);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

/** The header at `offset`, or null when there is none that is whole. */
export function readHeader(bytes: Uint8Array, offset: number): FrameHeader | null {
  if (!hasMagic(bytes, offset) || bytes[offset + 3] !== FORMAT) return null;
  if (!checksumMatches(bytes, offset)) return null;
  const view = headerAt(bytes, offset);
  const kind = KINDS[view.getUint32(4, true)];
  const lengthBytes = view.getUint32(12, true);
  const seq = Number(view.getBigUint64(16, true));
  if (kind === undefined || lengthBytes > PAYLOAD_BYTES_MAX || !Number.isSafeInteger(seq)) {
    return null;
  }
  const generation = view.getUint32(8, true);
  return { kind, generation, seq, lengthBytes, payloadCrc: view.getUint32(24, true) };
}

/** The frame at `offset`, or null when there is none that is whole. */
export function readFrame(bytes: Uint8Array, offset: number): Frame | null {
  const header = readHeader(bytes, offset);
  if (header === null) return null;
  const start = offset + FRAME_HEADER_BYTES;
  if (start + header.lengthBytes > bytes.length) return null;
  const payload = bytes.slice(start, start + header.lengthBytes);
  return crc32c(payload) === header.payloadCrc ? { ...header, payload } : null;
}

/**
 * Whether a frame starts here in a format that only a newer program knows. Every later format keeps
 * magic and header checksum where they are, so that a flipped bit is not taken for the future.
 */
export function isNewerFrame(bytes: Uint8Array, offset: number): boolean {
  if (!hasMagic(bytes, offset) || bytes[offset + 3]! <= FORMAT) return false;
  return checksumMatches(bytes, offset);
}

/** Whether these bytes were never written, or were wiped. */
export function isBlank(bytes: Uint8Array): boolean {
  const { buffer, byteOffset, length } = bytes;
  // Four bytes at once: a journal's file has millions, and a first start looks at all of them.
  const aligned = byteOffset % 4 === 0 ? Math.floor(length / 4) : 0;
  const words = new Uint32Array(buffer, aligned === 0 ? 0 : byteOffset, aligned);
  for (let i = 0; i < aligned; i += 1) if (words[i] !== 0) return false;
  for (let i = 4 * aligned; i < length; i += 1) if (bytes[i] !== 0) return false;
  return true;
}

function hasMagic(bytes: Uint8Array, offset: number): boolean {
  if (offset + SECTOR_BYTES > bytes.length) return false;
  for (let i = 0; i < MAGIC.length; i += 1) if (bytes[offset + i] !== MAGIC[i]) return false;
  return true;
}

function headerAt(bytes: Uint8Array, offset: number): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset + offset, FRAME_HEADER_BYTES);
}

function checksumMatches(bytes: Uint8Array, offset: number): boolean {
  const expected = crc32c(bytes.subarray(offset, offset + 28));
  return headerAt(bytes, offset).getUint32(28, true) === expected;
}
