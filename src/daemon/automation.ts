/**
 * What the section `automation` of the configuration makes of the daemon: hooks with their time
 * limit, the inhibit directory, and what may hold a switch up. Imports the configuration, drivers
 * and the updater.
 */
import type { AutomationConfig } from '../config-automation.ts';
import { DirectoryHooks } from '../drivers/hooks-dir.ts';
import { InhibitDirectory } from '../drivers/inhibit-dir.ts';
import type { Hooks, Inhibitor } from '../ports.ts';
import type { GateParts } from '../updater/switch-gate.ts';

/** Hooks and the inhibit directory of a node. */
export function automationDrivers(
  hooksDir: string,
  { hookTimeoutS, inhibitDir }: AutomationConfig,
): { readonly hooks: Hooks; readonly inhibitor: Inhibitor } {
  return {
    hooks: new DirectoryHooks(hooksDir, { timeoutMs: hookTimeoutS * 1000 }),
    inhibitor: new InhibitDirectory(inhibitDir),
  };
}

/** What may hold the switch of a node up. */
export function gateOf(
  { windows, laterH }: AutomationConfig,
  inhibitor: Inhibitor,
): NonNullable<GateParts['automation']> {
  return { windows, laterH, inhibitor };
}
