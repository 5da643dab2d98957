/**
 * Checks what `reduce.ts` takes for granted: a node decides and acts the same whatever the fields
 * of its peer's report hold that the search leaves out. Only tests import it.
 */
import type { NodeReport } from '../../src/core/report.ts';
import type { NodeState } from '../../src/core/state.ts';
import { STORE_UNKNOWN } from '../../src/core/store.ts';
import type { Core } from './core.ts';
import { Interner } from './intern.ts';
import { sitesOf } from './scenario.ts';
import type { Site } from './site.ts';
import { sealFor } from './work.ts';

/** Another report that the search takes for the same one. */
function otherwise(report: NodeReport): NodeReport {
  const { record } = report;
  const release = { product: 'p', class: 'system', version: '7.0.0', counter: 7 } as const;
  const reason = { code: 'health.storage', message: '' } as const;
  const seal = sealFor({ class: 'system', release });
  const trial = { id: 7, slot: 'B', rollout: 'x', tries: 7, deadmanS: 7 } as const;
  const { update } = record;
  return {
    ...report,
    system: release,
    seals: { system: { A: seal, B: seal }, storage: { A: seal, B: seal } },
    store: { ...STORE_UNKNOWN, role: 'primary', connected: true, local: 'stale', frozen: true },
    boot: { ...report.boot, bootId: 'x', reason: 'fallback', attempt: 7 },
    record: {
      ...record,
      bootId: 'x',
      slots: { ...record.slots, booted: 'B', trial, outcome: 'reverted', reason },
      storage: { current: 'B', previous: 'A', trial: null, outcome: 'committed', reason },
      lastTrialId: 7,
      update: 'bootId' in update ? { ...update, bootId: 'x' } : update,
    },
  };
}

/** Everything that a node makes of its state, as one number. */
function answers(core: Core, values: Interner, s: NodeState, as: NodeReport): number {
  const { settle, effectsOf, step } = core.machine;
  const heard = (next: NodeState | undefined): object | null =>
    next === undefined ? null : { ...next, world: { ...next.world, peer: as } };
  const tick = step(s, { type: 'tick' }, { ms: 1e12, at: '' });
  return values.id([
    heard(settle(s)),
    heard(tick === undefined ? undefined : settle(tick)),
    effectsOf(s),
    core.report.reportOf(s, 0),
  ]);
}

/** How many nodes were looked at, and which of them read what they should not. */
export function unread(core: Core): { readonly states: number; readonly read: readonly string[] } {
  const values = new Interner();
  const read: string[] = [];
  let states = 0;
  const look = ({ node, record, rollout, world }: Site): void => {
    if (world === null || world.peer === null) return;
    states++;
    const { peer } = world;
    const plain = answers(core, values, { record, rollout, world }, peer);
    const changed = { ...world, peer: otherwise(peer) };
    const other = answers(core, values, { record, rollout, world: changed }, peer);
    if (plain !== other) read.push(`node ${node} in ${rollout?.phase}: ${record.update.state}`);
  };
  for (const site of sitesOf(core)) look(site);
  return { states, read };
}
