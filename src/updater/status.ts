/**
 * The picture of the pair that clients see, made from one node's state and the newest report of its
 * peer. Status is never a guess: a peer that was not heard for 3 s is shown as unknown, with the
 * age of what was heard last. Pure over its inputs; imports only core.
 */
import { NODES, SLOT_CLASSES, type NodeId, type SlotClass } from '../core/model.ts';
import { canCancel, endedAt } from '../core/phases.ts';
import { END_PHASES, type Reason, type RolloutRecord } from '../core/records.ts';
import type { NodeReport } from '../core/report.ts';
import { restPoint } from '../core/pause.ts';
import { FROZEN, OPERATOR } from '../core/role.ts';
import { me, other, peerReport, running, storageSlot, type NodeState } from '../core/state.ts';
import { isFresh, type NodeStatus, type PairStatus } from '../core/status.ts';
import type { ChannelStatus, NodeRole, RolloutStatus, SlotStatus } from '../core/status.ts';
import { alarms } from './alarms.ts';
import { availability, frozenNode, remedyOf } from './remedy.ts';
import { reforming, reformItems } from './reform.ts';
import { reportOf } from './report.ts';

const HOUR_MS = 3_600_000;

/** The newest report of the peer, kept for display after the link was lost. */
export interface LastHeard {
  readonly report: NodeReport;
  readonly atMs: number;
}

export { reformItems } from './reform.ts';

/** What the state of the node does not tell. */
export interface StatusExtras {
  readonly channels?: readonly ChannelStatus[];
  /** The address that clients of the service use. */
  readonly address?: string | null;
  /** Since when the pair is not highly available, in the time of `nowMs`; null while it is. */
  readonly reformingSinceMs?: number | null;
  /** When the sync that runs brought something last, in the time of `nowMs`; null without one. */
  readonly syncMovedMs?: number | null;
  /** Hours for which a pair may be held in two versions; 0 = without a deadline. */
  readonly holdH?: number;
  /** What the links and the fencer of this node say is wrong with them. */
  readonly troubles?: readonly Reason[];
}

/** Everything a client wants to know of both nodes, as node `s` knows it at this moment. */
export function pairStatus(
  s: NodeState,
  last: LastHeard | null,
  nowMs: number,
  at: string,
  extras: StatusExtras = {},
): PairStatus {
  const ageMs = last === null ? null : Math.max(0, Math.round(nowMs - last.atMs));
  // A peer whose link is up again, but which has not said anything yet, may have restarted since.
  const fresh = isFresh(ageMs) && peerReport(s) !== null;
  // What the peer said too long ago is forgotten here, so that nothing below can tell it as true.
  const seen: NodeState = fresh ? s : { ...s, world: { ...s.world, peer: null } };
  const nodes = bothNodes(seen, fresh ? last : null, ageMs, at);
  const { channels, address, reformingSinceMs = null, syncMovedMs = null, holdH = 0 } = extras;
  const { troubles = [] } = extras;
  const reform = reformItems(seen, { channels, ageMs, address });
  const ok = isFormed(reform) && fresh && frozenNode(seen) === null;
  const since = reformingSinceMs ?? (fresh ? null : (last?.atMs ?? null));
  const rollout = s.rollout === null ? null : rolloutStatus(s.rollout, nodes, at, holdH);
  const quietMs = syncMovedMs === null ? null : nowMs - syncMovedMs;
  return {
    schema: 1,
    at,
    self: me(s),
    pair: s.record.pair,
    state: stateWord(seen, ok, nodes),
    ha: { ok, text: availability(seen, ok, nodes), remedy: ok ? null : remedyOf(seen) },
    nodes,
    rollout,
    reform,
    reforming: ok ? null : reforming(seen, since, nowMs, at),
    alarms: alarms(seen, {
      nodes,
      ageMs,
      quietMs,
      at,
      holdUntil: rollout?.holdUntil ?? null,
      troubles,
    }),
  };
}

function bothNodes(
  s: NodeState,
  last: LastHeard | null,
  ageMs: number | null,
  at: string,
): Readonly<Record<NodeId, NodeStatus>> {
  const heardAt = ageMs === null ? null : before(at, ageMs);
  const self = { ...nodeStatus(reportOf(s, 0), 0), heardAt: at };
  const peer = last === null ? unknownNode(other(s), ageMs) : nodeStatus(last.report, ageMs ?? 0);
  const theirs = { ...peer, heardAt };
  return me(s) === 'A' ? { A: self, B: theirs } : { A: theirs, B: self };
}

const before = (at: string, ms: number): string => new Date(Date.parse(at) - ms).toISOString();

/** Whether the checklist is done; two versions side by side are no hindrance. */
export function isFormed(reform: PairStatus['reform']): boolean {
  return reform.every((item) => item.state === 'ok' || item.name === 'versions');
}

/** A node of which nothing fresh is known. */
export function unknownNode(node: NodeId, ageMs: number | null): NodeStatus {
  return {
    node,
    known: false,
    ageMs,
    role: 'unknown',
    serving: false,
    system: null,
    storage: null,
    program: null,
    boot: null,
    slots: [],
    update: 'unknown',
    outcome: 'none',
    reason: null,
    epoch: null,
    admitted: false,
    standDown: false,
    activity: null,
    store: null,
  };
}

