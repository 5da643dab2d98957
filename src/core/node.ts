/**
 * The update of one node: states, transitions and the effect that is due in each
 * (docs/ARCHITECTURE.md, "One node's update"). Always holds: the booted slot is never a target; a
 * trial is armed only from `installed`, which only a whole read-back reaches; the verdict on a
 * trial is the boot chooser's, found again by the trial's id. Pure; imports only core.
 */
import { committedTrial } from './boot.ts';
import { raisedLevel, schemaAt } from './levels.ts';
import { otherSlot, SLOT_CLASSES, type SlotClass } from './model.ts';
import type {
  Job,
  NodeRecord,
  NodeUpdate,
  Reason,
  RolloutRecord,
  Target,
  Trial,
} from './records.ts';
import { onTrial, peerReport, storageSlot, trialOf } from './state.ts';
import type { Effect, Event, NodeState } from './state.ts';
import { jobOf, set, toReverting } from './trial.ts';
import { satisfies } from './version.ts';

/** What the rollout wants this node to do for its own update. */
export type Ask =
  | { readonly do: 'install'; readonly attempt: number; readonly mode: Job['mode'] }
  | { readonly do: 'activate'; readonly attempt: number; readonly mode: Job['mode'] }
  | { readonly do: 'commit' }
  | { readonly do: 'revert' }
  | { readonly do: 'finalize' };

/** States from which a new job may begin: nothing is armed and nothing is being decided. */
const RESTING: ReadonlySet<NodeUpdate['state']> = new Set([
  'idle',
  'installing',
  'installed',
  'committed',
  'reverted',
  'failed',
] as const);

/** The next record because of an ask of the driver, or undefined when it changes nothing. */
export function onAsk(s: NodeState, ask: Ask, rollout: RolloutRecord): NodeRecord | undefined {
  const { record } = s;
  const { update } = record;
  switch (ask.do) {
    case 'install':
      return sameJob(update, rollout, ask.attempt) ? undefined : begin(s, ask, rollout);
    case 'activate':
      if (!sameJob(update, rollout, ask.attempt)) return begin(s, ask, rollout);
      if (update.state !== 'installed' || s.world.bootState.trial !== null) return undefined;
      return arm(s, update, rollout);
    case 'commit':
      if (update.state !== 'healthy') return undefined;
      return set(record, { ...update, state: 'committing' });
    case 'revert':
      return revertOnAsk(s, rollout);
    case 'finalize':
      return undefined;
  }
}

function sameJob(update: NodeUpdate, rollout: RolloutRecord, attempt: number): boolean {
  return update.state !== 'idle' && update.rollout === rollout.id && update.attempt === attempt;
}

function begin(
  s: NodeState,
  ask: { readonly attempt: number; readonly mode: Job['mode'] },
  rollout: RolloutRecord,
): NodeRecord | undefined {
  if (!RESTING.has(s.record.update.state) || onTrial(s)) return undefined;
  const targets = ask.mode === 'install' ? installTargets(s, rollout) : returnTargets(s);
  const job: Job = {
    rollout: rollout.id,
    bundle: rollout.to.bundle,
    attempt: ask.attempt,
    mode: ask.mode,
    targets,
    storageRunsUnderOld: runsUnderOld(s, targets, rollout, ask.mode),
  };
  const clean: NodeRecord = {
    ...s.record,
    canRollBack: ask.mode === 'install' ? false : s.record.canRollBack,
    slots: { ...s.record.slots, trial: null, outcome: 'none', reason: null },
    storage: { ...s.record.storage, outcome: 'none', reason: null },
  };
  const message = ask.mode === 'return' ? noReturn(s, targets) : noSystem(s, targets);
  if (message === null) return set(clean, { ...job, state: 'installing' });
  return set(clean, { ...job, state: 'failed', reason: { code: 'rollback.unavailable', message } });
}

const systemOf = (targets: readonly Target[]): Target | undefined =>
  targets.find((target) => target.class === 'system');

function noSystem({ record }: NodeState, targets: readonly Target[]): string | null {
  if (systemOf(targets) !== undefined) return null;
  return `node ${record.node} has no system image to go back to in its other slot`;
}

/** Why the node cannot go back to what its other slots hold, or null (rule I7). */
function noReturn(s: NodeState, targets: readonly Target[]): string | null {
  const system = systemOf(targets)?.release.version;
  if (system === undefined) return noSystem(s, targets);
  const { record, world } = s;
  const slot = targets.find(({ class: cls }) => cls === 'storage')?.slot ?? record.storage.current;
  const seal = world.seals.storage[slot];
  if (seal === null || satisfies(system, seal.runsWith)) return null;
  const storage = `storage software ${seal.release.version}`;
  return `node ${record.node} would run ${storage} under system ${system}, which it does not allow`;
}

/** The other slots and what a bundle puts there; storage is left out where it is there already. */
function installTargets(s: NodeState, rollout: RolloutRecord): readonly Target[] {
  return rollout.to.images
    .filter((image) => {
      if (image.class === 'system') return true;
      const now = s.world.storage?.release;
      return now === undefined || now.counter < image.release.counter;
    })
    .map((image) => ({
      class: image.class,
      slot: targetSlot(s, image.class),
      image: image.name,
      release: image.release,
    }));
}

