/**
 * Updates that happen later: the options of `tandem update` that say when, and the verbs that list,
 * begin, put off and cancel them. Always holds: what is scheduled is kept by both nodes and needs
 * no process of this program; a wait ends with the exit status of the update, or with 21 when
 * somebody put it off. Imports core, the control client and its own folder.
 */
import type { BundleSource } from '../control/backend.ts';
import type { ControlClient } from '../control/client.ts';
import { DEFER_MAX_MIN, INFORM_MAX_S } from '../control/schedule-protocol.ts';
import type { ScheduleRequest, ScheduleWord } from '../control/schedule-protocol.ts';
import { EXIT } from '../core/codes.ts';
import { adviceOf, asUpdateError, UpdateError } from '../core/errors.ts';
import type { ScheduleView } from '../core/schedule-read.ts';
import { checkTimes, readMinutes } from '../core/schedule-time.ts';
import type { JobStatus } from '../core/status.ts';
import { REASON_OPTION, why } from './confirm.ts';
import { renderAutomation, renderSchedule } from './render-schedule.ts';
import { clockOf } from './silence.ts';
import { CLIENT_OPTIONS, connect, flag, KEY_OPTION, printJson, printLines } from './values.ts';
import { remaining, renderOptions, text, waitSignal, wholeNumber } from './values.ts';
import type { CliIo, Verb, VerbOption, VerbValues } from './verb.ts';
import { waitForJob, wantsWait } from './wait.ts';

/** Options of an update that happens later. */
export const LATER_OPTIONS = {
  at: {
    type: 'string',
    value: 'TIME',
    help: 'Begin then: 02:00, "2026-11-28 02:00", with an offset, +2h, or window: in the next one.',
  },
  every: {
    type: 'string',
    value: 'RULE',
    help: 'Look at FILE again and again, as "Sun 02:00" or "last Sat 23:30"; it may be replaced.',
  },
  zone: {
    type: 'string',
    value: 'ZONE',
    help: 'Time zone of --at and --every, as Europe/Berlin; default as configured.',
  },
  inform: {
    type: 'string',
    value: 'S',
    help: 'Tell people and give them this many seconds to answer; 0 waits for an answer.',
  },
  deferrals: {
    type: 'string',
    value: 'N',
    help: 'How often people may put it off; default as configured.',
  },
  choices: {
    type: 'string',
    value: 'TIMES',
    help: 'For how long they may, as 30m,4h,1d; default as configured.',
  },
  'no-cancel': { type: 'boolean', help: 'People may not cancel it.' },
} as const satisfies Record<string, VerbOption>;

/** Options that say something of how an update is done, whenever it is. */
export const MANNER_OPTIONS = {
  'format-target': {
    type: 'boolean',
    help: 'Wipe the other slots before they are written, and write zeros behind the images.',
  },
  'ignore-window': { type: 'boolean', help: 'Begin and switch outside of the windows, too.' },
} as const satisfies Record<string, VerbOption>;

/** Whether the options ask for an update that happens later. */
export function isLater(values: VerbValues): boolean {
  return Object.keys(LATER_OPTIONS).some((name) => values[name] !== undefined);
}

/** What the options say of how it is done. */
export function mannerOf(values: VerbValues) {
  return {
    ...(flag(values, 'format-target') ? { formatTarget: true } : {}),
    ...(flag(values, 'ignore-window') ? { ignoreWindow: true } : {}),
  };
}

/** Options that say more of a time, or of what people may answer, and what each of them needs. */
const SAY_MORE = {
  zone: ['at', 'every'],
  deferrals: ['at', 'every', 'inform'],
  choices: ['at', 'every', 'inform'],
  'no-cancel': ['at', 'every', 'inform'],
} as const satisfies Partial<Record<keyof typeof LATER_OPTIONS, readonly string[]>>;

