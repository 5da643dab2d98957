/**
 * Stories of power cuts and lost links in the middle of an update, at a moment that the seed draws.
 * Always holds: the pair ends highly available on versions that the end of its rollout allows,
 * whatever was struck and when. Imports core and the story.
 */
import { NODES } from '../../src/core/model.ts';
import { SECOND } from './releases.ts';
import type { Scenario, Story, Which } from './story.ts';

/** Phases that are long enough for something to happen in them. */
export const LONG_PHASES: readonly string[] = [
  'STAGE',
  'INSTALL1',
  'DRAIN1',
  'ACT1',
  'TRIAL1',
  'HAND1',
  'INSTALL2',
  'ACT2',
];

/** Waits for the end of the rollout and judges the versions by it. */
async function endsWell(story: Story): Promise<void> {
  await story.reforms();
  const { rollout } = await story.pair.status('A');
  const phase = rollout?.phase ?? null;
  const to = phase === 'DONE' ? '2.0.0' : '1.0.0';
  const good = ['DONE', 'FAILED', 'ROLLED_BACK', 'CANCELLED', 'HOLD_MIXED', null].includes(phase);
  story.expect('the rollout has ended', good, phase);
  if (phase === 'HOLD_MIXED') await story.clientEnds();
  else await story.ends({ A: to, B: to, phase });
}

/** The power of one node or of both is cut, and comes back. */
export function cutInUpdate(which: Which): Scenario {
  const whose = which === 'both' ? 'both nodes' : `node ${which}`;
  return {
    title: `the power of ${whose} is cut in the middle of an update, and comes back`,
    needs: [SECOND],
    async play(story) {
      await story.clientWrites();
      const phase = story.oneOf(LONG_PHASES);
      const update = await story.update(SECOND, { on: which === 'A' ? 'B' : 'A' });
      await update.phase(phase);
      await story.sometime(0, 4);
      await story.cutPower(which);
      await story.sometime(1, 4);
      // A fencer may have been faster.
      await story.restorePower(which);
      await endsWell(story);
    },
  };
}

/**
 * Both cables between the nodes are cut in the middle of an update, and are whole again; in this
 * phase, or in one that the seed draws.
 */
export function linkLostInUpdate(named?: string): Scenario {
  const when = named === undefined ? 'in the middle of an update' : `in the phase ${named}`;
  return {
    title: `the link is lost ${when}, and comes back`,
    needs: [SECOND],
    async play(story) {
      await story.clientWrites();
      const phase = named ?? story.oneOf(LONG_PHASES);
      const update = await story.update(SECOND, { on: story.oneOf(NODES) });
      await update.phase(phase);
      await story.sometime(0, 4);
      await story.cutLink();
      await story.sometime(3, 15);
      await story.restoreLink();
      await endsWell(story);
    },
  };
}
