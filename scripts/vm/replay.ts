/**
 * Power cuts that are honest about the write cache of a disk: from the disk as it was at the start
 * and the log of its writes, the disk as it may have been after any entry, where what had not been
 * flushed is kept, lost, or partly lost. Always holds: what was flushed is there; the same seed
 * gives the same disk; a sector is never torn, a longer write may be. Imports core and node.
 */
import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { UpdateError } from '../../src/core/errors.ts';
import { copyDisk } from './disks.ts';
import { readWriteLog, type LogEntry, type WriteLog } from './write-log.ts';

/**
 * What happens to writes that no flush followed: `keep` all (a cache that survives), `drop` all, or
 * each one by chance: there, gone, or only its first sectors there.
 */
export type Unflushed = 'keep' | 'drop' | { readonly seed: number };

/** An entry that reaches the disk, and how much of it. */
export interface AppliedEntry {
  readonly entry: LogEntry;
  readonly sizeBytes: number;
}

/** What was replayed. */
export interface ReplayResult {
  /** Entries of the last log up to the cut. */
  readonly entries: number;
  /** Of the writes and discards among them: whole on the disk, partly there, not there. */
  readonly whole: number;
  readonly torn: number;
  readonly dropped: number;
}

const CHUNK_BYTES = 1024 * 1024;

/**
 * Which of the first `count` entries reach the disk when the power goes right after them. Throws
 * `usage.invalid` when there are fewer.
 */
export function planReplay(
  log: Pick<WriteLog, 'entries' | 'sectorBytes'>,
  count: number,
  unflushed: Unflushed,
): readonly AppliedEntry[] {
  if (!Number.isSafeInteger(count) || count < 0 || count > log.entries.length) {
    const message = `The log has ${log.entries.length} entries and ${count} were asked for`;
    throw new UpdateError('usage.invalid', message);
  }
  const before = log.entries.slice(0, count);
  const lastFlush = before.findLastIndex(({ kind }) => kind === 'flush');
  const chance = typeof unflushed === 'object' ? chances(unflushed.seed) : null;
  return before.flatMap((entry, i): readonly AppliedEntry[] => {
    const { kind, sizeBytes } = entry;
    if (kind !== 'write' && kind !== 'discard') return [];
    const isSafe = i < lastFlush || entry.isForced || unflushed === 'keep';
    if (isSafe) return [{ entry, sizeBytes }];
    if (chance === null) return [];
    const survives = chance();
    if (survives < 0.4) return [{ entry, sizeBytes }];
    if (survives < 0.8) return [];
    const sectors = Math.floor(chance() * (sizeBytes / log.sectorBytes));
    return sectors === 0 ? [] : [{ entry, sizeBytes: sectors * log.sectorBytes }];
  });
}

/** Numbers in [0, 1) that follow from a seed. */
function chances(seed: number): () => number {
  let drawn = 0;
  return () => {
    drawn += 1;
    return createHash('sha256').update(`${seed} ${drawn}`).digest().readUInt32LE(0) / 2 ** 32;
  };
}

/** Which disk is made. */
export interface ReplaySpec {
  /** The raw disk as it was before the first entry of the first log; it is not changed. */
  readonly start: string;
  /** Raw disk that is written; it is replaced. */
  readonly target: string;
  /** Logs of the boots, oldest first; all but the last one are replayed in full. */
  readonly logs: readonly string[];
  /** Entries of the last log; default all. */
  readonly count?: number;
  readonly unflushed: Unflushed;
}

/**
 * Makes the disk of a power cut. Throws as `readWriteLog` and `planReplay`, and `usage.invalid`
 * when the log is that of a larger disk.
 */
export async function replayWrites(spec: ReplaySpec): Promise<ReplayResult> {
  const logs = await Promise.all(spec.logs.map((path) => readWriteLog(path)));
  await copyDisk(spec.start, spec.target);
  await using disk = await open(spec.target, 'r+');
  const { size } = await disk.stat();
  let result: ReplayResult = { entries: 0, whole: 0, torn: 0, dropped: 0 };
  for (const [i, log] of logs.entries()) {
    const isLast = i === logs.length - 1;
    const count = isLast ? (spec.count ?? log.entries.length) : log.entries.length;
    const applied = planReplay(log, count, isLast ? spec.unflushed : 'keep');
    const beyond = applied.find(({ entry }) => entry.offsetBytes + entry.sizeBytes > size);
    if (beyond !== undefined) {
      const message = `${log.path} writes past the ${size} bytes of ${spec.start}`;
      throw new UpdateError('usage.invalid', message);
    }
    await using file = await open(log.path, 'r');
    for (const one of applied) await apply(one, file, disk);
    result = resultOf(log, count, applied);
  }
  return result;
}

function resultOf(log: WriteLog, count: number, applied: readonly AppliedEntry[]): ReplayResult {
  const changes = log.entries
    .slice(0, count)
    .filter(({ kind }) => kind === 'write' || kind === 'discard').length;
  const torn = applied.filter((one) => one.sizeBytes < one.entry.sizeBytes).length;
  const dropped = changes - applied.length;
  return { entries: count, whole: applied.length - torn, torn, dropped };
}

/** Copies the data of an entry, or zeros for a discard, onto the disk. */
async function apply(one: AppliedEntry, log: FileHandle, disk: FileHandle): Promise<void> {
  const { entry, sizeBytes } = one;
  for (let done = 0; done < sizeBytes; done += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, sizeBytes - done);
    const data = Buffer.alloc(length);
    if (entry.kind === 'write') {
      const { bytesRead } = await log.read(data, 0, length, entry.dataOffset + done);
      if (bytesRead < length) throw new UpdateError('file.unreadable', 'The log became shorter');
    }
    await disk.write(data, 0, length, entry.offsetBytes + done);
  }
}
