/**
 * What an update has to wait for before it begins: files, windows, hooks. Always holds: a dry run
 * shows what the update itself would meet; a job that waits says why, in the job and as events.
 * Imports core, ports and the updater.
 */
import { UpdateError } from '../core/errors.ts';
import { me, other } from '../core/state.ts';
import type { PrecheckRow } from '../core/operator.ts';
import type { Reason } from '../core/records.ts';
import type { Hooks, Host } from '../ports.ts';
import type { Pause } from '../updater/effects.ts';
import { askUntilAgreed } from '../updater/hook-wait.ts';
import type { Runner } from '../updater/runner.ts';
import { windowReason, type GateParts } from '../updater/switch-gate.ts';
import { bad, good, passed, type PairFacts } from './precheck.ts';

/** What the gate is made of. */
export interface UpdateGateParts {
  readonly runner: Pick<Runner, 'state'>;
  readonly hooks: Hooks;
  readonly host: Pick<Host, 'nowMs' | 'monotonicMs'>;
  readonly pause?: Pause;
  /** Windows and the inhibit directory. */
  readonly automation: NonNullable<GateParts['automation']>;
}

/** How a job begins to say why it waits. */
export const WAITS = 'waits: ';

/** How it is looked at. */
export interface GateOptions {
  readonly ignoreWindow?: boolean | undefined;
  /** The moment at which a window has to be open; now when there is none. */
  readonly atMs?: number | null | undefined;
}

/** Rows for a file that stops updates and for the windows. */
export async function gateRows(
  { runner, host, automation }: UpdateGateParts,
  facts: PairFacts,
  { ignoreWindow = false, atMs }: GateOptions = {},
): Promise<PrecheckRow[]> {
  const { state } = runner;
  const own = await automation.inhibitor.inhibited();
  const theirs = facts[other(state)]?.inhibited ?? null;
  const file = own === null ? theirs : own;
  const node = own === null ? other(state) : me(state);
  const closed = windowReason(automation.windows, atMs ?? host.nowMs());
  return [
    file === null
      ? good('inhibit', 'no file stops updates')
      : bad('inhibit', 'update.inhibited', `node ${node}: ${file}`),
    windowRow(closed, automation.windows.length, ignoreWindow),
  ];
}

function windowRow(closed: Reason | null, count: number, ignore: boolean): PrecheckRow {
  if (count === 0) return good('window', 'there are no maintenance windows: at any time');
  if (closed === null) return good('window', 'a maintenance window is open');
  return ignore
    ? bad('window', closed.code, `${closed.message}; ignored as asked for`, { result: 'warning' })
    : bad('window', closed.code, closed.message);
}

/** Throws why an update may not begin now, as far as this node knows: exit status 20. */
export async function mayBegin(
  parts: UpdateGateParts,
  facts: PairFacts,
  ignoreWindow: boolean,
): Promise<void> {
  passed(await gateRows(parts, facts, { ignoreWindow }));
}

/** Hears what a job does; its answer is waited for. */
export interface WaitTeller {
  tell(job: string, kind: string, msg: string): unknown;
}

/** What the hooks of a point are asked for a job, and since when it waits for them. */
export interface JobQuestion {
  readonly job: string;
  readonly point: 'check' | 'pre-prepare';
  readonly input: object;
  /** By the monotonic clock. */
  readonly sinceMs: number;
}

/** Asks the hooks of a point for a job until they agree; it says why it waits. */
export async function agreeOn(
  { hooks, host, pause, automation }: UpdateGateParts,
  desk: WaitTeller,
  { job, point, input, sinceMs }: JobQuestion,
  signal: AbortSignal,
): Promise<void> {
  const asked = { hooks, host, laterH: automation.laterH, sinceMs, ...(pause && { pause }) };
  const tell = (reason: Reason | null): unknown =>
    desk.tell(job, 'waiting', reason === null ? 'the hooks agree' : `${WAITS}${reason.message}`);
  await askUntilAgreed(asked, { point, input, tell }, signal);
}

/** The rollout of this job is there already: whoever asks again must not begin it twice. */
export function assertNew(job: string, rollouts: readonly { readonly id: string }[]): void {
  if (!rollouts.some(({ id }) => id === job)) return;
  throw new UpdateError('job.busy', `job ${job} has begun already`);
}
