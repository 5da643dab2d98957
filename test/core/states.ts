/**
 * Records, reports and states to begin a test with: a healthy pair of which node A serves, version
 * 1 everywhere, and an update to version 2. Each maker takes what is to be different. Only tests
 * import it.
 */
import type { BootInfo, BootState } from '../../src/core/boot.ts';
import type { Manifest, ManifestImage } from '../../src/core/manifest.ts';
import type { NodeId, Release, Sha256, SlotClass, SlotSeal } from '../../src/core/model.ts';
import { peerOf } from '../../src/core/model.ts';
import type { Job, NodeRecord, NodeUpdate, Policy, RolloutRecord } from '../../src/core/records.ts';
import type { RolloutTarget, Trial } from '../../src/core/records.ts';
import type { NodeReport, Seals } from '../../src/core/report.ts';
import { firstNodeRecord, startWorld } from '../../src/core/start.ts';
import type { NodeState, World } from '../../src/core/state.ts';
import type { StoreStatus } from '../../src/core/store.ts';
import { reportOf } from '../../src/updater/report.ts';

/** Identity of the bundle with version 2. */
export const BUNDLE = 'c'.repeat(64) as Sha256;
export const BUNDLE_BYTES = 1000;
export const PRODUCT = 'appliance';

export function release(cls: SlotClass, counter: number): Release {
  return { product: PRODUCT, class: cls, version: `${counter}.0.0`, counter };
}

/** A seal as the factory writes it for version 1, and the installation for others. */
export function sealOf(cls: SlotClass, counter: number, runsWith = '>=1.0.0'): SlotSeal {
  const digest = `${cls === 'system' ? 'a' : 'b'}${counter}`.padEnd(64, '0') as Sha256;
  const raw = { rawBytes: 100, rawSha256: digest };
  const committed = counter === 1 ? 0 : null;
  return { imageId: digest, ...raw, release: release(cls, counter), runsWith, committed };
}

/** The manifest of version 2; `storageRunsWith` = the systems that its storage software allows. */
export function manifestOf(counter = 2, storageRunsWith = '>=1.0.0'): Manifest {
  const image = (cls: SlotClass): ManifestImage => {
    const { imageId, rawBytes, rawSha256, release: now } = sealOf(cls, counter);
    const chunks = { chunkBytes: 100, chunks: 1, compressedBytes: 50, indexBytes: 10 };
    const runsWith = cls === 'storage' ? storageRunsWith : '>=1.0.0';
    const { version } = now;
    const ids = { imageId, rawBytes, rawSha256, indexSha256: rawSha256 };
    return { name: cls, class: cls, version, counter, ...ids, ...chunks, runsWith };
  };
  return {
    format: 1,
    product: PRODUCT,
    hardware: ['bench'],
    version: `${counter}.0.0`,
    releaseCounter: counter,
    from: '>=1.0.0',
    blocked: [],
    minUpdater: '0.0.1',
    pair: { protocol: [1, 1], sideBySide: '>=1.0.0' },
    requires: [],
    images: [image('system'), image('storage')],
  };
}

export function nodeRecord(node: NodeId, change: Partial<NodeRecord> = {}): NodeRecord {
  return {
    ...firstNodeRecord({
      node,
      pair: 'pair-1',
      bootId: `${node}1`,
      booted: 'A',
      state: { default: 'A', trialId: 0 },
    }),
    generation: { current: 'g', base: null, history: [] },
    ...change,
  };
}

export const POLICY: Policy = {
  order: 'active-first',
  onSecondFailure: 'hold',
  retries: 0,
  soakS: 1,
  tries: 2,
  deadmanS: 600,
};

export function rolloutRecord(change: Partial<RolloutRecord> = {}): RolloutRecord {
  const plain = { from: { system: null, storage: null }, skip: false, attempts: 0, log: [] };
  return {
    schema: 1,
    id: 'update-1',
    kind: 'update',
    to: targetOf('>=1.0.0'),
    first: 'A',
    policy: POLICY,
    writer: { epoch: 1, seq: 1 },
    phase: 'STAGE',
    nodes: { A: plain, B: plain },
    soak: null,
    abort: null,
    result: null,
    startedAt: '2026-01-01T00:00:00.000Z',
    phaseAt: '2026-01-01T00:00:00.000Z',
    estimateS: null,
    finalized: false,
    ...change,
  };
}

/** What the rollout brings; its storage software runs under these systems. */
export function targetOf(storageRunsWith: string): RolloutTarget {
  return {
    bundle: BUNDLE,
    bytes: BUNDLE_BYTES,
    product: PRODUCT,
    version: '2.0.0',
    counter: 2,
    images: [
      { name: 'system', class: 'system', release: release('system', 2), runsWith: '>=1.0.0' },
      {
        name: 'storage',
        class: 'storage',
        release: release('storage', 2),
        runsWith: storageRunsWith,
      },
    ],
  };
}