/** Throws `usage.invalid` for options that say more of something that is not asked for. */
function checkMore(values: VerbValues): void {
  for (const [name, needs] of Object.entries(SAY_MORE)) {
    if (values[name] === undefined || needs.some((one) => values[one] !== undefined)) continue;
    const words = needs.map((one) => `--${one}`).join(' or ');
    throw new UpdateError('usage.invalid', `--${name} needs ${words}`);
  }
}

/** The request for an update that happens later; throws `usage.invalid`. */
export function laterRequest(
  source: BundleSource,
  manner: Partial<ScheduleRequest>,
  values: VerbValues,
): ScheduleRequest {
  checkMore(values);
  const [at, every, zone] = [text(values, 'at'), text(values, 'every'), text(values, 'zone')];
  checkTimes({ at, every, zone });
  const inform = wholeNumber(values, 'inform', { min: 0, max: INFORM_MAX_S });
  const deferrals = wholeNumber(values, 'deferrals', { min: 0, max: 100 });
  const choices = text(values, 'choices')
    ?.split(',')
    .map((word) => minutesOf('choices', word));
  if (every !== undefined && !('path' in source)) {
    const message =
      '--every needs a FILE: it is read each time, and may be replaced by a newer one';
    throw new UpdateError('usage.invalid', message);
  }
  return {
    source,
    ...(at === undefined ? {} : { at }),
    ...(every === undefined ? {} : { every }),
    ...(zone === undefined ? {} : { zone }),
    ...(inform === undefined ? {} : { inform }),
    ...(deferrals === undefined ? {} : { deferrals }),
    ...(choices === undefined ? {} : { choices }),
    ...(flag(values, 'no-cancel') ? { mayCancel: false } : {}),
    ...manner,
    ...why(values),
  };
}

function minutesOf(option: string, word: string): number {
  const minutes = readMinutes(word.trim());
  if (minutes !== null && minutes <= DEFER_MAX_MIN) return minutes;
  const accepted = 'minutes, hours or days up to 28d, as 30m, 4h, 1d';
  throw new UpdateError('usage.invalid', `--${option} is ${word}; accepted: ${accepted}`);
}

/** Schedules an update, then returns or waits, as the options say. */
export async function updateLater(
  request: ScheduleRequest,
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const waits = wantsWait(values);
  const client = await connect(values, io);
  if (io.errIsTerminal) io.err('Staging the bundle on both nodes ...\n');
  const view = await client.schedule(request, io.signal);
  if (waits) return waitForRun(client, view, values, io);
  if (flag(values, 'json')) printJson(io, view);
  else if (flag(values, 'detach')) io.out(`${view.id}\n`);
  else printLines(io, renderSchedule(view, renderOptions(io)));
  return EXIT.done;
}

const POLL_MS = 1000;

/** Waits until the run has begun, then for its job; `--timeout` counts for both together. */
async function waitForRun(
  client: ControlClient,
  begun: ScheduleView,
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const beganMs = clockOf(io).nowMs();
  const found = await untilBegun(client, begun, values, io);
  if (!('kind' in found)) return ended(found, values, io);
  return waitForJob(client, found, remaining(values, clockOf(io).nowMs() - beganMs), io);
}

/** The job of the run, or the schedule when there will be none; says what it waits for. */
async function untilBegun(
  client: ControlClient,
  { id, run, deferrals, job: of }: ScheduleView,
  values: VerbValues,
  io: CliIo,
): Promise<JobStatus | ScheduleView> {
  let shown = '';
  using wait = waitSignal(values, io, `schedule ${id} still waits`);
  try {
    for (;;) {
      const view = await lookAt(client, id, wait.signal);
      if (view !== null) {
        if (view.run !== run || view.state === 'ended' || view.deferrals > deferrals) return view;
        if (view.state === 'claimed' && view.hold === null) {
          const job = await client.job(view.job, wait.signal).catch(() => null);
          if (job !== null) return job;
        }
        if (view.text !== shown) io.err(`${view.text}\n`);
        shown = view.text;
      }
      await clockOf(io).sleep(POLL_MS, wait.signal);
    }
  } catch (error) {
    const end = wait.end(asUpdateError(error));
    if (end.exit !== EXIT.waitTimedOut) throw end;
    const message = `${end.message}; see \`tandem schedule list\`, its job will be ${of}`;
    throw new UpdateError(end.code, message, { detail: { schedule: id, job: of } });
  }
}

