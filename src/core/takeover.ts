/**
 * Unplanned takeover and freeze (docs/ARCHITECTURE.md, "Rules", R3 and R4): what a node may do when
 * it does not hear its peer. With policy `fence` a node goes on alone, or takes over, only after
 * the peer was provably switched off; with policy `manual` the active goes on alone at once and the
 * standby waits for its peer or for an operator's word. Pure; imports only core.
 */
import type { NodeRecord } from './records.ts';
import { isUndecided, storageInPlace } from './node.ts';
import { connected, me, onTrial, other, type NodeState, type World } from './state.ts';

/** The active that serves and does not hear a peer that could take over: it must not go on so. */
export function isolatedHolder(s: NodeState): boolean {
  const { record, world } = s;
  const holder = record.role.holder === me(s) && world.serving !== null;
  return holder && record.role.peerMayTakeOver && !world.linkUp;
}

/**
 * R3: a standby that was admitted in this boot, holds every acknowledged write, never promised to
 * stay down and goes into no trial may take over once its peer is provably off.
 */
export function mayTakeOver(s: NodeState): boolean {
  const { record, world } = s;
  const able = record.role.holder === other(s) && !world.linkUp && world.admitted;
  const sound = record.standDown === null && !record.knownStale && !isUndecided(record);
  return able && sound && !onTrial(s) && storageInPlace(s) && world.store.local === 'current';
}

/**
 * Should this node have its peer switched off now? The active at once, the standby after the head
 * start, so that of two nodes that only lost their link the active is the one that stays.
 */
export function wantsFence(s: NodeState): boolean {
  const { takeover, peerTakeover } = s.world;
  if (takeover !== 'fence') return false;
  // A peer that cannot take over by itself need not be switched off to go on without it.
  if (isolatedHolder(s)) return peerTakeover === 'fence';
  // An active that does not know of this policy would go on alone instead of being frozen.
  if (!isPolicyKnown(s.world)) return false;
  return headStartIsOver(s) && mayTakeOver(s);
}

/** The peer knows of this very policy of this node, and not of one that was left meanwhile. */
export function isPolicyKnown({ run, takeoverTurn, peerKnows }: World): boolean {
  return peerKnows !== null && peerKnows.run === run && peerKnows.turn === takeoverTurn;
}

/**
 * The silence in which the link was found to be lost counts for the head start, up to half of it:
 * a peer that went without a word has been gone all that time. The other half is the active's, who
 * may have found out no earlier than this node.
 */
function headStartIsOver({ world }: NodeState): boolean {
  const { linkLostMs, peerHeardMs, clock, headStartMs } = world;
  if (linkLostMs === null) return false;
  const silentMs = Math.max(0, linkLostMs - peerHeardMs);
  return clock.ms - linkLostMs >= headStartMs - Math.min(silentMs, headStartMs / 2);
}

/**
 * The peer was switched off, provably or by an operator's word: what becomes durable of it. A proof
 * counts for the loss of the link that the fence was asked for and for no later one: in between the
 * peer came back, and may serve.
 */
export function onPeerOff(
  s: NodeState,
  word: 'fence' | 'operator',
  since: number | null = s.world.linkLostMs,
): NodeRecord | undefined {
  const { record, world } = s;
  if (word === 'fence' && since !== world.linkLostMs) return undefined;
  // Reports leave only while the link is up, so a peer that came back meanwhile and heard this node
  // is not overtaken: with the link up a proof that is older counts no more.
  if (word === 'fence' ? world.linkUp : connected(s)) return undefined;
  const { role } = record;
  if (role.holder === me(s)) {
    // A holder that never met its peer since its boot may be behind it: only a person can know.
    const asked = word === 'operator' || isolatedHolder(s);
    if (!asked || !role.peerMayTakeOver) return undefined;
    return { ...record, role: { ...role, peerMayTakeOver: false } };
  }
  if (word === 'fence' ? !mayTakeOver(s) : !operatorMayPromote(s)) return undefined;
  return {
    ...record,
    standDown: null,
    role: { epoch: role.epoch + 1, holder: me(s), peerMayTakeOver: false },
  };
}

/**
 * An operator keeps this node's copy of a split brain: it becomes the holder of a new epoch, so
 * that the copy which gives way never leads. It serves once the store says that the split is over.
 */
export function onKeepCopy(s: NodeState): NodeRecord | undefined {
  const { record, world } = s;
  const able = connected(s) && world.store.splitBrain && !onTrial(s) && !isUndecided(record);
  if (!able || record.knownStale || record.role.holder === me(s)) return undefined;
  const role = { epoch: record.role.epoch + 1, holder: me(s), peerMayTakeOver: false };
  return { ...record, standDown: null, role };
}

/** What even an operator cannot ask for: serving a trial, or before one, or a copy that lags. */
export function operatorMayPromote(s: NodeState): boolean {
  const { record, world } = s;
  const whole = !record.knownStale && world.store.local === 'current' && !world.store.splitBrain;
  return whole && !onTrial(s) && !isUndecided(record) && storageInPlace(s);
}
