/**
 * Which desk gives a job up: a rollout turns back, a prepared update ends, a scheduled run does not
 * begin, work of this process is ended. Always holds: what cannot be given up any more is refused
 * and goes on. Imports core and its own folder.
 */
import { UpdateError } from '../core/errors.ts';
import { canCancel } from '../core/phases.ts';
import { running, type NodeState } from '../core/state.ts';
import type { JobStatus } from '../core/status.ts';
import type { Asked } from './audit.ts';
import type { Jobs } from './jobs.ts';
import type { Prepared } from './prepared.ts';
import type { DriverRequests } from './requests.ts';
import type { ScheduleDesk } from './schedule-desk.ts';
import type { Upkeep } from './upkeep.ts';

/** The desks that have jobs. */
export interface CancelParts {
  readonly state: NodeState;
  readonly requests: Pick<DriverRequests, 'ask'>;
  readonly jobs: Jobs;
  readonly prepared: Prepared;
  readonly schedules: ScheduleDesk | null;
  readonly upkeep: Upkeep;
}

/** Gives the job up and returns how it stands; throws `job.unknown`, `job.not_cancellable`. */
export async function cancelJob(
  { state, requests, jobs, prepared, schedules, upkeep }: CancelParts,
  id: string,
  asked: Asked,
): Promise<JobStatus> {
  const { by, reason } = asked;
  const { rollout } = state;
  if (running(rollout) && rollout.id === id) {
    if (!canCancel(rollout)) {
      const message = `job ${id} is in phase ${rollout.phase}`;
      throw new UpdateError('job.not_cancellable', message);
    }
    await requests.ask({ do: 'cancel', by, reason: reason ?? 'asked for' });
    return jobs.get(id);
  }
  const job = jobs.get(id);
  if (job.kind === 'prepare') return prepared.cancel(id, asked);
  upkeep.checkCancel(id);
  if ((await schedules?.cancelJob(id, by)) === true) {
    return jobs.list().find((one) => one.id === id) ?? job;
  }
  if (!jobs.abort(id)) {
    throw new UpdateError('job.not_cancellable', `job ${id} has ended already`);
  }
  return job;
}
