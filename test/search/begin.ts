/**
 * How a search begins: two nodes as the factory leaves them, the record of an update, and that of a
 * rollback. Only tests import it.
 */
import type { NodeId, Release, Sha256, SlotClass, SlotSeal } from '../../src/core/model.ts';
import { peerOf } from '../../src/core/model.ts';
import type { NodeRecord, Order, Policy } from '../../src/core/records.ts';
import type { RolloutImage, RolloutRecord } from '../../src/core/records.ts';
import { firstNodeRecord } from '../../src/core/start.ts';
import { FRESH } from './replica.ts';
import type { Site, Sites } from './site.ts';
import { sealFor } from './work.ts';

const DIGEST = 'c'.repeat(64) as Sha256;

/** What a rollout is told. */
export interface Plan {
  readonly order: Order;
  /** Systems that the new storage software runs under; null = no storage in the bundle. */
  readonly storageRunsWith: string | null;
  readonly onSecondFailure?: Policy['onSecondFailure'];
  readonly retries?: number;
}

function firstRecord(node: NodeId): NodeRecord {
  const state = { default: 'A', trialId: 0 } as const;
  const first = firstNodeRecord({ node, pair: 'p', bootId: '', booted: 'A', state });
  return { ...first, generation: { current: 'g', base: null, history: [] } };
}

const releaseOf = (cls: SlotClass, counter: number): Release => ({
  product: 'p',
  class: cls,
  version: `${counter}.0.0`,
  counter,
});

const imageOf = (cls: SlotClass, runsWith: string): RolloutImage => ({
  name: cls,
  class: cls,
  release: releaseOf(cls, 2),
  runsWith,
});

const sealOf = (cls: SlotClass): SlotSeal => ({
  ...sealFor({ class: cls, release: releaseOf(cls, 1) }),
  committed: 0,
});

/** A node that was never on, with version 1; node A has the bundle. */
export function firstSite(sites: Sites, node: NodeId): Site {
  return sites.make({
    node,
    busy: false,
    record: firstRecord(node),
    rollout: null,
    world: null,
    boot: { seq: 1, default: 'A', trial: null, trialId: 0, tries: 0, otherOk: false },
    counter: { trialId: 0, used: 0 },
    seals: {
      system: { A: sealOf('system'), B: null },
      storage: { A: sealOf('storage'), B: null },
    },
    depot: node === 'A' ? [DIGEST] : [],
    storage: null,
    serves: false,
    copy: FRESH,
    ops: { service: null, slots: null, storage: null, fetch: null, fence: null },
    healthy: 0,
  });
}

/** The record of an update to version 2; `active` serves when it begins. */
export function updateOf(plan: Plan, active: NodeId): RolloutRecord {
  const { order, storageRunsWith, retries = 1, onSecondFailure = 'hold' } = plan;
  const plain = { from: { system: null, storage: null }, skip: false, attempts: 0, log: [] };
  const images = [imageOf('system', '>=1.0.0')];
  if (storageRunsWith !== null) images.push(imageOf('storage', storageRunsWith));
  return {
    schema: 1,
    id: 'update',
    kind: 'update',
    to: { bundle: DIGEST, bytes: 1, product: 'p', version: '2.0.0', counter: 2, images },
    first: order === 'active-first' ? active : peerOf(active),
    policy: { order, onSecondFailure, retries, soakS: 1, tries: 2, deadmanS: 1e6 },
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

/** The record of the way back to version 1 (src/daemon/plan.ts). */
export function rollbackOf(plan: Plan, active: NodeId): RolloutRecord {
  const update = updateOf(plan, active);
  const to = { ...update.to, version: '1.0.0', counter: 1, images: [] };
  return { ...update, id: 'rollback', kind: 'rollback', to };
}
