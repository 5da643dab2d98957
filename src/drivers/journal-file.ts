/**
 * The journal on disk: the port Journal over two preallocated files (core/journal.ts says what they
 * hold). Always holds: `append` returns when the record is durable, after one write and one sync
 * (two of each when a file is full), and needs no free space; what `read` returned is durable too;
 * a damaged journal, or one of a newer program, is not written to. Calls run one after the other in
 * the order in which they were made. Imports core, ports, the disk file and node.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../core/errors.ts';
import { isBlank, SECTOR_BYTES } from '../core/frame.ts';
import {
  JOURNAL_FILE_BYTES_MIN,
  planAppend,
  planSettle,
  replayJournal,
  type FileIndex,
  type JournalBytes,
  type JournalCursor,
  type JournalEntry,
  type Replay,
  type WriteStep,
} from '../core/journal.ts';
import { planRepair } from '../core/journal-repair.ts';
import { RECORD_SCHEMA } from '../core/records.ts';
import type { Journal, JournalContent, JournalRecord } from '../ports.ts';
import { createDiskFile, openDiskFile, type DiskFile } from './disk-file.ts';
import { ioError, isErrno } from './fs-atomic.ts';

/** Size of each of the two files of a new journal. */
export const JOURNAL_FILE_BYTES = 1024 * 1024;
/** Largest file that is read, in case that a later program makes larger ones. */
const JOURNAL_FILE_BYTES_MAX = 16 * 1024 * 1024;
/** Records that `read` returns at most. */
const RECORDS_MAX = 1000;

/** The two files; null = missing although the other one is in use. */
export type JournalFiles = readonly [DiskFile | null, DiskFile | null];

/** Makes a file of zeros in full size, in place of what is there. */
type CreateFile = (file: FileIndex, sizeBytes: number) => Promise<DiskFile>;

const journalPath = (dir: string, file: FileIndex): string => join(dir, `journal.${file}`);

/**
 * Opens the journal of a state directory, and lays it out when there is none. Whoever calls holds
 * the state lock. Throws `state.io`, also when there is no space for a new one.
 */
export async function openJournal(
  stateDir: string,
  options: { readonly fileBytes?: number } = {},
): Promise<FileJournal> {
  const create: CreateFile = async (file, sizeBytes) => {
    const path = journalPath(stateDir, file);
    await createDiskFile(path, sizeBytes);
    return openDiskFile(path, { maxBytes: JOURNAL_FILE_BYTES_MAX });
  };
  const files: [DiskFile | null, DiskFile | null] = [null, null];
  try {
    await mkdir(stateDir, { recursive: true });
    for (const file of [0, 1] as const) files[file] = await openIfThere(stateDir, file, false);
    // A missing file is laid out only while nothing was ever written; else it is a loss.
    if ((await isUnused(files[0])) && (await isUnused(files[1]))) {
      const there = files[0]?.sizeBytes ?? files[1]?.sizeBytes;
      const sizeBytes = there ?? options.fileBytes ?? JOURNAL_FILE_BYTES;
      for (const file of [0, 1] as const) files[file] ??= await create(file, sizeBytes);
    }
    return new FileJournal(files, create);
  } catch (error) {
    for (const file of files) await file?.[Symbol.asyncDispose]();
    throw ioError(error, 'state.io', `The journal in ${stateDir} cannot be opened`);
  }
}

/** Reads a journal and changes nothing, also while a daemon writes it. Throws `state.io`. */
export async function inspectJournal(stateDir: string): Promise<Replay> {
  try {
    await using first = await openIfThere(stateDir, 0, true);
    await using second = await openIfThere(stateDir, 1, true);
    const [one, two] = [await readAll(first), await readAll(second)];
    if (one.length === 0 && two.length === 0) {
      throw new UpdateError('file.not_found', `There is no journal in ${stateDir}`);
    }
    return replayJournal([one, two]);
  } catch (error) {
    throw ioError(error, 'state.io', `The journal in ${stateDir} cannot be read`);
  }
}

/** The port Journal over two files in place. */
export class FileJournal implements Journal, AsyncDisposable {
  readonly #files: [DiskFile | null, DiskFile | null];
  readonly #create: CreateFile | null;
  /** Null = what is on disk must be read before anything is written. */
  #cursor: JournalCursor | null = null;
  #queue: Promise<unknown> = Promise.resolve();

  /** `create` makes a missing or shortened file again; without it a repair cannot. */
  constructor(files: JournalFiles, create: CreateFile | null = null) {
    this.#files = [files[0], files[1]];
    this.#create = create;
  }

  read(): Promise<JournalContent> {
    return this.#inTurn('read', async () => contentOf(await this.#load()));
  }

