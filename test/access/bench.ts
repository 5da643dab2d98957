/**
 * What tests of access share: a cost of passwords that a test can pay, and a clock that stands.
 * Imports the room of access.
 */
import type { Cost } from '../../src/access/password.ts';

/** Thousands of times cheaper than the real one. */
export const CHEAP: Cost = { N: 16, r: 1, p: 1 };

/** Monotonic milliseconds that only a test moves. */
export interface Clock {
  ms: number;
}
