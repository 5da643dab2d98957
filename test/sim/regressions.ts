/**
 * Seeds of the simulator that have failed, each with what it found; they are always run. A seed
 * belongs to the simulator as it was: where that has changed since, it is one more seed. Only tests
 * import it.
 */

/** Seeds, and what they found. */
export const REGRESSIONS: readonly (readonly [seed: number, found: string])[] = [];
