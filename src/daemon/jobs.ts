/**
 * Jobs as clients see them. An update, a rollback or a commit is a rollout, so its job is read from
 * the rollout record and survives a restart and a failover; what is work of this process alone is
 * noted in a book, so that its end is known after a restart, too.
 * Imports core and node.
 */
import { randomBytes } from 'node:crypto';
import { CODES, EXIT, isCode, type Code } from '../core/codes.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { endedAt } from '../core/phases.ts';
import { END_PHASES, type RolloutRecord } from '../core/records.ts';
import type { JobKind, JobStatus } from '../core/status.ts';
import { NO_BOOK, type JobBook } from './job-book.ts';

/** Kinds whose whole work is done by this process; the others become rollouts. */
const LOCAL: ReadonlySet<JobKind> = new Set([
  'stage',
  'verify',
  'resync',
  'resolve',
  'support',
  'replace',
  'restart',
  'shutdown',
]);
/** Finished local jobs that are still shown. */
const LOCAL_MAX = 100;
/** A commit is a later part of a rollout: its job id is the rollout's with this ending. */
const COMMIT_ENDING = '.commit';

/** Ids that people can read over the phone and that sort by kind. */
export function newId(kind: string): string {
  return `${kind}-${randomBytes(5).toString('hex')}`;
}

/** Id of the job that makes a rollout permanent. */
export const commitId = (rollout: RolloutRecord): string => `${rollout.id}${COMMIT_ENDING}`;

/** Every job that this daemon can tell of. */
export class Jobs {
  readonly #local = new Map<string, JobStatus>();
  readonly #aborts = new Map<string, AbortController>();
  readonly #rollouts: () => readonly RolloutRecord[];
  readonly #now: () => string;
  readonly #book: JobBook;
  readonly #others: () => readonly JobStatus[];
  #noted: Promise<void> = Promise.resolve();

  constructor(
    rollouts: () => readonly RolloutRecord[],
    now: () => string,
    book: JobBook = NO_BOOK,
    others: () => readonly JobStatus[] = () => [],
  ) {
    this.#rollouts = rollouts;
    this.#now = now;
    this.#book = book;
    this.#others = others;
    for (const job of book.earlier.toReversed()) this.#local.set(job.id, job);
  }

  /** The same job, once it and every one before it is in the book. */
  async noted<T>(job: Promise<T>): Promise<T> {
    const begun = await job;
    await this.#noted;
    return begun;
  }

  /**
   * Runs the part of a job that only this process knows (checking, staging, asking the peer). A job
   * that becomes a rollout is shown from its record as soon as there is one.
   */
  begin(
    id: string,
    kind: JobKind,
    work: (signal: AbortSignal) => Promise<string>,
    onEnd: (status: JobStatus) => void,
    startedAt: string = this.#now(),
  ): JobStatus {
    const abort = new AbortController();
    const started: JobStatus = {
      id,
      kind,
      state: 'running',
      exit: null,
      code: null,
      message: `${kind} accepted`,
      next: null,
      startedAt,
      endedAt: null,
    };
    this.#local.set(id, started);
    this.#aborts.set(id, abort);
    this.#trim();
    this.#noted = this.#book.note(started);
    const end = async (change: Partial<JobStatus>): Promise<void> => {
      const status = { ...started, ...change, endedAt: this.#now() };
      // What is told of an end is true after a restart.
      await this.#book.note(status);
      this.#local.set(id, status);
      this.#aborts.delete(id);
      onEnd(status);
    };
    void this.#work(started, work, abort.signal, end);
    return started;
  }

  /** Says how far a job of this process is. */
  tell(id: string, message: string): void {
    const job = this.#local.get(id);
    if (job?.state === 'running') this.#local.set(id, { ...job, message });
  }

  async #work(
    started: JobStatus,
    work: (signal: AbortSignal) => Promise<string>,
    signal: AbortSignal,
    end: (change: Partial<JobStatus>) => Promise<void>,
  ): Promise<void> {
    const { id, kind } = started;
    try {
      const message = await work(signal);
      if (LOCAL.has(kind)) {
        await end({ state: 'done', exit: EXIT.done, message });
        return;
      }
      // A rollout's end is read from its record, which the driver has and this node soon will.
      this.#local.set(id, { ...started, message });
      this.#aborts.delete(id);
    } catch (cause) {
      const cancelled = signal.aborted && asUpdateError(cause).code !== 'job.not_cancellable';
      const error = cancelled
        ? new UpdateError('job.cancelled', cancelledSentence(kind))
        : asUpdateError(cause);
      const { code, message, next } = error.report();
      await end({ state: 'failed', exit: error.exit, code, message, next });
    }
  }

