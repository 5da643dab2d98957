/**
 * Updates that are to happen at a time: what both nodes keep of each, which of two copies counts,
 * and what is due now. Always holds: a run has one job id, made of the schedule and the number of
 * the run, so whichever node is active begins the same job and never a second one; what has ended
 * stays ended, whatever an older copy says. Pure; imports only core.
 */
import type { Code } from './codes.ts';
import { isoOf, millisecondsOf, parseIso } from './dates.ts';
import { UpdateError } from './errors.ts';
import type { NodeId } from './model.ts';
import type { Order } from './records.ts';
import { nextAfter, readEvery } from './schedule-time.ts';
import { MINUTE_MS, zonedText } from './zone-time.ts';

/** What became of an update, in the words that people see. */
export const RESULT_WORDS = ['successful', 'not successful', 'not necessary', 'deferred'] as const;
/** One of them. */
export type ResultWord = (typeof RESULT_WORDS)[number];

/** How a run ended, or was put off. */
export interface ScheduleResult {
  readonly run: number;
  readonly word: ResultWord;
  readonly at: string;
  readonly code: Code | null;
  readonly message: string;
}

/** What of an update is asked for beforehand. */
export interface ScheduleOptions {
  readonly order?: Order;
  readonly onSecondFailure?: 'hold' | 'rollback';
  readonly formatTarget?: boolean;
  readonly ignoreWindow?: boolean;
}

/** Who is told before a run begins, and what people may answer. */
export interface ScheduleInform {
  /** Seconds that people have; 0 = it waits for their answer. */
  readonly seconds: number;
}

/**
 * One update that is to happen, once or again and again. `waiting`: its time has not come, or
 * something holds it up. `informing`: people have been told that it is about to begin. `claimed`:
 * both nodes know that the run begins; from here on it is a job.
 */
export interface Schedule {
  readonly id: string;
  /** Grows with each change. */
  readonly rev: number;
  /** Who made this change. */
  readonly by: NodeId;
  readonly state: 'waiting' | 'informing' | 'claimed' | 'ended';
  /**
   * A bundle in both depots, a prepared update, or a path that is read on the active node when the
   * time has come.
   */
  readonly source:
    { readonly bundle: string } | { readonly path: string } | { readonly prepared: string };
  /** What the bundle brings, for people; null = not known before its time. */
  readonly version: string | null;
  readonly options: ScheduleOptions;
  /** The repetition as it was typed; null = once. */
  readonly every: string | null;
  readonly zone: string;
  /** When the run is due, in UTC. */
  readonly dueAt: string;
  /** The run was due and something held it up: it is late, and not missed. */
  readonly held: boolean;
  /** Number of the run, from 1. */
  readonly run: number;
  readonly inform: ScheduleInform | null;
  /** People said that it may begin. */
  readonly agreed: boolean;
  /** How often this run may be put off, how often it was, and for how many minutes. */
  readonly deferralsMax: number;
  readonly deferrals: number;
  readonly choicesMin: readonly number[];
  /** People may cancel it. */
  readonly mayCancel: boolean;
  readonly last: ScheduleResult | null;
  readonly asked: { readonly by: string; readonly at: string; readonly reason: string | null };
  /**
   * Id of its job, of an update that was to begin at once and has to wait: it was a job before it
   * was kept here. Absent in all others.
   */
  readonly job?: string;
}

/** Id of the job that a run is, on whichever node. */
export const jobOfRun = ({ id, run, job }: Pick<Schedule, 'id' | 'run' | 'job'>): string =>
  job ?? `update-${id}-${run}`;

/** Of two copies of one schedule the one that counts, the same on both nodes. */
export function newerOf(a: Schedule, b: Schedule): Schedule {
  const [endedA, endedB] = [a.state === 'ended', b.state === 'ended'];
  if (endedA !== endedB) return endedA ? a : b;
  if (a.rev !== b.rev) return a.rev > b.rev ? a : b;
  return a.by <= b.by ? a : b;
}

/** Both lists as one. */
export function merged(a: readonly Schedule[], b: readonly Schedule[]): readonly Schedule[] {
  const all = new Map<string, Schedule>();
  for (const one of [...a, ...b]) {
    const other = all.get(one.id);
    all.set(one.id, other === undefined ? one : newerOf(other, one));
  }
  return [...all.values()].toSorted((x, y) => (x.id < y.id ? -1 : 1));
}

