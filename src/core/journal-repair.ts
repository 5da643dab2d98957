/**
 * The repair of a damaged journal: of each file the good records before the first damage stay, and
 * the last one of each kind goes as snapshot into a generation above everything that was ever seen.
 * A file whose head is damaged is read by its frames. A kind of which nothing lies before the
 * damage keeps its last good record behind it: a node must not forget who it is. Always holds: the
 * repair writes into the file that does not hold the newest good record, so that a power cut during
 * a repair loses nothing, and no sequence number is used again. Pure, imports only core.
 */
import { frameBytes, readFrame, readHeader, SECTOR_BYTES, type FrameHeader } from './frame.ts';
import {
  decodeEntry,
  fileOf,
  lastOfEachKind,
  mergeEntries,
  planGeneration,
  readHead,
  scanFile,
  type FileIndex,
  type GoodHead,
  type JournalBytes,
  type JournalEntry,
  type WritePlan,
} from './journal.ts';

/** What a repair writes, and what is lost by it. */
export interface RepairPlan extends WritePlan {
  /** Records that can still be read. */
  readonly kept: number;
  /** Bytes from the first damage to the end of the last frame behind it. */
  readonly droppedBytes: number;
  /** The file that the steps write into; the other one holds the newest good record. */
  readonly target: FileIndex;
}

/**
 * The writes that repair a damaged journal. `sizeBytes` is the full size of a file: a missing or
 * shorter target must be made so large before. Throws `internal.bug` when the snapshots do not fit.
 */
export function planRepair(files: JournalBytes, sizeBytes: number): RepairPlan {
  const found = [salvage(files, 0), salvage(files, 1)] as const;
  const before = mergeEntries(found[0].entries, found[1].entries);
  const behind = mergeEntries(found[0].behind, found[1].behind);
  const kinds = new Set(before.map((entry) => entry.kind));
  const saved = lastOfEachKind(behind).filter((entry) => !kinds.has(entry.kind));
  const entries = mergeEntries(before, saved);
  const newestSeq = (file: FileIndex): number => found[file].entries.at(-1)?.seq ?? 0;
  const source: FileIndex = newestSeq(1) > newestSeq(0) ? 1 : 0;
  const seen = [...headers(files[0]), ...headers(files[1])];
  const highest = Math.max(0, ...seen.map((header) => header.generation));
  const generation = fileOf(highest + 1) === source ? highest + 2 : highest + 1;
  const seq = Math.max(0, ...seen.map((header) => header.seq));
  const sizesBytes = [sizeBytes, sizeBytes] as const;
  const cursor = { generation: 0, offset: 0, seq, sizesBytes, last: lastOfEachKind(entries) };
  const droppedBytes = found[0].droppedBytes + found[1].droppedBytes;
  const target = fileOf(generation);
  return { ...planGeneration(cursor, generation), kept: entries.length, droppedBytes, target };
}

interface Salvage {
  /** Good records before the first damage. */
  readonly entries: readonly JournalEntry[];
  /** Good records behind it. */
  readonly behind: readonly JournalEntry[];
  readonly droppedBytes: number;
}

/** What one file still gives, and how much of its own generation lies behind the damage. */
function salvage(files: JournalBytes, file: FileIndex): Salvage {
  const bytes = files[file];
  const head = readHead(files, file);
  const known = head.state === 'good' ? head : headFromFrames(bytes);
  if (known === null) return { entries: [], behind: [], droppedBytes: 0 };
  const scan = scanFile(bytes, file, known);
  if (scan.damage === null) return { entries: scan.entries, behind: [], droppedBytes: 0 };
  const rest = headers(bytes).filter(
    (header) => header.generation === known.generation && header.offset >= scan.end,
  );
  const behind = rest
    .map((header) => readFrame(bytes, header.offset))
    .map((frame) => (frame === null ? null : decodeEntry(frame)))
    .filter((entry) => entry !== null)
    .toSorted((a, b) => a.seq - b.seq);
  const ends = rest.map((header) => header.offset + frameBytes(header.lengthBytes));
  const droppedBytes = Math.max(scan.end + SECTOR_BYTES, ...ends) - scan.end;
  return { entries: scan.entries, behind, droppedBytes };
}

/**
 * The head that the frames themselves suggest: the newest generation of the file, and those of its
 * snapshots that lie one behind the other at the start. At least one snapshot belongs to every
 * generation, so a file without is damaged from the start. Null for a file without frames.
 */
function headFromFrames(bytes: Uint8Array): GoodHead | null {
  const generation = Math.max(0, ...headers(bytes).map((header) => header.generation));
  if (generation === 0) return null;
  let offset = SECTOR_BYTES;
  let seq = 0;
  let snapshots = 0;
  for (;;) {
    const frame = readFrame(bytes, offset);
    const next = frame?.kind === 'snapshot' && frame.generation === generation && frame.seq > seq;
    if (!next) break;
    seq = frame.seq;
    snapshots += 1;
    offset += frameBytes(frame.lengthBytes);
  }
  return { state: 'good', generation, seq, snapshots: Math.max(1, snapshots) };
}

type PlacedHeader = FrameHeader & { readonly offset: number };

/** Every whole header of a file, sector by sector. */
function headers(bytes: Uint8Array): readonly PlacedHeader[] {
  const found: PlacedHeader[] = [];
  for (let offset = 0; offset + SECTOR_BYTES <= bytes.length; offset += SECTOR_BYTES) {
    const header = readHeader(bytes, offset);
    if (header !== null) found.push({ ...header, offset });
  }
  return found;
}
