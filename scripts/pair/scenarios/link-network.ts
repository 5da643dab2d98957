/**
 * Scenario: the network cable between the nodes is cut while the serial line holds. Imports the
 * bench.
 */
import type { Scenario } from '../story.ts';

export default {
  title: 'the network cable is cut: the serial line keeps the peers known, nobody is fenced',
  async play(story) {
    await story.clientWrites();
    await story.cutLink('network');
    await story.status('B', 'hears its peer over one channel', (status) => {
      const channels = status.reform.find((item) => item.channels !== undefined)?.channels ?? [];
      return channels.filter((one) => one.up).length === 1;
    });
    await story.sometime(8, 12);
    await story.restoreLink('network');
    await story.ends({ A: '1.0.0', B: '1.0.0', phase: null });
    const { requests } = story.pair.vms.controller;
    const fenced = requests.filter((one) => one.action === 'off');
    story.expect('nobody was fenced', fenced.length === 0, fenced);
  },
} satisfies Scenario;
