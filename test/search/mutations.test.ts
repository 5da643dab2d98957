/**
 * The search finds broken rules: each rule that is broken on purpose is found, with the verdict
 * that belongs to it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { changedCore } from './core.ts';
import { MUTATIONS } from './mutations.ts';
import { search } from './scenario.ts';

for (const { name, changes, scenario, verdict } of MUTATIONS) {
  t.test(name, async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'tandem-search-'));
    t.teardown(() => rmSync(dir, { recursive: true }));
    const core = await changedCore(dir, changes);
    for (let faults = 0; faults <= scenario.faults; faults++) {
      const { violation, states, seconds } = search(core, { ...scenario, faults });
      if (violation === null) continue;
      const how = `${faults} faults, ${states} states, ${seconds.toFixed(1)} s`;
      if (process.env['SEARCH_TRACE'] !== undefined) t.comment(violation.trace.join('\n'));
      t.comment(`${violation.what} (${how}, ${violation.trace.length} steps)`);
      t.match(violation.what, verdict);
      return;
    }
    t.fail('the broken rule was not found');
  });
}
