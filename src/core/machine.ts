/**
 * The machine of a node: `step` takes an event in, `settle` takes the next decision that is due,
 * one durable change at a time, and `effectsOf` says what has to be done in the world. The contract
 * with the runner (src/updater): a state is durable before its effects start and before a report
 * that depends on it is sent; effects are idempotent and derived again after every start. An event
 * that has no meaning in a state changes nothing. Pure; imports only core.
 */
import { agreedProtocol } from './levels.ts';
import type { Sha256 } from './model.ts';
import { askOf, canCancel } from './phases.ts';
import { dropInstall, finalized, nodeEffect, onAsk, onNodeEvent, onStorageEnded } from './node.ts';
import { compareWriter, PROTOCOL, RECORD_SCHEMA } from './records.ts';
import type { NodeRecord, RolloutRecord } from './records.ts';
import type { NodeReport } from './report.ts';
import { MEET_PEER_MS, nextRole, nextWorld, onStandDown, roleEffect, serves } from './role.ts';
import { advance } from './rollout.ts';
import { acknowledged, connected, me, other, peerReport, running, storageSlot } from './state.ts';
import type { Clock, Effect, Event, NodeState, World } from './state.ts';
import { onKeepCopy, onPeerOff, wantsFence } from './takeover.ts';
import { deadman, observeTrial } from './trial.ts';

/**
 * The state after an event, or undefined when the event has no meaning now (logged by the runner).
 */
export function step(s: NodeState, event: Event, clock: Clock): NodeState | undefined {
  const timed: NodeState = { ...s, world: { ...s.world, clock } };
  if (event.type === 'report' && !heard(s, event.report)) return undefined;
  const world = observe(timed.world, event);
  if (world !== undefined) return { ...timed, world };
  switch (event.type) {
    case 'rollout':
      return onRollout(timed, event.record);
    case 'start':
      return onStart(timed, event.record);
    case 'cancel':
      return onCancel(timed, event.by, event.reason);
    case 'finalize':
      return onFinalize(timed);
    case 'pause':
      return onPause(timed, event.by);
    case 'peer-off':
      return withRecord(timed, onPeerOff(timed, event.word, event.since));
    case 'keep-copy':
      return withRecord(timed, onKeepCopy(timed));
    case 'storage-ended': {
      const gone = { ...timed, world: { ...timed.world, storage: null } };
      return withRecord(gone, onStorageEnded(gone, event.reason)) ?? gone;
    }
    case 'stand-down':
      return withRecord(timed, onStandDown(timed, event.on));
    case 'switchover': {
      const able = !running(s.rollout) && serves(s) && connected(s);
      return able ? { ...timed, world: { ...timed.world, switching: true } } : undefined;
    }
    default:
      return withRecord(timed, onNodeEvent(timed, event));
  }
}

const withRecord = (s: NodeState, record: NodeRecord | undefined): NodeState | undefined =>
  record === undefined ? undefined : { ...s, record };

/** Events that only tell what is: they change the observed world and nothing durable. */
function observe(world: World, event: Event): World | undefined {
  switch (event.type) {
    case 'tick':
      return onTick(world);
    case 'link':
      return onLink(world, event.up);
    case 'report':
      return onReport(world, event);
    case 'store':
      return { ...world, store: event.status };
    case 'storage':
      return { ...world, storage: event.running };
    case 'serving':
      return { ...world, serving: event.epoch };
    case 'boot-state':
      return { ...world, bootState: event.state };
    case 'seals':
      return { ...world, seals: event.seals };
    case 'depot':
      return { ...world, depot: event.depot, freeBytes: event.freeBytes };
    case 'bulk':
      return { ...world, bulkPort: event.port };
    case 'staging':
      return { ...world, staging: event.staging };
    case 'format-raised':
      return { ...world, formatRaisedFor: event.rollout };
    case 'takeover-policy':
      return onPolicy(world, event.takeover);
    case 'activity':
      return { ...world, activity: event.activity };
    case 'trouble': {
      const { [event.effect]: _gone, ...others } = world.troubles;
      const troubles = event.reason === null ? others : { ...others, [event.effect]: event.reason };
      return { ...world, troubles };
    }
    default:
      return undefined;
  }
}

function onTick(world: World): World {
  const waited = world.clock.ms - world.peerHeardMs >= MEET_PEER_MS;
  return world.met || !waited ? world : { ...world, met: true };
}