/** The schedule as it is; null while the daemon is away. */
async function lookAt(
  client: ControlClient,
  id: string,
  signal: AbortSignal,
): Promise<ScheduleView | null> {
  try {
    const { schedules } = await client.automation(signal);
    const found = schedules.find((one) => one.id === id);
    if (found !== undefined) return found;
    throw new UpdateError('schedule.unknown', `there is no schedule ${id} any more`);
  } catch (cause) {
    const error = asUpdateError(cause);
    if (signal.aborted || error.exit !== EXIT.daemonUnreachable) throw error;
    return null;
  }
}

/** A run that ended, or was put off, before there was a job to wait for. */
function ended(view: ScheduleView, values: VerbValues, io: CliIo): number {
  const { last } = view;
  const code = last?.code ?? null;
  const nothing = last?.word === 'not necessary' && flag(values, 'detailed-exitcode');
  const failed = code === null ? EXIT.internal : adviceOf(code).exit;
  const good = last?.word === 'successful';
  const exit = nothing ? EXIT.nothingToDo : good ? EXIT.done : failed;
  if (flag(values, 'json')) printJson(io, { ...view, exit });
  else printLines(io, renderSchedule(view, renderOptions(io)));
  return exit;
}

async function list(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const view = await (await connect(values, io)).automation(io.signal);
  if (flag(values, 'json')) printJson(io, view);
  else printLines(io, renderAutomation(view, renderOptions(io)));
  return EXIT.done;
}

const say =
  (wordOf: (values: VerbValues) => ScheduleWord): Verb['run'] =>
  async ([id = ''], values, io) => {
    const word = { ...wordOf(values), ...why(values) };
    const view = await (await connect(values, io)).answerSchedule(id, word, io.signal);
    if (flag(values, 'json')) printJson(io, view);
    else printLines(io, renderSchedule(view, renderOptions(io)));
    return EXIT.done;
  };

function deferWord(values: VerbValues): ScheduleWord {
  const time = text(values, 'for');
  return time === undefined
    ? { answer: 'defer' }
    : { answer: 'defer', minutes: minutesOf('for', time) };
}

const SAY_OPTIONS = { ...CLIENT_OPTIONS, ...KEY_OPTION, ...REASON_OPTION } as const;
const ONE = { args: 'ID', minArgs: 1, maxArgs: 1 } as const;

/** The verbs of scheduled updates. */
export const scheduleVerbs: readonly Verb[] = [
  {
    name: 'schedule list',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'List scheduled updates, and what holds updates up now.',
    example: 'tandem schedule list --json',
    options: CLIENT_OPTIONS,
    run: list,
  },
  {
    name: 'schedule now',
    ...ONE,
    summary: 'Begin a scheduled update at once, as far as windows and files allow.',
    example: 'tandem schedule now s1a2b3c4d',
    options: SAY_OPTIONS,
    run: say(() => ({ answer: 'now' })),
  },
  {
    name: 'schedule defer',
    ...ONE,
    summary: 'Put a scheduled update off, as often and for as long as is allowed.',
    example: 'tandem schedule defer s1a2b3c4d --for 4h',
    options: {
      ...SAY_OPTIONS,
      for: { type: 'string', value: 'TIME', help: 'One of the choices; the first one by default.' },
    },
    run: say(deferWord),
  },
  {
    name: 'schedule cancel',
    ...ONE,
    summary: 'Give a scheduled update up, its repetitions too.',
    example: 'tandem schedule cancel s1a2b3c4d --reason holidays',
    options: SAY_OPTIONS,
    run: say(() => ({ answer: 'cancel' })),
  },
];
