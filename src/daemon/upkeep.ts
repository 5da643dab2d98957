/**
 * Restart and shutdown of this node as jobs. Always holds: each has an entry in the audit log when
 * it is accepted and when it has ended; the job that ended a boot is told of again in the next one,
 * until the node is back in the pair. Imports core, the contracts of control and its own folder.
 */
import { UpdateError } from '../core/errors.ts';
import type { PowerViews } from '../core/power.ts';
import type { JobStatus } from '../core/status.ts';
import type { JobRequest } from '../control/backend.ts';
import type { Asked } from './audit.ts';
import type { JobDesk } from './job-desk.ts';
import { newId } from './jobs.ts';
import { Power, type PowerParts } from './power.ts';

/** What these jobs are made of. */
export interface UpkeepParts extends PowerParts {
  readonly desk: JobDesk;
}

/** Jobs that end the boot of this node. */
export class Upkeep {
  readonly #desk: JobDesk;
  readonly #power: Power;
  #leaving: string | null = null;

  constructor(parts: UpkeepParts) {
    this.#desk = parts.desk;
    this.#power = new Power(parts);
  }

  /** The job that ends this boot, from its acceptance on. */
  get leaving(): string | null {
    return this.#leaving;
  }

  views(): PowerViews {
    return this.#power.views();
  }

  /** Throws why the node may not go now. */
  check({ force = false }: JobRequest & { kind: 'restart' | 'shutdown' }): void {
    this.#power.check(force);
  }

  /** Begins it; throws the refusal. */
  start(request: JobRequest & { kind: 'restart' | 'shutdown' }, asked: Asked): JobStatus {
    const { kind, force = false } = request;
    this.check(request);
    const job = asked.job ?? newId(kind);
    const order = { job, kind, asked, force };
    const tell = (step: string): void => this.#desk.tell(job, kind, step);
    this.#leaving = job;
    return this.#desk.begin(job, kind, asked, async (signal) => {
      try {
        return await this.#power.go(order, tell, signal);
      } finally {
        this.#leaving = null;
      }
    });
  }

  /** Throws `job.not_cancellable` when the job has gone too far. */
  checkCancel(job: string): void {
    if (this.#leaving !== job || !this.#power.gone) return;
    throw new UpdateError('job.not_cancellable', `job ${job} ends this boot already`);
  }

  /** After a start of the daemon: the job that ended the boot before goes on. */
  resume(): void {
    const note = this.#power.pending;
    if (note === null) return;
    const { job, kind, by, reason, startedAt } = note;
    const asked = { act: kind, by, reason };
    const work = (signal: AbortSignal): Promise<string> => this.#power.comeBack(note, signal);
    this.#desk.begin(job, kind, asked, work, startedAt);
  }
}
