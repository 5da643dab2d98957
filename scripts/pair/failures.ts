/**
 * Stories that several scenarios share: an update whose image fails on the first node. Always
 * holds: the second node is never touched, service goes on, and the pair ends on its old version.
 * Imports core and the story.
 */
import { EXIT } from '../../src/core/codes.ts';
import type { ApplianceVariant } from '../appliance/variants.ts';
import { failing } from './releases.ts';
import type { Scenario } from './story.ts';

/**
 * For stories in which the watchdog has to act, twice perhaps: both tries and the way back are then
 * within 110 s. A boot takes a third of it on a quiet computer.
 */
export const QUICK_WATCHDOG = { watchdogS: 40 } as const;
/**
 * Limit of a fallback in control boots, which take some 2.2 s: 45 s with both tries for an image
 * that ends by itself before the service has started.
 */
export const QUICK_FALLBACK = 20;
/** The same for an image that the watchdog has to end each time: 110 s. */
export const WATCHDOG_FALLBACK = 50;

/** What differs between these stories. */
export interface FailureOptions {
  readonly settings?: NonNullable<Scenario['settings']>;
  /** Limit of the fallback in control boots; default: it is not judged. */
  readonly fallback?: number;
}

/** An update with this system image, which fails on the first node. */
export function failsOnFirst(
  variant: ApplianceVariant,
  what: string,
  { settings = {}, fallback }: FailureOptions = {},
): Scenario {
  return {
    title: `${what}: the first node falls back, the pair stays at its version`,
    settings,
    needs: [failing(variant)],
    async play(story) {
      await story.clientWrites();
      const before = story.pair.vms.machines.B.boots;
      const update = await story.update(failing(variant));
      await Promise.all([
        update.ends(EXIT.activeFailed),
        fallback === undefined ? null : story.fallsBack('A', fallback),
      ]);
      await story.ends({ A: '1.0.0', B: '1.0.0', phase: 'FAILED' });
      const { boots } = story.pair.vms.machines.B;
      story.expect('the second node was left alone', boots === before, boots);
    },
  };
}
