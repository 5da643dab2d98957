/**
 * All scenarios by their names, and which of them a run plays: named selections, in the order in
 * which they are played. Always holds: a larger selection has everything of a smaller one. Imports
 * the scenarios.
 */
import { linkLostInUpdate, LONG_PHASES } from './power-cuts.ts';
import activeCrash from './scenarios/active-crash.ts';
import activeFileSystem from './scenarios/active-file-system.ts';
import activeInitHangs from './scenarios/active-init-hangs.ts';
import activeKernelBody from './scenarios/active-kernel-body.ts';
import activeKernelHeader from './scenarios/active-kernel-header.ts';
import activeNoInit from './scenarios/active-no-init.ts';
import activePanics from './scenarios/active-panics.ts';
import activeUnhealthy from './scenarios/active-unhealthy.ts';
import cancelled from './scenarios/cancelled.ts';
import frozen from './scenarios/frozen.ts';
import good from './scenarios/good.ts';
import linkLost from './scenarios/link-lost.ts';
import linkNetwork from './scenarios/link-network.ts';
import panic from './scenarios/panic.ts';
import powerCutA from './scenarios/power-cut-a.ts';
import powerCutB from './scenarios/power-cut-b.ts';
import powerCutBoth from './scenarios/power-cut-both.ts';
import refused from './scenarios/refused.ts';
import rollback from './scenarios/rollback.ts';
import standbyHeld from './scenarios/standby-held.ts';
import standbyRolledBack from './scenarios/standby-rolled-back.ts';
import storageFails from './scenarios/storage-fails.ts';
import switchover from './scenarios/switchover.ts';
import takeover from './scenarios/takeover.ts';
import watchdog from './scenarios/watchdog.ts';
import type { Scenario } from './story.ts';

/**
 * For every change: refusals, the good way, planned and fenced changes of the active, the boot
 * loader's fallback, one channel.
 */
const CI = {
  refused,
  good,
  switchover,
  takeover,
  'active-no-init': activeNoInit,
  'link-network': linkNetwork,
};
/** Each outcome, three bad images, four moments drawn by the seed, the watchdog. */
const TEST = {
  ...CI,
  'active-unhealthy': activeUnhealthy,
  'active-file-system': activeFileSystem,
  'standby-held': standbyHeld,
  rollback,
  cancelled,
  'power-cut-a': powerCutA,
  'power-cut-b': powerCutB,
  'power-cut-both': powerCutBoth,
  'link-lost': linkLost,
  watchdog,
};
/** What has to hold wherever an update is. */
const LINK_LOST = LONG_PHASES.map((phase): [string, Scenario] => {
  return [`link-lost-${phase.toLowerCase()}`, linkLostInUpdate(phase)];
});
const ALL = {
  ...TEST,
  ...Object.fromEntries(LINK_LOST),
  'active-crash': activeCrash,
  'active-kernel-header': activeKernelHeader,
  'storage-fails': storageFails,
  frozen,
  'active-init-hangs': activeInitHangs,
  'active-kernel-body': activeKernelBody,
  'active-panics': activePanics,
  panic,
  'standby-rolled-back': standbyRolledBack,
};

/** All scenarios by name, in the order in which they are played. */
export const SCENARIOS: ReadonlyMap<string, Scenario> = new Map(Object.entries(ALL));

/** Names of scenarios by the name of the selection. */
export const SELECTIONS: ReadonlyMap<string, readonly string[]> = new Map([
  ['ci', Object.keys(CI)],
  ['test', Object.keys(TEST)],
  ['all', Object.keys(ALL)],
]);