/** What the other slots hold; storage only if the update before switched it. */
function returnTargets(s: NodeState): readonly Target[] {
  const targets: Target[] = [];
  for (const cls of SLOT_CLASSES) {
    const slot = targetSlot(s, cls);
    const seal = s.world.seals[cls][slot];
    const wanted = cls === 'system' || s.record.storage.previous === slot;
    if (seal !== null && wanted)
      targets.push({ class: cls, slot, image: '', release: seal.release });
  }
  return targets;
}

function targetSlot(s: NodeState, cls: SlotClass): 'A' | 'B' {
  return otherSlot(cls === 'system' ? s.world.bootState.default : s.record.storage.current);
}

/** May the new storage software run under the system that runs now (rule I7)? */
function runsUnderOld(
  s: NodeState,
  targets: readonly Target[],
  rollout: RolloutRecord,
  mode: Job['mode'],
): boolean {
  const target = targets.find((one) => one.class === 'storage');
  const system = s.world.system;
  if (target === undefined || system === null) return false;
  const range =
    mode === 'install'
      ? rollout.to.images.find((image) => image.class === 'storage')?.runsWith
      : s.world.seals.storage[target.slot]?.runsWith;
  return range !== undefined && satisfies(system.version, range);
}

function arm(
  { record, world }: NodeState,
  update: NodeUpdate & { state: 'installed' },
  rollout: RolloutRecord,
): NodeRecord | undefined {
  const system = update.targets.find((target) => target.class === 'system');
  if (system === undefined) return undefined;
  const trial: Trial = {
    // A repaired journal may know of fewer trials than the boot chooser has seen.
    id: Math.max(record.lastTrialId, world.bootState.trialId) + 1,
    slot: system.slot,
    rollout: rollout.id,
    tries: rollout.policy.tries,
    deadmanS: rollout.policy.deadmanS,
  };
  const storage = update.targets.find((target) => target.class === 'storage');
  const next: NodeRecord = {
    ...record,
    lastTrialId: trial.id,
    slots: { ...record.slots, trial },
    storage: {
      ...record.storage,
      trial:
        storage === undefined
          ? null
          : {
              trialId: trial.id,
              systemSlot: trial.slot,
              old: record.storage.current,
              new: storage.slot,
              newRunsUnderOld: update.storageRunsUnderOld,
              proven: false,
            },
    },
  };
  return set(next, { ...jobOf(update), state: 'arming', trial });
}

function revertOnAsk(s: NodeState, rollout: RolloutRecord): NodeRecord | undefined {
  const { update } = s.record;
  if (update.state === 'idle' || update.rollout !== rollout.id) return undefined;
  if (update.state === 'installing') return dropInstall(s, rollout);
  // What arms the trial may be under way: only once the boot chooser was seen again is it known
  // whether there is a trial to take back, unless arming failed.
  const armed = update.state !== 'arming' || s.world.troubles['arm'] !== undefined;
  if (!armed) return undefined;
  const undecided = ['arming', 'rebooting', 'trial', 'healthy'].includes(update.state);
  if (!undecided || !('trial' in update)) return undefined;
  return toReverting(s.record, update, rollout.result ?? cancelled('the trial'));
}

/**
 * Images of a rollout that has ended, or turned back, are not written to their end: what a cancel
 * leaves half written has no seal, so it is never booted.
 */
export function dropInstall({ record }: NodeState, rollout: RolloutRecord): NodeRecord | undefined {
  const { update } = record;
  if (update.state !== 'installing' || update.rollout !== rollout.id) return undefined;
  const reason = rollout.result ?? cancelled('the installation');
  return set(record, { ...jobOf(update), state: 'failed', reason });
}

const cancelled = (what: string): Reason => ({
  code: 'job.cancelled',
  message: `${what} was cancelled by the driver of the update`,
});

/** The next record because of an event of this node's own update. */
export function onNodeEvent(s: NodeState, event: Event): NodeRecord | undefined {
  const { record } = s;
  const { update } = record;
  switch (event.type) {
    case 'installed':
      if (update.state !== 'installing' || !sameWork(update, event.job)) return undefined;
      return set(record, { ...jobOf(update), state: 'installed' });
    case 'install-failed':
      if (update.state !== 'installing' || !sameWork(update, event.job)) return undefined;
      return set(record, { ...jobOf(update), state: 'failed', reason: event.reason });
    case 'storage-proven': {
      const trial = record.storage.trial;
      if (trial === null || trial.trialId !== event.trialId || trial.proven) return undefined;
      return { ...record, storage: { ...record.storage, trial: { ...trial, proven: true } } };
    }
    case 'health':
      return onHealth(record, event.trialId, event.reason);
    default:
      return undefined;
  }
}

/**
 * The verdict of the health checks. A healthy trial is checked on until it is committed: what fails
 * during the sync must not become the default. Storage software that failed after it had been
 * proven is not kept under the old system.
 */
