/**
 * What a daemon does when the boot loader has lost both copies of the boot state and chose the slot
 * by the seals: it makes the state again from what is still known, and says so loudly. Always
 * holds: a state that can be read is left alone, and so is one that was lost after this boot began
 * from it; no number of a trial is used twice. Imports core, ports and the updater's event log.
 */
import type { Slot } from '../core/model.ts';
import type { Reason } from '../core/records.ts';
import type { Host, ServiceLog, Slots } from '../ports.ts';
import type { EventLog } from '../updater/events.ts';
import { readSeals } from '../updater/execute.ts';

/** Where the rest of a lost boot state is found, and who makes a new one of it. */
export interface LostBootParts {
  readonly host: Host;
  readonly slots: Slots;
  /** Highest number of a trial that the node record knows of; 0 without a record. */
  readonly lastTrialId: number;
  /** Makes the state again if no copy can be read; returns whether it was so. */
  readonly recreate: (remains: {
    readonly slot: Slot;
    readonly trialId: number;
  }) => Promise<boolean>;
  readonly events: Pick<EventLog, 'emit'>;
  readonly log: ServiceLog;
}

/**
 * Makes a lost boot state again after a boot that the seals decided, before anything reads it.
 * Returns the alarm that it was so, or null. Throws `boot.io` when it cannot be written.
 */
export async function mendLostBoot(parts: LostBootParts): Promise<Reason | null> {
  const { slot, reason } = parts.host.boot();
  if (reason !== 'fallback') return null;
  const { A, B } = (await readSeals(parts.slots)).system;
  const trialId = Math.max(parts.lastTrialId, A?.committed ?? 0, B?.committed ?? 0);
  if (!(await parts.recreate({ slot, trialId }))) return null;
  const message =
    `both copies of the boot state were lost; slot ${slot}, which was committed last, runs and ` +
    'is the default again';
  parts.log(`boot.lost: ${message}`, 'error');
  parts.events.emit({ job: null, phase: null, state: 'boot', msg: message, code: 'boot.lost' });
  return { code: 'boot.lost', message };
}
