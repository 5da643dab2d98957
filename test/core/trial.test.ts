/**
 * What the observed boot means for an armed trial: a boot that fell back to the old slot ends it,
 * but only when it came after the trial was armed. May import tap, core and the makers of states.
 */
import t from 'tap';
import type { BootInfo } from '../../src/core/boot.ts';
import type { NodeRecord } from '../../src/core/records.ts';
import { observeTrial } from '../../src/core/trial.ts';
import { ARMED, BOOT, nodeState, TRIAL, updateOf } from './states.ts';

/** The update state that follows, of a record that was written last in the boot `wroteIn`. */
function after(state: 'arming' | 'rebooting', boot: BootInfo, wroteIn: string): string {
  const update = { ...updateOf(state), ...(state === 'rebooting' ? { bootId: wroteIn } : {}) };
  const record = { bootId: wroteIn, update, lastTrialId: TRIAL.id } as Partial<NodeRecord>;
  const s = nodeState('A', { record, world: { boot, bootState: ARMED } });
  return observeTrial(s)?.update.state ?? 'unchanged';
}

for (const reason of ['attempts-used', 'fallback'] as const) {
  t.test(`${reason}: ends a trial that was armed in an earlier boot`, async (t) => {
    const boot: BootInfo = { ...BOOT, bootId: 'A3', reason };
    t.equal(after('arming', boot, 'A1'), 'reverting');
    t.equal(after('rebooting', boot, 'A1'), 'reverting');
  });

  t.test(`${reason}: says nothing of a trial that was armed in that very boot`, async (t) => {
    const boot: BootInfo = { ...BOOT, bootId: 'A3', reason };
    t.equal(after('arming', boot, 'A3'), 'rebooting');
    t.equal(after('rebooting', boot, 'A3'), 'unchanged');
  });
}

t.test('the boot in which a trial is armed goes on to its reboot', async (t) => {
  t.equal(after('arming', { ...BOOT, bootId: 'A3' }, 'A3'), 'rebooting');
});
