/**
 * The picture of the pair that clients see, made from one node's state and the newest report of its
 * peer. Status is never a guess: a peer that was not heard for 3 s is shown as unknown, with the
 * age of what was heard last. Pure over its inputs; imports only core.
 */
import { NODES, SLOT_CLASSES, type NodeId, type SlotClass } from '../core/model.ts';
import { canCancel, downWanted, endedAt } from '../core/phases.ts';
import { END_PHASES, type RolloutRecord } from '../core/records.ts';
import type { NodeReport } from '../core/report.ts';
import { peerCurrent } from '../core/role.ts';
import { me, other, peerReport, running, storageSlot, type NodeState } from '../core/state.ts';
import { STALE_AFTER_MS, type Alarm, type NodeStatus, type PairStatus } from '../core/status.ts';
import type { NodeRole, ReformItem, RolloutStatus, SlotStatus } from '../core/status.ts';
import { reportOf } from './report.ts';

/** The newest report of the peer, kept for display after the link was lost. */
export interface LastHeard {
  readonly report: NodeReport;
  readonly atMs: number;
}

/** Everything a client wants to know of both nodes, as node `s` knows it at this moment. */
export function pairStatus(
  s: NodeState,
  last: LastHeard | null,
  nowMs: number,
  at: string,
): PairStatus {
  const self = nodeStatus(reportOf(s, 0), 0);
  const peer = peerStatus(s, last, nowMs);
  const nodes = (me(s) === 'A' ? { A: self, B: peer } : { A: peer, B: self }) satisfies Record<
    NodeId,
    NodeStatus
  >;
  const reform = reformItems(s);
  const formed = reform.every((item) => item.state === 'ok' || item.name === 'versions');
  const ok = formed && nodes[other(s)].known;
  const rollout = s.rollout === null ? null : rolloutStatus(s.rollout, nodes, at);
  return {
    schema: 1,
    at,
    self: me(s),
    pair: s.record.pair,
    state: stateWord(s, ok, nodes),
    ha: { ok, text: haText(s, ok, nodes) },
    nodes,
    rollout,
    reform,
    alarms: alarms(s, nodes),
  };
}

function peerStatus(s: NodeState, last: LastHeard | null, nowMs: number): NodeStatus {
  if (last === null) return unknownNode(other(s), null);
  const ageMs = Math.max(0, Math.round(nowMs - last.atMs));
  const fresh = ageMs <= STALE_AFTER_MS && s.world.linkUp;
  return fresh ? nodeStatus(last.report, ageMs) : unknownNode(other(s), ageMs);
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
    activity,
    store: {
      role: store.role,
      copy: store.local,
      connected: store.connected,
      sync: store.sync,
    },
  };
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
): RolloutStatus {
  const ended = END_PHASES.has(rollout.phase);
  const until = Date.parse(endedAt(rollout) ?? at);
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
    skipped: NODES.filter((node) => rollout.nodes[node].skip),
    logs: { A: rollout.nodes.A.log, B: rollout.nodes.B.log },
  };
}

/** The live checklist of a reforming pair. */
export function reformItems(s: NodeState): readonly ReformItem[] {
  const peer = peerReport(s);
  const ages = s.world.linkUp && peer !== null;
  const items: ReformItem[] = [
    ages
      ? { name: 'link', state: 'ok', text: 'the peer answers' }
      : { name: 'link', state: 'waiting', text: 'waits for the peer' },
  ];
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
    return { name, state: 'waiting', text: `syncs, ${share} %` };
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
  return admitted && (serves || peer.serving)
    ? { name, state: 'ok', text: `node ${standby} may take over` }
    : { name, state: 'waiting', text: `node ${standby} may not take over yet` };
}

function stateWord(
  s: NodeState,
  ok: boolean,
  nodes: Readonly<Record<NodeId, NodeStatus>>,
): PairStatus['state'] {
  if (running(s.rollout)) return 'UPDATING';
  const mixed = nodes.A.system?.version !== nodes.B.system?.version;
  if (ok) return mixed ? 'HEALTHY_MIXED' : 'HEALTHY';
  if (!nodes[other(s)].known) return 'ALONE';
  const { store } = s.world;
  const syncing = store.sync !== null || peerReport(s)?.store.sync != null;
  return syncing ? 'SYNCING' : 'EXPOSED';
}

function haText(s: NodeState, ok: boolean, nodes: Readonly<Record<NodeId, NodeStatus>>): string {
  if (ok) return 'highly available';
  const server = NODES.find((node) => nodes[node].serving);
  const down = running(s.rollout) ? downWanted(s.rollout) : null;
  if (server === undefined) {
    const silent = other(s);
    if (nodes[silent].known) return 'no service now';
    return `not known: this node does not serve, node ${silent} does not answer`;
  }
  const why = down === null ? '' : `node ${down} is being updated; `;
  return `no high availability now: ${why}if node ${server} fails, service stops until it restarts`;
}

function alarms(s: NodeState, nodes: Readonly<Record<NodeId, NodeStatus>>): readonly Alarm[] {
  const found: Alarm[] = [];
  const peer = other(s);
  if (!nodes[peer].known) {
    const message = `node ${peer} does not answer`;
    found.push({ code: 'pair.peer_unreachable', node: peer, message });
  }
  const reports = [reportOf(s, 0), peerReport(s)].filter((one) => one !== null);
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
