/**
 * Scenario: the new kernel panics a minute after its start, while the first node is watched.
 * Imports the bench.
 */
import { SHORT_POLICY } from '../appliance-pair.ts';
import { EXIT } from '../../../src/core/codes.ts';
import { failing } from '../releases.ts';
import type { Scenario } from '../story.ts';

export default {
  title: 'the new kernel panics a minute after its start: found in the soak, the pair goes back',
  settings: { policy: { ...SHORT_POLICY, soakS: 90 } },
  needs: [failing('panic')],
  async play(story) {
    await story.clientWrites();
    const update = await story.update(failing('panic'));
    await update.ends(EXIT.activeFailed);
    await story.reforms();
    const { rollout } = await story.pair.status('A');
    const phase = rollout?.phase ?? '';
    story.expect('the pair went back', phase === 'FAILED' || phase === 'ROLLED_BACK', phase);
    await story.ends({ A: '1.0.0', B: '1.0.0', phase });
  },
} satisfies Scenario;
