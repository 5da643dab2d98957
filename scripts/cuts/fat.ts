/**
 * A small file in the root directory of a FAT, read as GRUB finds it. Always holds: a chain of
 * clusters that leaves the file system or does not end is an error and not a file; nothing is
 * guessed from the second copy of the table. Imports core and the view.
 */
import { UpdateError } from '../../src/core/errors.ts';
import type { DiskView } from './view.ts';

/** What the first sector says. Source: Microsoft, FAT specification 1.03. */
interface Fat {
  readonly clusterBytes: number;
  readonly tableAt: number;
  readonly rootAt: number;
  readonly rootBytes: number;
  readonly dataAt: number;
  readonly clusters: number;
}

const ENTRY_BYTES = 32;
const REMOVED = 0xe5;
const LONG_NAME = 0x0f;
const FOLDER_OR_LABEL = 0x18;
/** FAT12 has fewer clusters, FAT32 more. */
const CLUSTERS_MIN = 4085;
const CLUSTERS_MAX = 65_524;
const CHAIN_END = 0xfff8;
/** Places of a long name's letters in its entries. */
const LETTERS_AT = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30] as const;
const FILE_BYTES_MAX = 65_536;

/**
 * Content of the file, or null when no entry of the root directory has that name. Throws
 * `file.unreadable` for a file system, or a chain of this file, that makes no sense.
 */
export function readFatFile(disk: DiskView, name: string): Buffer | null {
  const fat = headOf(disk);
  const root = disk.read(fat.rootAt, fat.rootBytes);
  let long = '';
  for (let at = 0; at < root.length && root[at] !== 0; at += ENTRY_BYTES) {
    const entry = root.subarray(at, at + ENTRY_BYTES);
    const attributes = entry[11] ?? 0;
    if (entry[0] === REMOVED) {
      long = '';
    } else if (attributes === LONG_NAME) {
      // The last part of a name comes first.
      long = lettersOf(entry) + long;
    } else {
      const same = (word: string): boolean => word.toLowerCase() === name.toLowerCase();
      const isIt = same(long) || same(shortName(entry));
      if (isIt && (attributes & FOLDER_OR_LABEL) === 0) return content(disk, fat, entry);
      long = '';
    }
  }
  return null;
}

function headOf(disk: DiskView): Fat {
  const head = disk.read(0, 512);
  const sectorBytes = head.readUInt16LE(11);
  const clusterBytes = (head[13] ?? 0) * sectorBytes;
  const tables = head[16] ?? 0;
  const tableBytes = head.readUInt16LE(22) * sectorBytes;
  const tableAt = head.readUInt16LE(14) * sectorBytes;
  const rootBytes = head.readUInt16LE(17) * ENTRY_BYTES;
  const sectors = head.readUInt16LE(19) || head.readUInt32LE(32);
  const rootAt = tableAt + tables * tableBytes;
  const dataAt = rootAt + rootBytes;
  const clusters = Math.floor((sectors * sectorBytes - dataAt) / (clusterBytes || 1));
  const good =
    sectorBytes === 512 &&
    clusterBytes > 0 &&
    tables > 0 &&
    clusters >= CLUSTERS_MIN &&
    clusters <= CLUSTERS_MAX &&
    tableBytes >= (clusters + 2) * 2 &&
    sectors * sectorBytes <= disk.sizeBytes;
  if (good) return { clusterBytes, tableAt, rootAt, rootBytes, dataAt, clusters };
  throw new UpdateError('file.unreadable', `no FAT of 16 bits: ${clusters} clusters`);
}

function content(disk: DiskView, fat: Fat, entry: Buffer): Buffer {
  const sizeBytes = entry.readUInt32LE(28);
  if (sizeBytes > FILE_BYTES_MAX) throw bad(`a file of ${sizeBytes} bytes`);
  const parts: Buffer[] = [];
  let cluster = entry.readUInt16LE(26);
  for (let done = 0; done < sizeBytes; done += fat.clusterBytes) {
    if (cluster < 2 || cluster >= fat.clusters + 2) throw bad(`cluster ${cluster} in a chain`);
    parts.push(disk.read(fat.dataAt + (cluster - 2) * fat.clusterBytes, fat.clusterBytes));
    cluster = disk.read(fat.tableAt + cluster * 2, 2).readUInt16LE(0);
  }
  if (sizeBytes > 0 && cluster < CHAIN_END) throw bad('a chain that is longer than its file');
  return Buffer.concat(parts).subarray(0, sizeBytes);
}

function shortName(entry: Buffer): string {
  const base = entry.toString('latin1', 0, 8).trimEnd();
  const extension = entry.toString('latin1', 8, 11).trimEnd();
  return extension === '' ? base : `${base}.${extension}`;
}

function lettersOf(entry: Buffer): string {
  const letters = LETTERS_AT.map((at) => String.fromCharCode(entry.readUInt16LE(at)));
  return letters.join('').split('\0', 1)[0] ?? '';
}

function bad(found: string): UpdateError {
  return new UpdateError('file.unreadable', `The FAT has ${found}`);
}
