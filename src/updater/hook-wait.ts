/**
 * Asks hooks until they agree: one that ends with 75 wants to be asked later, and is, with a pause,
 * for as long as the configuration allows. Always holds: whoever waits can be told why at every
 * moment, and an abort ends the wait at once; a hook that never agrees is a veto in the end.
 * Imports core and ports.
 */
import { UpdateError } from '../core/errors.ts';
import { refusalCode } from '../core/hook-points.ts';
import type { Reason } from '../core/records.ts';
import type { Hooks, Host } from '../ports.ts';
import { MESSAGE_CHARS_MAX, pause, type Pause } from './effects.ts';

/** Pause between two questions. */
export const LATER_PAUSE_MS = 30_000;
const HOUR_MS = 3_600_000;

const timesWords = (asked: number): string => (asked === 1 ? 'asked once' : `asked ${asked} times`);

/** What hooks are asked with. */
export interface HookWaitParts {
  readonly hooks: Hooks;
  readonly host: Pick<Host, 'monotonicMs'>;
  /** How time passes; real time unless a test says otherwise. */
  readonly pause?: Pause;
  /** Hours for which a hook may say later. */
  readonly laterH: number;
  /** Since when they say so, by the monotonic clock; the first question when absent. */
  readonly sinceMs?: number;
}

/** One question to the hooks of a point. */
export interface HookQuestion {
  readonly point: string;
  readonly input: object;
  /** Told why it waits, each time, and null once it does not any more. */
  readonly tell: (reason: Reason | null) => unknown;
}

/**
 * Returns how many hooks agreed. Throws the refusal with the hook's name and words, also for
 * one that has said later for too long, or the signal's reason.
 */
export async function askUntilAgreed(
  { hooks, host, laterH, sinceMs = host.monotonicMs(), pause: wait = pause }: HookWaitParts,
  { point, input, tell }: HookQuestion,
  signal: AbortSignal,
): Promise<number> {
  let told = false;
  try {
    for (let asked = 1; ; asked++) {
      signal.throwIfAborted();
      const { ran, later = null } = await hooks.run(point, input, signal);
      if (later === null) return ran;
      if (host.monotonicMs() - sinceMs >= laterH * HOUR_MS) {
        const span = laterH === 1 ? '1 hour' : `${laterH} hours`;
        const message = `${later} (${timesWords(asked)}, for ${span} in all, which is too long)`;
        throw new UpdateError(refusalCode(point), message);
      }
      told = true;
      const message = `${later} (${timesWords(asked)})`.slice(0, MESSAGE_CHARS_MAX);
      await tell({ code: 'hook.later', message });
      await wait(LATER_PAUSE_MS, signal);
    }
  } finally {
    if (told) await tell(null);
  }
}