export const JOB: Job = {
  rollout: 'update-1',
  bundle: BUNDLE,
  attempt: 1,
  mode: 'install',
  targets: [
    { class: 'system', slot: 'B', image: 'system', release: release('system', 2) },
    { class: 'storage', slot: 'B', image: 'storage', release: release('storage', 2) },
  ],
  storageRunsUnderOld: true,
};

export const TRIAL: Trial = { id: 1, slot: 'B', rollout: 'update-1', tries: 2, deadmanS: 600 };

/** An update state of the job above; `bootId` is that of the trial's boot. */
export function updateOf(state: NodeUpdate['state']): NodeUpdate {
  const bootId = 'A2';
  const reason = { code: 'health.check', message: 'it is bad' } as const;
  switch (state) {
    case 'idle':
      return { state };
    case 'installing':
    case 'installed':
      return { ...JOB, state };
    case 'arming':
    case 'committed':
      return { ...JOB, state, trial: TRIAL };
    case 'rebooting':
      return { ...JOB, state, trial: TRIAL, bootId: 'A1' };
    case 'trial':
    case 'healthy':
    case 'committing':
      return { ...JOB, state, trial: TRIAL, bootId };
    case 'reverting':
    case 'reverted':
      return { ...JOB, state, trial: TRIAL, reason };
    case 'failed':
      return { ...JOB, state, reason };
  }
}

export const BOOT: BootInfo = { bootId: 'A1', slot: 'A', reason: 'default', attempt: 0 };
export const BOOT_STATE: BootState = {
  seq: 1,
  default: 'A',
  trial: null,
  trialId: 0,
  tries: 0,
  otherOk: false,
};
/** The boot chooser with the trial above armed, and the boot that tries it. */
export const ARMED: BootState = { ...BOOT_STATE, seq: 2, trial: 'B', trialId: 1, tries: 2 };
export const TRIAL_BOOT: BootInfo = { bootId: 'A2', slot: 'B', reason: 'trial', attempt: 1 };

export function storeStatus(role: StoreStatus['role'], change: Partial<StoreStatus> = {}) {
  return {
    role,
    epoch: 1,
    connected: true,
    local: 'current',
    peer: role === 'primary' ? 'current' : 'unknown',
    frozen: false,
    splitBrain: false,
    sync: null,
    lastSync: null,
    generation: { current: 'g', base: null, history: [] },
    protocol: [1, 1],
    ...change,
  } as const satisfies StoreStatus;
}

export const SEALS: Seals = {
  system: { A: sealOf('system', 1), B: null },
  storage: { A: sealOf('storage', 1), B: null },
};

export interface StateChange {
  readonly record?: Partial<NodeRecord>;
  readonly rollout?: RolloutRecord | null;
  readonly world?: Partial<World>;
  /** What the peer reports; null = it does not answer. Default: the healthy other half. */
  readonly peer?: Partial<NodeReport> | null;
  readonly peerRecord?: Partial<NodeRecord>;
}

/** The state of a node of the healthy pair. Both hold the same rollout record. */
export function nodeState(node: NodeId, change: StateChange = {}): NodeState {
  const rollout = change.rollout ?? null;
  const plain = plainState(node, rollout);
  const theirs = plainState(peerOf(node), rollout);
  const report: NodeReport | null =
    change.peer === null
      ? null
      : {
          ...reportOf({ ...theirs, record: { ...theirs.record, ...change.peerRecord } }, 1),
          ...change.peer,
        };
  const record = { ...plain.record, ...change.record };
  const linkUp = report !== null;
  return { record, rollout, world: { ...plain.world, peer: report, linkUp, ...change.world } };
}

function plainState(node: NodeId, rollout: RolloutRecord | null): NodeState {
  const active = node === 'A';
  return {
    record: nodeRecord(node),
    rollout,
    world: {
      ...startWorld({
        clock: { ms: 10_000, at: '2026-01-01T00:00:10.000Z' },
        run: `run-${node}`,
        program: '0.1.0',
        boot: { ...BOOT, bootId: `${node}1` },
        bootState: BOOT_STATE,
        system: release('system', 1),
        seals: SEALS,
        depot: [],
        headStartMs: 2000,
      }),
      storage: { slot: 'A', release: release('storage', 1) },
      store: storeStatus(active ? 'primary' : 'secondary'),
      serving: active ? 1 : null,
      linkUp: true,
      met: true,
      admitted: !active,
    },
  };
}
