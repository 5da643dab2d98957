/**
 * Runs of schedules that are claimed: each begins as one job, waits while it is refused for what
 * passes, and is given up when a person says so. Always holds: nothing begins before the peer has
 * the claim on its disk; a run that was given up does not begin, also one that was just about to;
 * one that is a rollout already is left to its job. Imports core, control's contracts and its
 * folder.
 */
import type { Caller, JobRequest } from '../control/backend.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { isoOf, parseIso } from '../core/dates.ts';
import type { Reason } from '../core/records.ts';
import { cancelled, clockTrouble, jobOfRun, merged, type Schedule } from '../core/schedule.ts';
import { SCHEDULES_MAX } from '../core/schedule-read.ts';
import type { JobStatus } from '../core/status.ts';
import { pause, type Pause } from '../updater/effects.ts';
import { OVER_MAX, type KeeperParts, type ScheduleKeeper } from './schedule-keeper.ts';
import { endOfRun, found, outcomeOf, refusalWaits, requestOf } from './schedule-rules.ts';
import type { Outcome } from './schedule-rules.ts';
import { WAITS } from './update-gate.ts';
import type { WaitingRun } from './update-wait.ts';

/** What runs are begun with. */
export interface RunParts extends KeeperParts {
  readonly serves: () => boolean;
  readonly start: (request: JobRequest, caller: Caller) => Promise<JobStatus>;
  /** A job of this pair that has begun; null = there is none of that id. */
  readonly job: (id: string) => JobStatus | null;
  /** The same, of this node alone and as long as it is no rollout. */
  readonly own: (id: string) => JobStatus | null;
  /** Ends a job that is no rollout yet; false when there is none. */
  readonly abort: (id: string) => boolean;
  readonly pause?: Pause;
}

/** What is told of them. */
export interface RunTeller {
  hold(schedule: Schedule, reason: Reason): Promise<void>;
  end(schedule: Schedule, outcome: Outcome): Promise<void>;
  /** Tells the peer. */
  share(): Promise<void>;
}

/** A refusal that passes is asked again after this time. */
const AGAIN_MS = 30_000;
/** How often it is looked whether a job that was given up has ended, and for how long. */
const LOOK_MS = 50;
const LOOKS_MAX = 200;
const NEVER = new AbortController().signal;

/** The claimed runs of one node. */
export class ScheduleRuns {
  readonly #parts: RunParts;
  readonly #keeper: ScheduleKeeper;
  readonly #teller: RunTeller;
  /** When a refused run is asked for again. */
  readonly #again = new Map<string, number>();
  /** Schedules whose run is asked for at this moment, and those that nobody wants any more. */
  readonly #starting = new Set<string>();
  readonly #unwanted = new Set<string>();

  constructor(parts: RunParts, keeper: ScheduleKeeper, teller: RunTeller) {
    this.#parts = parts;
    this.#keeper = keeper;
    this.#teller = teller;
    keeper.works = () => this.#works();
  }

