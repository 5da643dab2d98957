/**
 * The partitions of a disk as its GPT names them, read without any tool. Always holds: a table
 * counts only when both of its checksums are right, and every partition lies on the disk. Imports
 * core, node and the view.
 */
import { crc32 } from 'node:zlib';
import { UpdateError } from '../../src/core/errors.ts';
import { partView, SECTOR_BYTES, type DiskView } from './view.ts';

/** A partition that was found. */
export interface GptPartition {
  /** From 1. */
  readonly number: number;
  readonly name: string;
  readonly startBytes: number;
  readonly sizeBytes: number;
}

/** Source of all numbers: UEFI specification 2.10, chapter 5.3. */
const SIGNATURE = 'EFI PART';
const ENTRY_BYTES_MIN = 128;
const ENTRIES_MAX = 256;
const NAME_AT = 56;
const NAME_BYTES = 72;

/** Partitions of the primary table. Throws `file.unreadable` with what is wrong with it. */
export function readGpt(disk: DiskView): readonly GptPartition[] {
  const header = disk.read(SECTOR_BYTES, SECTOR_BYTES);
  if (header.toString('latin1', 0, SIGNATURE.length) !== SIGNATURE) throw bad('no signature');
  const headerBytes = header.readUInt32LE(12);
  if (headerBytes < 92 || headerBytes > SECTOR_BYTES) throw bad(`a header of ${headerBytes} bytes`);
  const summed = Buffer.from(header.subarray(0, headerBytes));
  summed.writeUInt32LE(0, 16);
  if (crc32(summed) !== header.readUInt32LE(16)) throw bad('a header with a wrong checksum');
  const at = Number(header.readBigUInt64LE(72)) * SECTOR_BYTES;
  const [count, entryBytes] = [header.readUInt32LE(80), header.readUInt32LE(84)];
  if (count > ENTRIES_MAX || entryBytes < ENTRY_BYTES_MIN || entryBytes > SECTOR_BYTES) {
    throw bad(`${count} entries of ${entryBytes} bytes`);
  }
  const entries = disk.read(at, count * entryBytes);
  if (crc32(entries) !== header.readUInt32LE(88)) throw bad('entries with a wrong checksum');
  const found: GptPartition[] = [];
  for (let index = 0; index < count; index += 1) {
    const entry = entries.subarray(index * entryBytes, (index + 1) * entryBytes);
    // The type of an entry that is not used is zero.
    if (entry.subarray(0, 16).every((byte) => byte === 0)) continue;
    found.push(partitionOf(entry, index + 1, disk.sizeBytes));
  }
  return found;
}

function partitionOf(entry: Buffer, number: number, limit: number): GptPartition {
  const startBytes = Number(entry.readBigUInt64LE(32)) * SECTOR_BYTES;
  const endBytes = (Number(entry.readBigUInt64LE(40)) + 1) * SECTOR_BYTES;
  const text = entry.toString('utf16le', NAME_AT, NAME_AT + NAME_BYTES);
  const name = text.split('\0', 1)[0] ?? '';
  if (startBytes < endBytes && endBytes <= limit) {
    return { number, name, startBytes, sizeBytes: endBytes - startBytes };
  }
  throw bad(`partition ${number} from byte ${startBytes} to ${endBytes}`);
}

/** The partition with this name as a disk of its own. Throws `file.unreadable`. */
export function partitionView(
  disk: DiskView,
  partitions: readonly GptPartition[],
  name: string,
): DiskView {
  const found = partitions.filter((one) => one.name === name);
  const [first] = found;
  if (first === undefined || found.length > 1) throw bad(`${found.length} partitions ${name}`);
  return partView(disk, first.startBytes, first.sizeBytes);
}

function bad(found: string): UpdateError {
  return new UpdateError('file.unreadable', `The partition table has ${found}`);
}
