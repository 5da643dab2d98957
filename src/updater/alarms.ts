/**
 * What needs a person: the alarms of the pair, each with the code that `tandem explain` has more
 * on. Always holds: an alarm is derived from the state and goes away with its cause. Pure; imports
 * only core.
 */
import type { NodeId } from '../core/model.ts';
import { OPERATOR, peerCurrent } from '../core/role.ts';
import { other, peerReport, type NodeState } from '../core/state.ts';
import type { Alarm, NodeStatus } from '../core/status.ts';
import { frozenNode, remedyOf } from './reform.ts';
import { reportOf } from './report.ts';

/** A sync that brought nothing for so long is told as stalled, in milliseconds. */
export const SYNC_STALLED_MS = 60_000;

/** Every alarm of the pair, as node `s` sees it now; `syncQuietMs` = without progress of a sync. */
export function alarms(
  s: NodeState,
  nodes: Readonly<Record<NodeId, NodeStatus>>,
  syncQuietMs: number | null,
): readonly Alarm[] {
  const found: Alarm[] = [];
  const peer = other(s);
  if (!nodes[peer].known) {
    const message = `node ${peer} does not answer`;
    found.push({ code: 'pair.peer_unreachable', node: peer, message });
  }
  const frozen = frozenNode(s);
  if (frozen !== null) {
    const message = `node ${frozen} acknowledges no write; ${remedyOf(s) ?? ''}`;
    found.push({ code: 'pair.frozen', node: frozen, message });
  }
  if (syncQuietMs !== null && syncQuietMs >= SYNC_STALLED_MS) {
    const quietS = Math.floor(syncQuietMs / 1000);
    const message = `the sync of the storage has made no progress for ${quietS} s`;
    found.push({ code: 'sync.stalled', node: null, message });
  }
  const reports = [reportOf(s, 0), peerReport(s)].filter((one) => one !== null);
  for (const { node, record } of reports) {
    if (record.standDown?.rollout !== OPERATOR) continue;
    const message = `node ${node} has stood down by an operator's word and does not take over`;
    found.push({ code: 'pair.stood_down', node, message });
  }
  for (const report of reports) {
    for (const [effect, reason] of Object.entries(report.troubles)) {
      found.push({ code: reason.code, node: report.node, message: `${effect}: ${reason.message}` });
    }
  }
  if (s.rollout?.phase === 'HOLD_MIXED' && !peerCurrentOrEqual(s)) {
    const message = 'the two nodes run different versions; update again or roll back';
    found.push({ code: 'standby.failed_held', node: null, message });
  }
  return found;
}

function peerCurrentOrEqual(s: NodeState): boolean {
  const peer = peerReport(s);
  return peerCurrent(s) && peer?.system?.version === s.world.system?.version;
}
