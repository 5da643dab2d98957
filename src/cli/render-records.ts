/**
 * Views of jobs, events, rollouts of the past and validations. Always holds: a failure is shown
 * with what was found, the next action, its code and its exit status; text from outside is made
 * harmless. Pure; imports core, shapes of control, and the pieces in render.ts.
 */
import type { StagedBundle } from '../control/backend.ts';
import { adviceOf } from '../core/errors.ts';
import { NODES, type Release } from '../core/model.ts';
import type { RolloutRecord } from '../core/records.ts';
import type { JobKind, JobStatus, TandemEvent, ValidateReport } from '../core/status.ts';
import { bytes, listing, mark, plain, stamp, wrap, type RenderOptions } from './render.ts';

const JOB_WORDS: Readonly<Record<JobKind, string>> = {
  validate: 'Validation',
  stage: 'Staging',
  prepare: 'Preparation',
  update: 'Update',
  rollback: 'Rollback',
  commit: 'Commit',
  verify: 'Verify',
  resync: 'Resync',
  resolve: 'Resolve',
  support: 'Support archive',
  replace: 'Replacement of a node',
  restart: 'Restart',
  shutdown: 'Shutdown',
};

/** Name of a kind of job at the start of a sentence. */
export function jobWord(kind: JobKind): string {
  return JOB_WORDS[kind];
}

/** How a job stands: its sentence, and for a failure the next action, code and exit status. */
export function renderJob(job: JobStatus, options: RenderOptions): string[] {
  const word = jobWord(job.kind);
  const message = plain(job.message, options);
  if (job.state === 'running') {
    const text = `${word} in progress (${message} - ${stamp(job.startedAt)}), job ${job.id}`;
    return wrap(text, options.columns);
  }
  const end = job.endedAt === null ? '' : ` - ${stamp(job.endedAt)}`;
  const state = job.result ?? job.state;
  const lines = wrap(`${word} ${state} (${message}${end}), job ${job.id}`, options.columns);
  if (job.state === 'done') return lines;
  const next = job.next ?? (job.code === null ? null : adviceOf(job.code).next);
  if (next !== null) lines.push(...wrap(`Next: ${next}`, options.columns));
  return [...lines, `(${job.code ?? 'internal.bug'}, exit ${job.exit ?? 1})`];
}

/** `tandem job list`. */
export function renderJobs(jobs: readonly JobStatus[], options: RenderOptions): string[] {
  if (jobs.length === 0) return ['There are no jobs.'];
  const rows = jobs.map((job) => [
    job.id,
    job.kind,
    job.state,
    job.exit === null ? '-' : String(job.exit),
    stamp(job.startedAt),
    plain(job.message, options),
  ]);
  return listing([['JOB', 'KIND', 'STATE', 'EXIT', 'STARTED', 'MESSAGE'], ...rows], options);
}

/**
 * One event as a line of a log: `Update in progress (node A: Installation started - 2026-11-21
 * 11:35:48)`.
 */
export function renderEvent(
  event: TandemEvent,
  kind: JobKind | null,
  options: RenderOptions,
): string {
  const message = plain(event.msg, options);
  const named = event.node === null || message.includes(`node ${event.node}`);
  const where = named ? '' : `node ${event.node}: `;
  const done = event.pct === null ? '' : `, ${Math.floor(event.pct)} %`;
  const code = event.code === null ? '' : ` [${event.code}]`;
  const head = kind === null ? 'Event' : `${jobWord(kind)} ${eventState(event)}`;
  return `${head} (${where}${message}${done} - ${stamp(event.ts, options)})${code}`;
}

function eventState({ state }: TandemEvent): string {
  return state === 'ended' || state === 'failed' ? 'ended' : 'in progress';
}

