/**
 * When a failed login makes the next one wait. Always holds: the first few mistakes cost nothing,
 * then each one doubles the wait up to a limit; only a good login, root, or a day without a failure
 * resets it; what counts is time that the daemon runs, never the clock on the wall. Pure; imports
 * nothing.
 */

/** Failures of one name, or of all unknown names together. */
export interface Failures {
  readonly count: number;
  /** When the last one was, monotonic milliseconds of this run of the daemon. */
  readonly lastMs: number;
}

/** Failures that cost nothing: a person mistypes. */
export const FREE_FAILURES = 4;
/** The wait after the first one that costs. */
export const FIRST_WAIT_MS = 5_000;
/** The longest wait: an attacker gets four tries an hour, a person is never shut out for a day. */
export const LONGEST_WAIT_MS = 15 * 60_000;
/** After this long without a failure the earlier ones are forgotten. */
export const FORGET_MS = 24 * 3_600_000;
/** More are not counted; the wait does not grow any more long before. */
const COUNT_MAX = 1_000;

/** The failures after one more at `nowMs`. */
export function afterFailure(before: Failures | null, nowMs: number): Failures {
  const count = before === null || forgotten(before, nowMs) ? 0 : before.count;
  return { count: Math.min(count + 1, COUNT_MAX), lastMs: nowMs };
}

/** Milliseconds for which no login is accepted at `nowMs`; 0 when one is. */
export function waitMs(failures: Failures | null, nowMs: number): number {
  if (failures === null || forgotten(failures, nowMs)) return 0;
  return Math.max(0, failures.lastMs + penaltyMs(failures.count) - nowMs);
}

/**
 * Failures that an earlier run of the daemon has counted, as this run takes them on at its start: a
 * wait begins anew in full, so that a restart never shortens one.
 */
export function afterRestart(count: number, nowMs: number): Failures | null {
  const good = Number.isSafeInteger(count) && count > 0;
  return good ? { count: Math.min(count, COUNT_MAX), lastMs: nowMs } : null;
}

/** Whether so much time has passed that the failures do not count any more. */
export function forgotten(failures: Failures, nowMs: number): boolean {
  return nowMs - failures.lastMs >= FORGET_MS;
}

function penaltyMs(count: number): number {
  const costly = count - FREE_FAILURES;
  if (costly <= 0) return 0;
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(costly - 1, 30));
}