function onLink(world: World, up: boolean): World {
  if (up) return { ...world, linkUp: true };
  const linkLostMs = world.linkUp ? world.clock.ms : world.linkLostMs;
  return { ...world, linkUp: false, peer: null, linkLostMs };
}

function onPolicy(world: World, takeover: World['takeover']): World {
  if (takeover === world.takeover) return world;
  return { ...world, takeover, takeoverTurn: world.takeoverTurn + 1 };
}

/** Which of this node's words on its policy the peer has heard; 0.1.0 does not say which one. */
function known(world: World, report: NodeReport): World['peerKnows'] {
  if (report.knows !== undefined) return report.knows;
  const { run, takeoverTurn: turn } = world;
  return report.knowsTakeover === 'fence' ? { run, turn } : null;
}

/** The newest report counts; one of the same run that is older is dropped. */
function onReport(world: World, event: Event & { type: 'report' }): World {
  const { report } = event;
  const stale = world.peer?.run === report.run && world.peer.seq >= report.seq;
  if (stale) return world;
  const { ms } = world.clock;
  const peerTakeover = report.takeover === 'fence' ? 'fence' : 'manual';
  const peerWord = { run: report.run, turn: report.takeoverTurn ?? 0 };
  const peerKnows = known(world, report);
  const heardNow = {
    met: true,
    peerHeardMs: ms,
    driverHeardMs: ms,
    peerTakeover,
    peerWord,
    peerKnows,
  } as const;
  return { ...world, ...heardNow, peer: report, linkUp: true, linkLostMs: null };
}

/** A peer of another pair, of this node's own name, or without a common protocol is not heard. */
function heard(s: NodeState, report: NodeReport): boolean {
  const common = agreedProtocol(PROTOCOL, report.protocol) !== null;
  return report.node === other(s) && report.pair === s.record.pair && common;
}

function withRollout(s: NodeState, rollout: RolloutRecord): NodeState {
  const before = s.rollout;
  const moved =
    before?.id !== rollout.id ||
    before.phase !== rollout.phase ||
    before.soak?.run !== rollout.soak?.run;
  const phaseSinceMs = moved ? s.world.clock.ms : s.world.phaseSinceMs;
  return { ...s, rollout, world: { ...s.world, phaseSinceMs } };
}

/** R7: of two records the one with the higher (epoch, sequence) wins; a known one is no news. */
function onRollout(s: NodeState, record: RolloutRecord): NodeState | undefined {
  if (record.schema > RECORD_SCHEMA) return undefined;
  if (s.rollout !== null && compareWriter(record.writer, s.rollout.writer) <= 0) return s;
  return withRollout(s, record);
}

function onStart(s: NodeState, record: RolloutRecord): NodeState | undefined {
  const seq = (s.rollout?.writer.seq ?? 0) + 1;
  if (running(s.rollout) || !serves(s)) return undefined;
  return withRollout(s, { ...record, writer: { epoch: s.record.role.epoch, seq } });
}

function rewrite(s: NodeState, rollout: RolloutRecord): NodeState {
  const writer = { epoch: s.record.role.epoch, seq: rollout.writer.seq + 1 };
  return withRollout(s, { ...rollout, writer });
}

function onCancel(s: NodeState, by: string, reason: string): NodeState | undefined {
  const { rollout } = s;
  if (!running(rollout) || !serves(s) || !canCancel(rollout)) return undefined;
  return rewrite(s, { ...rollout, abort: { by, at: s.world.clock.at, reason } });
}

/** Paused rollouts rest at the next safe point, where high availability is up. */
function onPause(s: NodeState, by: string | null): NodeState | undefined {
  const { rollout } = s;
  if (!running(rollout) || !serves(s)) return undefined;
  return rewrite(s, { ...rollout, paused: by === null ? null : { by, at: s.world.clock.at } });
}

function onFinalize(s: NodeState): NodeState | undefined {
  const { rollout } = s;
  const open = rollout?.phase === 'DONE' && rollout.kind === 'update' && !rollout.finalized;
  if (!open || !serves(s)) return undefined;
  return rewrite(s, { ...rollout, phase: 'FINALIZE', phaseAt: s.world.clock.at });
}

/** The next decision that is due, or undefined at rest. At most one durable record changes. */
export function settle(s: NodeState): NodeState | undefined {
  const record =
    observeTrial(s) ?? bootRecord(s) ?? nextRole(s) ?? deadman(s) ?? follow(s) ?? undefined;
  if (record !== undefined) return { ...s, record };
  const world = nextWorld(s);
  if (world !== undefined) return world;
  const rollout = advance(s);
  return rollout === undefined ? undefined : withRollout(s, rollout);
}

