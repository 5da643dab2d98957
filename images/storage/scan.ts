/**
 * What one segment of the store's log holds, as it is found on disk: its records, where a torn tail
 * begins, and whether bytes that were once synced cannot be read any more. Always holds: a record
 * is handed out only when its checksum fits; damage hides no record behind it; a torn tail, which a
 * power cut leaves, is never taken for damage. Pure; imports the record codec.
 */
import {
  decodeRecord,
  decodeSegmentHead,
  nextMagic,
  SEGMENT_HEAD_BYTES,
  type LogRecord,
} from './record.ts';

/** Called for every record in the order of the segment, with its place in it. */
export type OnScanned = (record: LogRecord, offset: number, bytes: number) => void;

/** How a segment was found. */
export interface Scanned {
  /** Level that its records were written at; null = its head cannot be read. */
  readonly formatLevel: number | null;
  /** Where the bytes end that count; behind it is a torn tail, or nothing. 0 = never used. */
  readonly goodBytes: number;
  /** First place that was synced and cannot be read any more; null = there is none. */
  readonly damagedAt: number | null;
}

/**
 * Reads a whole segment. `last`: it is the one that was written to, so that its end may be torn.
 * The places of a damaged segment beyond its first one are not told, only passed over.
 */
export function scanSegment(bytes: Buffer, last: boolean, onRecord: OnScanned): Scanned {
  const formatLevel = decodeSegmentHead(bytes);
  let damagedAt: number | null = null;
  let offset = SEGMENT_HEAD_BYTES;
  if (formatLevel === null) {
    // The head is durable before the first record: without one this segment was never used.
    if (last && nextMagic(bytes, 0) < 0) return { formatLevel, goodBytes: 0, damagedAt };
    damagedAt = 0;
    offset = nextWhole(bytes, 0);
  }
  while (offset < bytes.length) {
    const found = decodeRecord(bytes, offset);
    if (found) {
      onRecord(found.record, offset, found.bytes);
      offset += found.bytes;
      continue;
    }
    if (last && !wasSynced(bytes, offset)) return { formatLevel, goodBytes: offset, damagedAt };
    damagedAt ??= offset;
    offset = nextWhole(bytes, offset + 1);
  }
  return { formatLevel, goodBytes: bytes.length, damagedAt };
}

/** Where the next whole record begins, from `from` on; the end when there is none. */
function nextWhole(bytes: Buffer, from: number): number {
  for (let at = nextMagic(bytes, from); at >= 0; at = nextMagic(bytes, at + 1)) {
    if (decodeRecord(bytes, at)) return at;
  }
  return bytes.length;
}

/** True when a later record says that the bytes at `offset` were on disk before it. */
function wasSynced(bytes: Buffer, offset: number): boolean {
  for (let at = nextMagic(bytes, offset + 1); at >= 0; at = nextMagic(bytes, at + 1)) {
    const found = decodeRecord(bytes, at);
    if (found && found.syncedOffset > offset) return true;
  }
  return false;
}
