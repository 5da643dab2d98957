/**
 * The checklist of a pair that finds itself after an update or a fault: link, versions, epoch,
 * storage, service, admission. What the peer does not tell is unknown. Pure over
 * its inputs; imports only core.
 */
import { agreedProtocol } from '../core/levels.ts';
import { peerOf, type NodeId, type Release } from '../core/model.ts';
import { PROTOCOL } from '../core/records.ts';
import type { NodeReport } from '../core/report.ts';
import { FROZEN, OPERATOR } from '../core/role.ts';
import { me, other, peerReport, type NodeState } from '../core/state.ts';
import { isFresh, type ChannelStatus, type PairStatus, type ReformItem } from '../core/status.ts';

/** What the state of the node does not tell, for the checklist. */
export interface ReformExtras {
  readonly channels?: readonly ChannelStatus[] | undefined;
  /** Age of the newest report of the peer; null when it was never heard. */
  readonly ageMs?: number | null;
  /** The address that clients of the service use. */
  readonly address?: string | null | undefined;
}

/** The live checklist of a reforming pair; without a report of the peer its part is unknown. */
export function reformItems(s: NodeState, extras: ReformExtras = {}): readonly ReformItem[] {
  const { channels = [], ageMs = null, address = null } = extras;
  const peer = peerReport(s);
  const link = linkItem(s, channels, peer !== null, ageMs);
  if (peer === null) {
    const words = `node ${other(s)} ${silence(ageMs)}`;
    const unknown = (name: ReformItem['name']): ReformItem => {
      return { name, state: 'unknown', text: words, ageMs };
    };
    const service = s.world.serving === null ? unknown('service') : serviceItem(s, null, address);
    const rest = [unknown('versions'), unknown('epoch'), unknown('storage'), service];
    return [link, ...rest, unknown('admitted')];
  }
  const items = [versionsItem(s, peer), epochItem(s, peer), storageItem(s, peer)];
  items.push(serviceItem(s, peer, address), admittedItem(s, peer));
  return [link, ...items].map((item) => (ageMs === null ? item : { ...item, ageMs }));
}

/** Since when nothing was heard of the peer, in words without a subject. */
export function silence(ageMs: number | null): string {
  if (ageMs === null) return 'not heard since this daemon started';
  return `last heard ${Math.round(ageMs / 1000)} s ago`;
}

/** A channel that brought nothing for long is unknown, whatever its driver still believes. */
export function channelWord({ up, ageMs }: ChannelStatus): 'up' | 'down' | 'unknown' {
  return !up ? 'down' : isFresh(ageMs) ? 'up' : 'unknown';
}

function linkItem(
  s: NodeState,
  channels: readonly ChannelStatus[],
  heard: boolean,
  peerAgeMs: number | null,
): ReformItem {
  const words = channels.map((channel) => {
    const { name, ageMs, error } = channel;
    const age = ageMs === null ? 'never heard' : `heard ${(ageMs / 1000).toFixed(1)} s ago`;
    const why = error === null ? '' : `, ${error.message}`;
    return `${name} ${channelWord(channel)}, ${age}${why}`;
  });
  const head = heard ? `node ${other(s)} answers` : `node ${other(s)} ${silence(peerAgeMs)}`;
  const text = [head, ...words].join('; ');
  const base = { name: 'link', state: heard ? 'ok' : 'waiting', text, ageMs: peerAgeMs } as const;
  return channels.length === 0 ? base : { ...base, channels };
}

const word = (release: Release | null): string => release?.version ?? 'unknown';

function versionsItem(s: NodeState, peer: NodeReport): ReformItem {
  const name = 'versions';
  const system = [word(s.world.system), word(peer.system)] as const;
  const storage = [word(s.world.storage?.release ?? null), word(peer.storage)] as const;
  const agreed = {
    protocol: agreedProtocol(PROTOCOL, peer.protocol) ?? PROTOCOL[0],
    featureLevel: Math.min(s.record.featureLevel, peer.record.featureLevel),
  };
  const level = `protocol ${agreed.protocol}, level ${agreed.featureLevel}`;
  const same = system[0] === system[1] && storage[0] === storage[1];
  const each = (words: readonly [string, string]): string =>
    `${me(s)} ${words[0]}, ${other(s)} ${words[1]}`;
  const text = same
    ? `both run ${system[0]}, storage ${storage[0]}; ${level}`
    : `system: ${each(system)}; storage: ${each(storage)}; ${level}`;
  return { name, state: system[0] === system[1] ? 'ok' : 'waiting', text, agreed };
}

