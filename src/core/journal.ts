/**
 * The journal as bytes: two preallocated files that are written in place, of which one counts. A
 * file holds a head in its first sector (generation, number of snapshots), then so many snapshots
 * (the last record of each kind), then records, one frame each (frame.ts). Generation g lies in
 * file g mod 2. Appending writes one frame; when the file is full, snapshots of generation g+1 go
 * into the other file and its head is written last: only that sector makes them count.
 *
 * What the reader makes of it, given that a writer has at most one frame on the way: a damaged
 * frame with nothing behind it is the torn tail of a power cut and is dropped; a damaged frame with
 * a later header of the same generation behind it had been acknowledged, and so it is damage;
 * frames of other generations are free space. Always holds: what is dropped was never acknowledged.
 * Bytes in, states and writes out; pure, imports only core.
 */
import { UpdateError } from './errors.ts';
import {
  encodeFrame,
  frameBytes,
  isBlank,
  isNewerFrame,
  readFrame,
  readHeader,
  SECTOR_BYTES,
  type Frame,
  type FrameHeader,
} from './frame.ts';
import { RECORD_SCHEMA } from './records.ts';

/** Smallest file that a journal can live in: room for snapshots and at least some records. */
export const JOURNAL_FILE_BYTES_MIN = 8 * SECTOR_BYTES;

/** Which of the two files of the journal. */
export type FileIndex = 0 | 1;
/** The file that holds a generation; they take turns. */
export const fileOf = (generation: number): FileIndex => (generation % 2 === 0 ? 0 : 1);
const otherFile = (file: FileIndex): FileIndex => (file === 0 ? 1 : 0);

/** Contents of both files; an empty array stands for a file that is missing. */
export type JournalBytes = readonly [Uint8Array, Uint8Array];

/** One record as it was written; fields that this program does not know are in it too. */
export interface JournalEntry {
  /** Never used twice in the life of a journal; a snapshot keeps the one of its record. */
  readonly seq: number;
  /** `node`, `rollout`, or the word of a newer program. */
  readonly kind: string;
  readonly record: { readonly schema: number };
  /** The JSON as it is on disk. */
  readonly payload: Uint8Array;
}

/** Where the journal is damaged, and how that shows. */
export interface JournalDamage {
  readonly file: FileIndex;
  readonly offset: number;
  /** What was found, a clause for an operator. */
  readonly found: string;
}

/** Where the next record goes, and what a compaction would keep. */
export interface JournalCursor {
  /** 0 while nothing was ever written. */
  readonly generation: number;
  /** End of the last good frame of the file that counts. */
  readonly offset: number;
  readonly seq: number;
  readonly sizesBytes: readonly [number, number];
  /** The last entry of each kind. */
  readonly last: readonly JournalEntry[];
}

/** What was read from both files, and where the next record goes. */
export interface Replay {
  readonly cursor: JournalCursor;
  /** Good records in order, those of the generation before first as far as they are still there. */
  readonly entries: readonly JournalEntry[];
  /** True when a torn tail was dropped. */
  readonly torn: boolean;
  /** Not null: nothing may be written but a repair. */
  readonly damage: JournalDamage | null;
  /** Schema of a newer writer, or null. Not null: nothing may be written at all. */
  readonly newerSchema: number | null;
  /** Place of the last good frame of the file that counts, or null. */
  readonly tail: { readonly offset: number; readonly lengthBytes: number } | null;
}

