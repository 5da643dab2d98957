/**
 * Scenario: the kernel of the active panics. Imports the bench.
 */
import type { Scenario } from '../story.ts';

export default {
  title: 'the kernel of the active panics: the standby serves, and the other one joins it again',
  async play(story) {
    await story.clientWrites();
    await story.panic('A');
    await story.serves('B');
    await story.ends({ A: '1.0.0', B: '1.0.0', phase: null });
  },
} satisfies Scenario;
