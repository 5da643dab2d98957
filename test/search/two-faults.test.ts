/**
 * Every state of a pair with two faults, in the settings that `npm test` has time for; all others:
 * `npm run search`.
 */
import t from 'tap';
import { withTwoFaults } from './settings.ts';
import { missing, whole } from './whole.ts';

for (const setting of withTwoFaults()) {
  t.test(setting.name, async (t) => {
    const found = await whole(t, setting);
    if (setting.begin === 'none') return;
    t.strictSame(missing(found, ['DONE', 'FAILED', 'HOLD_MIXED', 'ROLLED_BACK', 'CANCELLED']), []);
  });
}
