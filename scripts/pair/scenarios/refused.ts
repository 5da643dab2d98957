/**
 * Scenario: bundles that must not be installed are refused for their reason, and nothing reboots.
 * Imports the bench.
 */
import { EXIT } from '../../../src/core/codes.ts';
import { FIRST, SECOND } from '../releases.ts';
import type { Scenario } from '../story.ts';

export default {
  title: 'bundles that are damaged, untrusted, of this version or without a path are refused',
  needs: [SECOND],
  async play(story) {
    await story.clientWrites();
    const damaged = await story.update(SECOND, { spoiling: 'damage' });
    await damaged.ends(EXIT.bundleDamaged);
    const untrusted = await story.update(SECOND, { spoiling: 'foreign-key', on: 'B' });
    await untrusted.ends(EXIT.untrusted);
    const same = await story.update({ ...FIRST, from: '>=0.9.0 <2.0.0' });
    await same.ends(EXIT.sameOrNewer);
    const third = { ...SECOND, version: '3.0.0', counter: 3, from: '>=2.0.0 <3.0.0' };
    const noPath = await story.update(third);
    await noPath.ends(EXIT.noPath);
    await story.ends({ A: '1.0.0', B: '1.0.0', phase: null });
    const { A, B } = story.pair.vms.machines;
    story.expect('no node has booted', A.boots === 1 && B.boots === 1, [A.boots, B.boots]);
  },
} satisfies Scenario;
