/**
 * One whole update of a pair as it was recorded, kept in a folder below `build/cuts`: the disks
 * before the first boot, the logs of every boot, what was installed, which writes of a client were
 * acknowledged when. Always holds: a folder without `recording.json` is no recording; the paths in
 * it are relative to it. Imports core, drivers and the parts beside it.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import { writeFileAtomic } from '../../src/drivers/fs-atomic.ts';
import type { KnownImage } from './facts.ts';
import { readGpt, type GptPartition } from './gpt.ts';
import type { Acknowledged } from './judge.ts';
import { entryReader, findMarks, findStretches, type Mark, type Stretch } from './marks.ts';
import { readTimeline, type TimelineEntry } from './timeline.ts';
import { FileView, sha256 } from './view.ts';
import type { Recorded } from './walker.ts';

/** Version of the folder's form. */
export const RECORDING_SCHEMA = 1;
const FILE = 'recording.json';
/** Images are compared in pieces of this size. */
const CHUNK_BYTES = 256 * 1024;
const DATA_PARTITION = 'tandem-data';

/** A place in the logs of a machine: so many bytes of the log of a boot, from 0. */
export interface LogPosition {
  readonly boot: number;
  readonly bytes: number;
}

/** A write of a client that was acknowledged. */
export interface AcknowledgedWrite {
  /** The node that served it. */
  readonly node: NodeId;
  readonly key: string;
  /** SHA-256 of the value. */
  readonly hash: string;
  /** The log of that node, right after the answer had come. */
  readonly at: LogPosition;
}

/** The logs of both nodes at the same moment. */
export type Moment = Readonly<Record<NodeId, LogPosition>>;

/** What is in `recording.json`. */
export interface Recording {
  readonly schema: number;
  /** What was recorded, for people. */
  readonly title: string;
  readonly images: readonly KnownImage[];
  readonly nodes: Readonly<
    Record<NodeId, { readonly start: string; readonly logs: readonly string[] }>
  >;
  /** Private key with which root may log in. */
  readonly rootKey: string;
  readonly acknowledged: readonly AcknowledgedWrite[];
  readonly moments: readonly Moment[];
  /** Entries and bytes per boot and partition, for people. */
  readonly index: Readonly<Record<NodeId, readonly IndexRow[]>>;
}

/** What one boot wrote to one partition; `-` for flushes. */
export interface IndexRow {
  readonly boot: number;
  readonly partition: string;
  readonly kind: TimelineEntry['kind'];
  readonly entries: number;
  readonly bytes: number;
}

/** One node of a recording, read. */
export interface NodeTimeline {
  readonly recorded: Recorded;
  readonly partitions: readonly GptPartition[];
  readonly entries: readonly TimelineEntry[];
  readonly marks: readonly Mark[];
  readonly stretches: readonly Stretch[];
}

/** Reads the head of a recording; null when there is none. Throws `file.unreadable`. */
export async function loadRecording(dir: string): Promise<Recording | null> {
  const text = await readFile(join(dir, FILE), 'utf8').catch(() => null);
  if (text === null) return null;
  const value = JSON.parse(text) as Recording;
  if (value.schema === RECORDING_SCHEMA) return value;
  throw new UpdateError('file.unreadable', `${dir} has a recording of schema ${value.schema}`);
}

/** Writes the head of a recording, as the last thing that makes it one. */
export async function saveRecording(dir: string, recording: Recording): Promise<void> {
  await writeFileAtomic(join(dir, FILE), `${JSON.stringify(recording)}\n`);
}

/** Reads disk and logs of a node. Throws `file.unreadable`, `file.not_found`. */
export async function readNode(
  dir: string,
  { start, logs }: Recording['nodes'][NodeId],
): Promise<NodeTimeline> {
  const paths = logs.map((log) => join(dir, log));
  const entries = await readTimeline(paths);
  using disk = new FileView(join(dir, start));
  const partitions = readGpt(disk);
  const data = partitions.find(({ name }) => name === DATA_PARTITION);
  if (data === undefined) throw new UpdateError('file.unreadable', `${start} has no data`);
  using open = new DisposableStack();
  const views = paths.map((path) => open.use(new FileView(path)));
  const marks = findMarks(entries, partitions, entryReader(views));
  return {
    recorded: { start: join(dir, start), logs: paths, entries, data },
    partitions,
    entries,
    marks,
    stretches: findStretches(entries, marks),
  };
}

/** The rows of the index of one node. */
export function indexOf({ entries, partitions }: NodeTimeline): readonly IndexRow[] {
  const rows = new Map<string, IndexRow>();
  for (const { boot, kind, offsetBytes, sizeBytes } of entries) {
    const place = partitions.find(
      ({ startBytes, sizeBytes: all }) =>
        offsetBytes >= startBytes && offsetBytes < startBytes + all,
    );
    const partition = kind === 'flush' ? '-' : (place?.name ?? 'outside');
    const key = `${boot} ${partition} ${kind}`;
    const { entries: count = 0, bytes = 0 } = rows.get(key) ?? {};
    rows.set(key, { boot, partition, kind, entries: count + 1, bytes: bytes + sizeBytes });
  }
  return [...rows.values()];
}

/** Entries of a timeline that a log of so many bytes has. */
export function entriesAt(entries: readonly TimelineEntry[], at: LogPosition): number {
  // Entries follow each other in the logs, so the ones that are there come first.
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const { boot, endBytes } = entries[middle] ?? { boot: Infinity, endBytes: Infinity };
    const isThere = boot < at.boot || (boot === at.boot && endBytes <= at.bytes);
    if (isThere) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What a node must hold after so many entries: every write that it had acknowledged by then. */
export function acknowledgedAt(
  recording: Recording,
  node: NodeId,
  entries: readonly TimelineEntry[],
  count: number,
): Acknowledged {
  const own = recording.acknowledged.filter(
    (write) => write.node === node && entriesAt(entries, write.at) <= count,
  );
  return new Map(own.map(({ key, hash }) => [key, hash]));
}

/** What the checker has to know of an image file. Throws `file.not_found`. */
export function knownImage(
  file: string,
  { class: cls, version }: Pick<KnownImage, 'class' | 'version'>,
): KnownImage {
  using view = new FileView(file);
  const { sizeBytes } = view;
  const chunks: string[] = [];
  for (let at = 0; at < sizeBytes; at += CHUNK_BYTES) {
    chunks.push(view.digest(at, Math.min(CHUNK_BYTES, sizeBytes - at)));
  }
  const digest = sha256(view.read(0, sizeBytes));
  return { class: cls, version, sizeBytes, sha256: digest, chunkBytes: CHUNK_BYTES, chunks };
}

/** Both nodes of a recording, read. */
export async function readNodes(
  dir: string,
  recording: Recording,
): Promise<Readonly<Record<NodeId, NodeTimeline>>> {
  const [A, B] = await Promise.all(NODES.map((node) => readNode(dir, recording.nodes[node])));
  if (A === undefined || B === undefined) throw new RangeError('nodes of a pair');
  return { A, B };
}
