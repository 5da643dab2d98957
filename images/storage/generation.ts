/**
 * Generation ids of the replicated store: which of two copies lacks what (rules R3-R6). A copy's
 * `current` id changes when its primary first acknowledges a write without the peer; the id that it
 * had with the peer becomes `base` until a sync has ended, and then history. Always holds: two
 * copies that both took writes alone never compare as anything but `split`. The idea of such ids is
 * DRBD's (user's guide, "Generation Identifiers"). Pure; imports core types only.
 */
import type { Generation } from '../../src/core/records.ts';

/** Id of a copy that never held anything. */
export const NEW_GENERATION = '0000000000000000';
/** Ids that are kept in the history. */
export const HISTORY_MAX = 8;

/** A copy that was never written. */
export const newGeneration = (): Generation => ({
  current: NEW_GENERATION,
  base: null,
  history: [],
});

/**
 * How my copy stands to the peer's. `ahead`: I have what the peer lacks, and know since when;
 * `ahead-full`: I have what it lacks but not since when, so that everything is compared; `behind`
 * the other way round; `split`: both were written alone, or the two have nothing in common.
 */
export type Relation = 'same' | 'ahead' | 'ahead-full' | 'behind' | 'behind-full' | 'split';

/** Compares two copies by their generation ids. */
export function compareGenerations(mine: Generation, theirs: Generation): Relation {
  if (mine.current === theirs.current) return 'same';
  if (mine.base === theirs.current) return 'ahead';
  if (theirs.base === mine.current) return 'behind';
  if (theirs.current === NEW_GENERATION || mine.history.includes(theirs.current)) {
    return 'ahead-full';
  }
  if (mine.current === NEW_GENERATION || theirs.history.includes(mine.current)) {
    return 'behind-full';
  }
  return 'split';
}

/** The first write without the peer: `id` is new, the id shared with the peer becomes the base. */
export function writtenAlone(generation: Generation, id: string): Generation {
  return { ...generation, current: id, base: generation.base ?? generation.current };
}

/** A sync has ended: both copies have the current id, and what was before is history. */
export function synced(generation: Generation): Generation {
  const { current, base, history } = generation;
  if (base === null) return generation;
  return { current, base: null, history: [base, ...history].slice(0, HISTORY_MAX) };
}
