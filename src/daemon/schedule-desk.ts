/**
 * Scheduled updates of a pair: both nodes keep them on their disks and tell each other of every
 * change; the node that serves begins what is due. Always holds: a run begins only after both nodes
 * have it on disk that it does, under one job id, so it happens once whichever node is active and
 * whatever dies in between; nothing is decided by a clock that the peer's contradicts; what is due
 * and does not begin says why. Imports core, control's contracts and its folder.
 */
import { randomBytes } from 'node:crypto';
import type { Caller } from '../control/backend.ts';
import type { ScheduleRequest } from '../control/schedule-protocol.ts';
import { isoOf, parseIso } from '../core/dates.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { Reason } from '../core/records.ts';
import { jobOfSchedule, SCHEDULES_MAX, scheduleView, whatOf } from '../core/schedule-read.ts';
import type { AutomationView, ScheduleView } from '../core/schedule-read.ts';
import type { TimesGiven } from '../core/schedule-time.ts';
import { afterRun, answered, dueNow, jobOfRun, merged } from '../core/schedule.ts';
import type { Due, Moment, Schedule, ScheduleAnswer } from '../core/schedule.ts';
import type { ScheduleResult } from '../core/schedule.ts';
import type { JobStatus } from '../core/status.ts';
import { windowsAt } from '../core/window.ts';
import { pause } from '../updater/effects.ts';
import { windowReason } from '../updater/switch-gate.ts';
import type { ScheduleHalf } from './schedule-exchange.ts';
import { OVER_MAX, ScheduleKeeper } from './schedule-keeper.ts';
import { firstDue, found, informWords, newSchedule, runKey } from './schedule-rules.ts';
import type { Outcome, ScheduleRules } from './schedule-rules.ts';
import { ScheduleRuns, waitingSchedule, type RunParts } from './schedule-runs.ts';
import type { WaitingRun } from './update-wait.ts';

/** What the desk is given. */
export interface ScheduleParts extends RunParts {
  /** Whether the peer answers. */
  readonly connected: () => boolean;
  readonly automation: ScheduleRules & { readonly catchUpH: number };
  /** A bundle that is in the depots of both nodes; null = it is not. */
  readonly staged: (bundle: string) => Promise<{ readonly version: string | null } | null>;
  readonly log: (line: string) => void;
}

/** How often it is looked whether something is due. */
const LOOK_MS = 1000;
/** Both nodes compare what they hold this often while there is something. */
const COMPARE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** Scheduled updates as this node keeps them. */
export class ScheduleDesk implements AsyncDisposable {
  readonly #parts: ScheduleParts;
  readonly #keeper: ScheduleKeeper;
  /** When people were told of a run, by the monotonic clock. */
  readonly #informed = new Map<string, number>();
  readonly #runs: ScheduleRuns;
  readonly #ended = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #compareAtMs = 0;

