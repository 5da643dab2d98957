/**
 * Entry of the installer's worker thread: takes jobs from the main thread, one at a time, and
 * answers each with `null` or with the report of what went wrong. Always holds: a job's answer is
 * its last word, nothing of it is under way then. Imports core and the lane.
 */
import { parentPort } from 'node:worker_threads';
import { asUpdateError, type ErrorReport } from '../core/errors.ts';
import type { SlotJob } from './chunk-work.ts';
import { workUntilDone } from './lane.ts';

/** Answer to one job. */
export type JobAnswer = { readonly failed: ErrorReport | null };

function answer(failed: ErrorReport | null): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage({ failed } satisfies JobAnswer);
}

parentPort?.on('message', (job: SlotJob) => {
  workUntilDone(job).then(
    () => answer(null),
    (error: unknown) => answer(asUpdateError(error).report()),
  );
});
