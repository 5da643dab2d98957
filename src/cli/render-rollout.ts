/**
 * The view of an update of the pair: both nodes side by side, a mark for each phase, progress and
 * what comes next. Always holds: a phase counts as done only when a later one has begun, and 100 %
 * is never shown before the end. Pure; imports core and the pieces in render.ts.
 */
import { NODES, peerOf, type NodeId } from '../core/model.ts';
import { PHASES, type Phase } from '../core/records.ts';
import type { NodeStatus, PairStatus, RolloutStatus } from '../core/status.ts';
import { bar, clip, duration, mark, percent, plain, progressWords } from './render.ts';
import { sideBySide, stamp, wrap, type Mark, type RenderOptions } from './render.ts';

/** Name of each phase in words, `%` is the node whose turn it is. */
const PHASE_WORDS: Readonly<Record<Phase, string>> = {
  VALIDATE: 'bundle is checked',
  PRECHECK: 'pair is checked',
  STAGE: 'bundle is staged on both nodes',
  INSTALL1: 'node % is installed',
  DRAIN1: 'service moves away from node %',
  DOWN1: 'node % stands down',
  ACT1: 'node % restarts into the trial',
  TRIAL1: 'node % is on trial',
  SYNC1: 'storage of node % is synced',
  COMMIT1: 'node % is committed',
  ADMIT1: 'node % is admitted',
  HAND1: 'node % takes the service back and is watched',
  INSTALL2: 'node % is installed',
  DOWN2: 'node % stands down',
  ACT2: 'node % restarts into the trial',
  TRIAL2: 'node % is on trial',
  SYNC2: 'storage of node % is synced',
  COMMIT2: 'node % is committed',
  ADMIT2: 'node % is admitted',
  REFORM: 'pair reforms',
  BACK1: 'node % returns to its old version',
  BACK2: 'node % returns to its old version',
  RB_HAND: 'service moves away from node %',
  RB_DOWN: 'node % stands down',
  RB_ACT: 'node % restarts into its old version',
  RB_TRIAL: 'node % is checked in its old version',
  RB_SYNC: 'storage of node % is synced',
  RB_COMMIT: 'node % is committed to its old version',
  RB_ADMIT: 'node % is admitted',
  FINALIZE: 'new version is made permanent',
  DONE: 'done',
  FAILED: 'failed, old version runs',
  HOLD_MIXED: 'held in mixed versions',
  ROLLED_BACK: 'rolled back',
  CANCELLED: 'cancelled',
};

type Row = readonly [phase: Phase, words: string];

const FIRST_ROWS: readonly Row[] = [
  ['STAGE', 'bundle staged'],
  ['INSTALL1', 'images installed and read back'],
  ['DRAIN1', 'service handed over'],
  ['DOWN1', 'stood down'],
  ['ACT1', 'restarted into the trial'],
  ['TRIAL1', 'trial healthy'],
  ['SYNC1', 'storage in sync'],
  ['COMMIT1', 'committed'],
  ['ADMIT1', 'admitted'],
  ['HAND1', 'serves again and was watched'],
];
const SECOND_ROWS: readonly Row[] = [
  ['STAGE', 'bundle staged'],
  ['INSTALL2', 'images installed and read back'],
  ['DOWN2', 'stood down'],
  ['ACT2', 'restarted into the trial'],
  ['TRIAL2', 'trial healthy'],
  ['SYNC2', 'storage in sync'],
  ['COMMIT2', 'committed'],
  ['ADMIT2', 'admitted'],
  ['REFORM', 'pair reformed'],
];
/** The way back of the first node after the second one failed, or after a cancel. */
const RETURN_ROWS: readonly Row[] = [
  ['RB_HAND', 'service handed over'],
  ['RB_DOWN', 'stood down'],
  ['RB_ACT', 'restarted into the old version'],
  ['RB_TRIAL', 'old version healthy'],
  ['RB_SYNC', 'storage in sync'],
  ['RB_COMMIT', 'committed to the old version'],
  ['RB_ADMIT', 'admitted'],
];

const rank = (phase: Phase): number => PHASES.indexOf(phase);
const FORWARD_END = rank('REFORM');
const isForward = (phase: Phase): boolean => rank(phase) <= FORWARD_END;
const isSecond = (phase: Phase): boolean =>
  phase.endsWith('2') || SECOND_ROWS.some(([row]) => row === phase && row !== 'STAGE');