  append(record: JournalRecord): Promise<void> {
    return this.#inTurn('written', async () => {
      const cursor = this.#cursor ?? (await this.#load()).cursor;
      const plan = planAppend(cursor, record.kind, record.record);
      // Until the last sync returned, nobody knows what is on disk.
      this.#cursor = null;
      await this.#write(plan.steps);
      this.#cursor = plan.cursor;
    });
  }

  repair(): Promise<{ readonly kept: number; readonly droppedBytes: number }> {
    return this.#inTurn('repaired', async () => {
      this.#cursor = null;
      const bytes = await this.#bytes();
      const replay = replayJournal(bytes);
      refuseNewer(replay);
      if (replay.damage === null) return { kept: replay.entries.length, droppedBytes: 0 };
      const largest = Math.max(bytes[0].length, bytes[1].length);
      const sizeBytes = largest < JOURNAL_FILE_BYTES_MIN ? JOURNAL_FILE_BYTES : largest;
      const { steps, kept, droppedBytes, target } = planRepair(bytes, sizeBytes);
      // The target first: it holds nothing that the repair needs.
      await this.#restore(target, sizeBytes);
      await this.#write(steps);
      await this.#restore(target === 0 ? 1 : 0, sizeBytes);
      return { kept, droppedBytes };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue;
    for (const file of this.#files) await file?.[Symbol.asyncDispose]();
  }

  /** Runs one call after the other; a failed one does not fail the next. */
  async #inTurn<T>(verb: string, run: () => Promise<T>): Promise<T> {
    const mine = this.#queue.then(run);
    this.#queue = mine.catch(() => undefined);
    try {
      return await mine;
    } catch (error) {
      throw ioError(error, 'state.io', `The journal cannot be ${verb}`);
    }
  }

  async #load(): Promise<Replay> {
    this.#cursor = null;
    const bytes = await this.#bytes();
    const replay = replayJournal(bytes);
    refuseNewer(replay);
    refuseDamaged(replay);
    const steps = planSettle(bytes, replay);
    for (const step of steps) await this.#file(step.file).write(step.offset, step.bytes);
    if (steps[0] !== undefined) await this.#file(steps[0].file).sync();
    this.#cursor = replay.cursor;
    return replay;
  }

  async #write(steps: readonly WriteStep[]): Promise<void> {
    for (const step of steps) {
      const file = this.#file(step.file);
      await file.write(step.offset, step.bytes);
      await file.sync();
    }
  }

  async #bytes(): Promise<JournalBytes> {
    return [await readAll(this.#files[0]), await readAll(this.#files[1])];
  }

  #file(file: FileIndex): DiskFile {
    const found = this.#files[file];
    if (found === null) throw new UpdateError('internal.bug', `journal.${file} is not open`);
    return found;
  }

  /** Makes a file whole again that is missing or was cut short; its content is given up. */
  async #restore(file: FileIndex, sizeBytes: number): Promise<void> {
    const found = this.#files[file];
    if (found?.sizeBytes === sizeBytes || this.#create === null) return;
    await found?.[Symbol.asyncDispose]();
    this.#files[file] = null;
    this.#files[file] = await this.#create(file, sizeBytes);
  }
}

function contentOf(replay: Replay): JournalContent {
  const last = replay.cursor.last.filter(isKnown).map(asRecord);
  return {
    node: last.find((entry) => entry.kind === 'node')?.record ?? null,
    rollout: last.find((entry) => entry.kind === 'rollout')?.record ?? null,
    records: replay.entries
      .filter(isKnown)
      .slice(-RECORDS_MAX)
      .map((entry) => ({ ...asRecord(entry), seq: entry.seq })),
    torn: replay.torn,
  };
}

/** Kinds of a newer program with the same schema are kept on disk and not shown. */
function isKnown(entry: JournalEntry): boolean {
  return entry.kind === 'node' || entry.kind === 'rollout';
}

/** The schema number says that the record has the fields that this program reads. */
function asRecord(entry: JournalEntry): JournalRecord {
  return { kind: entry.kind, record: entry.record } as unknown as JournalRecord;
}

function refuseNewer(replay: Replay): void {
  if (replay.newerSchema === null) return;
  const found = `The journal has schema ${replay.newerSchema}`;
  const message = `${found}, this program knows ${RECORD_SCHEMA}`;
  const detail = { found: replay.newerSchema, expected: RECORD_SCHEMA };
  throw new UpdateError('state.newer_schema', message, { detail });
}

function refuseDamaged({ damage, entries }: Replay): void {
  if (damage === null) return;
  const place = `journal.${damage.file} at byte ${damage.offset}`;
  const message = `The journal has ${damage.found} in ${place}; ${entries.length} records are good`;
  const detail = { file: `journal.${damage.file}`, offset: damage.offset, good: entries.length };
  throw new UpdateError('journal.corrupt', message, { detail });
}

async function openIfThere(
  stateDir: string,
  file: FileIndex,
  readOnly: boolean,
): Promise<DiskFile | null> {
  const path = journalPath(stateDir, file);
  try {
    return await openDiskFile(path, { maxBytes: JOURNAL_FILE_BYTES_MAX, readOnly });
  } catch (error) {
    if (isErrno(error) && error.code === 'ENOENT') return null;
    throw error;
  }
}

async function readAll(file: DiskFile | null): Promise<Uint8Array> {
  if (file === null) return new Uint8Array(0);
  // Whole sectors only: a file of an odd length was cut off from outside.
  return file.read(0, file.sizeBytes - (file.sizeBytes % SECTOR_BYTES));
}

async function isUnused(file: DiskFile | null): Promise<boolean> {
  return file === null || isBlank(await readAll(file));
}
