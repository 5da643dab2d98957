/**
 * What a test expects of a search: it was whole, nothing was broken, and it did look at something.
 * Only tests import it.
 */
import type { Test } from 'tap';
import type { Phase } from '../../src/core/records.ts';
import { realCore } from './core.ts';
import { search, type Searched } from './scenario.ts';
import type { Setting } from './settings.ts';

/** Searches a setting with the core as it is, and says how much there was. */
export async function whole(t: Test, setting: Setting): Promise<Searched> {
  const found = search(await realCore(), setting);
  const { byFaults, edges, ends, nodes, quiet, seconds, states, violation } = found;
  const many = `${states} states (${byFaults.join(' + ')}), ${edges} steps, ${nodes} nodes`;
  t.comment(`${many}, ${quiet} quiet ends ${JSON.stringify(ends)}, ${seconds.toFixed(1)} s`);
  t.equal(violation, null, 'nothing is broken and every state leads to a quiet end');
  t.ok(found.whole, 'no state was left out');
  t.equal(byFaults.length, setting.faults + 1);
  const grows = byFaults.every((count, level) => count > (byFaults[level - 1] ?? 0));
  t.ok(grows, 'each further fault leads to more states than the one before');
  t.ok(quiet > 0 && edges > states - 1, 'there are quiet ends, and ways to every state');
  return found;
}

/** Phases that were never reached. */
export const missing = (found: Searched, phases: readonly Phase[]): readonly Phase[] =>
  phases.filter((phase) => !found.phases.includes(phase));
