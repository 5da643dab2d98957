/**
 * What needs a person: the alarms of the pair, each with the code that `tandem explain` has more
 * on. Always holds: an alarm is derived from the state and goes away with its cause. Pure; imports
 * only core.
 */
import { NODES, type NodeId } from '../core/model.ts';
import type { Reason } from '../core/records.ts';
import { OPERATOR } from '../core/role.ts';
import { downWanted } from '../core/phases.ts';
import { me, other, peerReport, running, type NodeState } from '../core/state.ts';
import type { Alarm, NodeStatus } from '../core/status.ts';
import { silence, splitBrain } from './reform.ts';
import { frozenNode, remedyOf } from './remedy.ts';
import { reportOf } from './report.ts';

/** A sync that brought nothing for so long is told as stalled, in milliseconds. */
export const SYNC_STALLED_MS = 60_000;

/** A node that restarts for its turn in an update is missed only after this time. */
const RESTART_MS = 300_000;

/** What the state of the node does not tell, for the alarms. */
export interface AlarmExtras {
  readonly nodes: Readonly<Record<NodeId, NodeStatus>>;
  /** Age of the newest report of the peer; null when it was never heard. */
  readonly ageMs: number | null;
  /** For how long the sync that runs brought nothing; null without one. */
  readonly quietMs: number | null;
  readonly at: string;
  /** Until when a pair that is held in two versions wants a decision; null = without a deadline. */
  readonly holdUntil: string | null;
  /** What the links and the fencer of this node say is wrong with them. */
  readonly troubles: readonly Reason[];
}

/** Every alarm of the pair, as node `s` sees it now. */
export function alarms(s: NodeState, extras: AlarmExtras): readonly Alarm[] {
  const { nodes, ageMs, quietMs, troubles } = extras;
  const found: Alarm[] = [];
  const frozen = frozenNode(s);
  if (frozen !== null) {
    const message = `node ${frozen} acknowledges no write; ${remedyOf(s) ?? ''}`;
    found.push({ code: 'pair.frozen', node: frozen, message });
  }
  if (splitBrain(s)) {
    const message = 'both copies of the storage were written alone; a person decides which is kept';
    found.push({ code: 'store.split_brain', node: null, message });
  }
  const peer = other(s);
  const restarts = downFor(s, peer) && ageMs !== null && ageMs < RESTART_MS;
  if (!nodes[peer].known && !restarts) {
    const message = `node ${peer} does not answer: ${silence(ageMs)}`;
    found.push({ code: 'pair.peer_unreachable', node: peer, message });
  }
  if (quietMs !== null && quietMs >= SYNC_STALLED_MS) {
    const quietS = Math.floor(quietMs / 1000);
    const message = `the sync of the storage has made no progress for ${quietS} s`;
    found.push({ code: 'sync.stalled', node: null, message });
  }
  // The reason that a link knows says more than that the peer does not answer.
  const codes = new Set(troubles.map(({ code }) => code));
  const others = [...found, ...reported(s), ...held(s, extras)].filter(({ code }) => {
    return !codes.has(code);
  });
  const told = troubles.filter(({ code }) => !(restarts && code === 'pair.peer_unreachable'));
  return [...others, ...told.map((one) => ({ ...one, node: me(s) }))];
}

/** It is that node's turn to restart, while this one serves: without service it is missed. */
function downFor({ rollout, world }: NodeState, node: NodeId): boolean {
  return running(rollout) && downWanted(rollout) === node && world.serving !== null;
}

/** What the nodes themselves say: promises of an operator, and effects that keep failing. */
function reported(s: NodeState): readonly Alarm[] {
  const found: Alarm[] = [];
  const reports = [reportOf(s, 0), peerReport(s)].filter((one) => one !== null);
  for (const { node, record } of reports) {
    if (record.standDown?.rollout !== OPERATOR) continue;
    const message = `node ${node} has stood down by an operator's word and does not take over`;
    found.push({ code: 'pair.stood_down', node, message });
  }
  const differences = Math.max(...reports.map(({ store }) => store.verify?.differences ?? 0));
  if (differences > 0) {
    const records = differences === 1 ? '1 record' : `${differences} records`;
    const message = `a verify of the storage found ${records} that the copies do not share`;
    found.push({ code: 'store.differs', node: null, message });
  }
  for (const { node, store } of reports) {
    if (store.full !== true) continue;
    const message = `writes are refused: the data partition of node ${node} is at its reserve`;
    found.push({ code: 'store.full', node, message });
  }
  for (const report of reports) {
    for (const [effect, reason] of Object.entries(report.troubles)) {
      found.push({ code: reason.code, node: report.node, message: `${effect}: ${reason.message}` });
    }
  }
  return found;
}

/** A pair that was left in two versions, until both are known to run the same. */
function held(s: NodeState, { nodes, at, holdUntil }: AlarmExtras): readonly Alarm[] {
  if (s.rollout?.phase !== 'HOLD_MIXED') return [];
  const [a, b] = NODES.map((node) => nodes[node].system?.version ?? null);
  if (a !== null && a === b) return [];
  const runs = `node A runs ${a ?? 'UNKNOWN'}, node B ${b ?? 'UNKNOWN'}`;
  const late = holdUntil !== null && Date.parse(at) > Date.parse(holdUntil);
  const time = holdUntil === null ? '' : `${holdUntil.slice(0, 16).replace('T', ' ')} UTC`;
  const until = time === '' ? '' : late ? `, OVERDUE since ${time}` : `, decide before ${time}`;
  const message = `${runs}${until}: \`tandem update FILE\` or \`tandem rollback\``;
  const code = s.rollout.result?.code === 'revert.failed' ? 'revert.failed' : 'standby.failed_held';
  return [{ code, node: null, message }];
}
