/**
 * What the driver of a rollout sees of a node, itself or the connected peer, and the move that a
 * phase answers with. Pure; imports only core.
 */
import type { NodeId, Release } from './model.ts';
import type { NodeRecord, NodeUpdate, Phase, Reason, RolloutRecord } from './records.ts';
import type { NodeReport } from './report.ts';
import { me, onTrial, peerReport, type NodeState } from './state.ts';

/** What the driver sees of one node, itself or the connected peer. */
export interface View {
  readonly record: NodeRecord;
  readonly update: NodeUpdate;
  readonly onTrial: boolean;
  readonly system: Release | null;
  readonly storage: Release | null;
  readonly report: NodeReport | null;
}

/** The node as it is known now, or null when the peer is not connected. */
export function view(s: NodeState, node: NodeId): View | null {
  if (node === me(s)) {
    const { record, world } = s;
    return {
      record,
      update: record.update,
      onTrial: onTrial(s),
      system: world.system,
      storage: world.storage?.release ?? null,
      report: null,
    };
  }
  const report = peerReport(s);
  if (report === null) return null;
  return {
    record: report.record,
    update: report.record.update,
    onTrial: report.boot.slot !== report.record.slots.default,
    system: report.system,
    storage: report.storage,
    report,
  };
}

/** The update state of a node if it is about the current job of this rollout. */
export function current(
  rollout: RolloutRecord,
  node: NodeId,
  seen: View | null,
): NodeUpdate | null {
  const update = seen?.update;
  if (update === undefined || update.state === 'idle') return null;
  const mine = update.rollout === rollout.id && update.attempt === rollout.nodes[node].attempts;
  return mine ? update : null;
}

/** The reason that an update state carries, else an internal one with this sentence. */
export function reasonOf(update: NodeUpdate | null, fallback: string): Reason {
  if (update !== null && 'reason' in update) return update.reason;
  return { code: 'internal.bug', message: fallback };
}

/** What a phase decides: the next phase, and why, in words for people. */
export interface Move {
  readonly phase: Phase;
  readonly result?: Reason | null;
  /** A new job for this node. */
  readonly job?: NodeId;
  readonly soak?: RolloutRecord['soak'];
  readonly finalized?: boolean;
  readonly say: string;
  readonly node: NodeId;
}
