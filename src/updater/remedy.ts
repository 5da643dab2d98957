/**
 * What a person has to know at once: is the pair highly available, if not why and what that means,
 * and what to type where nothing happens by itself. Always holds: a sentence fits on two lines of
 * 80 columns, a command stands in backquotes as it is typed, and what the peer does not tell is not
 * guessed. Pure; imports only core.
 */
import { NODES, type NodeId } from '../core/model.ts';
import { downWanted } from '../core/phases.ts';
import { OPERATOR } from '../core/role.ts';
import { me, onTrial, other, peerReport, running, type NodeState } from '../core/state.ts';
import type { NodeStatus } from '../core/status.ts';
import { isPolicyKnown, operatorMayPromote } from '../core/takeover.ts';
import { splitBrain } from './reform.ts';

type Nodes = Readonly<Record<NodeId, NodeStatus>>;

/** The node that acknowledges nothing because its peer is lost and might take over (rule R4). */
export function frozenNode(s: NodeState): NodeId | null {
  const { record, world } = s;
  if (world.serving !== null && world.store.frozen && record.role.peerMayTakeOver) return me(s);
  const peer = peerReport(s);
  const theirs = peer !== null && peer.serving && peer.store.frozen;
  return theirs && peer.record.role.peerMayTakeOver ? other(s) : null;
}

/** One sentence on high availability and service, as far as this node knows. */
export function availability(s: NodeState, ok: boolean, nodes: Nodes): string {
  if (ok) return 'highly available';
  const frozen = frozenNode(s);
  if (frozen !== null) {
    const lost = frozen === me(s) ? other(s) : me(s);
    return `node ${frozen} acknowledges no write: node ${lost} is lost and might have taken over`;
  }
  if (splitBrain(s)) return 'no service: both copies of the storage were written alone';
  const server = NODES.find((node) => nodes[node].serving);
  if (server === undefined) return noService(s);
  const why = whyExposed(s, server);
  return `no high availability now: ${why}if node ${server} fails, service stops until it restarts`;
}

/** Nobody serves, as far as this node knows; what it does about it by itself. */
function noService(s: NodeState): string {
  if (peerReport(s) !== null) return 'no service now';
  const unknown = `not known: this node does not serve, node ${other(s)} does not answer`;
  if (s.record.role.holder === me(s)) return unknown;
  if (onTrial(s)) return `${unknown}; a version on trial never takes over`;
  if (s.record.standDown !== null) return `${unknown}; this node promised it not to take over`;
  if (!s.world.admitted) return `${unknown}; this node was not admitted, so it waits`;
  if (s.world.takeover !== 'fence') {
    return `${unknown}; policy manual: this node never takes over by itself`;
  }
  return isPolicyKnown(s.world)
    ? `${unknown}; this node takes over once that one is off for sure`
    : `${unknown}; that one may not know of the fencer: no takeover by itself`;
}

/** Why the serving node is alone, as the beginning of a sentence. */
function whyExposed(s: NodeState, server: NodeId): string {
  const down = running(s.rollout) ? downWanted(s.rollout) : null;
  if (down !== null && down !== server) return `node ${down} is being updated; `;
  const peer = peerReport(s);
  if (peer === null) return `node ${other(s)} does not answer; `;
  const standby = server === me(s) ? other(s) : me(s);
  const record = standby === me(s) ? s.record : peer.record;
  if (record.standDown?.rollout === OPERATOR) return `node ${standby} has stood down; `;
  const sync = s.world.store.sync ?? peer.store.sync;
  return sync === null ? '' : `node ${standby} syncs its storage; `;
}

/** What an operator can do where nothing happens by itself; null = nothing is needed. */
export function remedyOf(s: NodeState): string | null {
  const frozen = frozenNode(s);
  if (frozen !== null) {
    const lost = frozen === me(s) ? other(s) : me(s);
    const word = `run \`tandem takeover\` on node ${frozen}`;
    return `bring node ${lost} back; or switch it off and ${word}`;
  }
  if (splitBrain(s)) {
    return 'see `tandem storage status`, then `tandem storage resolve --keep A` (or B)';
  }
  if (peerReport(s) !== null) {
    const down = [s.record, peerReport(s)?.record].find(
      (one) => one?.standDown?.rollout === OPERATOR,
    );
    return down === undefined ? null : `run \`tandem stand-down --end\` on node ${down.node}`;
  }
  if (s.world.serving !== null) {
    // A node that is down for its turn in an update comes back by itself.
    const due = running(s.rollout) && downWanted(s.rollout) === other(s);
    return due ? null : `bring node ${other(s)} back: power, console, cables`;
  }
  const [node, peer] = [me(s), other(s)];
  if (mustWait(s)) {
    return `bring node ${peer} back; node ${node} may not serve without it`;
  }
  const word = `run \`tandem takeover\` on node ${node}`;
  return `bring node ${peer} back; or, if it is off for sure, ${word}`;
}

/** Would even an operator's word not let this node serve? */
function mustWait(s: NodeState): boolean {
  return s.record.role.holder === me(s) ? s.record.knownStale : !operatorMayPromote(s);
}