function onHealth(
  record: NodeRecord,
  trialId: number,
  reason: Reason | null,
): NodeRecord | undefined {
  const { update } = record;
  if (update.state !== 'trial' && update.state !== 'healthy') return undefined;
  if (update.trial.id !== trialId) return undefined;
  if (reason === null) {
    return update.state === 'healthy' ? record : set(record, { ...update, state: 'healthy' });
  }
  const { trial } = record.storage;
  const failed = reason.code === 'health.storage' && trial !== null && trial.proven;
  const storage = failed
    ? { ...record.storage, trial: { ...trial, proven: false } }
    : record.storage;
  return toReverting({ ...record, storage }, update, reason);
}

/**
 * The storage software ended by itself. It is started again; but in a trial one end is one too
 * many, whether the software is new or only the system under it: what was not proven goes back.
 */
export function onStorageEnded(s: NodeState, why: string): NodeRecord | undefined {
  const { record, world } = s;
  const { update } = record;
  const trial = trialOf(update);
  if (trial === null || world.boot.slot !== trial.slot) return undefined;
  const message = `the storage software of node ${record.node} ended in its trial: ${why}`;
  return onHealth(record, trial.id, { code: 'health.storage', message });
}

function sameWork(update: Job, job: Job): boolean {
  return update.rollout === job.rollout && update.attempt === job.attempt;
}

/**
 * FINALIZE on this node, after its other slot was closed: the last point of rollback. From this
 * write on it may write what the program before could not read (R11).
 */
export function finalized(s: NodeState, rollout: RolloutRecord): NodeRecord | undefined {
  const { canRollBack, releaseFloor, featureLevel: before } = s.record;
  const featureLevel = raisedLevel(before, peerReport(s)?.features ?? null);
  const done = !canRollBack && releaseFloor >= rollout.to.counter && featureLevel === before;
  if (done) return undefined;
  if (s.world.bootState.otherOk) return undefined;
  return {
    ...s.record,
    schema: schemaAt(featureLevel),
    canRollBack: false,
    featureLevel,
    releaseFloor: Math.max(releaseFloor, rollout.to.counter),
  };
}

/** The effect of this node's own update that is due in its state, if any. */
export function nodeEffect(s: NodeState): Effect | undefined {
  const { update } = s.record;
  const due = RESTING.has(update.state) ? (strayTrial(s) ?? unmarkedCommit(s)) : undefined;
  if (due !== undefined) return due;
  switch (update.state) {
    case 'idle':
    case 'installed':
    case 'committed':
    case 'failed':
      return undefined;
    case 'installing':
      return { do: 'install', job: jobOf(update) };
    case 'arming':
      return { do: 'arm', trial: update.trial };
    case 'rebooting':
      return { do: 'reboot', reason: `trial ${update.trial.id} of slot ${update.trial.slot}` };
    case 'trial':
    case 'healthy':
      return { do: 'check-health', trial: update.trial, bootId: update.bootId };
    case 'committing':
      return { do: 'commit', trial: update.trial };
    case 'reverting':
      return { do: 'revert', trial: update.trial };
    case 'reverted':
      return onTrial(s)
        ? { do: 'reboot', reason: `trial ${update.trial.id} was reverted: ${update.reason.code}` }
        : undefined;
  }
}

/**
 * A trial that the boot chooser has and the record has not, because its newest entries were lost
 * with a damaged journal: it is taken back, and a node that runs it returns to its committed slot.
 */
function strayTrial(s: NodeState): Effect | undefined {
  const { boot, bootState } = s.world;
  const { trial: slot, trialId: id, tries } = bootState;
  if (slot !== null) {
    return { do: 'revert', trial: { id, slot, rollout: '', tries, deadmanS: 0 } };
  }
  const known = s.record.update.state === 'reverted';
  return onTrial(s) && boot.reason === 'trial' && !known
    ? { do: 'reboot', reason: `slot ${boot.slot} runs and is not committed` }
    : undefined;
}

/**
 * A commit that the seal of its slot does not tell of yet, because power went in between or the
 * seal could not be written. Nothing else is begun before: while the other slot is overwritten, the
 * seal of the default one is all that is left when the boot state is lost.
 */
function unmarkedCommit(s: NodeState): Effect | undefined {
  const { bootState, seals } = s.world;
  const trial = committedTrial(bootState);
  const seal = trial === null ? null : seals.system[trial.slot];
  if (trial === null || seal === null || seal.committed === trial.id) return undefined;
  const { tries } = bootState;
  return { do: 'commit', trial: { ...trial, rollout: '', tries, deadmanS: 0 } };
}

/** A trial is armed or being armed, runs, or waits for what its verdict needs. */
export const isUndecided = ({ update }: NodeRecord): boolean => !RESTING.has(update.state);

/** True when the storage software that has to run is the one that runs. */
export function storageInPlace(s: NodeState): boolean {
  return s.world.storage?.slot === storageSlot(s.record, s.world.boot.slot);
}

/** True once this node runs its committed slots again and has nothing pending. */
export function atRest(record: NodeRecord, onTrialNow: boolean): boolean {
  const { state } = record.update;
  return !onTrialNow && RESTING.has(state) && state !== 'installing';
}
