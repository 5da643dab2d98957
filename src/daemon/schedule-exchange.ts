/**
 * What the two nodes tell each other of scheduled updates: each sends its whole list and gets the
 * other's, so that both hold the same afterwards. Always holds: what was acknowledged is durable on
 * the peer; a word of its clock counts only while it is fresh. Imports core.
 */
import { isCode } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import type { Reason } from '../core/records.ts';
import { readSchedules } from '../core/schedule-read.ts';
import type { Schedule } from '../core/schedule.ts';

/** One side's half of an exchange. */
export interface ScheduleHalf {
  readonly schedules: readonly Schedule[];
  /** Wall clock in milliseconds. */
  readonly nowMs: number;
  /** The file that stops updates on this node, as a sentence. */
  readonly inhibited: string | null;
  /** Why what is due does not begin, by the id of its schedule, when this node serves. */
  readonly holds: Readonly<Record<string, Reason>>;
  /** What the jobs of this node say that are to become claimed runs, by schedule; absent = none. */
  readonly works?: Readonly<Record<string, string>>;
  /** A run that was claimed and is to be given up, and who says so; absent mostly. */
  readonly cancel?: { readonly id: string; readonly by: string };
}

/** For how long the peer's word counts, in milliseconds. */
const FRESH_MS = 90_000;

/** A half as it came from the peer. Throws `pair.bad_message`. */
export function readHalf(value: unknown): ScheduleHalf {
  const half = (value ?? {}) as Partial<ScheduleHalf>;
  const { schedules, nowMs, inhibited = null, holds, works, cancel } = half;
  if (!Number.isFinite(nowMs) || !Array.isArray(schedules)) {
    throw new UpdateError('pair.bad_message', 'the schedules of the peer are not understood');
  }
  return {
    schedules: readSchedules(schedules),
    nowMs: nowMs as number,
    inhibited: typeof inhibited === 'string' ? inhibited : null,
    holds: readHolds(holds),
    works: readWorks(works),
    ...readCancel(cancel),
  };
}

function readWorks(value: unknown): Readonly<Record<string, string>> {
  const entries = Object.entries((value ?? {}) as Readonly<Record<string, unknown>>);
  const good = entries.flatMap(([id, said]) =>
    typeof said === 'string' ? [[id, said] as const] : [],
  );
  return Object.fromEntries(good);
}

function readCancel(value: unknown): Pick<ScheduleHalf, 'cancel'> {
  const { id, by } = (value ?? {}) as { readonly id?: unknown; readonly by?: unknown };
  return typeof id === 'string' && typeof by === 'string' ? { cancel: { id, by } } : {};
}

function readHolds(value: unknown): Readonly<Record<string, Reason>> {
  const entries = Object.entries((value ?? {}) as Readonly<Record<string, Partial<Reason> | null>>);
  const good = entries.flatMap(([id, reason]) => {
    const { code, message } = reason ?? {};
    const known = typeof code === 'string' && isCode(code) && typeof message === 'string';
    return known ? [[id, { code, message }] as const] : [];
  });
  return Object.fromEntries(good);
}

/** What is known of the peer from the newest exchange. */
export class PeerWord {
  #half: ScheduleHalf | null = null;
  #atMs = 0;

  /** Takes a half that was heard at this monotonic time. */
  take(half: ScheduleHalf, atMs: number): void {
    this.#half = half;
    this.#atMs = atMs;
  }

  /** Whether it was heard within the time for which it counts. */
  fresh(atMs: number): boolean {
    return this.#half !== null && atMs - this.#atMs < FRESH_MS;
  }

  /** What the peer's clock shows now; null = not known. */
  clockMs(atMs: number): number | null {
    return this.fresh(atMs) ? this.#half!.nowMs + atMs - this.#atMs : null;
  }

  /** The file that stops updates there, as far as it is known. */
  inhibited(atMs: number): string | null {
    return this.fresh(atMs) ? this.#half!.inhibited : null;
  }

  /** Why the peer, which serves, does not begin this schedule. */
  hold(id: string, atMs: number): Reason | null {
    return this.fresh(atMs) ? (this.#half!.holds[id] ?? null) : null;
  }

  /** What a job of the peer says that is to become this run; null = there is none, or no word. */
  works(id: string, atMs: number): string | null {
    return this.fresh(atMs) ? (this.#half!.works?.[id] ?? null) : null;
  }

  /** Whether the peer holds this state of a schedule, or a later one, on its disk. */
  holds({ id, rev }: Schedule): boolean {
    return this.#half?.schedules.some((one) => one.id === id && one.rev >= rev) === true;
  }
}
