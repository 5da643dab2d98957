/**
 * Who serves: epochs, holder, stand-down, admission, planned handover (docs/ARCHITECTURE.md,
 * "Rules", R1, R2, R4-R6). Always holds: a node serves only as holder of the highest epoch that it
 * knows, and only connected or with the peer unable to take over; what changes who may serve is
 * durable before anything follows from it. Without a fencer (policy `manual`) the standby never
 * promotes itself. Pure; imports only core.
 */
import type { NodeId } from './model.ts';
import { isUndecided, storageInPlace } from './node.ts';
import type { Generation, NodeRecord, RoleRecord } from './records.ts';
import { downWanted, holderWanted } from './phases.ts';
import type { NodeReport } from './report.ts';
import { acknowledged, connected, me, onTrial, other, peerReport, running } from './state.ts';
import type { Effect, NodeState } from './state.ts';

/**
 * How long after its start a holder waits for news of its peer before it serves alone. Longer than
 * a link needs to come up between two nodes that are there (it is tried again after 400 ms at the
 * latest), so that a takeover that an operator asked for meanwhile is heard first.
 */
export const MEET_PEER_MS = 3000;

/** R1, I8: may this node serve now? */
export function canServe(s: NodeState): boolean {
  const { record, world } = s;
  if (record.role.holder !== me(s) || onTrial(s) || world.draining) return false;
  if (!storageInPlace(s) || world.store.role === 'unknown' || world.store.splitBrain) return false;
  if (record.knownStale || world.store.local === 'stale') return false;
  const peer = peerReport(s);
  // One that serves already keeps its place while it is frozen (R4); it does not begin to serve so.
  const keeps = world.serving === record.role.epoch;
  if (peer === null) return keeps || (world.met && !record.role.peerMayTakeOver);
  const higher = peer.record.role.epoch > record.role.epoch;
  return !higher && !peer.serving;
}

/** True while this node serves as holder: only then it drives a rollout (rule R7). */
export function serves(s: NodeState): boolean {
  return s.world.serving !== null && s.world.serving === s.record.role.epoch && canServe(s);
}

/** R6: the holder's word that this boot of the peer may take over. */
export function admits(s: NodeState): NodeReport['admits'] {
  const { record, world } = s;
  const peer = peerReport(s);
  if (peer === null || record.role.holder !== me(s) || !record.role.peerMayTakeOver) return null;
  if (peer.record.standDown !== null || peer.record.role.epoch !== record.role.epoch) return null;
  const vouch = world.draining || (serves(s) && peerCurrent(s));
  if (!vouch) return null;
  return { bootId: peer.bootId, epoch: record.role.epoch, promises: promisesOf(peer.record) };
}

/** Promises to stand down that a node has made, as far as it counted them. */
const promisesOf = (record: NodeRecord): number => record.promises ?? 0;

/**
 * One more promise, counted: an admission that was on its way meanwhile is none any more. Else the
 * node could take its promise back and be admitted by the older word, while the holder hears of
 * the promise late, counts on it and goes on alone.
 */
const promise = (record: NodeRecord, rollout: string): NodeRecord => ({
  ...record,
  standDown: { rollout, epoch: record.role.epoch },
  promises: promisesOf(record) + 1,
});

/** The peer's copy of the storage is level with this primary's. */
export function peerCurrent(s: NodeState): boolean {
  const { store } = s.world;
  const peer = peerReport(s);
  return peer !== null && store.connected && store.peer === 'current' && !peer.record.knownStale;
}

/**
 * Is the peer in a trial that is not committed, or is one being armed there that may take it down
 * yet? Such a node is never admitted (I8).
 */
function peerOnTrial(s: NodeState): boolean {
  const peer = peerReport(s);
  if (peer === null) return false;
  return peer.boot.slot !== peer.record.slots.default || isUndecided(peer.record);
}

const withRole = (record: NodeRecord, role: Partial<RoleRecord>): NodeRecord => ({
  ...record,
  role: { ...record.role, ...role },
});

/**
 * The peer holds a higher epoch: its word counts (R7). Being holder is never resumed by itself.
 * Whoever hands the role over to this node gives its promise back with it: a promise made while the
 * peer was handing over would else outlast the handover, and both could end stood down (I6).
 */