  constructor(parts: ScheduleParts) {
    this.#parts = parts;
    this.#keeper = new ScheduleKeeper(parts);
    this.#runs = new ScheduleRuns(parts, this.#keeper, {
      hold: (schedule, reason) => this.#hold(schedule, reason),
      end: (schedule, outcome) => this.#end(schedule, outcome),
      share: () => this.#share(),
    });
  }

  /** Begins to look whether something is due. */
  start(): void {
    this.#loop = this.#run(this.#ended.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#loop;
    await this.#keeper.rest();
  }

  /** What is scheduled, and what holds updates up, as it was looked at last. */
  view(): AutomationView {
    const { host, automation } = this.#parts;
    const { all, inhibited, peer, clock } = this.#keeper;
    const { windows } = automation;
    const state = windowsAt(windows, host.nowMs());
    const untilMs = state.open ? state.untilMs : state.nextMs;
    const until = untilMs === null ? null : isoOf(untilMs);
    return {
      schedules: all.toSorted(inOrder).map((one) => scheduleView(one, this.#holdOf(one.id))),
      window: windows.length === 0 ? null : { open: state.open, until },
      inhibited: inhibited ?? peer.inhibited(host.monotonicMs()),
      clock: clock.trouble(),
    };
  }

  /** As this node found it, when it serves; else as its peer did. */
  #holdOf(id: string): Reason | null {
    const { serves, host } = this.#parts;
    const { holds, peer } = this.#keeper;
    return serves() ? (holds.get(id) ?? null) : peer.hold(id, host.monotonicMs());
  }

  #view(id: string): ScheduleView {
    return scheduleView(found(this.#keeper.all, id), this.#holdOf(id));
  }

  /** Bundles that must stay in the depot for them. */
  bundles(): readonly string[] {
    const { open } = this.#keeper;
    return open.flatMap(({ source }) => ('bundle' in source ? [source.bundle] : []));
  }

  /**
   * Judges what a new one may be refused for before anything is done for it: its times, and whether
   * there is room. Returns when it would be due and in which zone, and the moment of the question.
   */
  judge(times: TimesGiven): { readonly ms: number; readonly zone: string; readonly nowMs: number } {
    const { automation, host } = this.#parts;
    const max = SCHEDULES_MAX - OVER_MAX;
    if (this.#keeper.open.length >= max) {
      throw new UpdateError('schedule.full', `there are ${max} scheduled updates already`);
    }
    const nowMs = host.nowMs();
    return { ...firstDue(times, automation, nowMs), nowMs };
  }

  /**
   * A new one, on the disks of both nodes; throws the refusal. Its times count from `nowMs`, when
   * it was judged: its bundle may have taken long since then.
   */
  async add(
    request: ScheduleRequest,
    caller: Caller,
    { nowMs }: { readonly nowMs: number } = this.judge(request),
  ): Promise<ScheduleView> {
    const { automation, node, staged } = this.#parts;
    const { source } = request;
    const known = 'bundle' in source ? await staged(source.bundle) : { version: null };
    if (known === null && 'bundle' in source) {
      const message = `bundle ${source.bundle} is not staged on both nodes`;
      throw new UpdateError('pair.not_replicated', message);
    }
    const id = newId();
    const made = { id, node, nowMs, by: caller.name, version: known?.version };
    const schedule = newSchedule(request, automation, made);
    // The peer first: one that cannot keep schedules is told before anything is promised.
    await this.#keeper.compare([schedule]);
    await this.#keeper.change((all) => merged(all, [schedule]));
    this.#tell(schedule, `asked for by ${caller.name}`);
    return this.#view(id);
  }

  /** A person's answer, or word; throws `schedule.unknown` and the refusal. */
  async answer(id: string, answer: ScheduleAnswer, caller: Caller): Promise<ScheduleView> {
    const { host, node } = this.#parts;
    const now = found(this.#keeper.all, id);
    if (answer.answer === 'cancel' && now.state === 'claimed') {
      await this.#cancel(now, caller.name);
      return this.#view(id);
    }
    await this.#keeper.change((all) => {
      const next = answered(found(all, id), node, answer, caller.name, host.nowMs());
      return merged(all, [next]);
    });
    this.#keeper.holds.delete(id);
    const next = found(this.#keeper.all, id);
    const said = answer.answer === 'now' ? null : next.last;
    this.#tell(next, said?.message ?? `may begin, says ${caller.name}`, said);
    await this.#share();
    return this.#view(id);
  }

  async #cancel(schedule: Schedule, by: string): Promise<void> {
    await this.#runs.cancel(schedule, by);
    const { last } = found(this.#keeper.all, schedule.id);
    this.#tell(schedule, last?.message ?? `cancelled by ${by}`, last);
    await this.#share();
  }

  /** An update that was to begin at once waits, and does so from now on whatever restarts. */
  async keep(run: WaitingRun): Promise<void> {
    const { node, host } = this.#parts;
    const id = newId();
    const schedule = waitingSchedule(run, { id, node, nowMs: host.nowMs() });
    if (!(await this.#runs.keep(schedule))) return;
    this.#tell(schedule, `asked for by ${run.by}, waits; it is kept until it begins`);
  }

  /** Jobs of runs, as far as the schedules alone tell of them. */
  jobs(): readonly JobStatus[] {
    const found = this.#keeper.all.map((one) => jobOfSchedule(one, this.#holdOf(one.id)));
    return found.filter((one) => one !== null);
  }

  /** Gives up the run with this job; false when it is the run of no schedule that is claimed. */
  async cancelJob(job: string, by: string): Promise<boolean> {
    const schedule = this.#keeper.open.find(
      (one) => one.state === 'claimed' && jobOfRun(one) === job,
    );
    if (schedule === undefined) return false;
    await this.#cancel(schedule, by);
    return true;
  }

  /** What the peer tells; returns what this node holds then, on its disk. */
  async hear(half: ScheduleHalf): Promise<ScheduleHalf> {
    const { cancel } = half;
    if (cancel !== undefined) await this.#runs.heardCancel(cancel.id, cancel.by);
    return this.#keeper.hear(half);
  }

  /** Tells the peer, when it can be told; it hears all of it again with the next comparison. */
  async #share(): Promise<void> {
    if (this.#parts.connected()) await this.#keeper.compare().catch(() => undefined);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const wait = this.#parts.pause ?? pause;
    while (!signal.aborted) {
      try {
        await this.look();
      } catch (cause) {
        const { code, message } = asUpdateError(cause);
        this.#parts.log(`scheduled updates: ${code}: ${message}`);
      }
      await wait(LOOK_MS, signal);
    }
  }

  /** Looks once whether something is due, and does it. */
  async look(): Promise<void> {
    const { host, serves } = this.#parts;
    const { clock, open } = this.#keeper;
    clock.watch();
    await this.#keeper.lookForFiles();
    if (open.length === 0) return;
    await this.#keeper.noteTime();
    if (host.monotonicMs() >= this.#compareAtMs) {
      this.#compareAtMs = host.monotonicMs() + COMPARE_MS;
      await this.#share();
    }
    if (!serves()) {
      this.#keeper.holds.clear();
      this.#informed.clear();
      return this.#runs.close();
    }
    for (const { id } of open) await this.#look(id);
  }

  async #look(id: string): Promise<void> {
    const first = dueNow(found(this.#keeper.all, id), this.#moment(id));
    if (first.do === 'rest') {
      this.#keeper.holds.delete(id);
      return;
    }
    // Nothing is decided without the peer: its clock, and what it knows.
    if (first.do !== 'hold' && first.do !== 'run') {
      try {
        await this.#keeper.compare();
      } catch (cause) {
        const { code, message } = asUpdateError(cause);
        await this.#hold(found(this.#keeper.all, id), { code, message });
        return;
      }
    }
    const schedule = found(this.#keeper.all, id);
    await this.#do(schedule, dueNow(schedule, this.#moment(id)));
  }

  #moment(id: string): Moment {
    const { host, automation } = this.#parts;
    const { all, peer, clock } = this.#keeper;
    const schedule = found(all, id);
    const atMs = host.monotonicMs();
    const informedAt = this.#informed.get(runKey(schedule));
    const file = this.#keeper.inhibited ?? peer.inhibited(atMs);
    const inhibited: Reason | null =
      file === null ? null : { code: 'update.inhibited', message: file };
    const bound = schedule.options.ignoreWindow !== true;
    return {
      nowMs: host.nowMs(),
      clock: clock.trouble(),
      blocked: inhibited ?? (bound ? windowReason(automation.windows, host.nowMs()) : null),
      informedMs: informedAt === undefined ? null : atMs - informedAt,
      catchUpMs: automation.catchUpH * HOUR_MS,
    };
  }

  async #do(schedule: Schedule, due: Due): Promise<void> {
    const { host } = this.#parts;
    const { id } = schedule;
    switch (due.do) {
      case 'rest':
        this.#keeper.holds.delete(id);
        return;
      case 'hold':
        return this.#hold(schedule, { code: due.code, message: due.message });
      case 'missed': {
        const { message } = due;
        const result = { word: 'not successful', code: 'schedule.missed', message } as const;
        return this.#end(schedule, result);
      }
      case 'inform':
        this.#informed.set(runKey(schedule), host.monotonicMs());
        await this.#keeper.set(schedule, { state: 'informing' });
        this.#tell(schedule, informWords(schedule), { code: 'schedule.informing' });
        return this.#share();
      case 'claim':
        this.#keeper.holds.delete(id);
        await this.#keeper.set(schedule, { state: 'claimed' });
        return this.#runs.begin(found(this.#keeper.all, id));
      case 'run':
        return this.#runs.begin(schedule);
    }
  }

  /** It is due and does not begin, for this reason. */
  async #hold(schedule: Schedule, reason: Reason): Promise<void> {
    const { id, held, state } = schedule;
    const { holds } = this.#keeper;
    const before = holds.get(id);
    holds.set(id, reason);
    // A clock that is wrong says nothing of whether it is late.
    if (!held && state === 'waiting' && reason.code !== 'clock.wrong') {
      await this.#keeper.set(schedule, { held: true });
    }
    if (before?.code === reason.code || reason.code === 'schedule.informing') return;
    this.#tell(schedule, `waits: ${reason.message}`, reason);
    // Who asks the other node sees it too.
    await this.#share();
  }

  async #end(schedule: Schedule, result: Outcome): Promise<void> {
    const { node, host } = this.#parts;
    const nowMs = host.nowMs();
    const next = afterRun(schedule, node, { ...result, at: isoOf(nowMs) }, nowMs);
    await this.#keeper.change((all) => merged(all, [next]));
    this.#keeper.holds.delete(schedule.id);
    this.#informed.delete(runKey(schedule));
    this.#tell(schedule, `${result.word}: ${result.message}`, result);
    await this.#share();
  }

  #tell(schedule: Schedule, words: string, reason?: Pick<ScheduleResult, 'code'> | null): void {
    const msg = `scheduled update ${whatOf(schedule)} (${schedule.id}): ${words}`;
    const job = schedule.state === 'claimed' ? jobOfRun(schedule) : null;
    const code = reason?.code ?? null;
    this.#parts.events.emit({ job, phase: null, state: 'schedule', msg, code });
  }
}

const newId = (): string => `s${randomBytes(4).toString('hex')}`;

/** What is due next comes first, what is over last. */
function inOrder(a: Schedule, b: Schedule): number {
  const [overA, overB] = [a, b].map(({ state }) => Number(state === 'ended'));
  return overA! - overB! || parseIso(a.dueAt) - parseIso(b.dueAt);
}
