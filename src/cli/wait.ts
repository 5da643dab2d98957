/**
 * Waiting for a job. Always holds: Ctrl-C and `--timeout` end the wait and never the job; a daemon
 * that restarts, or a node that reboots, is waited for and said so; every event of the job is shown
 * once, the last ones too; the exit status is that of the job's end. Imports core, the control
 * client and its own folder.
 */
import { EXIT } from '../core/codes.ts';
import { adviceOf, asUpdateError, UpdateError } from '../core/errors.ts';
import type { JobStatus, TandemEvent } from '../core/status.ts';
import { passes, type ControlClient } from '../control/client.ts';
import { jsonFollower, lineFollower, quietFollower, terminalFollower } from './follow.ts';
import type { Follower } from './follow.ts';
import { renderJob } from './render-records.ts';
import { clockOf, Silence } from './silence.ts';
import { flag, printJson, printLines, renderOptions, TIMEOUT_OPTION } from './values.ts';
import { text, timeoutSeconds, waitSignal, wholeNumber } from './values.ts';
import type { CliClock, CliIo, VerbOption, VerbValues } from './verb.ts';

/** Options of every verb that waits for a job. */
export const FOLLOW_OPTIONS = {
  follow: { type: 'boolean', help: 'Show what happens; with --json as NDJSON events.' },
  ...TIMEOUT_OPTION,
  'since-seq': {
    type: 'string',
    value: 'SEQ',
    help: 'With --follow: only events after this sequence number.',
  },
} as const satisfies Record<string, VerbOption>;

const POLL_MS = 500;

/**
 * Whether a change shall be waited for. Throws `usage.invalid` for options of the wait that are
 * wrong or make no sense: before anything was started.
 */
export function wantsWait(values: VerbValues): boolean {
  const waits = flag(values, 'wait') || flag(values, 'follow');
  if (waits && flag(values, 'detach')) refuse('--detach does not go with --wait or --follow');
  if (!waits && timeoutSeconds(values) !== undefined) refuse('--timeout needs --wait or --follow');
  timeoutSeconds(values);
  sinceSeq(values);
  if (text(values, 'since-seq') !== undefined && !flag(values, 'follow')) {
    refuse('--since-seq needs --follow');
  }
  return waits;
}

function refuse(message: string): never {
  throw new UpdateError('usage.invalid', message);
}

