/**
 * What each phase of a rollout wants of the world, as tables: who should serve, who should be stood
 * down, what is asked of which node. Drivers change in the middle of a rollout, so a phase never
 * says "do", only "ensure" (docs/ARCHITECTURE.md, "Phases"). Pure; imports only core.
 */
import { peerOf, type NodeId } from './model.ts';
import type { Ask } from './node.ts';
import { END_PHASES, type Phase, type RolloutRecord } from './records.ts';

/** Which turn a phase belongs to. */
type Turn = 'first' | 'second';

const DOWN: Partial<Record<Phase, Turn>> = {
  DOWN1: 'first',
  ACT1: 'first',
  TRIAL1: 'first',
  SYNC1: 'first',
  COMMIT1: 'first',
  DOWN2: 'second',
  ACT2: 'second',
  TRIAL2: 'second',
  SYNC2: 'second',
  COMMIT2: 'second',
  RB_DOWN: 'first',
  RB_ACT: 'first',
  RB_TRIAL: 'first',
  RB_SYNC: 'first',
  RB_COMMIT: 'first',
};

const HOLDER: Partial<Record<Phase, Turn>> = {
  DRAIN1: 'second',
  DOWN1: 'second',
  HAND1: 'first',
  INSTALL2: 'first',
  DOWN2: 'first',
  RB_HAND: 'second',
  RB_DOWN: 'second',
};

/** The node whose turn is first or second in this rollout. */
export function nodeOf(rollout: RolloutRecord, turn: Turn): NodeId {
  return turn === 'first' ? rollout.first : peerOf(rollout.first);
}

/** The node whose stand-down the phase needs (rule R5), or null. */
export function downWanted(rollout: RolloutRecord): NodeId | null {
  const turn = DOWN[rollout.phase];
  return turn === undefined ? null : nodeOf(rollout, turn);
}

/** The node that should serve in this phase, or null where it does not matter. */
export function holderWanted(rollout: RolloutRecord): NodeId | null {
  const turn = HOLDER[rollout.phase];
  return turn === undefined ? null : nodeOf(rollout, turn);
}

const ASKS: Partial<Record<Phase, readonly [Turn | 'both', Ask['do']]>> = {
  INSTALL1: ['first', 'install'],
  ACT1: ['first', 'activate'],
  COMMIT1: ['first', 'commit'],
  BACK1: ['first', 'revert'],
  INSTALL2: ['second', 'install'],
  ACT2: ['second', 'activate'],
  COMMIT2: ['second', 'commit'],
  BACK2: ['second', 'revert'],
  RB_HAND: ['second', 'revert'],
  RB_ACT: ['first', 'activate'],
  RB_COMMIT: ['first', 'commit'],
  FINALIZE: ['both', 'finalize'],
};

/** Phases in which the node returns to what its other slots hold. */
const RETURNS: ReadonlySet<Phase> = new Set<Phase>(['RB_ACT']);

/** What the phase asks of a node for its own update, or null. */
export function askOf(rollout: RolloutRecord, node: NodeId): Ask | null {
  const row = ASKS[rollout.phase];
  if (row === undefined) return null;
  const [turn, verb] = row;
  if (turn !== 'both' && nodeOf(rollout, turn) !== node) return null;
  if (verb === 'install' || verb === 'activate') {
    const back = rollout.kind === 'rollback' || RETURNS.has(rollout.phase);
    return {
      do: verb,
      attempt: rollout.nodes[node].attempts,
      mode: back ? 'return' : 'install',
    };
  }
  return { do: verb };
}

/** Until where a cancel leads back without a second node ever having been touched or finished. */
const TOO_LATE: ReadonlySet<Phase> = new Set<Phase>([
  'COMMIT2',
  'ADMIT2',
  'REFORM',
  'FINALIZE',
  'BACK1',
  'BACK2',
  'RB_HAND',
  'RB_DOWN',
  'RB_ACT',
  'RB_TRIAL',
  'RB_SYNC',
  'RB_COMMIT',
  'RB_ADMIT',
  'DONE',
  'FAILED',
  'HOLD_MIXED',
  'ROLLED_BACK',
  'CANCELLED',
]);

/** May an operator still cancel? A rollback is never cancelled. */
export function canCancel(rollout: RolloutRecord): boolean {
  return rollout.kind === 'update' && !TOO_LATE.has(rollout.phase) && rollout.abort === null;
}

/**
 * When the rollout came to its end, or null while it runs. A commit long after the end is a part of
 * its own and moves nothing: the end is the first one in the logs.
 */
export function endedAt(rollout: RolloutRecord): string | null {
  const finalizing = rollout.phase === 'FINALIZE';
  if (!finalizing && !END_PHASES.has(rollout.phase)) return null;
  const phase = finalizing ? 'DONE' : rollout.phase;
  const ends = [...rollout.nodes.A.log, ...rollout.nodes.B.log].filter(
    (one) => one.phase === phase,
  );
  const first = ends.map((one) => one.at).toSorted()[0];
  return first ?? rollout.phaseAt;
}
