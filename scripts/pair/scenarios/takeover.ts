/**
 * Scenario: the system of the active hangs; the standby has it switched off and takes over. Imports
 * the bench.
 */
import type { Scenario } from '../story.ts';

export default {
  title: 'the active hangs: the standby fences it, takes over, and is joined by it again',
  async play(story) {
    await story.clientWrites();
    await story.hangSystem('A');
    await story.serves('B');
    await story.ends({ A: '1.0.0', B: '1.0.0', phase: null });
    const { requests } = story.pair.vms.controller;
    const fenced = requests.filter((one) => one.action === 'off' && one.node === 'A');
    story.expect('A was fenced once', fenced.length === 1, requests);
    const { nodes } = await story.pair.status('A');
    story.expect('A is the standby now', nodes.B.serving && !nodes.A.serving);
  },
} satisfies Scenario;
