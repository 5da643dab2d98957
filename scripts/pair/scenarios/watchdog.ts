/**
 * Scenario: the daemon of the active hangs and the power controller is silent, so that only the
 * watchdog is left. Imports the bench.
 */
import { QUICK_WATCHDOG } from '../failures.ts';
import type { Scenario } from '../story.ts';

export default {
  title: 'a hung daemon that nobody can switch off is reset by its watchdog',
  settings: QUICK_WATCHDOG,
  async play(story) {
    await story.clientWrites();
    story.controller('refuses');
    await story.hangDaemon('A');
    const { machine } = story.pair.nodes.A;
    await story.until('the watchdog', () => machine.events.ends.includes('watchdog'));
    story.tell('the watchdog has reset node A');
    story.controller('works');
    await story.ends({ A: '1.0.0', B: '1.0.0', phase: null });
  },
} satisfies Scenario;
