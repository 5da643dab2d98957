/**
 * Answers of a daemon in memory: a takeover, a restart, support archives, settings, checks of a
 * bundle and of a pair that is well. Always holds: each is whole, and a test changes what it needs.
 * Imports core.
 */
import { parseSha256, type NodeId, type Release } from '../../src/core/model.ts';
import type { RolloutRecord } from '../../src/core/records.ts';
import { DEFAULT_SETTINGS, type SettingsView } from '../../src/core/settings.ts';
import type { PrecheckReport, TakeoverView } from '../../src/core/operator.ts';
import type { PowerView, PowerViews } from '../../src/core/power.ts';
import type { JobStatus, NodeStatus, PairStatus } from '../../src/core/status.ts';
import type { RolloutStatus, SlotStatus, ValidateReport } from '../../src/core/status.ts';
import type { SupportView } from '../../src/core/support.ts';

/** The moment of every answer. */
export const AT = '2026-11-21T11:35:48.000Z';

/** A node that is fresh and well. */
export function nodeStatus(node: NodeId, changes: Partial<NodeStatus> = {}): NodeStatus {
  const slots: readonly SlotStatus[] = [
    { class: 'system', slot: 'A', release: release('1.0.0'), state: 'booted', default: true },
    { class: 'system', slot: 'B', release: null, state: 'invalid', default: false },
  ];
  return {
    node,
    known: true,
    ageMs: node === 'A' ? 0 : 400,
    role: node === 'A' ? 'active' : 'standby',
    serving: node === 'A',
    system: release('1.0.0'),
    storage: release('1.0.0', 'storage'),
    program: '0.1.0',
    boot: { id: 'b00t', reason: 'default', attempt: 0 },
    slots,
    update: 'idle',
    outcome: 'none',
    reason: null,
    epoch: 7,
    admitted: true,
    standDown: false,
    activity: null,
    store: {
      role: node === 'A' ? 'primary' : 'secondary',
      copy: 'current',
      connected: true,
      sync: null,
    },
    ...changes,
  };
}

/** A pair that is well and at rest. */
export function pairStatus(changes: Partial<PairStatus> = {}): PairStatus {
  return {
    schema: 1,
    at: AT,
    self: 'A',
    pair: 'p-0001',
    state: 'HEALTHY',
    ha: { ok: true, text: 'node B takes over if node A fails' },
    nodes: { A: nodeStatus('A'), B: nodeStatus('B') },
    rollout: null,
    reform: [
      { name: 'link', state: 'ok', text: 'network up' },
      { name: 'admitted', state: 'ok', text: 'both may serve' },
    ],
    alarms: [],
    ...changes,
  };
}

/** A rollout that runs, or ended in the phase that is given. */
export function rolloutStatus(changes: Partial<RolloutStatus> = {}): RolloutStatus {
  return {
    id: 'r1',
    kind: 'update',
    version: '2.0.0',
    bundle: 'a'.repeat(64),
    phase: 'TRIAL1',
    order: 'active-first',
    first: 'A',
    driver: 'B',
    startedAt: AT,
    phaseAt: AT,
    elapsedS: 72,
    estimateS: 240,
    ended: false,
    finalized: false,
    canCancel: true,
    result: null,
    logs: { A: [], B: [] },
    ...changes,
  };
}

/** A bundle that may be installed. */
export function validateReport(changes: Partial<ValidateReport> = {}): ValidateReport {
  return {
    ok: true,
    bundle: 'a'.repeat(64),
    product: 'appliance',
    version: '2.0.0',
    lagging: ['A/system', 'B/system'],
    checks: [{ name: 'signature', ok: true, code: null, detail: '2 of 2 keys' }],
    code: null,
    message: '2.0.0 updates both nodes from 1.0.0',
    next: null,
    ...changes,
  };
}

/** Node A may take over from node B, which was heard 12 s ago. */
export function takeoverView(changes: Partial<TakeoverView> = {}): TakeoverView {
  return {
    node: 'A',
    peer: 'B',
    refusal: null,
    needless: false,
    lastHeardAt: AT,
    lastHeardS: 12,
    does: 'node A serves without node B',
    costs: [`Writes that only node B has acknowledged since ${AT} are lost.`],
    word: 'B is off',
    ...changes,
  };
}

