/**
 * What the replicated store says of itself. `unknown` is a value: a store that does not answer is
 * not guessed at. Pure types; imports only core.
 */
import type { Progress } from './model.ts';
import type { Generation } from './records.ts';

/** Replication state as the storage software tells it; `unknown` is a value. */
export interface StoreStatus {
  readonly role: 'primary' | 'secondary' | 'unknown';
  readonly epoch: number;
  readonly connected: boolean;
  /** Local copy: `current` = holds every acknowledged write; `stale` = known to lag. */
  readonly local: 'current' | 'stale' | 'unknown';
  /** The peer's copy, as far as the primary knows. */
  readonly peer: 'current' | 'stale' | 'syncing' | 'unknown';
  /** True while acknowledgements wait because the peer was lost (rule R4). */
  readonly frozen: boolean;
  readonly splitBrain: boolean;
  readonly sync: Progress | null;
  /** Bytes of the newest sync that were sent, and bytes that the store holds. */
  readonly lastSync: { readonly sentBytes: number; readonly storeBytes: number } | null;
  readonly generation: Generation;
  readonly protocol: readonly [min: number, max: number];
}

/** The status of a store whose software does not run or does not answer. */
export const STORE_UNKNOWN: StoreStatus = {
  role: 'unknown',
  epoch: 0,
  connected: false,
  local: 'unknown',
  peer: 'unknown',
  frozen: false,
  splitBrain: false,
  sync: null,
  lastSync: null,
  generation: { current: '', base: null, history: [] },
  protocol: [1, 1],
};
