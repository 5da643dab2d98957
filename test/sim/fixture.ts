/**
 * What a simulated pair begins with: the durable state of a new appliance, and the first record of
 * a rollout. Only tests import it.
 */
import type { NodeId, Sha256 } from '../../src/core/model.ts';
import { peerOf } from '../../src/core/model.ts';
import type { NodeRecord, Policy, RolloutRecord } from '../../src/core/records.ts';
import { release, seal, type Disk, type Faults } from './appliance.ts';

export const BUNDLE = 'c'.repeat(64) as Sha256;

export interface PairOptions {
  readonly faults?: Faults;
  readonly policy?: Partial<Policy>;
  /** Policy for a peer that is not heard; `manual` when not given. */
  readonly takeover?: 'manual' | 'fence';
  /** How a fence ends; `off` when not given. */
  readonly fence?: 'off' | 'failed';
  readonly newStorage?: number;
  /** Ticks that a resync of the storage takes; one when not given. */
  readonly syncTicks?: number;
  /** Which systems the new storage software runs under. */
  readonly storageRunsWith?: string;
}

export interface Replica {
  role: 'primary' | 'secondary';
  epoch: number;
  /** Acknowledged writes that this copy holds. */
  writes: number;
  stale: boolean;
  /** Ticks that a resync of this copy has taken. */
  synced: number;
  alone: boolean;
}

export const fresh = (): Replica => ({
  role: 'secondary',
  epoch: 1,
  writes: 0,
  stale: false,
  synced: 0,
  alone: false,
});

export function disk(node: NodeId): Disk {
  const record: NodeRecord = {
    schema: 1,
    node,
    pair: 'p',
    bootId: '',
    role: { epoch: 1, holder: 'A', peerMayTakeOver: true },
    standDown: null,
    knownStale: false,
    generation: { current: 'g', base: null, history: [] },
    slots: { booted: 'A', default: 'A', trial: null, outcome: 'none', reason: null },
    storage: { current: 'A', previous: null, trial: null, outcome: 'none', reason: null },
    update: { state: 'idle' },
    lastTrialId: 0,
    canRollBack: false,
    featureLevel: 1,
    releaseFloor: 0,
  };
  return {
    record,
    rollout: null,
    boot: { seq: 1, default: 'A', trial: null, trialId: 0, tries: 0, otherOk: false },
    counter: { trialId: 0, used: 0 },
    seals: {
      system: { A: seal('system', 1, '>=1.0.0'), B: null },
      storage: { A: seal('storage', 1, '>=1.0.0'), B: null },
    },
    depot: [],
  };
}

/** The rollout record as the daemon makes it from a validated bundle. */
export function firstRecord(
  kind: RolloutRecord['kind'],
  ms: number,
  holder: NodeId,
  options: PairOptions,
): RolloutRecord {
  const order = options.policy?.order ?? 'active-first';
  const first = order === 'active-first' ? holder : peerOf(holder);
  const plain = { from: { system: null, storage: null }, skip: false, attempts: 0, log: [] };
  return {
    schema: 1,
    id: `${kind}-${ms}`,
    kind,
    to: {
      bundle: BUNDLE,
      bytes: 1,
      product: 'sim',
      version: '2.0.0',
      counter: 2,
      images: [
        { name: 'system', class: 'system', release: release('system', 2), runsWith: '>=1.0.0' },
        {
          name: 'storage',
          class: 'storage',
          release: release('storage', options.newStorage ?? 2),
          runsWith: options.storageRunsWith ?? '>=1.0.0',
        },
      ],
    },
    first,
    policy: {
      order,
      onSecondFailure: 'hold',
      retries: 1,
      soakS: 1,
      tries: 2,
      deadmanS: 600,
      ...options.policy,
    },
    writer: { epoch: 0, seq: 0 },
    phase: 'STAGE',
    nodes: { A: plain, B: plain },
    soak: null,
    abort: null,
    result: null,
    startedAt: '',
    phaseAt: '',
    estimateS: null,
    finalized: false,
  };
}
