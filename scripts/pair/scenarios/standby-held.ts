/**
 * Scenario: the new system fails on the second node alone, and the policy is to hold. Imports the
 * bench.
 */
import { EXIT } from '../../../src/core/codes.ts';
import { failing } from '../releases.ts';
import type { Scenario } from '../story.ts';

export default {
  title: 'the second node fails and goes back by itself; the pair is held in two versions',
  needs: [failing('unhealthy-on-B')],
  async play(story) {
    await story.clientWrites();
    const update = await story.update(failing('unhealthy-on-B'));
    await update.ends(EXIT.standbyFailed);
    await story.ends({ A: '2.0.0', B: '1.0.0', phase: 'HOLD_MIXED' });
  },
} satisfies Scenario;
