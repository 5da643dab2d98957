/**
 * Which slot boots: the boot chooser's state and the pure rule by which a boot loader selects
 * (docs/ARCHITECTURE.md, "Boot"). Ownership is split: the state is written only by the operating
 * system, the try counter only by the boot loader, and the counter is bound to a trial's id so that
 * a stale one means nothing. Pure; imports only core.
 */
import { otherSlot, type Slot } from './model.ts';

/** Written only by the operating system, one durable write per change. */
export interface BootState {
  /** Grows with every write; of two valid copies the higher one counts. */
  readonly seq: number;
  /** The committed slot. */
  readonly default: Slot;
  /** The slot on trial, or null. */
  readonly trial: Slot | null;
  /** Id of the newest trial, armed or ended; 0 before the first. */
  readonly trialId: number;
  /** Boot attempts of the trial. */
  readonly tries: number;
  /** The slot that is not the default holds a bootable, allowed system. */
  readonly otherOk: boolean;
}

/** Written only by the boot loader: attempts used for the trial with this id. */
export interface BootCounter {
  readonly trialId: number;
  readonly used: number;
}

/** Why the boot loader chose the slot that runs. */
export type BootReason = 'default' | 'trial' | 'attempts-used' | 'fallback';

/** What the boot loader tells the system that it boots, on the kernel command line. */
export interface BootInfo {
  readonly bootId: string;
  readonly slot: Slot;
  readonly reason: BootReason;
  /** Attempt number of a trial, from 1; 0 for other reasons. */
  readonly attempt: number;
}

/** A trial's verdict, derived by its id: the write in the boot chooser is the verdict (rule R8). */
export function verdictOf(
  state: BootState,
  trial: { readonly id: number; readonly slot: Slot },
): 'armed' | 'committed' | 'reverted' | 'never-armed' {
  if (state.trialId < trial.id) return 'never-armed';
  if (state.trialId > trial.id) return 'reverted';
  if (state.trial !== null) return 'armed';
  return state.default === trial.slot ? 'committed' : 'reverted';
}

/**
 * Number and slot of the newest trial if it was committed, else null: a reverted trial has no tries
 * left, and neither has a state in which there was no trial yet.
 */
export function committedTrial(
  state: BootState,
): { readonly id: number; readonly slot: Slot } | null {
  const committed = state.trial === null && state.trialId > 0 && state.tries > 0;
  return committed ? { id: state.trialId, slot: state.default } : null;
}

/** Commits of the system slots by their seals (`SlotSeal.committed`); null: never, or no seal. */
export type CommitMarks = Readonly<Record<Slot, number | null>>;

/**
 * What stands in for a boot state of which no copy can be read: the slot that was committed last;
 * of two equal ones A. A slot that was never committed is not booted, and there is no way to the
 * other one. Null when no slot was ever committed: reboot and try again.
 */
export function stateFromSeals({ A, B }: CommitMarks): BootState | null {
  if (A === null && B === null) return null;
  const slot = B !== null && (A === null || B > A) ? 'B' : 'A';
  const trialId = Math.max(A ?? 0, B ?? 0);
  return { seq: 0, default: slot, trial: null, trialId, tries: 0, otherOk: false };
}

/** What the boot loader is to boot, and what it has to save before. */
export interface BootSelection {
  readonly slot: Slot;
  readonly reason: BootReason;
  readonly attempt: number;
  /** The counter to save and confirm before the slot is booted; null = nothing is written. */
  readonly save: BootCounter | null;
}

/**
 * The boot loader's choice. A committed boot writes nothing; a trial counts an attempt first, and a
 * trial whose attempts are used up boots the default slot.
 */
export function selectBoot(state: BootState, counter: BootCounter): BootSelection {
  if (state.trial === null) {
    return { slot: state.default, reason: 'default', attempt: 0, save: null };
  }
  const used = counter.trialId === state.trialId ? counter.used : 0;
  if (used >= state.tries) {
    return { slot: state.default, reason: 'attempts-used', attempt: 0, save: null };
  }
  const save = { trialId: state.trialId, used: used + 1 };
  return { slot: state.trial, reason: 'trial', attempt: used + 1, save };
}

/**
 * The next slot to try when `slot` could not be loaded at all, or null for "reboot and try again":
 * a trial goes to the default at once, the default to the other one only if that one is allowed.
 */
export function afterLoadFailure(state: BootState, slot: Slot): Slot | null {
  if (slot !== state.default) return state.default;
  return state.otherOk ? otherSlot(state.default) : null;
}
