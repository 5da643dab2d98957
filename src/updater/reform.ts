/**
 * The checklist of a pair that finds itself after an update or a fault: link, versions, epoch,
 * storage, service, admission; and who is frozen. What the peer does not tell is unknown. Pure over
 * its inputs; imports only core.
 */
import type { NodeId } from '../core/model.ts';
import type { NodeReport } from '../core/report.ts';
import { OPERATOR } from '../core/role.ts';
import { me, other, peerReport, type NodeState } from '../core/state.ts';
import type { ChannelStatus, PairStatus, ReformItem } from '../core/status.ts';
import { operatorMayPromote } from '../core/takeover.ts';

/** The live checklist of a reforming pair. */
export function reformItems(
  s: NodeState,
  channels: readonly ChannelStatus[] = [],
): readonly ReformItem[] {
  const peer = peerReport(s);
  const items: ReformItem[] = [linkItem(peer !== null, channels)];
  if (peer === null) {
    const service = s.world.serving === null ? unknown('service') : serviceItem(s, null);
    items.push(unknown('versions'), unknown('epoch'), unknown('storage'), service);
    return [...items, unknown('admitted')];
  }
  items.push(versionsItem(s, peer), epochItem(s, peer), storageItem(s, peer));
  items.push(serviceItem(s, peer), admittedItem(s, peer));
  return items;
}

const unknown = (name: ReformItem['name']): ReformItem => {
  return { name, state: 'unknown', text: 'unknown while the peer does not answer' };
};

function linkItem(heard: boolean, channels: readonly ChannelStatus[]): ReformItem {
  const words = channels.map(({ name, up, ageMs, error }) => {
    const age = ageMs === null ? 'never heard' : `heard ${(ageMs / 1000).toFixed(1)} s ago`;
    const why = error === null ? '' : `, ${error.message}`;
    return `${name} ${up ? 'up' : 'down'}, ${age}${why}`;
  });
  const text = [heard ? 'the peer answers' : 'waits for the peer', ...words].join('; ');
  const item: ReformItem = { name: 'link', state: heard ? 'ok' : 'waiting', text };
  return channels.length === 0 ? item : { ...item, channels };
}

function versionsItem(s: NodeState, peer: NodeReport): ReformItem {
  const mine = s.world.system?.version ?? 'unknown';
  const theirs = peer.system?.version ?? 'unknown';
  return mine === theirs
    ? { name: 'versions', state: 'ok', text: `both run ${mine}` }
    : {
        name: 'versions',
        state: 'waiting',
        text: `${me(s)} runs ${mine}, ${other(s)} runs ${theirs}`,
      };
}

function epochItem(s: NodeState, peer: NodeReport): ReformItem {
  const { epoch, holder } = s.record.role;
  const same = peer.record.role.epoch === epoch && peer.record.role.holder === holder;
  return same
    ? { name: 'epoch', state: 'ok', text: `epoch ${epoch}, held by ${holder}` }
    : { name: 'epoch', state: 'waiting', text: `epochs ${epoch} and ${peer.record.role.epoch}` };
}

function storageItem(s: NodeState, peer: NodeReport): ReformItem {
  const name = 'storage';
  const primary = s.world.store.role === 'primary' ? s.world.store : peer.store;
  if (primary.splitBrain) return { name, state: 'failed', text: 'both copies were written alone' };
  if (primary.role === 'primary' && primary.connected && primary.peer === 'current') {
    return { name, state: 'ok', text: 'both copies are current' };
  }
  const { sync } = primary;
  if (sync !== null) {
    const share =
      sync.totalBytes === 0 ? 100 : Math.floor((100 * sync.doneBytes) / sync.totalBytes);
    return { name, state: 'waiting', text: `syncs, ${share} %`, progress: sync };
  }
  return { name, state: 'waiting', text: 'waits for the storage of both nodes' };
}

function serviceItem(s: NodeState, peer: NodeReport | null): ReformItem {
  const name = 'service';
  if (s.world.serving !== null) return { name, state: 'ok', text: `node ${me(s)} serves` };
  if (peer?.serving === true) return { name, state: 'ok', text: `node ${other(s)} serves` };
  return { name, state: 'waiting', text: 'nobody serves' };
}

function admittedItem(s: NodeState, peer: NodeReport): ReformItem {
  const name = 'admitted';
  const serves = s.world.serving !== null;
  const standby = serves ? other(s) : me(s);
  const admitted = serves ? peer.admitted && s.record.role.peerMayTakeOver : s.world.admitted;
  if (admitted && (serves || peer.serving)) {
    return { name, state: 'ok', text: `node ${standby} may take over` };
  }
  const down = serves ? peer.record.standDown : s.record.standDown;
  if (down?.rollout === OPERATOR) {
    const text = `node ${standby} may not take over: it has stood down by an operator's word`;
    return { name, state: 'waiting', text };
  }
  return { name, state: 'waiting', text: `node ${standby} may not take over yet` };
}

/** How long the pair has been on its way to high availability. */
export function reforming(
  s: NodeState,
  sinceMs: number | null,
  nowMs: number,
  at: string,
): NonNullable<PairStatus['reforming']> | null {
  if (sinceMs === null) return null;
  const elapsedMs = Math.max(0, nowMs - sinceMs);
  const elapsedS = Math.round(elapsedMs / 1000);
  const since = new Date(Date.parse(at) - elapsedMs).toISOString();
  const sync = s.world.store.sync ?? peerReport(s)?.store.sync ?? null;
  const estimateS = sync?.etaS === undefined ? null : elapsedS + Math.round(sync.etaS);
  return { since, elapsedS, estimateS };
}

/** The node that acknowledges nothing because its peer is lost and might take over (rule R4). */
export function frozenNode(s: NodeState): NodeId | null {
  const { record, world } = s;
  if (world.serving !== null && world.store.frozen && record.role.peerMayTakeOver) return me(s);
  const peer = peerReport(s);
  const theirs = peer !== null && peer.serving && peer.store.frozen;
  return theirs && peer.record.role.peerMayTakeOver ? other(s) : null;
}

/** What an operator can do where nothing happens by itself; null = nothing is needed. */
export function remedyOf(s: NodeState): string | null {
  const frozen = frozenNode(s);
  if (frozen !== null) {
    const lost = frozen === me(s) ? other(s) : me(s);
    const word = `run \`tandem takeover\` on node ${frozen}`;
    return `bring node ${lost} back; or switch it off and ${word}`;
  }
  if (peerReport(s) !== null) {
    const down = [s.record, peerReport(s)?.record].find(
      (one) => one?.standDown?.rollout === OPERATOR,
    );
    return down === undefined ? null : `run \`tandem stand-down --end\` on node ${down.node}`;
  }
  if (s.world.serving !== null) return null;
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
