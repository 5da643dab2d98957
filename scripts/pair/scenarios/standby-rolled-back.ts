/**
 * Scenario: the new system fails on the second node alone, and the policy is to go back. Imports
 * the bench.
 */
import { EXIT } from '../../../src/core/codes.ts';
import { SHORT_POLICY } from '../appliance-pair.ts';
import { failing } from '../releases.ts';
import type { Scenario } from '../story.ts';

export default {
  title: 'the second node fails: both return to the old version, as the policy says',
  settings: { policy: { ...SHORT_POLICY, onSecondFailure: 'rollback' } },
  needs: [failing('unhealthy-on-B')],
  async play(story) {
    await story.clientWrites();
    const update = await story.update(failing('unhealthy-on-B'));
    await update.ends(EXIT.standbyFailed);
    await story.ends({ A: '1.0.0', B: '1.0.0', phase: 'ROLLED_BACK' });
  },
} satisfies Scenario;