/** The last event that was seen before; 0 for all. Throws `usage.invalid`. */
export function sinceSeq(values: VerbValues): number {
  return wholeNumber(values, 'since-seq', { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? 0;
}

/** Waits for a job that was started, when that is wanted; else says how to look at it. */
export async function startedJob(
  client: ControlClient,
  job: JobStatus,
  waits: boolean,
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  if (waits) return waitForJob(client, job, values, io);
  if (flag(values, 'json')) printJson(io, job);
  else if (flag(values, 'detach')) io.out(`${job.id}\n`);
  else {
    printLines(io, renderJob(job, renderOptions(io)));
    io.err(`Watch it: ${attachCommand(job.id, 0, values)}\n`);
  }
  return EXIT.done;
}

/**
 * Waits until the job has ended, shows what was asked for, prints the end and returns its exit
 * status. A wait that ended first throws `wait.timed_out` or `wait.detached`, both with the command
 * to attach again; with `--follow --json` that is the last line of the stream instead.
 */
export async function waitForJob(
  client: ControlClient,
  job: JobStatus,
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const follow = flag(values, 'follow');
  const json = flag(values, 'json');
  const follower = followerFor(job, { follow, json }, io);
  const watch = new Watch(client, job, follower, sinceSeq(values), clockOf(io));
  using wait = waitSignal(values, io, `job ${job.id} still runs`);
  let ended: JobStatus;
  try {
    ended = await watch.run(wait.signal, follow);
  } catch (error) {
    const end = wait.end(asUpdateError(error));
    if (end.exit !== EXIT.waitTimedOut) throw end;
    const attach = attachCommand(job.id, watch.last, values);
    if (json && follow) {
      printJson(io, closingEvent(job, watch.last, end));
      io.err(`tandem: ${end.message}; attach again: ${attach}\n`);
      return end.exit;
    }
    throw new UpdateError(end.code, `${end.message}; attach again: ${attach}`, {
      detail: { job: job.id, seq: watch.last, attach },
    });
  } finally {
    follower.end();
  }
  printEnd(ended, watch.last, { follow, json }, io);
  return exitOf(ended);
}

/** Exit status of a command that waited for this job. */
export function exitOf(job: JobStatus): number {
  if (job.exit !== null) return job.exit;
  if (job.state === 'done') return EXIT.done;
  return job.code === null ? EXIT.internal : adviceOf(job.code).exit;
}

function followerFor(
  job: JobStatus,
  { follow, json }: { readonly follow: boolean; readonly json: boolean },
  io: CliIo,
): Follower {
  if (!follow) return quietFollower(io);
  if (json) return jsonFollower(io);
  return io.errIsTerminal ? terminalFollower(io) : lineFollower(job.kind, io);
}

/** What a wait asks the daemon for. */
export type JobClient = Pick<ControlClient, 'job' | 'status' | 'follow' | 'events'>;

/**
 * Three loops over one job: its events as they come, its state again and again, and whether the
 * daemon still says anything at all.
 */
export class Watch {
  readonly #client: JobClient;
  readonly #follower: Follower;
  readonly #clock: CliClock;
  readonly #silence: Silence;
  #job: JobStatus;
  #lost = false;
  /** Sequence number of the last event that was shown. */
  last: number;

  constructor(
    client: JobClient,
    job: JobStatus,
    follower: Follower,
    since: number,
    clock: CliClock,
  ) {
    this.#client = client;
    this.#job = job;
    this.#follower = follower;
    this.#clock = clock;
    this.#silence = new Silence(clock, (quietS) => follower.silent(quietS));
    this.last = since;
  }

  /** The end of the job; throws what the daemon refuses, and why the signal aborted. */
  async run(signal: AbortSignal, follow: boolean): Promise<JobStatus> {
    const over = new AbortController();
    const both = AbortSignal.any([signal, over.signal]);
    const events = follow ? this.#events(both) : Promise.resolve();
    const silence = this.#silence.run(both);
    try {
      await Promise.race([this.#untilEnded(both), events.then(() => never(both))]);
    } finally {
      over.abort();
      await events.catch(() => {});
      await silence;
    }
    if (follow) await this.#rest(signal);
    return this.#job;
  }

  async #untilEnded(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      await this.#poll(signal);
      if (this.#job.state !== 'running') return;
      await this.#clock.sleep(POLL_MS, signal);
    }
  }

  async #poll(signal: AbortSignal): Promise<void> {
    try {
      this.#job = await this.#client.job(this.#job.id, signal);
      const status = this.#follower.wantsStatus ? await this.#client.status(signal) : null;
      this.#silence.heard();
      this.#tellBack();
      this.#follower.status(this.#job, status);
    } catch (error) {
      const lost = asUpdateError(error);
      // The daemon knew it a moment ago: a job is kept from its first record on.
      if (lost.code === 'job.unknown') {
        const message = `job ${this.#job.id} is gone: its daemon ended before it began`;
        throw new UpdateError('job.lost', message, { cause: lost });
      }
      if (!passes(lost)) throw lost;
      if (!this.#lost) this.#follower.note(`${lost.message}; waiting for it, the job goes on`);
      this.#lost = true;
    }
  }

  #tellBack(): void {
    if (this.#lost) this.#follower.note('The daemon answers again.');
    this.#lost = false;
  }

  async #events(signal: AbortSignal): Promise<void> {
    for await (const event of this.#client.follow({
      since: this.last,
      job: this.#job.id,
      signal,
    })) {
      this.#silence.heard();
      this.#show(event);
    }
  }

  /** Events that came between the last one shown and the end of the job. */
  async #rest(signal: AbortSignal): Promise<void> {
    const { last } = this;
    try {
      for await (const event of this.#client.events({ since: last, job: this.#job.id, signal })) {
        this.#show(event);
      }
    } catch (error) {
      // The end of the job is known; a daemon that just went away keeps these events to itself.
      if (asUpdateError(error).code !== 'daemon.unreachable') throw error;
    }
  }

  #show(event: TandemEvent): void {
    this.last = event.seq;
    this.#follower.event(event);
  }
}

/** Settles only when the signal aborts: the event loop ending by itself must not end the wait. */
async function never(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = (): void => reject(asUpdateError(signal.reason));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

function printEnd(
  job: JobStatus,
  seq: number,
  { follow, json }: { readonly follow: boolean; readonly json: boolean },
  io: CliIo,
): void {
  if (json) printJson(io, follow ? closingEvent(job, seq) : { ...job, exit: exitOf(job) });
  else printLines(io, renderJob(job, renderOptions(io)));
}

/**
 * The last line of `--follow --json`: an event like the others, with `exit` added, so that a reader
 * of the stream needs no second command to know the end.
 */
function closingEvent(job: JobStatus, seq: number, ended?: UpdateError): object {
  return {
    v: 1,
    seq,
    ts: new Date().toISOString(),
    job: job.id,
    node: null,
    phase: null,
    state:
      ended === undefined ? job.state : ended.code === 'wait.detached' ? 'detached' : 'timed_out',
    pct: null,
    eta_s: null,
    msg: ended === undefined ? job.message : ended.message,
    code: ended === undefined ? job.code : ended.code,
    exit: ended === undefined ? exitOf(job) : ended.exit,
  };
}

/** The command line that attaches to the job again, with the same socket. */
export function attachCommand(id: string, seq: number, values: VerbValues): string {
  const words = ['tandem job wait', id, '--follow'];
  if (seq > 0) words.push('--since-seq', String(seq));
  for (const name of ['socket', 'config']) {
    const value = text(values, name);
    if (value !== undefined) words.push(`--${name}`, value);
  }
  return words.join(' ');
}
