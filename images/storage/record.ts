/**
 * One record of the store's log, and the head of a segment: the bytes on disk. Numbers are big
 * endian. A record: magic "TREC" (4), kind (u8), flags (u8), length of the key (u16), length of the
 * stored value (u32), length of the value (u32), version (u64), committed version (u64), run (8),
 * synced offset (u32), SHA-256 of the value (32), CRC-32 of all that and of key and stored value
 * (u32); then key and stored value. Always holds: `decodeRecord` returns a record only when its
 * checksum fits. Imports node:crypto, node:zlib and the limits.
 */
import { createHash } from 'node:crypto';
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import { KEY_CHARS_MAX, VALUE_BYTES_MAX } from './limits.ts';

/** Length of the head of a record. */
export const HEAD_BYTES = 80;
/** Longest record. */
export const RECORD_BYTES_MAX = HEAD_BYTES + KEY_CHARS_MAX + VALUE_BYTES_MAX;
const MAGIC = Buffer.from('TREC', 'latin1');
const CRC_AT = HEAD_BYTES - 4;
/** Values below this are not worth compressing. */
const COMPRESS_FROM_BYTES = 256;

const KINDS = { put: 1, delete: 2, mark: 3 } as const;
/** `mark` names a position without changing an object. */
export type RecordKind = keyof typeof KINDS;
const FLAG_COPY = 1;
const FLAG_DEFLATED = 2;

/**
 * Where a copy stands: the last write that it took. `run` names one term of one primary, so equal
 * positions mean equal content.
 */
export interface Position {
  /** 16 hexadecimal digits. */
  readonly run: string;
  readonly version: number;
}

/** A record as it was read, without its value. */
export interface LogRecord {
  readonly kind: RecordKind;
  /** Written by sync or by cleaning: it changes an object, but not the position. */
  readonly copy: boolean;
  readonly key: string;
  readonly version: number;
  /** Highest version that was known to be on both copies. */
  readonly committed: number;
  readonly run: string;
  /** SHA-256 of the value in hexadecimal; empty unless `put`. */
  readonly hash: string;
  /** Length of the value. */
  readonly valueBytes: number;
}

/** A record with its value, to be written. */
export interface NewRecord extends Omit<LogRecord, 'hash' | 'valueBytes'> {
  readonly value: Buffer | null;
  readonly hash: string;
}

/** Content id of a value. */
export function hashOf(value: Buffer): string {
  return createHash('sha256').update(value).digest('hex');
}

/**
 * The record's bytes. `syncedOffset` is how far the segment was known to be on disk: it tells a
 * torn tail from damage in the middle. `formatLevel` 2 may compress the value.
 */
export function encodeRecord(record: NewRecord, syncedOffset: number, formatLevel: number): Buffer {
  const key = Buffer.from(record.key, 'latin1');
  const value = record.value ?? Buffer.alloc(0);
  const small = formatLevel >= 2 ? deflated(value) : null;
  const stored = small ?? value;
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + key.length + stored.length);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt8(KINDS[record.kind], 4);
  bytes.writeUInt8((record.copy ? FLAG_COPY : 0) | (small ? FLAG_DEFLATED : 0), 5);
  bytes.writeUInt16BE(key.length, 6);
  bytes.writeUInt32BE(stored.length, 8);
  bytes.writeUInt32BE(value.length, 12);
  bytes.writeBigUInt64BE(BigInt(record.version), 16);
  bytes.writeBigUInt64BE(BigInt(record.committed), 24);
  bytes.write(record.run, 32, 8, 'hex');
  bytes.writeUInt32BE(syncedOffset, 40);
  bytes.fill(0, 44, CRC_AT);
  if (record.kind === 'put') bytes.write(record.hash, 44, 32, 'hex');
  key.copy(bytes, HEAD_BYTES);
  stored.copy(bytes, HEAD_BYTES + key.length);
  bytes.writeUInt32BE(checksum(bytes), CRC_AT);
  return bytes;
}

/** A record that was read, its length on disk and what is needed to judge the log's tail. */
export interface DecodedRecord {
  readonly record: LogRecord;
  readonly bytes: number;
  readonly syncedOffset: number;
  /** Its value; throws when it does not fit its own hash. */
  value(): Buffer;
}

