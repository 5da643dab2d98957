/**
 * The log of a disk's writes that QEMU's `blklogwrites` keeps (the format of Linux's dm-log-writes:
 * Documentation/admin-guide/device-mapper/log-writes.rst): a superblock, then entries of one sector
 * each with the data of a write behind them, all little-endian. Always holds: the log is read to
 * the end of the file, because the count in its superblock is only as new as the last flush; what
 * follows an entry that is not whole is never taken for an entry. Imports core and node.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { UpdateError } from '../../src/core/errors.ts';

/** One entry of a log. */
export interface LogEntry {
  /** `flush`: everything before it is durable. `mark`: a text for people. */
  readonly kind: 'write' | 'discard' | 'flush' | 'mark';
  /** Where on the disk, and how much; 0 for flushes and marks. */
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** A write that was durable before it was acknowledged. */
  readonly isForced: boolean;
  /** Where its data begins in the log; writes only. */
  readonly dataOffset: number;
}

/** A log that was read. */
export interface WriteLog {
  readonly path: string;
  readonly sectorBytes: number;
  readonly entries: readonly LogEntry[];
  /**
   * Bytes at the end of the file that are no whole entry: what was being logged when the power
   * went. Nobody had been told that it was written.
   */
  readonly tornBytes: number;
  /**
   * Whether something was logged behind an entry that is not there. The entries are right as far
   * as they go, but the disk may have held more than all of them.
   */
  readonly hasGap: boolean;
}

/** Numbers of the format. */
export const LOG_FORMAT = {
  magic: 0x6a736677736872n,
  version: 1n,
  flags: { flush: 1, forced: 2, discard: 4, mark: 8 },
  superBytes: 28,
  entryBytes: 32,
} as const;

const KNOWN_FLAGS = 31;
/** More entries are no log of a test, and would fill the memory. */
const ENTRIES_MAX = 5_000_000;
const SECTOR_BYTES_MAX = 65_536;

/**
 * Sector size of a log from its first bytes, or null when they are all zero (nothing was flushed,
 * so no superblock was written yet). Throws `file.unreadable` for anything else.
 */
export function parseSuper(bytes: Buffer): number | null {
  if (bytes.every((byte) => byte === 0)) return null;
  const whole = bytes.length >= LOG_FORMAT.superBytes;
  const magic = whole ? bytes.readBigUInt64LE(0) : 0n;
  const version = whole ? bytes.readBigUInt64LE(8) : 0n;
  if (magic !== LOG_FORMAT.magic || version !== LOG_FORMAT.version) {
    const found = `magic ${magic.toString(16)}, version ${version}`;
    throw new UpdateError('file.unreadable', `This is no log of writes of version 1: ${found}`);
  }
  const sectorBytes = bytes.readUInt32LE(24);
  const isPower = sectorBytes >= 512 && (sectorBytes & (sectorBytes - 1)) === 0;
  if (isPower && sectorBytes <= SECTOR_BYTES_MAX) return sectorBytes;
  throw new UpdateError('file.unreadable', `The log has sectors of ${sectorBytes} bytes`);
}

/** What an entry says, and where the next one begins; null for zeros and for what is no entry. */
export function parseEntry(
  bytes: Buffer,
  offset: number,
  sectorBytes: number,
): { readonly entry: LogEntry; readonly next: number } | null {
  if (bytes.length < LOG_FORMAT.entryBytes) return null;
  const [sector, sectors, flags, dataBytes] = [0, 8, 16, 24].map((at) => bytes.readBigUInt64LE(at));
  if (sector === undefined || sectors === undefined || dataBytes === undefined) return null;
  const limit = BigInt(Number.MAX_SAFE_INTEGER);
  const unit = BigInt(sectorBytes);
  if (flags === undefined || flags > KNOWN_FLAGS || (flags === 0n && sectors === 0n)) return null;
  if ((sector + sectors) * unit > limit || dataBytes > limit) return null;
  const has = (flag: number): boolean => (Number(flags) & flag) !== 0;
  const { flush, forced, discard, mark } = LOG_FORMAT.flags;
  const dataOffset = offset + sectorBytes;
  const sizeBytes = Number(sectors * unit);
  const base = { offsetBytes: Number(sector * unit), sizeBytes, isForced: has(forced), dataOffset };
  if (has(mark)) {
    const textBytes = Math.ceil(Number(dataBytes) / sectorBytes) * sectorBytes;
    const entry = { ...base, kind: 'mark', offsetBytes: 0, sizeBytes: 0 } as const;
    return { entry, next: dataOffset + textBytes };
  }
  if (has(discard)) return { entry: { ...base, kind: 'discard' }, next: dataOffset };
  if (sectors > 0n) return { entry: { ...base, kind: 'write' }, next: dataOffset + sizeBytes };
  return has(flush) ? { entry: { ...base, kind: 'flush' }, next: dataOffset } : null;
}

/**
 * Reads the entries of a log, of a running machine too. `sectorBytes` is what the log was made
 * with: it is needed as long as nothing was flushed. Throws `file.not_found`, `file.unreadable`.
 */
export async function readWriteLog(path: string, sectorBytes = 512): Promise<WriteLog> {
  await using file = await openFile(path);
  const { size } = await file.stat();
  const unit = parseSuper(await readAt(file, 0, Math.min(size, sectorBytes))) ?? sectorBytes;
  const entries: LogEntry[] = [];
  let offset = unit;
  let hasGap = false;
  while (offset + unit <= size) {
    const found = parseEntry(await readAt(file, offset, LOG_FORMAT.entryBytes), offset, unit);
    hasGap = found === null;
    if (found === null || found.next > size) break;
    if (entries.length >= ENTRIES_MAX) {
      throw new UpdateError('file.unreadable', `${path} has more than ${ENTRIES_MAX} entries`);
    }
    entries.push(found.entry);
    offset = found.next;
  }
  return { path, sectorBytes: unit, entries, tornBytes: Math.max(0, size - offset), hasGap };
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    const message = `The log of writes ${path} cannot be opened`;
    throw new UpdateError('file.not_found', message, { cause: error });
  }
}

/** The bytes that are there, at most `length`. */
async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}
