/**
 * Preparations for tests: one order, columns in any state. Imports core alone.
 */
import type { NodeId, Sha256 } from '../../src/core/model.ts';
import type { PreparedPlan } from '../../src/core/prepare-plan.ts';
import { newColumn, PREPARE_STAGES } from '../../src/core/prepare.ts';
import type { Preparation, PrepareColumn, PrepareOrder } from '../../src/core/prepare.ts';
import type { PrepareStage, StageStatus } from '../../src/core/prepare.ts';
import { BUNDLE, BUNDLE_BYTES, PRODUCT } from './states.ts';

export const AT = '2026-01-01T00:00:00.000Z';
export const WORD = { by: 'anna', reason: null, at: AT } as const;
export const DIGEST = 'd'.repeat(64) as Sha256;

const planned = { from: { system: null, storage: null }, skip: false, images: [] } as const;
export const PLAN: PreparedPlan = {
  v: 1,
  id: 'prepare-1',
  bundle: BUNDLE,
  bytes: BUNDLE_BYTES,
  product: PRODUCT,
  version: '2.0.0',
  counter: 2,
  options: { order: 'active-first', onSecondFailure: 'hold' },
  nodes: { A: planned, B: planned },
  estimateS: null,
  madeAt: AT,
};

/** An order that nobody said anything about. */
export function prepareOrder(change: Partial<PrepareOrder> = {}): PrepareOrder {
  return {
    id: 'prepare-1',
    bundle: BUNDLE,
    bytes: BUNDLE_BYTES,
    product: PRODUCT,
    version: '2.0.0',
    counter: 2,
    updater: null,
    source: { node: 'A', path: '/good.bin' },
    options: { order: 'active-first', onSecondFailure: 'hold' },
    asked: WORD,
    retry: 0,
    plan: { digest: DIGEST, content: PLAN },
    ignored: { A: null, B: null },
    authorized: null,
    configured: null,
    readyAt: null,
    install: null,
    ended: null,
    writer: { epoch: 1, seq: 1 },
    ...change,
  };
}

/** A column with everything before this stage done, and it in this state; null = all is done. */
export function columnAt(
  at: PrepareStage | null,
  state: StageStatus['state'] = 'waiting',
  change: Partial<PrepareColumn> = {},
): PrepareColumn {
  const plain = newColumn();
  const index = at === null ? PREPARE_STAGES.length : PREPARE_STAGES.indexOf(at);
  const entries = PREPARE_STAGES.map((stage, own): [PrepareStage, StageStatus] => {
    const untouched = plain.stages[stage];
    if (own < index) return [stage, { ...untouched, state: 'done' }];
    if (own > index || state === 'waiting') return [stage, untouched];
    const code = state === 'failed' ? 'space.depot' : null;
    return [stage, { ...untouched, state, tries: 1, code, message: 'found so', at: AT }];
  });
  const plan = index > PREPARE_STAGES.indexOf('plan') ? DIGEST : null;
  const stages = Object.fromEntries(entries) as PrepareColumn['stages'];
  return { ...plain, plan, stages, ...change };
}

/** A preparation of which both nodes are done, unless something else is said. */
export function preparationOf(
  order: Partial<PrepareOrder> = {},
  nodes: Partial<Record<NodeId, PrepareColumn>> = {},
): Preparation {
  const done = { A: columnAt(null), B: columnAt(null) };
  return { v: 1, order: prepareOrder(order), nodes: { ...done, ...nodes } };
}
