/**
 * Support archives as clients ask for them: as a job, as bytes, from a list. Always holds: one
 * archive is made at a time; each that was asked for, and each that was deleted, stands in the
 * audit log. Imports core, the contracts of control and its own folder.
 */
import { UpdateError } from '../core/errors.ts';
import type { JobStatus } from '../core/status.ts';
import { SUPPORT_ENDING, type SupportArchive, type SupportView } from '../core/support.ts';
import type { Caller } from '../control/backend.ts';
import type { Asked, AuditLog } from './audit.ts';
import type { JobDesk } from './job-desk.ts';
import type { LiveSource, Support } from './support.ts';
import type { SupportProgress } from './support-request.ts';

/** What archives are made and noted with. */
export interface ArchiveParts {
  readonly desk: JobDesk;
  readonly auditLog: AuditLog;
  readonly support: Support;
  /** What the daemon itself can tell for an archive. */
  readonly live: readonly LiveSource[];
}

/** Takes requests for archives. */
export class ArchiveDesk {
  readonly #parts: ArchiveParts;
  #making: string | null = null;

  constructor(parts: ArchiveParts) {
    this.#parts = parts;
  }

  /** Begins the job of an archive that is kept; throws `job.busy` while another one is made. */
  start(asked: Asked): JobStatus {
    this.idle();
    const { support, desk, live } = this.#parts;
    const id = asked.job ?? support.newId();
    this.#making = id;
    const tell = ({ done, total, what }: SupportProgress): void =>
      desk.tell(id, 'support', `reading ${what}`, Math.floor((done * 100) / total));
    return desk.begin(id, 'support', asked, async (signal) => {
      try {
        const { bytes, missing } = await support.make(id, live, tell, signal);
        const things = missing.length === 1 ? '1 thing' : `${missing.length} things`;
        const lacks = missing.length === 0 ? '' : `; ${things} could not be read`;
        const { dir } = await support.view();
        return `support archive ${dir}/${id}${SUPPORT_ENDING} has ${bytes} bytes${lacks}`;
      } finally {
        this.#making = null;
      }
    });
  }

  newId(): string {
    return this.#parts.support.newId();
  }

  view(): Promise<SupportView> {
    return this.#parts.support.view();
  }

  read(name: string): Promise<AsyncIterable<Uint8Array>> {
    return this.#parts.support.read(name);
  }

  /** A new archive as its bytes; throws `job.busy` while another one is made. */
  async stream(
    caller: Caller,
    reason: string | undefined,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const { support, live, auditLog } = this.#parts;
    const asked = { act: 'support', by: caller.name, via: caller.via, reason: reason ?? null };
    return auditLog.around(asked, async () => {
      this.idle();
      const id = support.newId();
      const value = this.#guarded(id, await support.stream(id, live, signal));
      return { value, noted: { result: 'accepted', message: `${id} is sent to the caller` } };
    });
  }

  async *#guarded(
    id: string,
    bytes: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array, void, void> {
    this.idle();
    this.#making = id;
    try {
      yield* bytes;
    } finally {
      this.#making = null;
    }
  }

  /** Deletes a kept archive. Throws `file.not_found`. */
  async delete(name: string, caller: Caller): Promise<SupportArchive> {
    const asked = { act: 'support delete', by: caller.name, via: caller.via, reason: null };
    return this.#parts.auditLog.around(asked, async () => {
      const value = await this.#parts.support.delete(name);
      return { value, noted: { result: 'done', message: `${name} is deleted` } };
    });
  }

  /** Throws `job.busy` while an archive is made. */
  idle(): void {
    if (this.#making === null) return;
    throw new UpdateError('job.busy', `${this.#making} is being made; one archive at a time`);
  }
}
