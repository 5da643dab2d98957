/**
 * Where jobs of this daemon begin: each is known to clients from its first moment, tells its
 * progress and its end as events, and its end stands in the audit log. Imports core, the updater's
 * events and its own folder.
 */
import type { Progress } from '../core/model.ts';
import type { JobStatus } from '../core/status.ts';
import type { NewEvent } from '../updater/events.ts';
import type { Asked, AuditLog } from './audit.ts';
import type { Jobs } from './jobs.ts';

/** Who hears of them. */
export interface Teller {
  emit(event: NewEvent): unknown;
}

/** Begins jobs and tells of them. */
export class JobDesk {
  readonly #jobs: Jobs;
  readonly #audit: AuditLog;
  readonly #events: Teller;

  constructor(jobs: Jobs, audit: AuditLog, events: Teller) {
    this.#jobs = jobs;
    this.#audit = audit;
    this.#events = events;
  }

  /** Begins it; `startedAt` is given for one that an earlier boot began. */
  begin(
    id: string,
    kind: JobStatus['kind'],
    asked: Asked,
    work: (signal: AbortSignal) => Promise<string>,
    startedAt?: string,
  ): JobStatus {
    const onEnd = (status: JobStatus): void => {
      const { code, message } = status;
      const done = status.state === 'done';
      const state = done ? 'ended' : 'failed';
      this.#audit.note(asked, { result: done ? 'done' : 'failed', code, message, job: id });
      this.#events.emit({ job: id, phase: null, state, msg: message, code });
    };
    return this.#jobs.begin(id, kind, work, onEnd, startedAt);
  }

  /** Says what a job does now: in the job itself and as an event. */
  tell(job: string, kind: string, msg: string, pct: number | null = null): void {
    this.#jobs.tell(job, msg);
    this.#events.emit({ job, phase: null, state: kind, pct, msg });
  }

  /** Tells of a job's progress as events, one for every tenth. */
  progressOf(job: string, kind: string): (progress: Progress) => void {
    let told = -1;
    return ({ doneBytes, totalBytes, etaS = null }) => {
      const pct = totalBytes === 0 ? 0 : Math.min(Math.floor((doneBytes * 100) / totalBytes), 99);
      const tenth = Math.floor(pct / 10);
      if (tenth === told) return;
      told = tenth;
      const msg = `${kind}: ${doneBytes} of ${totalBytes} bytes`;
      this.#events.emit({ job, phase: null, state: kind, pct, etaS, msg });
    };
  }
}