/** Node A hands its service over, then it restarts or goes off. */
export function powerViews(changes: Partial<PowerView> = {}): PowerViews {
  const view = {
    node: 'A',
    refusal: null,
    forceable: false,
    handsOverTo: 'B',
    costs: ['There is no high availability until node A is back.'],
    word: 'A',
    ...changes,
  } as const;
  return {
    restart: { does: 'node B takes the service over, node A restarts', ...view, kind: 'restart' },
    shutdown: { does: 'node B takes the service over, node A goes off', ...view, kind: 'shutdown' },
  };
}

/** One archive is kept. */
export function supportView(changes: Partial<SupportView> = {}): SupportView {
  return {
    node: 'A',
    dir: '/var/lib/tandem/support',
    keptMax: 5,
    bytesMax: 64 * 1024 * 1024,
    archives: [{ name: 'support-A-20261121T113548Z-0a1b.tar.gz', bytes: 123_456, at: AT }],
    ...changes,
  };
}

/** A bundle and a pair that pass every check. */
export function precheckReport(changes: Partial<PrecheckReport> = {}): PrecheckReport {
  return {
    ok: true,
    bundle: 'a'.repeat(64),
    version: '2.0.0',
    checks: [
      { name: 'idle', result: 'ok', code: null, detail: 'no update is running', fix: null },
      { name: 'link', result: 'ok', code: null, detail: 'node B answers', fix: null },
    ],
    code: null,
    message: 'every check passed; nothing was changed',
    next: null,
    estimate: {
      totalS: 240,
      phases: [
        { phase: 'STAGE', seconds: 40 },
        { phase: 'INSTALL1', seconds: 200 },
      ],
      basis: 'history',
      text: 'the last update of this pair (newest r1)',
    },
    ...changes,
  };
}

/** The settings of a node that nobody has changed. */
export function settingsView(changes: Partial<SettingsView> = {}): SettingsView {
  return {
    node: 'A',
    settings: DEFAULT_SETTINGS,
    changed: [],
    problem: null,
    file: '/data/tandem/settings.json',
    network: {
      host: 'node-a',
      interfaces: [{ name: 'eth0', addresses: ['192.0.2.7/24'] }],
      link: { listen: '192.0.2.7:7070', peer: '192.0.2.8:7070', bulk: '192.0.2.7:7071' },
      serial: '/dev/ttyS1, 115200 bit/s',
      service: '192.0.2.9:80',
    },
    ...changes,
  };
}

/** A release of the system or storage class. */
export function release(version: string, cls: Release['class'] = 'system'): Release {
  return { product: 'appliance', class: cls, version, counter: Number(version.split('.')[0]) };
}

/** One rollout as history keeps it. */
export function rolloutRecord(changes: Partial<RolloutRecord> = {}): RolloutRecord {
  const node = {
    from: { system: release('1.0.0'), storage: release('1.0.0', 'storage') },
    skip: false,
    attempts: 1,
    log: [{ at: AT, phase: 'STAGE' as const, text: 'checks passed' }],
  };
  return {
    schema: 1,
    id: 'r1',
    kind: 'update',
    to: {
      bundle: parseSha256('a'.repeat(64)),
      bytes: 1000,
      product: 'appliance',
      version: '2.0.0',
      counter: 2,
      images: [],
    },
    first: 'A',
    policy: {
      order: 'active-first',
      onSecondFailure: 'hold',
      retries: 1,
      soakS: 60,
      tries: 2,
      deadmanS: 2700,
    },
    writer: { epoch: 7, seq: 12 },
    phase: 'DONE',
    nodes: { A: node, B: node },
    abort: null,
    result: null,
    soak: null,
    startedAt: AT,
    phaseAt: AT,
    estimateS: 240,
    finalized: false,
    ...changes,
  };
}

/** A job that runs. */
export function jobStatus(changes: Partial<JobStatus> = {}): JobStatus {
  return {
    id: 'r1',
    kind: 'update',
    state: 'running',
    exit: null,
    code: null,
    message: 'installing',
    next: null,
    startedAt: AT,
    endedAt: null,
    ...changes,
  };
}
