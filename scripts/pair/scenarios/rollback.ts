/**
 * Scenario: an operator takes an updated pair back to its old version. Imports the bench.
 */
import { EXIT } from '../../../src/core/codes.ts';
import { SECOND } from '../releases.ts';
import type { Scenario } from '../story.ts';

export default {
  title: 'an updated pair is taken back to its old version',
  needs: [SECOND],
  async play(story) {
    await story.clientWrites();
    await (await story.update(SECOND)).ends(EXIT.done);
    await story.reforms();
    story.tell('rollback');
    const words = ['rollback', '--wait', '--yes', '--json', '--timeout', '1500'];
    await story.follow(story.pair.tandem('A', ...words)).ends(EXIT.done);
    await story.ends({ A: '1.0.0', B: '1.0.0', phase: 'DONE' });
  },
} satisfies Scenario;