  /** Begins the run of a schedule that is claimed, or finds how it ended. */
  async begin(schedule: Schedule): Promise<void> {
    const { host, job } = this.#parts;
    const { id, state } = schedule;
    if (state !== 'claimed' || this.#unwanted.has(id)) return;
    const there = job(jobOfRun(schedule));
    if (there !== null && there.state !== 'running') {
      this.#again.delete(id);
      return this.#teller.end(schedule, endOfRun(there));
    }
    const theirs = this.#keeper.peer.works(id, host.monotonicMs());
    // A job of the peer, which was asked for it there or served before, becomes the run.
    const said = there?.message ?? theirs;
    if (said !== null) return this.#follow(schedule, said);
    if (host.monotonicMs() < (this.#again.get(id) ?? 0)) return;
    try {
      if (!this.#keeper.peer.holds(schedule)) await this.#keeper.compare();
      // The peer may have known better.
      if (found(this.#keeper.all, id).rev !== schedule.rev) return;
      await this.#start(schedule);
      this.#keeper.holds.delete(id);
    } catch (cause) {
      const error = asUpdateError(cause);
      const wait = this.#waits(schedule, error);
      if (wait === null) return this.#teller.end(schedule, outcomeOf(error));
      this.#again.set(id, host.monotonicMs() + AGAIN_MS);
      await this.#teller.hold(schedule, wait);
    }
  }

  async #start(schedule: Schedule): Promise<void> {
    const { id } = schedule;
    const wrong = this.#keeper.clock.trouble();
    // What was to begin at once does not ask what time it is.
    if (wrong !== null && schedule.job === undefined) throw new UpdateError('clock.wrong', wrong);
    if (this.#unwanted.has(id)) return;
    this.#starting.add(id);
    try {
      const job = jobOfRun(schedule);
      const waitedMs = this.#waitedMs(schedule);
      await this.#parts.start(requestOf(schedule), { name: `schedule ${id}`, job, waitedMs });
      if (this.#unwanted.has(id)) this.#parts.abort(job);
    } finally {
      this.#starting.delete(id);
    }
  }

  /**
   * For how long hooks have put an update off that was to begin at once: it is kept since their
   * first word. A clock that is not to be believed, then or now, counts anew.
   */
  #waitedMs({ job, asked }: Schedule): number {
    if (job === undefined || this.#keeper.clock.trouble() !== null) return 0;
    const beganMs = parseIso(asked.at);
    if (clockTrouble(beganMs, 0, null) !== null) return 0;
    return Math.max(0, this.#parts.host.nowMs() - beganMs);
  }

  /** On a node that does not serve: how its own jobs ended before they were runs. */
  async close(): Promise<void> {
    for (const schedule of this.#claimed()) {
      const own = this.#parts.own(jobOfRun(schedule));
      if (own !== null && own.state !== 'running') await this.#teller.end(schedule, endOfRun(own));
    }
  }

  #claimed(): readonly Schedule[] {
    return this.#keeper.open.filter(({ id, state }) => {
      return state === 'claimed' && !this.#unwanted.has(id);
    });
  }

  #works(): Readonly<Record<string, string>> {
    const found = this.#claimed().flatMap((schedule) => {
      const own = this.#parts.own(jobOfRun(schedule));
      return own?.state === 'running' ? [[schedule.id, own.message] as const] : [];
    });
    return Object.fromEntries(found);
  }

  /** A job that waits for hooks is shown as what holds its schedule up, on both nodes. */
  async #follow({ id }: Schedule, message: string): Promise<void> {
    const { holds } = this.#keeper;
    const before = holds.get(id)?.code;
    const waits = message.startsWith(WAITS);
    if (waits) holds.set(id, { code: 'hook.later', message: message.slice(WAITS.length) });
    else holds.delete(id);
    if (before !== holds.get(id)?.code) await this.#teller.share();
  }

  /** Why the run waits after this refusal; null = it is the end of it. */
  #waits({ job, by, source }: Schedule, { code, message }: UpdateError): Reason | null {
    if (refusalWaits(code)) return { code, message };
    // A medium may be plugged in again, and the other node may serve again.
    if (code !== 'file.not_found' || job === undefined || !('path' in source)) return null;
    const where = by === this.#parts.node ? '' : `; it was given to node ${by}`;
    return { code, message: `${message}${where}` };
  }

  /** An update that was to begin at once waits from now on: known to both nodes, as claimed. */
  async keep(schedule: Schedule): Promise<boolean> {
    const { all, open } = this.#keeper;
    const job = jobOfRun(schedule);
    if (all.some((one) => jobOfRun(one) === job)) return false;
    if (open.length >= SCHEDULES_MAX - OVER_MAX) {
      throw new UpdateError('schedule.full', 'there are too many scheduled updates to keep it');
    }
    try {
      await this.#keeper.compare([schedule]);
    } catch (cause) {
      // A peer that is away hears of it when it is back; one that is too old never does.
      if (!refusalWaits(asUpdateError(cause).code)) throw cause;
    }
    await this.#keeper.change((now) => merged(now, [schedule]));
    return true;
  }

