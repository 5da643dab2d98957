/**
 * An update that was to begin at once and has to wait for hooks. Always holds: from its first wait
 * on it is kept on the disks of both nodes, so that it goes on waiting after the end of this daemon
 * and on whichever node serves then; where it cannot be kept, that is said. Imports core and its
 * own folder.
 */
import type { JobRequest } from '../control/backend.ts';
import { asUpdateError } from '../core/errors.ts';
import type { JobDesk } from './job-desk.ts';
import { WAITS } from './update-gate.ts';

/** What is kept of it. */
export interface WaitingRun {
  readonly job: string;
  readonly request: JobRequest & { readonly kind: 'update' };
  /** What the bundle brings. */
  readonly version: string;
  readonly by: string;
  readonly reason: string | null;
}

/** Keeps one such update, with its first wait. */
export class UpdateWait {
  readonly #desk: Pick<JobDesk, 'tell'>;
  readonly #run: WaitingRun;
  readonly #keep: (run: WaitingRun) => Promise<void>;
  #kept: Promise<void> | null = null;

  constructor(
    desk: Pick<JobDesk, 'tell'>,
    run: WaitingRun,
    keep: (run: WaitingRun) => Promise<void>,
  ) {
    this.#desk = desk;
    this.#run = run;
    this.#keep = keep;
  }

  /** It is kept when this resolves, or it was said that it cannot be; never rejects. */
  keep(): Promise<void> {
    this.#kept ??= this.#keep(this.#run).catch((cause: unknown) => {
      const why = asUpdateError(cause).message;
      this.#desk.tell(this.#run.job, 'waiting', `the wait ends with this daemon: ${why}`);
    });
    return this.#kept;
  }

  /** Says what the job does; a wait is told once it is kept. */
  async tell(job: string, kind: string, msg: string): Promise<void> {
    if (msg.startsWith(WAITS)) await this.keep();
    this.#desk.tell(job, kind, msg);
  }
}
