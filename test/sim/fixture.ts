/**
 * What a simulated pair begins with: the durable state of a new appliance, and the first record of
 * a rollout. Only tests import it.
 */
import type { NodeId, Sha256 } from '../../src/core/model.ts';
import { peerOf } from '../../src/core/model.ts';
import type { NodeRecord, Policy, RolloutRecord } from '../../src/core/records.ts';
import { firstNodeRecord } from '../../src/core/start.ts';
import { newGeneration } from '../../images/storage/generation.ts';
import { release, seal, type Disk, type Faults } from './appliance.ts';

/** Identity of the bundle that brings this release. */
export const bundleOf = (counter: number): Sha256 => `${counter}`.padStart(64, 'c') as Sha256;
export const BUNDLE = bundleOf(2);

export interface PairOptions {
  readonly faults?: Faults;
  readonly policy?: Partial<Policy>;
  /** Policy for a peer that is not heard; `manual` when not given. */
  readonly takeover?: 'manual' | 'fence';
  /** How a fence ends; `off` when not given. */
  readonly fence?: 'off' | 'failed';
  readonly newStorage?: number;
  /** Which systems the new storage software runs under. */
  readonly storageRunsWith?: string;
  /** How long an image takes to be written. */
  readonly installMs?: number;
  /** Ticks that a sync of the storage takes at least. */
  readonly syncTicks?: number;
  /** The nodes have a serial line beside the network. */
  readonly serial?: boolean;
  /** Messages cross as JSON text and are read as those of a peer are. */
  readonly text?: boolean;
  /** Seed of what the disks make of cuts. */
  readonly seed?: number;
  /** How long things take is left to these numbers; else everything takes the same short time. */
  readonly chance?: () => number;
}

export function disk(node: NodeId): Disk {
  const state = { default: 'A', trialId: 0 } as const;
  const first = firstNodeRecord({ node, pair: 'p', bootId: '', booted: 'A', state });
  const record: NodeRecord = { ...first, generation: newGeneration() };
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
  counter = 2,
): RolloutRecord {
  const order = options.policy?.order ?? 'active-first';
  const first = order === 'active-first' ? holder : peerOf(holder);
  const plain = { from: { system: null, storage: null }, skip: false, attempts: 0, log: [] };
  return {
    schema: 1,
    id: `${kind}-${ms}`,
    kind,
    to: {
      bundle: bundleOf(counter),
      bytes: 1,
      product: 'sim',
      version: release('system', counter).version,
      counter,
      images: [
        {
          name: 'system',
          class: 'system',
          release: release('system', counter),
          runsWith: '>=1.0.0',
        },
        {
          name: 'storage',
          class: 'storage',
          release: release('storage', options.newStorage ?? counter),
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
