/**
 * Scenario: the standby is lost and the power controller refuses to switch it off. Imports the
 * bench.
 */
import type { Scenario } from '../story.ts';

export default {
  title: 'the power controller refuses: the active freezes with an alarm, until its peer is back',
  async play(story) {
    await story.clientWrites();
    story.controller('refuses');
    await story.freeze('B');
    await story.status('A', 'is frozen, with an alarm', (status) => {
      return status.state === 'FROZEN' && status.alarms.some(({ code }) => code === 'pair.frozen');
    });
    await story.sometime(2, 5);
    await story.thaw('B');
    story.controller('works');
    await story.ends({ A: '1.0.0', B: '1.0.0', phase: null });
  },
} satisfies Scenario;
