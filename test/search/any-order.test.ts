/**
 * Every order of the steps of an update, however slow one of them is; and that the search leaves
 * nothing out of a peer's report that the machine reads.
 */
import t from 'tap';
import { realCore } from './core.ts';
import { inAnyOrder } from './settings.ts';
import { unread } from './unread.ts';
import { whole } from './whole.ts';

for (const setting of inAnyOrder()) {
  t.test(setting.name, async (t) => {
    const found = await whole(t, setting);
    t.strictSame(Object.keys(found.ends), ['DONE']);
  });
}

t.test('what the search leaves out of a report is never read', async (t) => {
  const { states, read } = unread(await realCore());
  t.ok(states > 1000, `${states} nodes that have heard their peer`);
  t.strictSame(read, []);
});
