/**
 * The driver of a rollout: one pure function from what is observed to the next rollout record
 * (docs/ARCHITECTURE.md, "Phases"). Always holds: only the serving holder writes, only when the
 * peer has acknowledged the record or cannot take over (rule R7); the second node is not touched
 * before the first is committed; every end is reached with both nodes admitted. Pure; imports only
 * core.
 */
import { back1, back2, finalize, hand, reform } from './driver-ends.ts';
import { rolledBack, servesBadly } from './driver-ends.ts';
import {
  activate,
  admit,
  cancelNow,
  commit,
  down,
  install,
  stage,
  sync,
  trial,
} from './driver-steps.ts';
import type { Move } from './driver-view.ts';
import type { NodeId } from './model.ts';
import { nodeOf } from './phases.ts';
import type { Phase, Reason, RolloutNode, RolloutRecord, StepLog } from './records.ts';
import { serves } from './role.ts';
import { acknowledged, me, running, type NodeState } from './state.ts';

/** Entries kept of a node's log in the record; older ones are in the event log. */
const LOG_MAX = 60;
/** Characters of a log entry and of a reason: a record must always fit into the journal. */
const LOG_TEXT_MAX = 240;
const REASON_TEXT_MAX = 1000;

/** The next rollout record, or undefined while the phase still waits for something. */
export function advance(s: NodeState): RolloutRecord | undefined {
  const { rollout } = s;
  if (!running(rollout) || !serves(s)) return undefined;
  if (!acknowledged(s) && s.record.role.peerMayTakeOver) return undefined;
  const move = next(s, rollout);
  if (move === undefined || restsAt(rollout, move)) return undefined;
  return apply(s, rollout, move);
}

/** Phases that a paused rollout does not leave: high availability is up there. */
export const SAFE_POINTS: ReadonlySet<Phase> = new Set(['STAGE', 'HAND1', 'ADMIT2']);

/** A pause holds at the safe points; a cancel, a soak that begins or a way back goes on. */
function restsAt(rollout: RolloutRecord, move: Move): boolean {
  const paused = rollout.paused !== undefined && rollout.paused !== null;
  if (!paused || rollout.abort !== null || !SAFE_POINTS.has(rollout.phase)) return false;
  return (
    move.phase !== rollout.phase && !move.phase.startsWith('RB_') && move.phase !== 'CANCELLED'
  );
}

const short = (text: string, max: number): string =>
  text.length <= max ? text : `${text.slice(0, max - 1)}~`;

const bounded = (reason: Reason | null): Reason | null =>
  reason === null ? null : { ...reason, message: short(reason.message, REASON_TEXT_MAX) };

/** The record with the move made; the writer grows, so that the newest record always wins. */
function apply(s: NodeState, rollout: RolloutRecord, move: Move): RolloutRecord {
  const { at } = s.world.clock;
  const entry: StepLog = { at, phase: move.phase, text: short(move.say, LOG_TEXT_MAX) };
  const noted =
    move.result === undefined || move.result === null
      ? entry
      : { ...entry, code: move.result.code };
  const before = rollout.nodes[move.node];
  const node: RolloutNode = { ...before, log: [...before.log, noted].slice(-LOG_MAX) };
  const nodes = { ...rollout.nodes, [move.node]: node };
  if (move.job !== undefined) {
    nodes[move.job] = { ...nodes[move.job], attempts: nodes[move.job].attempts + 1 };
  }
  return {
    ...rollout,
    phase: move.phase,
    nodes,
    result: move.result === undefined ? rollout.result : bounded(move.result),
    soak: move.soak === undefined ? rollout.soak : move.soak,
    finalized: move.finalized ?? rollout.finalized,
    phaseAt: move.phase === rollout.phase ? rollout.phaseAt : at,
    writer: { epoch: s.record.role.epoch, seq: rollout.writer.seq + 1 },
  };
}

interface Turn {
  readonly s: NodeState;
  readonly rollout: RolloutRecord;
  readonly first: NodeId;
  readonly second: NodeId;
}

type Step = (turn: Turn) => Move | undefined;

const end: Step = () => undefined;