function epochItem(s: NodeState, peer: NodeReport): ReformItem {
  const [mine, theirs] = [s.record.role, peer.record.role];
  const high = theirs.epoch > mine.epoch ? theirs : mine;
  const epoch = { number: high.epoch, holder: high.holder };
  const same = theirs.epoch === mine.epoch && theirs.holder === mine.holder;
  return same
    ? { name: 'epoch', state: 'ok', text: `epoch ${mine.epoch}, held by ${mine.holder}`, epoch }
    : { name: 'epoch', state: 'waiting', text: `epochs ${mine.epoch} and ${theirs.epoch}`, epoch };
}

/** The serving copy is what the other one is measured by; it knows how far that is. */
function storageItem(s: NodeState, peer: NodeReport): ReformItem {
  const name = 'storage';
  const [mine, theirs] = [s.world.store, peer.store];
  const primary = mine.role === 'primary' ? mine : theirs;
  const lead = mine.role === 'primary' ? me(s) : other(s);
  const known = primary.role === 'primary';
  const copies = {
    [me(s)]: known && lead !== me(s) ? primary.peer : mine.local,
    [other(s)]: known && lead === me(s) ? primary.peer : theirs.local,
  } as Record<NodeId, string>;
  if (splitBrain(s)) {
    return { name, state: 'failed', text: 'both copies were written alone', copies };
  }
  if (known && primary.connected && primary.peer === 'current') {
    return { name, state: 'ok', text: 'both copies are current', copies };
  }
  const standby = peerOf(lead);
  const { sync } = primary;
  if (sync !== null) {
    const { doneBytes, totalBytes } = sync;
    const share = totalBytes === 0 ? 100 : Math.floor((100 * doneBytes) / totalBytes);
    const text = `node ${standby} syncs, ${share} %`;
    return { name, state: 'waiting', text, progress: sync, copies };
  }
  const silent = [mine.role === 'unknown' && me(s), theirs.role === 'unknown' && other(s)];
  const names = silent.filter((node) => node !== false).toSorted();
  if (names.length > 0) {
    const text = `the storage of node ${names.join(' and ')} does not answer`;
    return { name, state: 'unknown', text, copies };
  }
  if (!known) {
    return { name, state: 'waiting', text: 'waits for the storage of both nodes', copies };
  }
  const why = primary.connected ? primary.peer : 'not connected';
  return { name, state: 'waiting', text: `the copy of node ${standby} is ${why}`, copies };
}

/** Both copies were written alone: a person decides which one is kept. */
export function splitBrain(s: NodeState): boolean {
  return s.world.store.splitBrain || peerReport(s)?.store.splitBrain === true;
}

function serviceItem(s: NodeState, peer: NodeReport | null, address: string | null): ReformItem {
  const name = 'service';
  const node = s.world.serving !== null ? me(s) : peer?.serving === true ? other(s) : null;
  const service = { node, address };
  if (node === null) return { name, state: 'waiting', text: 'nobody serves', service };
  const where = address === null ? '' : ` on ${address}`;
  return { name, state: 'ok', text: `node ${node} serves${where}`, service };
}

function admittedItem(s: NodeState, peer: NodeReport): ReformItem {
  const name = 'admitted';
  const serves = s.world.serving !== null;
  const standby = serves ? other(s) : me(s);
  const active = peerOf(standby);
  const { peerMayTakeOver } = serves ? s.record.role : peer.record.role;
  const admission = {
    standby,
    counted: peerMayTakeOver && (serves || peer.serving),
    known: serves ? peer.admitted : s.world.admitted,
  };
  const { counted, known } = admission;
  if (counted && known) {
    const text = `node ${standby} may take over: node ${active} counts on it, and it knows`;
    return { name, state: 'ok', text, admission };
  }
  const down = serves ? peer.record.standDown : s.record.standDown;
  const why =
    down === null ? (counted ? 'it was not told yet' : notCounted(active)) : promise(down);
  const text = `node ${standby} may not take over: ${why}`;
  return { name, state: 'waiting', text, admission };
}

const notCounted = (active: NodeId): string => `node ${active} does not count on it yet`;

function promise({ rollout }: { readonly rollout: string }): string {
  if (rollout === OPERATOR) return "it has stood down by an operator's word";
  return rollout === FROZEN ? 'it has stood down for its copy' : 'it has stood down for the update';
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
