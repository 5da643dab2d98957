/**
 * Scheduled updates on the disk of a node. Always holds: a schedule is durable when `write`
 * resolves; the file is replaced whole; one that cannot be read is put aside and said so, and the
 * peer brings back what both knew. Imports core and the drivers of files.
 */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { asUpdateError } from '../core/errors.ts';
import { readSchedules } from '../core/schedule-read.ts';
import type { Schedule } from '../core/schedule.ts';
import { readFileLimited, writeFileAtomic } from '../drivers/fs-atomic.ts';

/** Name of the file in the state directory. */
const FILE = 'schedules.json';
const FILE_BYTES_MAX = 256 * 1024;

/** What the file holds. */
export interface BookContent {
  readonly schedules: readonly Schedule[];
  /** The latest wall-clock time that this node has noted, in milliseconds. */
  readonly seenMs: number;
}

/** Where scheduled updates are kept. */
export interface ScheduleBook {
  readonly content: BookContent;
  /** Durable when it resolves. Throws `state.io`; the content before is then still there. */
  write(content: BookContent): Promise<void>;
}

/** The book of one node, which alone writes it. */
export class FileScheduleBook implements ScheduleBook {
  readonly #path: string;
  #content: BookContent;

  private constructor(path: string, content: BookContent) {
    this.#path = path;
    this.#content = content;
  }

  /** Reads the file; one that is missing is an empty book, a damaged one too. */
  static async open(stateDir: string, log: (line: string) => void): Promise<FileScheduleBook> {
    const path = join(stateDir, FILE);
    return new FileScheduleBook(path, await read(path, log));
  }

  get content(): BookContent {
    return this.#content;
  }

  async write(content: BookContent): Promise<void> {
    await writeFileAtomic(this.#path, `${JSON.stringify({ v: 1, ...content })}\n`);
    this.#content = content;
  }
}

const EMPTY: BookContent = { schedules: [], seenMs: 0 };

async function read(path: string, log: (line: string) => void): Promise<BookContent> {
  try {
    const text = (await readFileLimited(path, FILE_BYTES_MAX)).toString('utf8');
    const value = JSON.parse(text) as { v?: unknown; schedules?: unknown; seenMs?: unknown } | null;
    if (value?.v !== 1) throw new SyntaxError('it is of another version');
    const { seenMs } = value;
    return {
      schedules: readSchedules(value.schedules),
      seenMs: Number.isSafeInteger(seenMs) ? (seenMs as number) : 0,
    };
  } catch (cause) {
    if (asUpdateError(cause).code === 'file.not_found') return EMPTY;
    const why = cause instanceof Error ? cause.message : String(cause);
    log(`${path} cannot be read, so no update is scheduled on this node: ${why}`);
    // Kept for whoever looks; the next write makes a good one.
    await rename(path, `${path}.damaged`).catch(() => undefined);
    return EMPTY;
  }
}