  /**
   * Gives a claimed run up, on whichever node its job is. Throws `job.not_cancellable` for one that
   * is a rollout already, and what stands against asking the peer.
   */
  async cancel(schedule: Schedule, by: string): Promise<void> {
    const { serves, own, host } = this.#parts;
    const { id } = schedule;
    const theirs = this.#keeper.peer.works(id, host.monotonicMs()) !== null;
    const mine = this.#starting.has(id) || own(jobOfRun(schedule)) !== null;
    if (mine || (serves() && !theirs)) return this.#cancelHere(schedule, by);
    await this.#keeper.compare([], { cancel: { id, by } });
    if (found(this.#keeper.all, id).state === 'ended') return;
    throw new UpdateError('job.not_cancellable', `schedule ${id} is at work on the other node`);
  }

  /** What the peer asks for. */
  async heardCancel(id: string, by: string): Promise<void> {
    const schedule = this.#keeper.all.find((one) => one.id === id);
    if (schedule?.state === 'claimed') await this.#cancelHere(schedule, by);
  }

  async #cancelHere(schedule: Schedule, by: string): Promise<void> {
    const { host, node } = this.#parts;
    const { id } = schedule;
    // Refused before anything is touched.
    cancelled(schedule, node, by, host.nowMs());
    this.#unwanted.add(id);
    try {
      await this.#ended(schedule);
      const now = found(this.#keeper.all, id);
      if (now.state !== 'claimed') return;
      const next = cancelled(now, node, by, host.nowMs());
      await this.#keeper.change((all) => merged(all, [next]));
      this.#keeper.holds.delete(id);
    } finally {
      this.#unwanted.delete(id);
    }
  }

  /** Ends what there is of the job, and resolves when there is nothing of it any more. */
  async #ended(schedule: Schedule): Promise<void> {
    const { job, abort, pause: wait = pause } = this.#parts;
    const id = jobOfRun(schedule);
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      const there = job(id);
      const runs = there !== null && there.state === 'running';
      if (runs && !abort(id)) {
        throw new UpdateError('job.not_cancellable', `schedule ${schedule.id} runs as job ${id}`);
      }
      if (there?.state === 'done') {
        throw new UpdateError('job.not_cancellable', `job ${id} has ended already`);
      }
      if (!runs && !this.#starting.has(schedule.id)) return;
      await wait(LOOK_MS, NEVER);
    }
    throw new UpdateError('job.busy', `job ${id} is being begun; ask again`);
  }
}

/** An update that has to wait before it begins, as it is kept. */
export function waitingSchedule(
  { job, request, version, by, reason }: WaitingRun,
  made: { readonly id: string; readonly node: Schedule['by']; readonly nowMs: number },
): Schedule {
  const { source, order, onSecondFailure, formatTarget, ignoreWindow } = request;
  const at = isoOf(made.nowMs);
  return {
    id: made.id,
    rev: 1,
    by: made.node,
    state: 'claimed',
    source,
    version,
    options: {
      ...(order === undefined ? {} : { order }),
      ...(onSecondFailure === undefined ? {} : { onSecondFailure }),
      ...(formatTarget === true ? { formatTarget } : {}),
      ...(ignoreWindow === true ? { ignoreWindow } : {}),
    },
    every: null,
    zone: 'UTC',
    dueAt: at,
    held: true,
    run: 1,
    inform: null,
    agreed: true,
    deferralsMax: 0,
    deferrals: 0,
    choicesMin: [],
    mayCancel: true,
    last: null,
    asked: { by, at, reason },
    job,
  };
}
