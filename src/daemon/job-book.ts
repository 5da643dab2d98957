/**
 * What a node keeps of jobs that are no rollout, over the end of its daemon: that they began, and
 * how they ended. Always holds: the file has its space from the beginning and is replaced whole; it
 * holds the newest jobs, and no more of them than fit; a job that had not ended when the daemon did
 * is found as interrupted, with what became of its work and what to do. Imports core and the
 * drivers of files.
 */
import { join } from 'node:path';
import { adviceOf, asUpdateError } from '../core/errors.ts';
import type { JobKind, JobStatus } from '../core/status.ts';
import { isCode } from '../core/codes.ts';
import { createTwoCopyFile, TwoCopyFile } from '../drivers/two-copy-file.ts';

/** Bytes of JSON that fit into a copy of the file, with room for its head. */
const BOOK_BYTES_MAX = 3900;
/** Longest message that is kept of a job. */
const MESSAGE_CHARS_MAX = 200;
/** Name of the file in the state directory. */
const FILE = 'jobs';

type KeptKind = 'stage' | 'verify' | 'resync' | 'resolve' | 'support' | 'replace';

/** What became of the work of a job whose daemon ended, and what to do. */
const INTERRUPTED: Readonly<Record<KeptKind, readonly [message: string, next: string]>> = {
  stage: [
    'the daemon ended while the bundle was copied; what had arrived is kept, no slot was written',
    'Ask for it again: it goes on where it was.',
  ],
  verify: [
    'the daemon ended while the copies were compared; nothing was changed; where the other node ' +
      'serves, the comparison goes on there',
    'See `tandem storage status`, or compare again: `tandem storage verify --wait`.',
  ],
  resync: [
    "the daemon ended while the standby's copy was made good; that copy counts as stale until it " +
      'is, and the sync goes on by itself',
    'Wait until it has ended: `tandem cluster status --wait-ready`.',
  ],
  resolve: [
    'the daemon ended while a split brain was resolved; a copy that gave way has saved its records',
    'See `tandem storage status`; if the copies are split still, resolve again.',
  ],
  replace: [
    'the daemon ended while a node was replaced; its code is dead; a new node that had joined ' +
      'stays, and the pair goes on forming by itself',
    'See `tandem cluster status`; if the new node is not there: `tandem pair replace NODE`.',
  ],
  support: [
    'the daemon ended while a support archive was made; there is no such archive',
    'Ask for it again: `tandem support`.',
  ],
};

const isKept = (kind: JobKind): kind is KeptKind => Object.hasOwn(INTERRUPTED, kind);

/** The jobs of a node that outlive its daemon. */
export interface JobBook {
  /** Those of earlier runs of the daemon, newest first; each has ended. */
  readonly earlier: readonly JobStatus[];
  /** Those of them that had not ended when the daemon did. */
  readonly interrupted: readonly JobStatus[];
  /** Keeps how a job stands. Durable when it resolves, if the disk takes it; never rejects. */
  note(job: JobStatus): Promise<void>;
}

/** A book that forgets. */
export const NO_BOOK: JobBook = {
  earlier: [],
  interrupted: [],
  note: () => Promise.resolve(),
};

/**
 * The book in the state directory; `at` is the time of this start, for people. Without a file jobs
 * are forgotten with the daemon, which `log` says.
 */
export async function openJobBook(
  stateDir: string,
  at: string,
  log: (line: string) => void,
): Promise<JobBook & AsyncDisposable> {
  const path = join(stateDir, FILE);
  try {
    await createTwoCopyFile(path);
    const book = new FileBook(await TwoCopyFile.open(path), at, log);
    await book.close();
    return book;
  } catch (error) {
    log(`${path} cannot be used, so jobs are forgotten: ${asUpdateError(error).message}`);
    return { ...NO_BOOK, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
}

class FileBook implements JobBook, AsyncDisposable {
  readonly earlier: readonly JobStatus[];
  readonly interrupted: readonly JobStatus[];
  readonly #file: TwoCopyFile;
  readonly #log: (line: string) => void;
  /** Newest first. */
  #jobs: readonly JobStatus[];
  #turn: Promise<void> = Promise.resolve();

  constructor(file: TwoCopyFile, at: string, log: (line: string) => void) {
    this.#file = file;
    this.#log = log;
    const found = jobsOf(file.value);
    this.earlier = found.map((job) => endOf(job, at));
    this.interrupted = this.earlier.filter((_, index) => found[index]!.state === 'running');
    this.#jobs = fitting(this.earlier);
  }

  /** The interrupted ones have ended from now on. */
  async close(): Promise<void> {
    if (this.interrupted.length > 0) await this.#write();
  }

  async note(job: JobStatus): Promise<void> {
    if (!isKept(job.kind)) return;
    const others = this.#jobs.filter((one) => one.id !== job.id);
    this.#jobs = fitting([brief(job), ...others]);
    this.#turn = this.#turn.then(() => this.#write());
    await this.#turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    await this.#file[Symbol.asyncDispose]();
  }

  async #write(): Promise<void> {
    try {
      await this.#file.write({ v: 1, jobs: this.#jobs });
    } catch (error) {
      // A job must not fail for the note of it.
      this.#log(`the list of jobs cannot be kept: ${asUpdateError(error).message}`);
    }
  }
}

/** A job that had not ended is interrupted. */
function endOf(job: JobStatus, at: string): JobStatus {
  if (job.state !== 'running' || !isKept(job.kind)) return job;
  const code = 'job.interrupted';
  const [message, next] = INTERRUPTED[job.kind];
  return { ...job, state: 'failed', exit: adviceOf(code).exit, code, message, next, endedAt: at };
}

function brief(job: JobStatus): JobStatus {
  const { message } = job;
  if (message.length <= MESSAGE_CHARS_MAX) return job;
  return { ...job, message: `${message.slice(0, MESSAGE_CHARS_MAX - 3)}...` };
}

/** As many of the newest as have room. */
function fitting(jobs: readonly JobStatus[]): readonly JobStatus[] {
  let bytes = 0;
  const end = jobs.findIndex((job) => {
    bytes += Buffer.byteLength(JSON.stringify(job)) + 1;
    return bytes > BOOK_BYTES_MAX;
  });
  return end < 0 ? jobs : jobs.slice(0, end);
}

/** What the file holds, as far as it is understood; kinds of a newer program are left out. */
function jobsOf(value: unknown): readonly JobStatus[] {
  const { v, jobs } = (value ?? {}) as { v?: unknown; jobs?: unknown };
  if (v !== 1 || !Array.isArray(jobs)) return [];
  return jobs.filter((one: unknown): one is JobStatus => {
    const job = one as Partial<JobStatus> | null;
    const texts = [job?.id, job?.message, job?.startedAt];
    const known = job?.kind !== undefined && isKept(job.kind);
    const good = job?.code === null || (typeof job?.code === 'string' && isCode(job.code));
    return known && good && texts.every((text) => typeof text === 'string');
  });
}
