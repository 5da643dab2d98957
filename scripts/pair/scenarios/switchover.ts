/**
 * Scenario: the service is moved to the other node and back, as before work on a machine. Imports
 * the bench.
 */
import { EXIT } from '../../../src/core/codes.ts';
import { peerOf, type NodeId } from '../../../src/core/model.ts';
import type { Scenario } from '../story.ts';

/** Limit of a client's gap in control boots, which take some 2.2 s: 2 s, and as much for chance. */
const GAP_CONTROLS = 2;

export default {
  title: 'a planned switchover and back: service goes on, and no acknowledged write is lost',
  async play(story) {
    await story.clientWrites();
    await story.sometime(2, 4);
    const from: NodeId = (await story.pair.status('A')).nodes.A.serving ? 'A' : 'B';
    for (const node of [peerOf(from), from]) {
      await story.switchOver(peerOf(node), EXIT.done);
      await story.serves(node);
      await story.reforms();
      await story.sometime(1, 3);
    }
    await story.ends({ A: '1.0.0', B: '1.0.0', phase: null, alarms: [] });
    story.gapAtMost(GAP_CONTROLS);
    const { requests } = story.pair.vms.controller;
    const fenced = requests.filter((one) => one.action === 'off');
    story.expect('nobody was fenced', fenced.length === 0, fenced);
  },
} satisfies Scenario;
