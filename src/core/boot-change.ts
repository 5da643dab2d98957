/**
 * The changes of the boot chooser's state, each of which is one durable write in every driver: arm,
 * commit, revert, and the word on the slot that is not the default. A reverted trial is told from a
 * committed one by its tries: a reverted one has none left. Always holds: a verdict is given once;
 * whoever asks for the other one afterwards gets `boot.conflict`. Pure, imports only core.
 */
import type { BootState } from './boot.ts';
import { UpdateError } from './errors.ts';
import type { Slot } from './model.ts';

/** Everything but the number of the write, which the driver gives. */
export type BootFields = Omit<BootState, 'seq'>;

/** Most boot attempts that a trial may have. */
export const TRIES_MAX = 9;

/**
 * State of a new appliance whose system is in this slot, or of one whose state was lost: `trialId`
 * is then the highest number of a trial that is known, so that none is used twice.
 */
export function firstBootState(slot: Slot, otherOk: boolean, trialId = 0): BootFields {
  return { default: slot, trial: null, trialId, tries: 0, otherOk };
}

/** The state with this trial armed, or null when it is armed already; throws `boot.conflict`. */
export function armTrial(
  state: BootFields,
  trial: { readonly id: number; readonly slot: Slot; readonly tries: number },
): BootFields | null {
  const { id, slot, tries } = trial;
  if (!isCount(id) || id < 1 || !isCount(tries) || tries < 1 || tries > TRIES_MAX) {
    const message = `Trial ${id} with ${tries} tries, expected an id and 1 to ${TRIES_MAX} tries`;
    throw new UpdateError('internal.bug', message);
  }
  if (state.trial !== null) {
    if (state.trialId === id && state.trial === slot) return null;
    throw conflict(state, `trial ${id} of slot ${slot} cannot be armed`);
  }
  if (slot === state.default) throw conflict(state, `the default slot ${slot} cannot be on trial`);
  if (id <= state.trialId) throw conflict(state, `trial ${id} is used up`);
  return { ...state, trial: slot, trialId: id, tries };
}

/**
 * The state with the trial's slot as default, or null when that was done. The old default has run
 * and stays bootable, so the other slot is good from this write on.
 */
export function commitTrial(state: BootFields, id: number): BootFields | null {
  if (state.trialId !== id) throw conflict(state, `trial ${id} cannot be committed`);
  if (state.trial !== null) {
    return { ...state, default: state.trial, trial: null, otherOk: true };
  }
  if (state.tries > 0) return null;
  throw conflict(state, `trial ${id} was reverted and cannot be committed`);
}

/**
 * The state without the trial, or null when that was done. What was on trial did not prove itself,
 * so the other slot is not good from this write on.
 */
export function revertTrial(state: BootFields, id: number): BootFields | null {
  if (state.trialId !== id) throw conflict(state, `trial ${id} cannot be reverted`);
  if (state.trial !== null) return { ...state, trial: null, tries: 0, otherOk: false };
  if (state.tries === 0) return null;
  throw conflict(state, `trial ${id} was committed and cannot be reverted`);
}

/** The state with this word on the other slot, or null when it stands there already. */
export function changeOtherOk(state: BootFields, otherOk: boolean): BootFields | null {
  return state.otherOk === otherOk ? null : { ...state, otherOk };
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function conflict(state: BootFields, what: string): UpdateError {
  const newest = state.trialId === 0 ? 'there was no trial yet' : `newest trial ${state.trialId}`;
  const armed = state.trial === null ? 'none armed' : `slot ${state.trial} armed`;
  const message = `In the boot chooser ${what}: default slot ${state.default}, ${newest}, ${armed}`;
  const detail = {
    default: state.default,
    trial: state.trial ?? 'none',
    trialId: state.trialId,
  };
  return new UpdateError('boot.conflict', message, { detail });
}
