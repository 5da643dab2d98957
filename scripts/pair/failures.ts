/**
 * Stories that several scenarios share: an update whose image fails on the first node. Always
 * holds: the second node is never touched, service goes on, and the pair ends on its old version.
 * Imports core and the story.
 */
import { EXIT } from '../../src/core/codes.ts';
import type { ApplianceVariant } from '../appliance/variants.ts';
import { failing } from './releases.ts';
import type { Scenario } from './story.ts';

/** For stories in which the watchdog has to act, twice perhaps; a boot takes a third of it. */
export const QUICK_WATCHDOG = { watchdogS: 60 } as const;

/** An update with this system image, which fails on the first node. */
export function failsOnFirst(
  variant: ApplianceVariant,
  what: string,
  settings: NonNullable<Scenario['settings']> = {},
): Scenario {
  return {
    title: `${what}: the first node falls back, the pair stays at its version`,
    settings,
    needs: [failing(variant)],
    async play(story) {
      await story.clientWrites();
      const before = story.pair.vms.machines.B.boots;
      const update = await story.update(failing(variant));
      await update.ends(EXIT.activeFailed);
      await story.ends({ A: '1.0.0', B: '1.0.0', phase: 'FAILED' });
      const { boots } = story.pair.vms.machines.B;
      story.expect('the second node was left alone', boots === before, boots);
    },
  };
}