/** A change of it, made by this node. */
export function changed(
  schedule: Schedule,
  by: NodeId,
  change: Partial<Omit<Schedule, 'id' | 'rev' | 'by'>>,
): Schedule {
  return { ...schedule, ...change, rev: schedule.rev + 1, by };
}

/** What is known at the moment at which it is looked whether something is due. */
export interface Moment {
  readonly nowMs: number;
  /** Why the clock is not to be believed, or null. */
  readonly clock: string | null;
  /** Why nothing may begin: a window, or a file. Null = it may. */
  readonly blocked: { readonly code: Code; readonly message: string } | null;
  /** For how long people have been told by this daemon, by its monotonic clock; null = not yet. */
  readonly informedMs: number | null;
  /** How late a run may begin that nothing but the absence of the nodes held up. */
  readonly catchUpMs: number;
}

/** What is to be done with a schedule by the node that serves. */
export type Due =
  | { readonly do: 'rest' }
  /** It is due, and this is why it does not begin. */
  | { readonly do: 'hold'; readonly code: Code; readonly message: string }
  | { readonly do: 'inform' }
  | { readonly do: 'claim' }
  /** Both nodes know of the run: it begins, if its job is not there already. */
  | { readonly do: 'run' }
  | { readonly do: 'missed'; readonly message: string };

/** What is due. */
export function dueNow(schedule: Schedule, moment: Moment): Due {
  const { state, inform, agreed, dueAt, held, zone } = schedule;
  const { nowMs, blocked, informedMs } = moment;
  if (state === 'ended') return { do: 'rest' };
  if (state === 'claimed') return { do: 'run' };
  // Without a clock nothing is due, and nothing is late.
  if (moment.clock !== null) return { do: 'hold', code: 'clock.wrong', message: moment.clock };
  const dueMs = parseIso(dueAt);
  if (nowMs < dueMs) return { do: 'rest' };
  if (!held && state === 'waiting' && nowMs - dueMs > moment.catchUpMs) {
    const message = `it was due at ${zonedText(dueMs, zone)}, when it could not begin`;
    return { do: 'missed', message };
  }
  if (blocked !== null) return { do: 'hold', ...blocked };
  if (inform === null || agreed) return { do: 'claim' };
  if (state === 'waiting' || informedMs === null) return { do: 'inform' };
  if (inform.seconds > 0 && informedMs >= inform.seconds * 1000) return { do: 'claim' };
  const message = inform.seconds > 0 ? 'people were told that it begins' : 'it waits for an answer';
  return { do: 'hold', code: 'schedule.informing', message };
}

/** After a run: the next one, or the end. */
export function afterRun(
  schedule: Schedule,
  by: NodeId,
  result: Omit<ScheduleResult, 'run'>,
  nowMs: number,
): Schedule {
  const { every, zone, run, dueAt } = schedule;
  const last = { run, ...result };
  if (every === null) return changed(schedule, by, { state: 'ended', last });
  // A clock that was set back brings no run again.
  const afterMs = Math.max(nowMs, parseIso(dueAt));
  return changed(schedule, by, {
    state: 'waiting',
    dueAt: isoOf(nextAfter(readEvery(every), zone, afterMs)),
    held: false,
    run: run + 1,
    agreed: false,
    deferrals: 0,
    last,
  });
}

/** What people answer when they are told of a run, or before. */
export type ScheduleAnswer =
  | { readonly answer: 'now' }
  | { readonly answer: 'defer'; readonly minutes?: number }
  | { readonly answer: 'cancel' };

/** Minutes that a person may put it off for; empty when it may not be put off any more. */
export function choicesOf(schedule: Schedule): readonly number[] {
  const { state, deferrals, deferralsMax, choicesMin } = schedule;
  const open = state === 'waiting' || state === 'informing';
  return open && deferrals < deferralsMax ? choicesMin : [];
}

/**
 * The schedule with the answer of a person. Throws `schedule.not_allowed` for a deferral beyond
 * the maximum or a cancel that is not allowed, `job.not_cancellable` when the run has begun or is
 * over, `usage.invalid` for minutes that are none of the choices.
 */
