/**
 * Scenario: one bundle with kernel, root file system and storage software updates both nodes while
 * a client works. Imports the bench.
 */
import { EXIT } from '../../../src/core/codes.ts';
import { NODES } from '../../../src/core/model.ts';
import { SECOND } from '../releases.ts';
import type { Scenario } from '../story.ts';

/** Processor of both nodes in control boots, which take some 2.2 s: 150 s with both at work. */
const UPDATE_CONTROLS = 140;

export default {
  title: 'one bundle updates both nodes, and no acknowledged write is lost',
  needs: [SECOND],
  async play(story) {
    await story.clientWrites();
    const update = await story.update(SECOND);
    const limit = { nodes: NODES, controls: UPDATE_CONTROLS };
    await story.within('update of both nodes', limit, () => update.ends(EXIT.done));
    await story.ends({ A: '2.0.0', B: '2.0.0', phase: 'DONE', alarms: [] });
    for (const node of NODES) {
      const { nodes } = await story.pair.status(node);
      const slot = nodes[node].slots.find((one) => one.class === 'system' && one.slot === 'B');
      story.expect(`node ${node} runs slot B`, slot?.state === 'booted' && slot.default, slot);
      const root = await story.pair.shell(node, 'cat /proc/mounts');
      story.expect(`the kernel of node ${node} has it, too`, /^\/dev\/vda5 \/ /m.test(root), root);
    }
    // By itself, on the appliance, as a technician would over SSH.
    const words = await story.pair.shell('B', 'tandem status');
    story.expect('the command line on the appliance answers', words.includes('HEALTHY'), words);
  },
} satisfies Scenario;
