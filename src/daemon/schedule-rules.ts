/**
 * What the desk of scheduled updates needs besides: a new schedule from a request, how a job's end
 * reads in the words of a result, and which refusals pass by themselves. Imports core and the
 * contracts of control.
 */
import type { JobRequest } from '../control/backend.ts';
import type { ScheduleRequest } from '../control/schedule-protocol.ts';
import type { Code } from '../core/codes.ts';
import { isoOf } from '../core/dates.ts';
import { UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import { checkedZone, nextAfter, readAt, readEvery } from '../core/schedule-time.ts';
import type { TimesGiven } from '../core/schedule-time.ts';
import type { ResultWord, Schedule, ScheduleResult } from '../core/schedule.ts';
import type { JobStatus } from '../core/status.ts';
import { windowsAt, type Window } from '../core/window.ts';

/** What a pair allows people, unless a request says less. */
export interface ScheduleRules {
  readonly zone: string;
  readonly windows: readonly Window[];
  readonly deferrals: number;
  readonly choicesMin: readonly number[];
}

/** Who makes a schedule, and when. */
export interface MadeBy {
  readonly id: string;
  readonly node: NodeId;
  readonly nowMs: number;
  readonly by: string;
  readonly version: string | null | undefined;
}

/** The schedule that is asked for; throws `usage.invalid`. */
export function newSchedule(
  request: ScheduleRequest,
  rules: ScheduleRules,
  made: MadeBy,
): Schedule {
  const { source, every = null, zone: named, inform, reason = null } = request;
  const { order, onSecondFailure, formatTarget, ignoreWindow } = request;
  const zone = checkedZone(named ?? rules.zone);
  const asked = { by: made.by, at: isoOf(made.nowMs), reason };
  return {
    id: made.id,
    rev: 1,
    by: made.node,
    state: 'waiting',
    source,
    version: made.version ?? null,
    options: {
      ...(order === undefined ? {} : { order }),
      ...(onSecondFailure === undefined ? {} : { onSecondFailure }),
      ...(formatTarget === true ? { formatTarget } : {}),
      ...(ignoreWindow === true ? { ignoreWindow } : {}),
    },
    every,
    zone,
    dueAt: isoOf(firstDue(request, rules, made.nowMs).ms),
    held: false,
    run: 1,
    inform: inform === undefined ? null : { seconds: inform },
    agreed: false,
    deferralsMax: request.deferrals ?? rules.deferrals,
    deferrals: 0,
    choicesMin: request.choices ?? rules.choicesMin,
    mayCancel: request.mayCancel ?? true,
    last: null,
    asked,
  };
}

/** When it is due first, asked for now, and the zone that counts; throws `usage.invalid`. */
export function firstDue(
  { at, every, zone: named }: TimesGiven,
  rules: Pick<ScheduleRules, 'zone' | 'windows'>,
  nowMs: number,
): { readonly ms: number; readonly zone: string } {
  const zone = checkedZone(named ?? rules.zone);
  if (every !== undefined) {
    const rule = readEvery(every);
    const fromMs = at === undefined ? nowMs : readAt(at, zone, nowMs) - 1;
    return { ms: nextAfter(rule, zone, fromMs), zone };
  }
  if (at !== 'window') return { ms: readAt(at ?? 'now', zone, nowMs), zone };
  const state = windowsAt(rules.windows, nowMs);
  if (state.open) return { ms: nowMs, zone };
  if (state.nextMs !== null) return { ms: state.nextMs, zone };
  throw new UpdateError('usage.invalid', '--at is window, and none of the windows ever opens');
}

/** The change that a run of a schedule is. */
export function requestOf({ source, options }: Schedule): JobRequest {
  return { kind: 'update', source, ...options };
}

/** Refusals that pass by themselves: the run waits and is asked for again. */
const PASSING: ReadonlySet<Code> = new Set<Code>([
  'pair.peer_unreachable',
  'pair.not_healthy',
  'pair.stood_down',
  'pair.frozen',
  'pair.not_replicated',
  'boot.armed',
  'job.busy',
  'sync.stalled',
  'window.closed',
  'clock.wrong',
  'update.inhibited',
  'hook.later',
  'installer.crashed',
  'daemon.busy',
]);

/** Whether a run that was refused with this code waits. */
export const refusalWaits = (code: Code): boolean => PASSING.has(code);

/** What became of a run. */
export type Outcome = Pick<ScheduleResult, 'word' | 'code' | 'message'>;

/** A refusal that does not pass, as the result of its run. */
export function outcomeOf({ code, message }: UpdateError): Outcome {
  return { word: wordOf(code), code, message };
}

/** How the job of a run ended, as its result. */
export function endOfRun({ state, code, message }: JobStatus): Outcome {
  return { word: state === 'done' ? 'successful' : wordOf(code), code, message };
}

/** The same of any update that has ended, for people; null for what is none or still runs. */
export function resultOf({ kind, state, code }: JobStatus): ResultWord | null {
  const isUpdate = kind === 'update' || kind === 'rollback';
  if (!isUpdate || state === 'running') return null;
  return state === 'done' ? 'successful' : wordOf(code);
}

function wordOf(code: Code | null): ResultWord {
  if (code === 'version.same_or_newer') return 'not necessary';
  return code === 'schedule.deferred' ? 'deferred' : 'not successful';
}

/** The schedule of this id; throws `schedule.unknown`. */
export function found(all: readonly Schedule[], id: string): Schedule {
  const one = all.find((schedule) => schedule.id === id);
  if (one === undefined) throw new UpdateError('schedule.unknown', `there is no schedule ${id}`);
  return one;
}

/** One run with its deferrals: people are told anew after each. */
export const runKey = ({ id, run, deferrals }: Schedule): string => `${id}.${run}.${deferrals}`;

/** What people are told when a run is about to begin. */
export function informWords({ id, inform, mayCancel, deferrals, deferralsMax }: Schedule): string {
  const when =
    inform?.seconds === 0 ? 'begins when somebody says so' : `begins in ${inform?.seconds ?? 0} s`;
  const words = [`tandem schedule now ${id}`];
  if (deferrals < deferralsMax) words.push(`tandem schedule defer ${id}`);
  if (mayCancel) words.push(`tandem schedule cancel ${id}`);
  return `${when}; answer with: ${words.join(', ')}`;
}
