/**
 * What the search leaves out of a node, so that states which the machine cannot tell apart are one:
 * counters of trials that are over, what only people read, times between events, and the fields of
 * a peer's report that the machine never reads. That it never reads those is a test of its own
 * (`reduce.test.ts`). Only tests import it.
 */
import type { BootCounter } from '../../src/core/boot.ts';
import type { NodeRecord } from '../../src/core/records.ts';
import type { NodeReport, Seals } from '../../src/core/report.ts';
import type { World } from '../../src/core/state.ts';
import { STORE_UNKNOWN } from '../../src/core/store.ts';
import type { Parts } from './site.ts';

/** Times are only ever compared within one event. */
export const NOW = { ms: 0, at: '' };

/**
 * The parts without what nobody looks at any more: counters of trials that are over, and outcomes
 * in the record that only people read.
 */
export function plain(parts: Parts): Parts {
  const { boot, counter, healthy, record } = parts;
  const open = boot.trial !== null;
  const counts = open && counter.trialId === boot.trialId;
  const { slots, storage } = record;
  const bare = slots.outcome === 'none' && slots.reason === null && slots.trial === null;
  const dull = storage.outcome === 'none' && storage.reason === null;
  return {
    ...parts,
    counter: counts ? counter : NO_COUNTER,
    healthy: open && healthy === boot.trialId ? healthy : 0,
    record:
      bare && dull
        ? record
        : {
            ...record,
            slots: { ...slots, trial: null, outcome: 'none', reason: null },
            storage: { ...storage, outcome: 'none', reason: null },
          },
  };
}

const NO_COUNTER: BootCounter = { trialId: 0, used: 0 };
const NO_SEALS: Seals = { system: { A: null, B: null }, storage: { A: null, B: null } };

/**
 * A report with the fields that the machine never reads in a peer's report made equal, so that they
 * do not tell states apart.
 */
export function readPart(report: NodeReport): NodeReport {
  const { record } = report;
  const { slots } = record;
  return {
    ...report,
    system: null,
    seals: NO_SEALS,
    store: STORE_UNKNOWN,
    boot: { ...report.boot, bootId: '', reason: 'default', attempt: 0 },
    record: {
      ...record,
      bootId: '',
      slots: { ...slots, booted: 'A', trial: null, outcome: 'none', reason: null },
      storage: { current: 'A', previous: null, trial: null, outcome: 'none', reason: null },
      lastTrialId: 0,
      update: withoutBoot(record.update),
    },
  };
}

function withoutBoot(update: NodeRecord['update']): NodeRecord['update'] {
  return 'bootId' in update ? { ...update, bootId: '' } : update;
}

/** Times have no meaning between events: what is over is said by the next tick. */
export function atRest(world: World): World {
  const { linkLostMs } = world;
  return {
    ...world,
    clock: NOW,
    linkLostMs: linkLostMs === null ? null : 0,
    peerHeardMs: 0,
    phaseSinceMs: 0,
    driverHeardMs: 0,
  };
}
