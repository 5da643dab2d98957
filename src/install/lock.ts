/**
 * One installer at a time on a slot or a depot. A daemon that was killed leaves its installer
 * behind for the moment that this one needs to see its closed input; the next one waits for that.
 * Always holds: the lock falls with its process. Imports core and the lock driver.
 */
import { UpdateError } from '../core/errors.ts';
import { awaitStateUnlocked, lockState } from '../drivers/state-lock.ts';

/** An installer whose daemon died is gone after this time, or it hangs. */
const PATIENCE_MS = 10_000;

/**
 * Takes the lock on a path until it is disposed of. Throws `state.locked` when another installer
 * does not let go of it in ten seconds, and the reason of the signal.
 */
export async function lockPath(path: string, signal: AbortSignal): Promise<AsyncDisposable> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  for (;;) {
    signal.throwIfAborted();
    try {
      return await lockState(path);
    } catch (error) {
      if (!(error instanceof UpdateError) || error.code !== 'state.locked') throw error;
      if (patience.aborted) {
        throw new UpdateError('state.locked', `another installer works on ${path}`, {
          cause: error,
          detail: { ...error.detail, path },
        });
      }
      const both = AbortSignal.any([signal, patience]);
      await awaitStateUnlocked(path, both).catch(() => undefined);
    }
  }
}