/** The record names the boot that it was written in, and the slots as the boot chooser has them. */
function bootRecord(s: NodeState): NodeRecord | undefined {
  const { record, world } = s;
  const { bootId, slot } = world.boot;
  const same =
    record.bootId === bootId &&
    record.slots.booted === slot &&
    record.slots.default === world.bootState.default;
  if (same) return undefined;
  const slots = { ...record.slots, booted: slot, default: world.bootState.default };
  return { ...record, bootId, slots };
}

/** What the rollout asks of this node, as long as its driver is there and holds the same record. */
function follow(s: NodeState): NodeRecord | undefined {
  const { rollout } = s;
  if (rollout === null) return undefined;
  if (!running(rollout)) return dropInstall(s, rollout);
  const ask = askOf(rollout, me(s));
  if (ask === null || !driven(s)) return undefined;
  // The holder never restarts into a trial: it hands over first (`activate` in driver-steps.ts).
  if (ask.do === 'activate' && s.record.role.holder === me(s)) return undefined;
  return ask.do === 'finalize' ? finalized(s, rollout) : onAsk(s, ask, rollout);
}

/** R7: the driver's word counts while both hold the same record, or the peer cannot take over. */
function driven(s: NodeState): boolean {
  if (serves(s)) return acknowledged(s) || !s.record.role.peerMayTakeOver;
  const peer = peerReport(s);
  return peer !== null && peer.serving && peer.record.role.holder === other(s) && acknowledged(s);
}

/** Everything that has to be done now. */
export function effectsOf(s: NodeState): readonly Effect[] {
  const effects: Effect[] = [];
  const slot = storageSlot(s.record, s.world.boot.slot);
  const node = nodeEffect(s);
  // I7: after a reverted trial its system runs until the restart; what the record names from then
  // on may be storage software that this system must not run.
  const restarts = node?.do === 'reboot';
  if (!restarts && s.world.storage?.slot !== slot) effects.push({ do: 'run-storage', slot });
  const role = roleEffect(s);
  if (role !== undefined) effects.push(role);
  if (node !== undefined) effects.push(node);
  if (wantsFence(s)) {
    effects.push({ do: 'fence', epoch: s.record.role.epoch, since: s.world.linkLostMs });
  }
  if (soaks(s)) effects.push({ do: 'watch-service' });
  effects.push(...rolloutEffects(s));
  return effects;
}

/** The first node serves its new version and is watched until the second one restarts into it. */
function soaks(s: NodeState): boolean {
  const { rollout } = s;
  if (!running(rollout) || rollout.soak === null || rollout.first !== me(s)) return false;
  return (rollout.phase === 'HAND1' || rollout.phase === 'INSTALL2') && serves(s);
}

function rolloutEffects(s: NodeState): readonly Effect[] {
  const { rollout, world } = s;
  if (!connected(s)) return [];
  if (rollout?.finalized === true && serves(s) && world.formatRaisedFor !== rollout.id) {
    return [{ do: 'raise-format', rollout: rollout.id }];
  }
  if (running(rollout) && rollout.phase === 'FINALIZE') {
    return driven(s) && world.bootState.otherOk ? [{ do: 'close-other-slot' }] : [];
  }
  const stages = running(rollout) && rollout.phase === 'STAGE' && rollout.kind === 'update';
  return replication(s, stages ? rollout.to : null);
}

/** A bundle goes from the node that has it to the one that lacks it, within a rollout or before. */
function replication(
  s: NodeState,
  wanted: { readonly bundle: Sha256; readonly bytes: number } | null,
): readonly Effect[] {
  const peer = peerReport(s);
  const { world } = s;
  if (peer === null) return [];
  const offered = wanted ?? world.staging;
  if (offered !== null && world.depot.includes(offered.bundle)) {
    return peer.depot.includes(offered.bundle) ? [] : [{ do: 'offer', bundle: offered.bundle }];
  }
  const missing = wanted ?? peer.staging ?? null;
  if (missing === null || world.depot.includes(missing.bundle) || peer.bulkPort === null) return [];
  const { bundle, bytes } = missing;
  return [{ do: 'fetch', bundle, bytes, port: peer.bulkPort }];
}