/** The node whose turn a phase is. */
function turnOf(phase: Phase, first: NodeId): NodeId {
  return isSecond(phase) ? peerOf(first) : first;
}

/** Phases that do something else on the way back: nothing is written, the old images are there. */
const ROLLBACK_WORDS: Partial<Readonly<Record<Phase, string>>> = {
  INSTALL1: 'old images of node % are checked',
  ACT1: 'node % restarts into the old version',
  INSTALL2: 'old images of node % are checked',
  ACT2: 'node % restarts into the old version',
};

/** What happens in a phase of such a rollout, as a sentence without a full stop. */
export function phaseWords(phase: Phase, rollout: Pick<RolloutStatus, 'kind' | 'first'>): string {
  const own = rollout.kind === 'rollback' ? ROLLBACK_WORDS[phase] : undefined;
  return (own ?? PHASE_WORDS[phase]).replace('%', turnOf(phase, rollout.first));
}

const KIND_WORDS = { update: 'Update to', rollback: 'Rollback to' } as const;

/** `Update to 2.0.0 in progress (node A is on trial - 2026-11-21 11:35:48)`. */
export function rolloutHeadline(rollout: RolloutStatus, options: RenderOptions): string {
  const { phase, ended, kind } = rollout;
  const what = `${KIND_WORDS[kind]} ${plain(rollout.version, options)}`;
  const state = !ended ? 'in progress' : phase === 'DONE' ? 'done' : 'ended';
  const since = stamp(rollout.phaseAt, options);
  return `${what} ${state} (${phaseWords(phase, rollout)} - ${since})`;
}

/** The last forward phase that was entered: where a rollout that turned back got to. */
function reached(rollout: RolloutStatus): Phase {
  if (isForward(rollout.phase)) return rollout.phase;
  if (rollout.phase === 'DONE' || rollout.phase === 'FINALIZE') return 'DONE';
  let last: { readonly at: string; readonly phase: Phase } = { at: '', phase: 'STAGE' };
  for (const entry of [...rollout.logs.A, ...rollout.logs.B]) {
    if (!isForward(entry.phase)) continue;
    if (entry.at > last.at || (entry.at === last.at && rank(entry.phase) > rank(last.phase))) {
      last = entry;
    }
  }
  return last.phase;
}

function markOf(row: Phase, rollout: RolloutStatus): Mark {
  const at = reached(rollout);
  if (rank(row) !== rank(at)) return rank(row) < rank(at) ? 'done' : 'todo';
  if (isForward(rollout.phase)) return 'now';
  return rollout.result?.code === 'job.cancelled' ? 'skipped' : 'failed';
}

function rowsOf(node: NodeId, rollout: RolloutStatus, options: RenderOptions): string[] {
  if (rollout.skipped?.includes(node)) {
    return [`${mark('done', options)} up to date before, left alone`];
  }
  const isFirst = node === rollout.first;
  const returning = rollout.phase.startsWith('RB_');
  if (isFirst && (returning || rollout.phase === 'ROLLED_BACK')) {
    // The way back stands in place of the way there, so that the view keeps its height.
    return RETURN_ROWS.map(([phase, words]) => {
      const later = rank(rollout.phase) - rank(phase);
      const kind = !returning || later > 0 ? 'done' : later === 0 ? 'now' : 'todo';
      return `${mark(kind, options)} ${words}`;
    });
  }
  const rows = (isFirst ? FIRST_ROWS : SECOND_ROWS).map(([phase, words]) => {
    const installs = phase === 'INSTALL1' || phase === 'INSTALL2';
    const shown = installs && rollout.kind === 'rollback' ? 'old images checked' : words;
    return `${mark(markOf(phase, rollout), options)} ${shown}`;
  });
  const back = isFirst ? 'BACK1' : 'BACK2';
  if (rollout.phase === back) rows.push(`${mark('now', options)} returns to its old version`);
  if (isFirst && rollout.phase === 'FAILED') {
    rows.push(`${mark('done', options)} runs its old version again`);
  }
  return rows;
}

