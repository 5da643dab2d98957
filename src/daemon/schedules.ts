/**
 * Puts the desk of scheduled updates into a daemon: its book, the way to the peer, and the jobs
 * that its runs are. Imports core and its folder.
 */
import type { Caller, ControlBackend } from '../control/backend.ts';
import type { ScheduleRequest } from '../control/schedule-protocol.ts';
import { UpdateError } from '../core/errors.ts';
import { serves } from '../core/role.ts';
import type { AutomationView, ScheduleView } from '../core/schedule-read.ts';
import { connected, me } from '../core/state.ts';
import type { JobStatus } from '../core/status.ts';
import type { Host, Inhibitor } from '../ports.ts';
import { pause, type Pause } from '../updater/effects.ts';
import type { EventLog } from '../updater/events.ts';
import type { Runner } from '../updater/runner.ts';
import type { Asked, AuditLog } from './audit.ts';
import type { DriverRequests } from './requests.ts';
import { bundleOfStaged } from './bundles.ts';
import type { ScheduleBook } from './schedule-book.ts';
import { ScheduleDesk, type ScheduleParts } from './schedule-desk.ts';
import { resultOf } from './schedule-rules.ts';
import { WAITS } from './update-gate.ts';

/** What the desk of a daemon is made of. */
export interface SchedulesParts {
  readonly book: ScheduleBook;
  readonly automation: ScheduleParts['automation'];
  readonly runner: Pick<Runner, 'state'>;
  readonly requests: DriverRequests;
  readonly host: Pick<Host, 'nowMs' | 'monotonicMs'>;
  readonly events: EventLog;
  readonly inhibitor: Inhibitor;
  readonly log: (line: string) => void;
  readonly pause?: Pause;
}

/** The jobs that runs are. */
export interface RunJobs {
  /** A job that has begun, and how it stands; null = there is none. */
  begunJob(id: string): JobStatus | null;
  /** A job of this process that is no rollout; null = there is none. */
  ownJob(id: string): JobStatus | null;
  /** Ends a job that is no rollout yet; false when there is none any more. */
  abortJob(id: string): boolean;
}

/** The desk; its runs are begun and found through the backend. Its `start` lets it begin. */
export function openSchedules(
  parts: SchedulesParts,
  backend: Pick<ControlBackend, 'start' | 'bundles'> & RunJobs,
): ScheduleDesk {
  const { runner, requests } = parts;
  const desk = new ScheduleDesk({
    ...parts,
    node: me(runner.state),
    serves: () => serves(runner.state),
    connected: () => connected(runner.state),
    exchange: (own) => requests.askSchedules(own),
    start: (request, caller) => backend.start(request, caller),
    job: (id) => backend.begunJob(id),
    own: (id) => backend.ownJob(id),
    abort: (id) => backend.abortJob(id),
    staged: async (bundle) => {
      const found = (await backend.bundles()).find((one) => one.bundle === bundle);
      return found === undefined || found.nodes.length < 2 ? null : { version: found.version };
    },
  });
  requests.schedules = (half) => desk.hear(half);
  return desk;
}

/** What a node without a desk answers. */
export const NOTHING_SCHEDULED: AutomationView = {
  schedules: [],
  window: null,
  inhibited: null,
  clock: null,
};

/** How often it is looked whether a bundle has been staged. */
const LOOK_MS = 200;
const NEVER = new AbortController().signal;

/**
 * The request with its file staged on both nodes, so that it is there at its time whatever becomes
 * of the file; one that is repeated is read anew each time. Throws how the staging failed.
 */
export async function withStaged(
  request: ScheduleRequest,
  backend: Pick<ControlBackend, 'start' | 'job'>,
  caller: Caller,
  wait: Pause = pause,
): Promise<ScheduleRequest> {
  const { source, every } = request;
  if (!('path' in source) || every !== undefined) return request;
  const { name, via } = caller;
  const by = via === undefined ? { name } : { name, via };
  let job = await backend.start({ kind: 'stage', path: source.path }, by);
  while (job.state === 'running') {
    await wait(LOOK_MS, NEVER);
    job = backend.job(job.id);
  }
  if (job.state === 'failed') {
    throw new UpdateError(job.code ?? 'internal.bug', job.message);
  }
  return { ...request, source: { bundle: bundleOfStaged(job.message) } };
}

/** The desk; throws where there is none. */
export function deskOf(desk: ScheduleDesk | null): ScheduleDesk {
  if (desk !== null) return desk;
  throw new UpdateError('internal.bug', 'this daemon keeps no scheduled updates');
}

/** Does a word about a schedule and notes it in the audit log. */
export function auditSchedule(
  audit: AuditLog,
  asked: Asked,
  work: () => Promise<ScheduleView>,
): Promise<ScheduleView> {
  return audit.around(asked, async () => {
    const value = await work();
    return { value, noted: { result: 'done', message: `${value.id}: ${value.text}` } };
  });
}

/** The job with the word of its result, when it is an update that has ended. */
export function withResult(job: JobStatus): JobStatus {
  const result = resultOf(job);
  return result === null ? job : { ...job, result };
}

/** The view with the jobs that wait for hooks before they begin. */
export function withWaiting(view: AutomationView, jobs: readonly JobStatus[]): AutomationView {
  const waiting = jobs
    .filter(({ state, message }) => state === 'running' && message.startsWith(WAITS))
    .map(({ id, message }) => ({ job: id, message: message.slice(WAITS.length) }));
  return waiting.length === 0 ? view : { ...view, waiting };
}
