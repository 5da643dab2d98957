/**
 * Every state of a pair during an update or a rollback with one fault: nothing is ever broken, and
 * from every state a quiet end is reached that is what it says. What is searched, and what is taken
 * for granted: docs/ARCHITECTURE.md, "Search".
 */
import t from 'tap';
import { PHASES } from '../../src/core/records.ts';
import { withOneFault } from './settings.ts';
import { missing, whole } from './whole.ts';

/** Phases that an update comes to without a fault on the way back, and the ways back from it. */
const UPDATE = PHASES.filter((phase) => !['VALIDATE', 'PRECHECK', 'FINALIZE'].includes(phase));
/** One fault is not enough for these: the second node is tried again. */
const TWO_FAULTS = new Set(['HOLD_MIXED']);

for (const setting of withOneFault()) {
  t.test(setting.name, async (t) => {
    const found = await whole(t, setting);
    t.ok((found.ends['DONE'] ?? 0) > 0);
    if (setting.begin === 'rollback') return;
    const phases = UPDATE.filter((phase) => !TWO_FAULTS.has(phase));
    t.strictSame(missing(found, phases), [], 'every phase and way back was there');
  });
}
