/**
 * What this node runs, found without a daemon: for a new node that is to have a place in a pair.
 * What cannot be found out is null, never a guess. Imports core, the configuration and the drivers.
 */
import type { Config } from '../config.ts';
import type { Runs } from '../core/replace.ts';
import { readRelease } from './initial.ts';
import { openSlotsOf } from './machine.ts';

/** The system that is booted, and the storage software that the factory put into slot A. */
export async function ownRuns(config: Config): Promise<Runs> {
  const system = await readRelease(config.rootDir);
  try {
    const slots = await openSlotsOf(config, null);
    const { seal } = await slots.info('storage', 'A');
    return { system, storage: seal?.release ?? null };
  } catch {
    // The pair then refuses this node, if it knows what it runs itself.
    return { system, storage: null };
  }
}
