/**
 * Scenario: an operator cancels an update while the first node installs. Imports the bench.
 */
import { EXIT } from '../../../src/core/codes.ts';
import { SECOND } from '../releases.ts';
import type { Scenario } from '../story.ts';

export default {
  title: 'an operator cancels while the first node installs: nothing was changed',
  needs: [SECOND],
  async play(story) {
    await story.clientWrites();
    const update = await story.update(SECOND);
    await update.phase('INSTALL1');
    const { rollout } = await story.pair.status('B');
    story.tell('an operator cancels');
    const { exit } = await story.pair.tandem('B', 'job', 'cancel', rollout?.id ?? '').done;
    story.expect('the cancel is taken', exit === EXIT.done, exit);
    await update.ends(EXIT.cancelled);
    await story.ends({ A: '1.0.0', B: '1.0.0', phase: 'CANCELLED' });
  },
} satisfies Scenario;