function nodeBlock(
  node: NodeStatus,
  rollout: RolloutStatus,
  options: RenderOptions,
  width: number,
): string[] {
  const turn = node.node === rollout.first ? 'first' : 'second';
  const version = plain(node.system?.version ?? 'UNKNOWN', options);
  const facts = node.known
    ? `${node.role}${node.serving ? ', serving' : ''}, ${version}`
    : node.ageMs === null
      ? 'UNKNOWN'
      : `UNKNOWN, last heard ${Math.round(node.ageMs / 1000)} s ago`;
  const lines = [`Node ${node.node} (${turn}): ${facts}`, ...rowsOf(node.node, rollout, options)];
  if (!node.known || rollout.ended) return [...lines, '', ''];
  const now = activityLines(node, options, width);
  return [...lines, now[0] ?? '', now[1] ?? ''];
}

/** What the node does now: name and bar, then percent, rate and ETA. */
function activityLines(node: NodeStatus, options: RenderOptions, width: number): string[] {
  const { activity } = node;
  if (activity === null) return [];
  const name = plain(activity.name, options);
  if (activity.progress === null) return [name];
  const done = percent(activity.progress);
  const barWidth = Math.max(10, Math.min(width - name.length - 1, 40));
  const drawn = done === null ? '' : ` ${bar(done, barWidth, options)}`;
  return [`${name}${drawn}`, progressWords(activity.progress)];
}

/** What both nodes do now, for the time before a job has become a rollout. */
export function renderActivities(status: PairStatus | null, options: RenderOptions): string[] {
  if (status === null) return [];
  return NODES.flatMap((id) => {
    const node = status.nodes[id];
    const lines = node.known ? activityLines(node, options, options.columns - 8) : [];
    return lines.map((line, index) => `${index === 0 ? `Node ${id}: ` : '        '}${line}`);
  });
}

/**
 * The whole view of the rollout in `status`: headline, both nodes with phases and progress, high
 * availability now, what comes next. No lines when there is no rollout.
 */
export function renderRollout(status: PairStatus, options: RenderOptions): string[] {
  const { rollout } = status;
  if (rollout === null) return [];
  return [
    ...wrap(rolloutHeadline(rollout, options), options.columns),
    ...renderProgress(status, options),
  ];
}

/** The same without its headline, for below one. */
export function renderProgress(status: PairStatus, options: RenderOptions): string[] {
  const { rollout } = status;
  if (rollout === null) return [];
  const { columns } = options;
  const width = Math.floor((columns - 2) / 2);
  const about = rollout.estimateS === null ? '' : ` of about ${duration(rollout.estimateS)}`;
  const driver = rollout.driver === null ? '' : `, driven by node ${rollout.driver}`;
  const second = peerOf(rollout.first);
  return [
    clip(`  ${duration(rollout.elapsedS)} elapsed${about}${driver}, job ${rollout.id}`, columns),
    '',
    ...sideBySide(
      nodeBlock(status.nodes[rollout.first], rollout, options, width),
      nodeBlock(status.nodes[second], rollout, options, width),
      options,
    ),
    ...againLines(rollout, options),
    ...wrap(`High availability: ${plain(status.ha.text, options)}`, columns),
    ...wrap(nextWords(rollout, options), columns),
  ];
}

/** That the second node tries again, and after what; no lines before its first failure. */
function againLines(rollout: RolloutStatus, options: RenderOptions): string[] {
  if (rollout.ended || !isForward(rollout.phase)) return [];
  const second = peerOf(rollout.first);
  const failed = rollout.logs[second].filter(({ phase }) => phase === 'BACK2');
  const last = failed.at(-1);
  if (last === undefined) return [];
  const attempt = `Attempt ${failed.length + 1} on node ${second}`;
  const text = `${attempt}, after: ${plain(last.text, options)}`;
  return wrap(text, options.columns).slice(0, 2);
}

/** What comes next, and whether a cancel is possible now. */
function nextWords(rollout: RolloutStatus, options: RenderOptions): string {
  if (rollout.ended) {
    const { result } = rollout;
    return result === null ? 'Ended.' : `Ended: ${plain(result.message, options)} (${result.code})`;
  }
  const rows = isForward(rollout.phase) ? [...FIRST_ROWS, ...SECOND_ROWS.slice(1)] : RETURN_ROWS;
  const next = rows.find(([phase]) => rank(phase) > rank(rollout.phase))?.[0];
  const what = next === undefined ? 'the end' : phaseWords(next, rollout);
  const cancel = rollout.canCancel ? 'can be cancelled now' : 'cannot be cancelled now';
  return `Next: ${what}. The job ${cancel}.`;
}
