/**
 * Schedules as they come from a file or from the peer: what is not understood is left out, so that
 * no file and no message can end a daemon, and nothing runs that was only half read. Also what
 * clients see of a schedule. Pure; imports only core.
 */
import { CODES, EXIT, isCode } from './codes.ts';
import { parseIso } from './dates.ts';
import { readEvery } from './schedule-time.ts';
import { choicesOf, jobOfRun, RESULT_WORDS } from './schedule.ts';
import type { Schedule, ScheduleResult } from './schedule.ts';
import type { Reason } from './records.ts';
import type { JobStatus } from './status.ts';
import { isZone, zonedText } from './zone-time.ts';

/** Schedules that a pair keeps, those that are over included. */
export const SCHEDULES_MAX = 32;

type Unknown = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Unknown => {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
};
const isText = (value: unknown, max = 4096): value is string =>
  typeof value === 'string' && value.length <= max;
const isCount = (value: unknown): value is number => Number.isSafeInteger(value);
const isTime = (value: unknown): value is string => isText(value, 40) && !isNaN(parseIso(value));
const isFlag = (value: unknown): boolean => typeof value === 'boolean';
const orNull = (good: boolean, value: unknown): boolean => value === null || good;

/** Those of the values that are schedules, at most as many as a pair keeps. */
export function readSchedules(value: unknown): readonly Schedule[] {
  if (!Array.isArray(value)) return [];
  const found = value.filter((one: unknown): one is Schedule => isSchedule(one));
  return found.slice(0, SCHEDULES_MAX);
}

function isSchedule(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { id, rev, by, state, source, version, options, every, zone, dueAt, held } = value;
  const { run, inform, agreed, deferralsMax, deferrals, choicesMin, mayCancel, last } = value;
  const states: readonly unknown[] = ['waiting', 'informing', 'claimed', 'ended'];
  return (
    isText(id, 32) &&
    /^[a-z0-9-]+$/.test(id) &&
    [rev, run, deferralsMax, deferrals].every(isCount) &&
    (by === 'A' || by === 'B') &&
    states.includes(state) &&
    isObject(source) &&
    ['bundle', 'path', 'prepared'].some((key) => isText(source[key])) &&
    orNull(isText(version, 128), version) &&
    isObject(options) &&
    isText(zone, 64) &&
    isZone(zone) &&
    orNull(isRepetition(every), every) &&
    isTime(dueAt) &&
    [held, agreed, mayCancel].every(isFlag) &&
    orNull(isObject(inform) && isCount(inform['seconds']), inform) &&
    Array.isArray(choicesMin) &&
    choicesMin.every(isCount) &&
    orNull(isResult(last), last) &&
    isAsked(value['asked']) &&
    (value['job'] === undefined || isText(value['job'], 128))
  );
}

function isRepetition(value: unknown): boolean {
  if (!isText(value, 128)) return false;
  try {
    readEvery(value);
    return true;
  } catch {
    return false;
  }
}

function isResult(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { run, word, at, code, message } = value;
  const words: readonly unknown[] = RESULT_WORDS;
  const known = code === null || (isText(code) && isCode(code));
  return isCount(run) && words.includes(word) && isTime(at) && known && isText(message);
}

function isAsked(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { by, at, reason } = value;
  return isText(by, 256) && isTime(at) && orNull(isText(reason, 1000), reason);
}

/** A schedule as clients see it. */
export interface ScheduleView {
  readonly id: string;
  readonly state: Schedule['state'];
  /** One sentence for people: what it waits for, or what it does. */
  readonly text: string;
  readonly source: Schedule['source'];
  readonly version: string | null;
  readonly options: Schedule['options'];
  readonly every: string | null;
  readonly zone: string;
  readonly dueAt: string;
  readonly run: number;
  /** Id of the job that this run is, once it has begun. */
  readonly job: string;
  /** Seconds that people have to answer; 0 = it waits for the answer; null = nobody is told. */
  readonly informS: number | null;
  /** For how many minutes it may be put off now; empty = it may not. */
  readonly choicesMin: readonly number[];
  readonly deferrals: number;
  readonly deferralsMax: number;
  readonly mayCancel: boolean;
  /** Why it is due and does not begin. */
  readonly hold: Reason | null;
  readonly last: ScheduleResult | null;
  readonly asked: Schedule['asked'];
}

