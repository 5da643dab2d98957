/**
 * The verbs of jobs: list, wait, cancel, pause, resume, log. Always holds: `job wait` attaches to a
 * job from anywhere and any time, also after a reboot. Imports core, the control client and its own
 * folder.
 */
import { passes, type ControlClient } from '../control/client.ts';
import { EXIT } from '../core/codes.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { JobStatus } from '../core/status.ts';
import { REASON_OPTION, reasonOf, why } from './confirm.ts';
import { jsonFollower, lineFollower } from './follow.ts';
import { exitOfChange, previewed, PREVIEW_OPTIONS } from './preview.ts';
import { renderJob, renderJobs } from './render-records.ts';
import { clockOf } from './silence.ts';
import { CLIENT_OPTIONS, connect, flag, KEY_OPTION, printJson, printLines } from './values.ts';
import { remaining, renderOptions, waitSignal } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';
import { exitOf, FOLLOW_OPTIONS, sinceSeq, waitForJob, wantsWait } from './wait.ts';

/** How often a daemon that is away is looked for. */
const PATIENT_MS = 500;

/** Newest first. */
function newestFirst(jobs: readonly JobStatus[]): readonly JobStatus[] {
  return jobs.toSorted((a, b) =>
    a.startedAt < b.startedAt ? 1 : a.startedAt > b.startedAt ? -1 : 0,
  );
}

/** The job that was named; without a name the newest one that runs, else the newest one. */
async function pick(client: ControlClient, id: string | undefined, io: CliIo): Promise<JobStatus> {
  if (id !== undefined) return client.job(id, io.signal);
  const jobs = newestFirst(await client.jobs(io.signal));
  const job = jobs.find((entry) => entry.state === 'running') ?? jobs[0];
  if (job === undefined) throw new UpdateError('job.unknown', 'the daemon knows no job');
  return job;
}

async function list(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const client = await connect(values, io);
  const jobs = newestFirst(await client.jobs(io.signal));
  if (flag(values, 'json')) printJson(io, { jobs });
  else printLines(io, renderJobs(jobs, renderOptions(io)));
  return EXIT.done;
}

async function wait(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  wantsWait({ ...values, wait: true });
  const client = await connect(values, io);
  const begunMs = performance.now();
  const job = await (flag(values, 'patient')
    ? patient(() => pick(client, args[0], io), values, io)
    : pick(client, args[0], io));
  return waitForJob(client, job, remaining(values, performance.now() - begunMs), io);
}

/** The job, as soon as a daemon answers that is away now. */
async function patient(
  look: () => Promise<JobStatus>,
  values: VerbValues,
  io: CliIo,
): Promise<JobStatus> {
  const clock = clockOf(io);
  using limit = waitSignal(values, io, 'the daemon does not answer');
  let told = false;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      const lost = asUpdateError(error);
      if (limit.signal.aborted) throw limit.end(lost);
      if (!passes(lost)) throw lost;
      if (!told) io.err(`${lost.message}; waiting for it\n`);
      told = true;
    }
    await clock.sleep(PATIENT_MS, limit.signal).catch(() => {});
    if (limit.signal.aborted) throw limit.end(new UpdateError('wait.detached', 'interrupted'));
  }
}

async function cancel(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const waits = wantsWait(values);
  const reason = reasonOf(values);
  const client = await connect(values, io);
  const job = await client.cancel(args[0]!, io.signal, reason);
  if (waits) {
    // The end that was asked for is this command's success.
    const exit = await waitForJob(client, job, values, io);
    return exit === EXIT.cancelled ? EXIT.done : exit;
  }
  if (flag(values, 'json')) printJson(io, job);
  else printLines(io, renderJob(job, renderOptions(io)));
  return EXIT.done;
}

async function pause(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  return say('pause', args, values, io);
}

async function resume(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  return say('resume', args, values, io);
}

/** Without an id it is meant for the update that runs. */
async function say(
  act: 'pause' | 'resume',
  [job]: readonly string[],
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const request = { act, ...(job === undefined ? {} : { job }), ...why(values) };
  const client = await connect(values, io);
  const ended = await previewed(client, request, values, io);
  if (ended !== null) return ended;
  const answer = await client.act(request, io.signal);
  if (flag(values, 'json')) printJson(io, answer);
  else printLines(io, [answer.message]);
  return exitOfChange(answer.changed, values);
}

/** Kept events of a job; with `--follow` also the new ones until its end. */
async function log(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const client = await connect(values, io);
  const job = await pick(client, args[0], io);
  const json = flag(values, 'json');
  if (flag(values, 'follow') && job.state === 'running') {
    return waitForJob(client, job, values, io);
  }
  const since = sinceSeq(values);
  const follower = json ? jsonFollower(io) : lineFollower(job.kind, { ...io, err: io.out });
  for await (const event of client.events({ since, job: job.id, signal: io.signal })) {
    follower.event(event);
  }
  if (!json) printLines(io, renderJob(job, renderOptions(io)));
  return flag(values, 'follow') ? exitOf(job) : EXIT.done;
}

/** The verbs of jobs. */
export const jobVerbs: readonly Verb[] = [
  {
    name: 'job list',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'List the jobs that the daemon knows, newest first.',
    example: 'tandem job list',
    options: CLIENT_OPTIONS,
    run: list,
  },
  {
    name: 'job wait',
    args: '[ID]',
    minArgs: 0,
    maxArgs: 1,
    summary: 'Attach to a job (newest without ID); exit status of its end.',
    example: 'tandem job wait --follow --timeout 3600',
    options: {
      ...CLIENT_OPTIONS,
      patient: {
        type: 'boolean',
        help: 'Wait for a daemon that does not answer yet, too: after a reboot of this node.',
      },
      ...FOLLOW_OPTIONS,
    },
    run: wait,
  },
  {
    name: 'job cancel',
    args: 'ID',
    minArgs: 1,
    maxArgs: 1,
    summary: 'Cancel an update while that is still possible.',
    example: 'tandem job cancel 20261121-113548-a1 --wait',
    options: {
      ...CLIENT_OPTIONS,
      wait: { type: 'boolean', help: 'Wait until it is cancelled; exit status 0 then.' },
      ...KEY_OPTION,
      ...REASON_OPTION,
      ...FOLLOW_OPTIONS,
    },
    run: cancel,
  },
  {
    name: 'job pause',
    args: '[ID]',
    minArgs: 0,
    maxArgs: 1,
    summary: 'Let an update rest at its next safe point, where high availability is up.',
    example: 'tandem job pause --reason backup',
    options: { ...CLIENT_OPTIONS, ...PREVIEW_OPTIONS, ...KEY_OPTION, ...REASON_OPTION },
    run: pause,
  },
  {
    name: 'job resume',
    args: '[ID]',
    minArgs: 0,
    maxArgs: 1,
    summary: 'Let an update that was paused go on.',
    example: 'tandem job resume',
    options: { ...CLIENT_OPTIONS, ...PREVIEW_OPTIONS, ...KEY_OPTION, ...REASON_OPTION },
    run: resume,
  },
  {
    name: 'job log',
    args: '[ID]',
    minArgs: 0,
    maxArgs: 1,
    summary: 'Print the events of a job that the daemon still keeps.',
    example: 'tandem job log --since-seq 120',
    options: { ...CLIENT_OPTIONS, ...FOLLOW_OPTIONS },
    run: log,
  },
];