/** A node as its own report describes it. */
export function nodeStatus(report: NodeReport, ageMs: number): NodeStatus {
  const { record, boot, store } = report;
  const role: NodeRole = record.role.holder === report.node ? 'active' : 'standby';
  const activity =
    report.activity ?? (store.sync === null ? null : { name: 'syncing', progress: store.sync });
  return {
    node: report.node,
    known: true,
    ageMs,
    role,
    serving: report.serving,
    system: report.system,
    storage: report.storage,
    program: report.program,
    boot: { id: boot.bootId, reason: boot.reason, attempt: boot.attempt },
    slots: slotStatuses(report),
    update: record.update.state,
    outcome: record.slots.outcome,
    reason: record.slots.reason ?? ('reason' in record.update ? record.update.reason : null),
    epoch: record.role.epoch,
    admitted: report.admitted || report.serving,
    standDown: record.standDown !== null,
    standDownFor: standDownFor(record.standDown?.rollout ?? null),
    activity,
    store: {
      role: store.role,
      copy: store.local,
      connected: store.connected,
      sync: store.sync,
    },
  };
}

function standDownFor(word: string | null): 'update' | 'frozen' | 'operator' | null {
  if (word === null) return null;
  return word === OPERATOR ? 'operator' : word === FROZEN ? 'frozen' : 'update';
}

/** Both slots of both classes with what they hold and what they are good for. */
export function slotStatuses(report: NodeReport): readonly SlotStatus[] {
  return SLOT_CLASSES.flatMap((cls) =>
    (['A', 'B'] as const).map((slot) => slotStatus(report, cls, slot)),
  );
}

function slotStatus(report: NodeReport, cls: SlotClass, slot: 'A' | 'B'): SlotStatus {
  const { record, boot, seals } = report;
  const release = seals[cls][slot]?.release ?? null;
  const isDefault =
    cls === 'system' ? record.slots.default === slot : record.storage.current === slot;
  const base = { class: cls, slot, release, default: isDefault };
  const runs = cls === 'system' ? boot.slot === slot : runsStorage(report, slot);
  if (runs) {
    const trial = cls === 'system' && boot.slot !== record.slots.default;
    if (trial) return { ...base, state: 'trial' };
    return { ...base, state: cls === 'system' ? 'booted' : 'running' };
  }
  if (release === null) return { ...base, state: 'invalid' };
  const { state } = record.update;
  const due = state === 'installed' || state === 'arming' || state === 'rebooting';
  const spent = !isDefault && !record.canRollBack && !due;
  return { ...base, state: spent ? 'unusable' : 'good' };
}

function runsStorage(report: NodeReport, slot: 'A' | 'B'): boolean {
  return report.storage !== null && storageSlot(report.record, report.boot.slot) === slot;
}

function rolloutStatus(
  rollout: RolloutRecord,
  nodes: Readonly<Record<NodeId, NodeStatus>>,
  at: string,
  holdH: number,
): RolloutStatus {
  const ended = END_PHASES.has(rollout.phase);
  const until = Date.parse(endedAt(rollout) ?? at);
  const restsAfter = restPoint(rollout);
  return {
    id: rollout.id,
    kind: rollout.kind,
    version: rollout.to.version,
    bundle: rollout.to.bundle,
    phase: rollout.phase,
    order: rollout.policy.order,
    first: rollout.first,
    driver: NODES.find((node) => nodes[node].serving) ?? null,
    startedAt: rollout.startedAt,
    phaseAt: rollout.phaseAt,
    elapsedS: Math.max(0, Math.round((until - Date.parse(rollout.startedAt)) / 1000)),
    estimateS: rollout.estimateS,
    ended,
    finalized: rollout.finalized,
    canCancel: canCancel(rollout),
    result: rollout.result,
    holdUntil: holdUntil(rollout, holdH),
    paused: ended || rollout.paused == null ? null : { ...rollout.paused, restsAfter },
    skipped: NODES.filter((node) => rollout.nodes[node].skip),
    logs: { A: rollout.nodes.A.log, B: rollout.nodes.B.log },
  };
}

/** Until when a pair that is held in two versions wants a decision; the time is for people. */
function holdUntil(rollout: RolloutRecord, holdH: number): string | null {
  if (rollout.phase !== 'HOLD_MIXED' || holdH === 0) return null;
  const endMs = Date.parse(endedAt(rollout) ?? rollout.phaseAt);
  return Number.isNaN(endMs) ? null : new Date(endMs + holdH * HOUR_MS).toISOString();
}

function stateWord(
  s: NodeState,
  ok: boolean,
  nodes: Readonly<Record<NodeId, NodeStatus>>,
): PairStatus['state'] {
  if (frozenNode(s) !== null) return 'FROZEN';
  if (running(s.rollout)) return 'UPDATING';
  const mixed = nodes.A.system?.version !== nodes.B.system?.version;
  if (ok) return mixed ? 'HEALTHY_MIXED' : 'HEALTHY';
  if (!nodes[other(s)].known) return 'ALONE';
  const { store } = s.world;
  const syncing = store.sync !== null || peerReport(s)?.store.sync != null;
  return syncing ? 'SYNCING' : 'EXPOSED';
}