export function answered(
  schedule: Schedule,
  by: NodeId,
  answer: ScheduleAnswer,
  who: string,
  nowMs: number,
): Schedule {
  const { id, state } = schedule;
  if (state === 'ended' || state === 'claimed') {
    const word = state === 'ended' ? 'is over' : `runs as job ${jobOfRun(schedule)}`;
    throw new UpdateError('job.not_cancellable', `schedule ${id} ${word}`);
  }
  switch (answer.answer) {
    case 'now': {
      const dueAt = isoOf(Math.min(nowMs, parseIso(schedule.dueAt)));
      // Somebody is there and wants it: it is not missed, however late it is.
      return changed(schedule, by, { agreed: true, held: true, dueAt });
    }
    case 'cancel':
      return cancelled(schedule, by, who, nowMs);
    case 'defer':
      return deferred(schedule, by, answer.minutes, who, nowMs);
  }
}

/**
 * The schedule when a person has cancelled it; whoever asks for that of a run that is claimed has
 * seen to it that it does not begin. Throws `schedule.not_allowed`.
 */
export function cancelled(schedule: Schedule, by: NodeId, who: string, nowMs: number): Schedule {
  const { id, run, mayCancel } = schedule;
  if (!mayCancel) {
    throw new UpdateError('schedule.not_allowed', `schedule ${id} may not be cancelled`);
  }
  const message = `cancelled by ${who}`;
  const at = isoOf(nowMs);
  const last = { run, word: 'not successful', at, code: 'job.cancelled', message } as const;
  return changed(schedule, by, { state: 'ended', last });
}

function deferred(
  schedule: Schedule,
  by: NodeId,
  minutes: number | undefined,
  who: string,
  nowMs: number,
): Schedule {
  const { id, deferrals, deferralsMax, run, zone } = schedule;
  const choices = choicesOf(schedule);
  if (choices.length === 0) {
    const message = `schedule ${id} was put off ${deferrals} of ${deferralsMax} times`;
    throw new UpdateError('schedule.not_allowed', `${message}; it may not be put off again`);
  }
  const chosen = minutes ?? choices[0]!;
  if (!choices.includes(chosen)) {
    const message = `${chosen} minutes; accepted: ${choices.join(', ')}`;
    throw new UpdateError('usage.invalid', message);
  }
  const dueMs = Math.max(nowMs, parseIso(schedule.dueAt)) + chosen * MINUTE_MS;
  const at = isoOf(nowMs);
  const count = `${deferrals + 1} of ${deferralsMax}`;
  const message = `put off by ${who} until ${zonedText(dueMs, zone)} (${count})`;
  const last = { run, word: 'deferred', at, code: 'schedule.deferred', message } as const;
  return changed(schedule, by, {
    state: 'waiting',
    dueAt: isoOf(dueMs),
    deferrals: deferrals + 1,
    held: false,
    agreed: false,
    last,
  });
}

/** Before this moment no clock is right: there was no such program. */
export const CLOCK_FLOOR_MS = millisecondsOf([2025, 1, 1]);
/** Clocks of the two nodes that differ by more than this are not used to begin anything. */
export const CLOCK_APART_MS = 300_000;

/**
 * Why the clock of this node is not to be believed, or null. `seenMs` is the latest time that this
 * node has noted; `peerMs` what the peer's clock shows now, null = not known. A clock that went
 * back is believed again when the peer's clock says the same.
 */
export function clockTrouble(nowMs: number, seenMs: number, peerMs: number | null): string | null {
  const shown = zonedText(Math.max(0, nowMs), 'UTC');
  if (nowMs < CLOCK_FLOOR_MS) return `the clock of this node is not set: it shows ${shown}`;
  if (peerMs !== null && Math.abs(nowMs - peerMs) > CLOCK_APART_MS) {
    const theirs = zonedText(Math.max(0, peerMs), 'UTC');
    return `the clocks differ: this node shows ${shown}, its peer ${theirs}`;
  }
  if (peerMs === null && nowMs < seenMs - CLOCK_APART_MS) {
    const before = zonedText(seenMs, 'UTC');
    return `the clock of this node went back: it shows ${shown}, and showed ${before} before`;
  }
  return null;
}