/** The record at `offset` of `bytes`; null when there is none that is whole and undamaged. */
export function decodeRecord(bytes: Buffer, offset: number): DecodedRecord | null {
  const head = bytes.subarray(offset, offset + HEAD_BYTES);
  if (head.length < HEAD_BYTES || !head.subarray(0, 4).equals(MAGIC)) return null;
  const keyBytes = head.readUInt16BE(6);
  const storedBytes = head.readUInt32BE(8);
  const valueBytes = head.readUInt32BE(12);
  const kind = kindOf(head.readUInt8(4));
  if (kind === null || keyBytes > KEY_CHARS_MAX) return null;
  if (storedBytes > VALUE_BYTES_MAX || valueBytes > VALUE_BYTES_MAX) return null;
  const length = HEAD_BYTES + keyBytes + storedBytes;
  const whole = bytes.subarray(offset, offset + length);
  if (whole.length < length || head.readUInt32BE(CRC_AT) !== checksum(whole)) return null;
  const flags = head.readUInt8(5);
  const hash = kind === 'put' ? head.toString('hex', 44, CRC_AT) : '';
  return {
    record: {
      kind,
      copy: (flags & FLAG_COPY) !== 0,
      key: whole.toString('latin1', HEAD_BYTES, HEAD_BYTES + keyBytes),
      version: Number(head.readBigUInt64BE(16)),
      committed: Number(head.readBigUInt64BE(24)),
      run: head.toString('hex', 32, 40),
      hash,
      valueBytes,
    },
    bytes: length,
    syncedOffset: head.readUInt32BE(40),
    value() {
      const stored = whole.subarray(HEAD_BYTES + keyBytes);
      const value =
        (flags & FLAG_DEFLATED) === 0
          ? Buffer.from(stored)
          : inflateRawSync(stored, { maxOutputLength: Math.max(valueBytes, 1) });
      if (hashOf(value) !== hash) throw new Error('the value does not fit its hash');
      return value;
    },
  };
}

/** Length of the record that starts with this head; 0 when it is no head. */
export function recordBytes(head: Buffer): number {
  if (head.length < HEAD_BYTES || !head.subarray(0, 4).equals(MAGIC)) return 0;
  return HEAD_BYTES + head.readUInt16BE(6) + head.readUInt32BE(8);
}

/** First place after `from` where a record could start; -1 when there is none. */
export function nextMagic(bytes: Buffer, from: number): number {
  return bytes.indexOf(MAGIC, from);
}

function kindOf(code: number): RecordKind | null {
  if (code === KINDS.put) return 'put';
  if (code === KINDS.delete) return 'delete';
  return code === KINDS.mark ? 'mark' : null;
}

function checksum(record: Buffer): number {
  return crc32(record.subarray(HEAD_BYTES), crc32(record.subarray(0, CRC_AT)));
}

function deflated(value: Buffer): Buffer | null {
  if (value.length < COMPRESS_FROM_BYTES) return null;
  const small = deflateRawSync(value, { level: 1 });
  return small.length < value.length ? small : null;
}

/** Length of the head of a segment. */
export const SEGMENT_HEAD_BYTES = 16;
const SEGMENT_MAGIC = Buffer.from('TNDMSEG1', 'latin1');

/** Head of a segment: magic (8), format level (u32), CRC-32 of both (u32). */
export function encodeSegmentHead(formatLevel: number): Buffer {
  const head = Buffer.alloc(SEGMENT_HEAD_BYTES);
  SEGMENT_MAGIC.copy(head);
  head.writeUInt32BE(formatLevel, 8);
  head.writeUInt32BE(crc32(head.subarray(0, 12)), 12);
  return head;
}

/** Format level of a segment; null when its head is not whole. */
export function decodeSegmentHead(bytes: Buffer): number | null {
  const head = bytes.subarray(0, SEGMENT_HEAD_BYTES);
  if (head.length < SEGMENT_HEAD_BYTES || !head.subarray(0, 8).equals(SEGMENT_MAGIC)) return null;
  return head.readUInt32BE(12) === crc32(head.subarray(0, 12)) ? head.readUInt32BE(8) : null;
}
