/**
 * The trial of a node: what the observed boot state means for its update, and the verdict
 * (docs/ARCHITECTURE.md, "One node's update"). The verdict is the boot chooser's one write; here it
 * enters the node record, found by the trial's id after every start. Pure; imports only core.
 */
import { verdictOf } from './boot.ts';
import { otherSlot, type Slot } from './model.ts';
import type { Job, NodeRecord, NodeUpdate, Reason, StorageTrial, Trial } from './records.ts';
import { trialOf, type NodeState } from './state.ts';

/** The record with another update state. */
export const set = (record: NodeRecord, update: NodeUpdate): NodeRecord => ({ ...record, update });

/** The job's fields of an update state, without what belongs to the state itself. */
export function jobOf(update: NodeUpdate & Job): Job {
  const { rollout, bundle, attempt, mode, targets, storageRunsUnderOld } = update;
  return { rollout, bundle, attempt, mode, targets, storageRunsUnderOld };
}

/** The trial ends with a revert for this reason; the boot chooser is told by the effect. */
export function toReverting(
  record: NodeRecord,
  update: NodeUpdate & Job & { readonly trial: Trial },
  reason: Reason,
): NodeRecord {
  const { trial } = update;
  return set(record, { ...jobOf(update), state: 'reverting', trial, reason });
}

/**
 * What the observed boot state means for the update: found again after every start, never assumed.
 * This is where the verdict of the boot chooser enters the node record (rule R8).
 */
export function observeTrial(s: NodeState): NodeRecord | undefined {
  const { record, world } = s;
  const { update } = record;
  const trial = trialOf(update);
  if (trial === null || update.state === 'committed' || update.state === 'reverted') {
    return undefined;
  }
  if (!('trial' in update)) return undefined;
  const verdict = verdictOf(world.bootState, trial);
  if (verdict === 'committed') return committed(s, update);
  if (verdict === 'reverted') return reverted(record, update);
  if (verdict === 'never-armed') {
    if (update.state === 'reverting') return reverted(record, update);
    if (update.state === 'arming') return undefined;
    return set(record, { ...jobOf(update), state: 'arming', trial });
  }
  return observeArmed(s, update, trial);
}

/** The trial is armed: is this boot its boot, the one before it, or the fallback after it? */
function observeArmed(
  s: NodeState,
  update: NodeUpdate & Job & { readonly trial: Trial },
  trial: Trial,
): NodeRecord | undefined {
  const { record, world } = s;
  const { boot } = world;
  if (update.state === 'reverting') return undefined;
  if (boot.slot === trial.slot) {
    const here = 'bootId' in update && update.bootId === boot.bootId;
    if (update.state !== 'arming' && update.state !== 'rebooting' && here) return undefined;
    if (update.state === 'committing') {
      return set(record, { ...update, bootId: boot.bootId });
    }
    return set(record, { ...jobOf(update), state: 'trial', trial, bootId: boot.bootId });
  }
  // A boot that the trial was armed in came about before it, whatever its reason was.
  const armedIn = 'bootId' in update ? update.bootId : record.bootId;
  const fell = boot.reason === 'attempts-used' || boot.reason === 'fallback';
  if (fell && armedIn !== boot.bootId) {
    const where = `slot ${trial.slot} in ${trial.tries} attempts`;
    const message = `node ${record.node} did not come up in ${where}`;
    return toReverting(record, update, { code: 'trial.attempts_used', message });
  }
  if (update.state === 'arming') {
    return set(record, { ...jobOf(update), state: 'rebooting', trial, bootId: boot.bootId });
  }
  return undefined;
}

/**
 * Is there a version to go back to? After an update always; after a return only when that left an
 * older version behind, that is, when a rollback of the pair was itself turned back.
 */
function mayGoBack(s: NodeState, update: Job & { readonly trial: Trial }): boolean {
  if (update.mode === 'install') return true;
  const left = s.world.seals.system[otherSlot(update.trial.slot)]?.release.counter;
  const now = update.targets.find((target) => target.class === 'system')?.release.counter;
  return left !== undefined && now !== undefined && left < now;
}

function committed(s: NodeState, update: NodeUpdate & Job & { readonly trial: Trial }): NodeRecord {
  const { record } = s;
  const trial = record.storage.trial;
  const storage =
    trial === null
      ? { ...record.storage, previous: null, outcome: 'committed' as const, reason: null }
      : {
          current: trial.new,
          previous: trial.old,
          trial: null,
          outcome: 'committed' as const,
          reason: null,
        };
  const next: NodeRecord = {
    ...record,
    storage,
    canRollBack: mayGoBack(s, update),
    slots: {
      ...record.slots,
      default: update.trial.slot,
      trial: null,
      outcome: 'committed',
      reason: null,
    },
  };
  return set(next, { ...jobOf(update), state: 'committed', trial: update.trial });
}

/**
 * The storage slot that a later return takes back, after a trial that was reverted. One that did
 * return the node leaves it as it was, so that the next try takes the same combination back (I7),
 * or nothing when the older storage software runs already.
 */
function leftBehind(mode: Job['mode'], trial: StorageTrial, keep: boolean): Slot | null {
  if (mode === 'return') return keep ? null : trial.new;
  return keep ? trial.old : null;
}

function reverted(
  record: NodeRecord,
  update: NodeUpdate & Job & { readonly trial: Trial },
): NodeRecord {
  const reason: Reason =
    'reason' in update
      ? update.reason
      : {
          code: 'trial.attempts_used',
          message: `the trial of slot ${update.trial.slot} was reverted`,
        };
  const trial = record.storage.trial;
  const keep = trial !== null && trial.proven && trial.newRunsUnderOld;
  const storage =
    trial === null
      ? record.storage
      : {
          current: keep ? trial.new : trial.old,
          previous: leftBehind(update.mode, trial, keep),
          trial: null,
          outcome: keep ? ('committed' as const) : ('reverted' as const),
          reason: keep ? null : reason,
        };
  const next: NodeRecord = {
    ...record,
    storage,
    slots: { ...record.slots, trial: null, outcome: 'reverted', reason },
  };
  return set(next, { ...jobOf(update), state: 'reverted', trial: update.trial, reason });
}

/** A trial that has heard nothing of its driver for its dead-man time reverts itself (rule R8). */
export function deadman(s: NodeState): NodeRecord | undefined {
  const { update } = s.record;
  if (update.state !== 'trial' && update.state !== 'healthy') return undefined;
  const silentMs = s.world.clock.ms - s.world.driverHeardMs;
  if (silentMs < update.trial.deadmanS * 1000) return undefined;
  const silence = `nothing of the driver for ${update.trial.deadmanS} s`;
  const message = `node ${s.record.node} heard ${silence}`;
  return toReverting(s.record, update, { code: 'trial.deadline', message });
}
