/**
 * The second thread of an install. It takes a moment to start, and the first one works meanwhile.
 * Deltas are applied by one thread: dictionaries take their share of the memory that an install may
 * have, and there is little to decompress. Always holds: a job's answer, an error of the thread and
 * its death all settle the one promise of that job; disposing ends the thread. Imports core.
 */
import { Worker } from 'node:worker_threads';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { WORKER_ROLE } from '../core/program-roles.ts';
import type { SlotJob } from './chunk-work.ts';
import type { JobAnswer } from './worker.ts';
import { WORKER_CODE } from './worker-code.ts';

/** A worker thread that takes slot jobs. */
export class Helper implements AsyncDisposable {
  readonly #worker: Worker;
  #settle: ((error: UpdateError | null) => void) | null = null;
  #dead: UpdateError | null = null;

  /**
   * `entry` is the program's own entry file: it loads src/install/worker.ts when the thread's first
   * argument says so. A built program brings the code of the thread with it, and needs no entry.
   */
  constructor(entry: string) {
    this.#worker =
      WORKER_CODE === null
        ? new Worker(entry, { argv: [WORKER_ROLE] })
        : new Worker(WORKER_CODE, { eval: true });
    this.#worker.on('message', ({ failed }: JobAnswer) => {
      this.#settle?.(failed === null ? null : UpdateError.from(failed));
    });
    this.#worker.on('error', (error) => this.#die(asUpdateError(error)));
    this.#worker.on('exit', (status) => {
      this.#die(new UpdateError('internal.bug', `the worker thread ended with status ${status}`));
    });
  }

  /** Runs a job to its end; rejects with what went wrong in the thread. One at a time. */
  async run(job: SlotJob): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<null>();
    this.#settle = (error) => {
      this.#settle = null;
      if (error) reject(error);
      else resolve(null);
    };
    if (this.#dead) this.#settle(this.#dead);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    else this.#worker.postMessage(job);
    await promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  #die(error: UpdateError): void {
    this.#dead ??= error;
    this.#settle?.(this.#dead);
  }
}