function adoptRole(s: NodeState): NodeRecord | undefined {
  const theirs = peerReport(s)?.record.role;
  if (theirs === undefined || theirs.epoch <= s.record.role.epoch) return undefined;
  const standDown = theirs.holder === me(s) ? null : s.record.standDown;
  return withRole(
    { ...s.record, standDown },
    { epoch: theirs.epoch, holder: theirs.holder, peerMayTakeOver: true },
  );
}

function sameGeneration(a: Generation, b: Generation): boolean {
  const { length } = a.history;
  const ids = a.current === b.current && a.base === b.base && length === b.history.length;
  return ids && a.history.every((id, index) => id === b.history[index]);
}

/**
 * What the store says of the local copy, kept because a node must know it before the store runs.
 */
function mirrorStore(s: NodeState): NodeRecord | undefined {
  const { store } = s.world;
  if (store.role === 'unknown') return undefined;
  const stale = store.local === 'unknown' ? s.record.knownStale : store.local === 'stale';
  const { generation } = store;
  const same = sameGeneration(generation, s.record.generation);
  if (stale === s.record.knownStale && (same || generation.current === '')) return undefined;
  const next = generation.current === '' ? s.record.generation : generation;
  return { ...s.record, knownStale: stale, generation: next };
}

/** The instruction of a driver counts only while both hold the same record (R7). */
function instructed(s: NodeState): boolean {
  const peer = peerReport(s);
  return peer !== null && peer.record.role.holder === other(s) && acknowledged(s);
}

function wantedDown(s: NodeState): NodeId | null {
  return running(s.rollout) ? downWanted(s.rollout) : null;
}

/** Stands in a stand-down instead of a rollout: the holder that froze asked for it. */
export const FROZEN = 'frozen';
/** Stands in a stand-down instead of a rollout: an operator asked for it. */
export const OPERATOR = 'operator';

/** R4: the peer answers but its copy is lost, so acknowledgements wait for its promise. */
export function wantsDown(s: NodeState): boolean {
  const { record, world } = s;
  const holds = record.role.holder === me(s) && world.serving !== null;
  return holds && connected(s) && world.store.frozen && record.role.peerMayTakeOver;
}

/**
 * Does the peer know that it holds the role? It said so in this boot. Between the two writes of a
 * handover it does not know it yet, and could promise to stay down itself (I6).
 */
export const holdsRole = (s: NodeState): boolean =>
  s.world.admitted || peerReport(s)?.record.role.epoch === s.record.role.epoch;

/**
 * The promise of an operator for this node, or its end; only a standby promises. The end is heard
 * during a rollout too: one that began at the same moment on the active waits for it.
 */
export function onStandDown(s: NodeState, on: boolean): NodeRecord | undefined {
  const { record } = s;
  if (record.role.holder === me(s)) return undefined;
  if (!on)
    return record.standDown?.rollout === OPERATOR ? { ...record, standDown: null } : undefined;
  if (record.standDown !== null || running(s.rollout) || !holdsRole(s)) return undefined;
  return promise(record, OPERATOR);
}

/** R5 and R6 on the standby: promise, and taking the promise back when the holder counts on it. */
function standDown(s: NodeState): NodeRecord | undefined {
  const { record, rollout } = s;
  const peer = peerReport(s);
  if (peer === null || record.role.holder === me(s)) return undefined;
  if (wantedDown(s) === me(s) && rollout !== null) {
    const already = record.standDown?.rollout === rollout.id;
    if (already || !instructed(s)) return undefined;
    return promise(record, rollout.id);
  }
  if (peer.wantsDown === true && peer.record.role.holder === other(s)) {
    if (record.standDown !== null) return undefined;
    return promise(record, FROZEN);
  }
  if (record.standDown?.rollout === OPERATOR) return undefined;
  const counted = peer.record.role.peerMayTakeOver && peer.record.role.holder === other(s);
  if (record.standDown === null || !counted || !peer.serving || onTrial(s)) return undefined;
  if (isUndecided(record)) return undefined;
  return acknowledged(s) ? { ...record, standDown: null } : undefined;
}