  /** Newest first, those too that other desks tell of. */
  list(): readonly JobStatus[] {
    const begun = this.begun();
    const known = new Set(begun.map((job) => job.id));
    const others = this.#others().filter((job) => !known.has(job.id));
    return others.length === 0 ? begun : [...begun, ...others].toSorted(newestFirst);
  }

  /** Jobs that have begun as a rollout or as work of this process, newest first. */
  begun(): readonly JobStatus[] {
    const rollouts = this.#rollouts();
    const jobs = rollouts.flatMap((one) => [rolloutJob(one), ...commitJobs(one)]);
    // From its record on, a job is told of by that alone.
    for (const { id } of jobs) if (!this.#aborts.has(id)) this.#local.delete(id);
    const known = new Set(jobs.map((job) => job.id));
    const local = [...this.#local.values()].filter((job) => !known.has(job.id));
    return [...local, ...jobs].toSorted(newestFirst);
  }

  get(id: string): JobStatus {
    const job = this.list().find((one) => one.id === id);
    if (job === undefined) throw new UpdateError('job.unknown', `there is no job ${id}`);
    return job;
  }

  /** The local part of a job that is no rollout; null = there is none. */
  own(id: string): JobStatus | null {
    const isRollout = this.#rollouts().some((rollout) => rollout.id === id);
    return isRollout ? null : (this.#local.get(id) ?? null);
  }

  /** Ends the local part of a job; false when there is none any more. */
  abort(id: string): boolean {
    const abort = this.#aborts.get(id);
    abort?.abort();
    return abort !== undefined;
  }

  #trim(): void {
    for (const [id, job] of this.#local) {
      if (this.#local.size <= LOCAL_MAX) return;
      if (job.state !== 'running') this.#local.delete(id);
    }
  }
}

const newestFirst = (a: JobStatus, b: JobStatus): number => b.startedAt.localeCompare(a.startedAt);

/** What a cancelled job leaves behind; a service that was handed over for it stays where it is. */
function cancelledSentence(kind: JobKind): string {
  const leaves = kind === 'restart' || kind === 'shutdown';
  const left = leaves ? '; the node stays up' : ' before it changed anything';
  return `the ${kind} was cancelled${left}`;
}

/** The job of a rollout: an end other than DONE carries the code that scripts act on. */
export function rolloutJob(rollout: RolloutRecord): JobStatus {
  const ended = END_PHASES.has(rollout.phase);
  const finalizing = rollout.phase === 'FINALIZE';
  const good = rollout.phase === 'DONE' || finalizing;
  const code = codeOf(rollout.result);
  return {
    id: rollout.id,
    kind: rollout.kind,
    state: good ? 'done' : ended ? 'failed' : 'running',
    exit: good ? EXIT.done : ended ? CODES[code ?? 'internal.bug'].exit : null,
    code: good ? null : code,
    message: rollout.result?.message ?? messageOf(rollout),
    next: good || code === null ? null : CODES[code].next,
    startedAt: rollout.startedAt,
    endedAt: endedAt(rollout),
  };
}

/** The code of a result; one of a newer program is told by its message alone. */
function codeOf(result: RolloutRecord['result']): Code | null {
  if (result === null) return null;
  return isCode(result.code) ? result.code : 'internal.bug';
}

function messageOf(rollout: RolloutRecord): string {
  if (rollout.phase !== 'DONE' && rollout.phase !== 'FINALIZE') return `phase ${rollout.phase}`;
  return rollout.kind === 'update'
    ? `both nodes run ${rollout.to.version}; the pair is highly available`
    : `the pair runs ${rollout.to.version} again and is highly available`;
}

function commitJobs(rollout: RolloutRecord): readonly JobStatus[] {
  if (rollout.phase !== 'FINALIZE' && !rollout.finalized) return [];
  const done = rollout.finalized;
  return [
    {
      id: commitId(rollout),
      kind: 'commit',
      state: done ? 'done' : 'running',
      exit: done ? EXIT.done : null,
      code: null,
      message: done ? `${rollout.to.version} is permanent on both nodes` : 'closing the old slots',
      next: null,
      startedAt: rollout.phaseAt,
      endedAt: done ? rollout.phaseAt : null,
    },
  ];
}