/** `tandem validate`: every named check with what was found, then the verdict. */
export function renderValidate(report: ValidateReport, options: RenderOptions): string[] {
  const width = Math.max(0, ...report.checks.map((check) => check.name.length));
  const checks = report.checks.flatMap((check) => {
    const sign = mark(check.ok ? 'done' : 'failed', options);
    const code = check.code === null ? '' : ` (${check.code})`;
    const text = `${plain(check.detail, options)}${code}`;
    const [first = '', ...more] = wrap(text, options.columns, ' '.repeat(width + 5));
    return [`${sign} ${check.name.padEnd(width)} ${first.trimStart()}`, ...more];
  });
  const verdict = report.ok ? 'The bundle may be installed' : 'The bundle is refused';
  const lines = [
    ...checks,
    ...wrap(`${verdict}: ${plain(report.message, options)}`, options.columns),
  ];
  if (report.lagging.length > 0)
    lines.push(...wrap(`Updates: ${report.lagging.join(', ')}`, options.columns));
  if (report.next !== null)
    lines.push(...wrap(`Next: ${plain(report.next, options)}`, options.columns));
  if (report.code !== null) lines.push(`(${report.code}, exit ${adviceOf(report.code).exit})`);
  return lines;
}

/** `tandem history`: one line per rollout. */
export function renderHistory(
  rollouts: readonly RolloutRecord[],
  options: RenderOptions,
): string[] {
  if (rollouts.length === 0) return ['The pair was never updated.'];
  const rows = rollouts.map((rollout) => [
    stamp(rollout.startedAt),
    rollout.id,
    rollout.kind,
    plain(rollout.to.version, options),
    rollout.phase,
    rollout.result === null ? '' : plain(rollout.result.message, options),
  ]);
  return listing([['STARTED', 'ROLLOUT', 'KIND', 'VERSION', 'PHASE', 'RESULT'], ...rows], options);
}

const versionWord = (release: Release | null): string => release?.version ?? 'UNKNOWN';

/** `tandem history ID`: one rollout with the log of both nodes in the order of time. */
export function renderHistoryEntry(rollout: RolloutRecord, options: RenderOptions): string[] {
  const from = NODES.map((node) => {
    const { system, storage } = rollout.nodes[node].from;
    const versions = `system ${versionWord(system)}, storage ${versionWord(storage)}`;
    const attempts = `${rollout.nodes[node].attempts} attempts`;
    const skip = rollout.nodes[node].skip ? ', left alone: up to date' : `, ${attempts}`;
    return `  node ${node} from ${plain(versions, options)}${skip}`;
  });
  const log = NODES.flatMap((node) => rollout.nodes[node].log.map((entry) => ({ node, ...entry })));
  const ordered = log.toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const lines = ordered.map((entry) => {
    const code = entry.code === undefined ? '' : ` (${entry.code})`;
    const text = `${plain(entry.text, options)}${code}`;
    return [stamp(entry.at), entry.node, entry.phase, text];
  });
  const { result } = rollout;
  return [
    `${rollout.kind} ${rollout.id} to ${plain(rollout.to.version, options)}: ${rollout.phase}`,
    `  bundle ${rollout.to.bundle}`,
    ...from,
    ...(result === null
      ? []
      : [
          ...wrap(`Result: ${plain(result.message, options)} (${result.code})`, options.columns),
          ...wrap(`Next: ${adviceOf(result.code).next}`, options.columns),
        ]),
    ...listing(lines, options, { head: false }),
  ];
}

/** The bundles that are staged, as a table. */
export function renderStaged(bundles: readonly StagedBundle[], options: RenderOptions): string[] {
  if (bundles.length === 0) return ['No bundle is staged.'];
  const rows = bundles.map(({ bundle, product, version, bytes: size, nodes }) => [
    plain(version ?? 'unknown', options),
    plain(product ?? 'unknown', options),
    size === null ? '-' : bytes(size),
    nodes.map((node) => `node ${node}`).join(', '),
    bundle,
  ]);
  return listing([['Version', 'Product', 'Size', 'On', 'Id'], ...rows], options);
}