/** One write in place; the file is synced before the next step starts. */
export interface WriteStep {
  readonly file: FileIndex;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Steps in their order, and the cursor that holds once the last one is durable. */
export interface WritePlan {
  readonly steps: readonly WriteStep[];
  readonly cursor: JournalCursor;
}

/** The head of a file as it was found. */
export type JournalHead =
  | { readonly state: 'blank' | 'damaged' | 'newer' }
  | {
      readonly state: 'good';
      readonly generation: number;
      /** Sequence number of the newest snapshot; the first record has the next one. */
      readonly seq: number;
      readonly snapshots: number;
    };
/** The head of a file that can be used. */
export type GoodHead = Extract<JournalHead, { state: 'good' }>;

/** What one file holds from its first frame to the first one that does not belong. */
export interface Scan {
  readonly entries: readonly JournalEntry[];
  readonly end: number;
  /** The highest sequence number that is used up. */
  readonly seq: number;
  readonly tail: Replay['tail'];
  readonly torn: boolean;
  readonly damage: JournalDamage | null;
  readonly newerSchema: number | null;
}

/** Reads both files; never throws, whatever the bytes are. */
export function replayJournal(files: JournalBytes): Replay {
  const heads = [readHead(files, 0), readHead(files, 1)] as const;
  const sizesBytes = [files[0].length, files[1].length] as const;
  const none = { generation: 0, offset: 0, seq: 0, sizesBytes, last: [] };
  const empty = { cursor: none, entries: [], torn: false, damage: null, tail: null };
  if (heads.some((head) => head.state === 'newer')) {
    return { ...empty, newerSchema: RECORD_SCHEMA + 1 };
  }
  const current = newestHead(heads);
  const generation = current?.generation ?? 0;
  const lost = lostGeneration(files, heads, generation);
  if (current === null) return { ...empty, damage: lost, newerSchema: null };
  const file = fileOf(generation);
  const scan = scanFile(files[file], file, current);
  const last = lastOfEachKind(scan.entries);
  return {
    cursor: { generation, offset: scan.end, seq: scan.seq, sizesBytes, last },
    entries: mergeEntries(olderEntries(files, heads, current), scan.entries),
    torn: scan.torn,
    damage: lost ?? scan.damage,
    newerSchema: scan.newerSchema,
    tail: scan.tail,
  };
}

/**
 * The writes that append a record: one frame, or a compaction that holds the record already. Throws
 * `internal.bug` when the record is above the limit or the snapshots do not fit into a file.
 */
export function planAppend(cursor: JournalCursor, kind: string, record: object): WritePlan {
  const payload = new TextEncoder().encode(JSON.stringify({ kind, record }));
  const seq = cursor.seq + 1;
  const entry = { seq, kind, record: record as JournalEntry['record'], payload };
  const last = lastOfEachKind([...cursor.last, entry]);
  const file = fileOf(cursor.generation);
  const end = cursor.offset + frameBytes(payload.length);
  if (cursor.generation === 0 || end > cursor.sizesBytes[file]) {
    return planGeneration({ ...cursor, seq, last }, cursor.generation + 1);
  }
  const bytes = encodeFrame('record', cursor.generation, seq, payload);
  return {
    steps: [{ file, offset: cursor.offset, bytes }],
    cursor: { ...cursor, seq, last, offset: end },
  };
}

/** The writes that start a generation with the cursor's last entries as snapshots. */
export function planGeneration(cursor: JournalCursor, generation: number): WritePlan {
  const { seq, last } = cursor;
  const file = fileOf(generation);
  const frames = last.map((entry) => encodeFrame('snapshot', generation, entry.seq, entry.payload));
  const lengthBytes = frames.reduce((sum, frame) => sum + frame.length, 0);
  const offset = SECTOR_BYTES + lengthBytes;
  if (offset > cursor.sizesBytes[file]) {
    const found = `snapshots of ${lengthBytes} bytes do not fit into ${cursor.sizesBytes[file]}`;
    throw new UpdateError('internal.bug', `The journal is too small: ${found}`);
  }
  const snapshots = new Uint8Array(lengthBytes);
  let at = 0;
  for (const frame of frames) {
    snapshots.set(frame, at);
    at += frame.length;
  }
  const about = new TextEncoder().encode(JSON.stringify({ snapshots: frames.length }));
  const head = encodeFrame('head', generation, seq, about);
  const steps = [
    { file, offset: SECTOR_BYTES, bytes: snapshots },
    { file, offset: 0, bytes: head },
  ].filter((step) => step.bytes.length > 0);
  return { steps, cursor: { ...cursor, generation, offset } };
}

/**
 * The writes that make what was just read durable and final, before anyone acts on it. The last
 * frame may be in the kernel's cache only (its writer was killed before its sync, or the sync
 * failed), so it is written again as it is. The header of a torn frame is wiped, so that no later
 * torn write can complete it by chance. They may go in any order; one sync after all of them does.
 */
export function planSettle(files: JournalBytes, replay: Replay): readonly WriteStep[] {
  const { generation, offset } = replay.cursor;
  if (generation === 0) return [];
  const file = fileOf(generation);
  const again = [{ offset: 0, lengthBytes: SECTOR_BYTES }, ...(replay.tail ? [replay.tail] : [])];
  const steps: WriteStep[] = again.map((part) => {
    const bytes = files[file].slice(part.offset, part.offset + part.lengthBytes);
    return { file, offset: part.offset, bytes };
  });
  return replay.torn ? [...steps, { file, offset, bytes: new Uint8Array(SECTOR_BYTES) }] : steps;
}

/** The first sector of a file; anything but a whole head in the right file is damage. */
export function readHead(files: JournalBytes, file: FileIndex): JournalHead {
  const bytes = files[file];
  if (bytes.length < JOURNAL_FILE_BYTES_MIN) return { state: 'damaged' };
  if (isNewerFrame(bytes, 0)) return { state: 'newer' };
  if (isBlank(bytes.subarray(0, SECTOR_BYTES))) return { state: 'blank' };
  const frame = readFrame(bytes, 0);
  const about = frame === null ? null : parseObject(frame.payload);
  const snapshots = about?.['snapshots'];
  const good = frame?.kind === 'head' && frame.generation > 0 && fileOf(frame.generation) === file;
  if (!good || !Number.isSafeInteger(snapshots)) return { state: 'damaged' };
  const { generation, seq } = frame;
  return { state: 'good', generation, seq, snapshots: snapshots as number };
}

/** Reads the frames behind a head up to the first one that does not belong to its generation. */
export function scanFile(bytes: Uint8Array, file: FileIndex, head: GoodHead): Scan {
  const entries: JournalEntry[] = [];
  let tail: Replay['tail'] = null;
  let newerSchema: number | null = null;
  let offset = SECTOR_BYTES;
  let seq = 0;
  const ending = (found: string | null, torn = false): Scan => {
    const damage = found === null ? null : { file, offset, found };
    return { entries, end: offset, seq: Math.max(seq, head.seq), tail, torn, damage, newerSchema };
  };
  for (;;) {
    const inSnapshots = entries.length < head.snapshots;
    if (!inSnapshots && seq < head.seq) seq = head.seq;
    const frame = readFrame(bytes, offset);
    if (frame === null || !belongs(frame, head, inSnapshots, seq)) {
      if (inSnapshots) return ending('a damaged snapshot');
      const later = findHeader(bytes, offset, (h) => isLater(h, head.generation, seq + 1));
      if (later !== null) return ending('a damaged record with later ones behind it');
      return ending(null, isTorn(readHeader(bytes, offset), head.generation));
    }
    const entry = decodeEntry(frame);
    if (entry === null) return ending('a frame that holds no record');
    if (entry.record.schema > RECORD_SCHEMA) newerSchema = entry.record.schema;
    entries.push(entry);
    seq = frame.seq;
    const lengthBytes = frameBytes(frame.lengthBytes);
    tail = { offset, lengthBytes };
    offset += lengthBytes;
  }
}

/** Offset of the first header from `offset` on, sector by sector, that passes; null = none. */
export function findHeader(
  bytes: Uint8Array,
  offset: number,
  passes: (header: FrameHeader) => boolean,
): number | null {
  for (let at = offset; at + SECTOR_BYTES <= bytes.length; at += SECTOR_BYTES) {
    const header = readHeader(bytes, at);
    if (header !== null && passes(header)) return at;
  }
  return null;
}

/** The last entry of each kind, in the order of their sequence numbers. */
export function lastOfEachKind(entries: readonly JournalEntry[]): readonly JournalEntry[] {
  const last = new Map<string, JournalEntry>();
  for (const entry of entries) last.set(entry.kind, entry);
  return [...last.values()].toSorted((a, b) => a.seq - b.seq);
}

/** Both lists as one without repetitions, in the order of their sequence numbers. */
export function mergeEntries(
  older: readonly JournalEntry[],
  newer: readonly JournalEntry[],
): readonly JournalEntry[] {
  const bySeq = new Map([...older, ...newer].map((entry) => [entry.seq, entry]));
  return [...bySeq.values()].toSorted((a, b) => a.seq - b.seq);
}

function belongs(frame: Frame, head: GoodHead, inSnapshots: boolean, seq: number): boolean {
  if (frame.generation !== head.generation) return false;
  if (!inSnapshots) return frame.kind === 'record' && frame.seq === seq + 1;
  return frame.kind === 'snapshot' && frame.seq > seq && frame.seq <= head.seq;
}

function isLater(header: FrameHeader, generation: number, expectedSeq: number): boolean {
  return header.kind === 'record' && header.generation === generation && header.seq > expectedSeq;
}

function isTorn(header: FrameHeader | null, generation: number): boolean {
  return header?.kind === 'record' && header.generation === generation;
}

function newestHead(heads: readonly JournalHead[]): GoodHead | null {
  const good = heads.filter((head) => head.state === 'good');
  return good.toSorted((a, b) => b.generation - a.generation)[0] ?? null;
}

/**
 * Damage that hides a newer generation than the one that seems to count. Records prove that their
 * head was durable. Snapshots alone do not: a power cut may have come before the head; but then the
 * sector of the head still holds what was there before, and is not damaged.
 */
function lostGeneration(
  files: JournalBytes,
  heads: readonly [JournalHead, JournalHead],
  generation: number,
): JournalDamage | null {
  for (const file of [0, 1] as const) {
    const damaged = heads[file].state === 'damaged';
    const expected = Math.max(JOURNAL_FILE_BYTES_MIN, files[otherFile(file)].length);
    if (files[file].length < expected) {
      return { file, offset: 0, found: 'a file that is missing or too short' };
    }
    const newer = findHeader(
      files[file],
      SECTOR_BYTES,
      (header) => header.generation > generation && (damaged || header.kind === 'record'),
    );
    if (newer !== null || (damaged && generation === 0)) {
      return { file, offset: 0, found: 'a damaged head' };
    }
  }
  return null;
}

function olderEntries(
  files: JournalBytes,
  heads: readonly [JournalHead, JournalHead],
  current: GoodHead,
): readonly JournalEntry[] {
  const file = otherFile(fileOf(current.generation));
  const head = heads[file];
  if (head.state !== 'good') return [];
  return scanFile(files[file], file, head).entries.filter((entry) => entry.seq <= current.seq);
}

/** The record in a frame, or null when it holds none. */
export function decodeEntry(frame: Frame): JournalEntry | null {
  const value = parseObject(frame.payload);
  const kind = value?.['kind'];
  const record = value?.['record'] as JournalEntry['record'] | null | undefined;
  if (typeof kind !== 'string' || typeof record !== 'object' || record === null) return null;
  if (!Number.isSafeInteger(record.schema)) return null;
  return { seq: frame.seq, kind, record, payload: frame.payload };
}

function parseObject(payload: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(payload);
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return null;
    return value as Readonly<Record<string, unknown>>;
  } catch {
    return null;
  }
}