/** One row per phase; a phase that waits answers undefined. */
const STEPS: Readonly<Record<Phase, Step>> = {
  VALIDATE: ({ first }) => ({ phase: 'STAGE', say: 'checks passed', node: first }),
  PRECHECK: ({ first }) => ({ phase: 'STAGE', say: 'checks passed', node: first }),
  STAGE: ({ s, rollout }) => stage(s, rollout),
  INSTALL1: ({ s, rollout, first }) => install(s, rollout, first, 'DRAIN1', 'CANCELLED'),
  DRAIN1: drain,
  DOWN1: ({ s, rollout, first }) => down(s, rollout, first, 'ACT1', 'BACK1'),
  ACT1: ({ s, rollout, first }) => activate(s, rollout, first, ['DOWN1', 'TRIAL1', 'BACK1']),
  TRIAL1: ({ s, rollout, first }) => trial(s, rollout, first, 'SYNC1', 'BACK1'),
  SYNC1: ({ s, rollout, first }) => sync(s, rollout, first, 'COMMIT1', 'BACK1'),
  COMMIT1: ({ s, rollout, first }) => commit(s, rollout, first, 'ADMIT1', 'BACK1'),
  ADMIT1: ({ s, first }) => admitTo(s, first, 'HAND1'),
  HAND1: ({ s, rollout, first }) => hand(s, rollout, first),
  INSTALL2: ({ s, rollout, first, second }) =>
    me(s) === first
      ? (servesBadly(s, first) ?? install(s, rollout, second, 'DOWN2', 'BACK2'))
      : undefined,
  DOWN2: ({ s, rollout, second }) => down(s, rollout, second, 'ACT2', 'BACK2'),
  ACT2: ({ s, rollout, second }) => activate(s, rollout, second, ['DOWN2', 'TRIAL2', 'BACK2']),
  TRIAL2: ({ s, rollout, second }) => trial(s, rollout, second, 'SYNC2', 'BACK2'),
  SYNC2: ({ s, rollout, second }) => sync(s, rollout, second, 'COMMIT2', 'BACK2'),
  COMMIT2: ({ s, rollout, second }) => commit(s, rollout, second, 'ADMIT2', 'BACK2'),
  ADMIT2: ({ s, second }) => admitTo(s, second, 'REFORM'),
  REFORM: ({ s }) => reform(s),
  BACK1: ({ s, rollout, first }) => back1(s, rollout, first),
  BACK2: ({ s, rollout, second }) => back2(s, rollout, second),
  RB_HAND: returnHand,
  RB_DOWN: ({ s, rollout, first }) => down(s, rollout, first, 'RB_ACT', null),
  RB_ACT: ({ s, rollout, first }) =>
    activate(s, rollout, first, ['RB_DOWN', 'RB_TRIAL', 'RB_ADMIT']),
  RB_TRIAL: ({ s, rollout, first }) => trial(s, rollout, first, 'RB_SYNC', 'RB_ADMIT'),
  RB_SYNC: ({ s, rollout, first }) => sync(s, rollout, first, 'RB_COMMIT', 'RB_ADMIT'),
  RB_COMMIT: ({ s, rollout, first }) => commit(s, rollout, first, 'RB_ADMIT', 'RB_ADMIT'),
  RB_ADMIT: ({ s, rollout, first }) => admit(s, first, rolledBack(rollout, first, s)),
  FINALIZE: ({ s, rollout }) => finalize(s, rollout),
  DONE: end,
  FAILED: end,
  HOLD_MIXED: end,
  ROLLED_BACK: end,
  CANCELLED: end,
};

function next(s: NodeState, rollout: RolloutRecord): Move | undefined {
  const first = nodeOf(rollout, 'first');
  return STEPS[rollout.phase]({ s, rollout, first, second: nodeOf(rollout, 'second') });
}

/** Service goes to the node that stays (R2); the new holder finds itself in this phase. */
function drain({ s, rollout, first, second }: Turn): Move | undefined {
  if (rollout.abort !== null) return cancelNow(rollout, first);
  if (me(s) !== second) return undefined;
  return { phase: 'DOWN1', say: `node ${second} serves now`, node: second };
}

function admitTo(s: NodeState, node: NodeId, phase: Phase): Move | undefined {
  return admit(s, node, { phase, say: `node ${node} is admitted`, node });
}

function returnHand({ s, rollout, first, second }: Turn): Move | undefined {
  if (rollout.nodes[first].skip) return rolledBack(rollout, first);
  if (me(s) !== second) return undefined;
  return { phase: 'RB_DOWN', say: `node ${second} serves the old version`, node: second };
}
