/**
 * Who gave up when a signal is aborted: somebody who does not want the work any more, or a time
 * limit. Always holds: a limit that has passed is an outcome, which the driver tells in its own
 * words; a bare TimeoutError would look like a bug of this program. Imports nothing.
 */

/** Throws the reason of a signal that was aborted by anything but a time limit. */
export function throwIfStopped(signal: AbortSignal): void {
  if (!signal.aborted) return;
  const reason: unknown = signal.reason;
  if (reason instanceof Error && reason.name === 'TimeoutError') return;
  throw reason;
}
