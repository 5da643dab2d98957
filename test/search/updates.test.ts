/**
 * Every state of a pair during an update with one fault, for every setting: nothing is ever broken
 * and from every state a quiet end is reached.
 */
import t from 'tap';
import { realCore } from './core.ts';
import { search } from './scenario.ts';
import { updates } from './settings.ts';

const core = await realCore();

for (const setting of updates(1)) {
  t.test(setting.name, async (t) => {
    const found = search(core, setting);
    const { violation, ...counts } = found;
    t.comment(JSON.stringify(counts));
    t.equal(violation, null);
    t.ok(found.whole, 'no state was left out');
    t.equal(found.byFaults.length, 2);
    t.ok(found.byFaults.every((states) => states > 0));
    t.ok(found.quiet > 0);
    t.ok((found.ends['DONE'] ?? 0) > 0);
  });
}