/** What is scheduled on a pair, and what holds updates up now. */
export interface AutomationView {
  /** Those that are over last. */
  readonly schedules: readonly ScheduleView[];
  /** Null: there are no windows, updates may happen at any time. */
  readonly window: { readonly open: boolean; readonly until: string | null } | null;
  /** The file that stops updates, on this node or its peer, with what it says. */
  readonly inhibited: string | null;
  /** Why the clock of this node is not to be believed. */
  readonly clock: string | null;
  /** Jobs of this node that wait before they begin, for hooks, with why; absent = none. */
  readonly waiting?: readonly { readonly job: string; readonly message: string }[];
}

/** What clients see of it; `hold` is why it does not begin, as the node that serves found it. */
export function scheduleView(schedule: Schedule, hold: Reason | null): ScheduleView {
  const { id, state, source, version, options, every, zone, dueAt, run } = schedule;
  const { deferrals, deferralsMax, mayCancel, last, asked, inform } = schedule;
  return {
    id,
    state,
    text: textOf(schedule, hold),
    source,
    version,
    options,
    every,
    zone,
    dueAt,
    run,
    job: jobOfRun(schedule),
    informS: inform?.seconds ?? null,
    choicesMin: choicesOf(schedule),
    deferrals,
    deferralsMax,
    mayCancel: mayCancel && (state === 'claimed' ? hold !== null : state !== 'ended'),
    hold,
    last,
    asked,
  };
}

/**
 * The job of a run, from the schedule alone: until the job itself is known to the node that is
 * asked, and for a run that ended before it was one. Null while nobody has begun it.
 */
export function jobOfSchedule(schedule: Schedule, hold: Reason | null): JobStatus | null {
  const { state, asked, last, run, job } = schedule;
  const head = { id: jobOfRun(schedule), kind: 'update', startedAt: asked.at } as const;
  if (state === 'claimed') {
    const message = hold === null ? 'it is about to begin' : `waits: ${hold.message}`;
    const open = { state: 'running', exit: null, code: null, next: null, endedAt: null } as const;
    return { ...head, ...open, message };
  }
  if (state !== 'ended' || job === undefined || last?.run !== run) return null;
  const { code, message, at: endedAt } = last;
  if (code === null) {
    return { ...head, state: 'done', exit: EXIT.done, code, message, next: null, endedAt };
  }
  const { exit, next } = CODES[code];
  return { ...head, state: 'failed', exit, code, message, next, endedAt };
}

/** Which update it is, for people. */
export function whatOf({ version, source }: Pick<Schedule, 'version' | 'source'>): string {
  if (version !== null) return version;
  if ('path' in source) return source.path;
  return 'prepared' in source ? source.prepared : source.bundle.slice(0, 12);
}

function textOf(schedule: Schedule, hold: Reason | null): string {
  const { state, dueAt, zone, last, run, deferrals, deferralsMax } = schedule;
  const what = whatOf(schedule);
  const due = zonedText(parseIso(dueAt), zone);
  switch (state) {
    case 'ended':
      return `Update ${what}: ${last === null ? 'over' : `${last.word} (${last.message})`}`;
    case 'claimed':
      return hold === null
        ? `Update ${what} runs as job ${jobOfRun(schedule)}`
        : `Update ${what} waits (${hold.message})`;
    case 'informing':
      return `Update ${what} is about to begin (${hold?.message ?? `due ${due}`})`;
    case 'waiting': {
      if (hold !== null) return `Update ${what} waits (${hold.message})`;
      const deferred = last?.word === 'deferred' && last.run === run;
      if (!deferred) return `Update ${what} scheduled (${due})`;
      return `Update ${what} deferred (until ${due}, ${deferrals} of ${deferralsMax})`;
    }
  }
}