/** What the serving holder writes about its peer: can it take over or not (R4 `manual`, R5, R6)? */
function holdPeer(s: NodeState): NodeRecord | undefined {
  const { record, world, rollout } = s;
  if (world.serving === null || record.role.holder !== me(s)) return undefined;
  const peer = peerReport(s);
  const down = wantedDown(s) === other(s);
  if (record.role.peerMayTakeOver) {
    const word = peer?.record.standDown?.rollout;
    const counts = (down && word === rollout?.id) || word === OPERATOR || world.store.frozen;
    const promised = word !== undefined && counts;
    const lost = world.peerTakeover === 'manual' && (peer === null || world.store.frozen);
    return promised || lost ? withRole(record, { peerMayTakeOver: false }) : undefined;
  }
  const kept = peer?.record.standDown?.rollout === OPERATOR;
  const back =
    !down && !kept && connected(s) && peerCurrent(s) && !peerOnTrial(s) && !world.store.frozen;
  return back && acknowledged(s) ? withRole(record, { peerMayTakeOver: true }) : undefined;
}

/** R2: where the rollout wants service to be; the peer must be able to take it this moment. */
export function handoverReady(s: NodeState): boolean {
  const wanted = running(s.rollout) ? holderWanted(s.rollout) === other(s) : s.world.switching;
  if (!wanted) return false;
  const peer = peerReport(s);
  return (
    serves(s) &&
    peer !== null &&
    peer.admitted &&
    acknowledged(s) &&
    s.record.role.peerMayTakeOver &&
    peerCurrent(s) &&
    peer.record.role.epoch === s.record.role.epoch
  );
}

/** R2: the write that ends being holder, after service and storage were let go. */
function release(s: NodeState): NodeRecord | undefined {
  const { record, world } = s;
  const letGo = world.serving === null && world.store.role === 'secondary';
  if (!world.draining || !letGo || record.role.holder !== me(s) || !connected(s)) return undefined;
  return withRole(record, {
    epoch: record.role.epoch + 1,
    holder: other(s),
    peerMayTakeOver: true,
  });
}

/** The next durable role change that is due, one at a time. */
export function nextRole(s: NodeState): NodeRecord | undefined {
  return adoptRole(s) ?? mirrorStore(s) ?? release(s) ?? standDown(s) ?? holdPeer(s);
}

/** The next volatile role change: admission, and the start or the end of a handover. */
export function nextWorld(s: NodeState): NodeState | undefined {
  const { record, world } = s;
  const peer = peerReport(s);
  if (peer !== null) {
    const word = peer.admits;
    const admitted =
      record.role.holder === other(s) &&
      record.standDown === null &&
      !record.knownStale &&
      !onTrial(s) &&
      word?.bootId === world.boot.bootId &&
      word.epoch === record.role.epoch &&
      // A program that does not count promises admits without their number.
      (word.promises ?? promisesOf(record)) === promisesOf(record);
    if (admitted !== world.admitted) return { ...s, world: { ...world, admitted } };
  } else if (world.admitted && record.standDown !== null) {
    // The promise ends it at once, also while the peer is not heard.
    return { ...s, world: { ...world, admitted: false } };
  }
  if (!world.draining && handoverReady(s)) return { ...s, world: { ...world, draining: true } };
  const pointless = peer === null || record.role.holder !== me(s);
  if (world.draining && pointless) {
    return { ...s, world: { ...world, draining: false, switching: false } };
  }
  if (world.switching && pointless) return { ...s, world: { ...world, switching: false } };
  return undefined;
}

/** Effects of the role: storage software, service, storage role. */
export function roleEffect(s: NodeState): Effect | undefined {
  const { record, world } = s;
  if (canServe(s)) {
    // A store that gave up being primary by itself (full disk) is asked again until it can.
    const primary = world.serving === record.role.epoch && world.store.role !== 'secondary';
    if (!primary) return { do: 'serve', epoch: record.role.epoch };
    const alone = world.store.frozen && !record.role.peerMayTakeOver;
    return alone ? { do: 'go-alone', epoch: record.role.epoch } : undefined;
  }
  const holds = world.serving !== null || world.store.role === 'primary';
  return holds ? { do: 'release' } : undefined;
}
