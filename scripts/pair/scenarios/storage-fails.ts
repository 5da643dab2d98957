/**
 * Scenario: the new storage software is not healthy on the first node. Imports the bench.
 */
import { EXIT } from '../../../src/core/codes.ts';
import { SECOND } from '../releases.ts';
import type { Scenario } from '../story.ts';

export default {
  title: 'the new storage software is not healthy: system and storage go back',
  needs: [{ ...SECOND, storage: 'unhealthy' }],
  async play(story) {
    await story.clientWrites();
    const update = await story.update({ ...SECOND, storage: 'unhealthy' });
    await update.ends(EXIT.storageFailed);
    await story.ends({ A: '1.0.0', B: '1.0.0', phase: 'FAILED' });
  },
} satisfies Scenario;
