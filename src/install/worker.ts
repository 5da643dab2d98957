/**
 * Entry of the installer's worker thread: takes jobs from the main thread, one at a time, and
 * answers each with `null` or with the report of what went wrong. Always holds: while a job runs
 * this thread's loop stands still, and nobody waits for it. Imports core and the chunk work.
 */
import { parentPort } from 'node:worker_threads';
import { asUpdateError, type ErrorReport } from '../core/errors.ts';
import { workUntilDone, type SlotJob } from './chunk-work.ts';

/** Answer to one job. */
export type JobAnswer = { readonly failed: ErrorReport | null };

function answer(failed: ErrorReport | null): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage({ failed } satisfies JobAnswer);
}

parentPort?.on('message', (job: SlotJob) => {
  try {
    workUntilDone(job);
    answer(null);
  } catch (error) {
    answer(asUpdateError(error).report());
  }
});
