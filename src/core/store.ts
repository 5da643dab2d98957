/**
 * What the replicated store says of itself. `unknown` is a value: a store that does not answer is
 * not guessed at. Pure types; imports only core.
 */
import type { NodeId, Progress } from './model.ts';
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
  /** Format level at which this copy is written (R11); absent = the software does not say. */
  readonly formatLevel?: number;
  /** The newest comparison of both copies, in short; null or absent when there was none. */
  readonly verify?: VerifyBrief | null;
  /** The data partition of this copy has only its reserve left: writes are refused. */
  readonly full?: boolean;
}

/**
 * `equal` and `differs` are the results of a comparison that came to its end; `repaired` = what it
 * found was made good by a resync; `failed` and `cancelled` say nothing about the copies.
 */
export type VerifyState = 'running' | 'equal' | 'differs' | 'repaired' | 'failed' | 'cancelled';

/** What the status tells of a comparison. */
export interface VerifyBrief {
  readonly id: string;
  readonly state: VerifyState;
  readonly differences: number;
  readonly progress: Progress | null;
}

/** What one copy holds of a key: nothing, a record that cannot be read, or a value. */
export type Held = 'absent' | 'damaged' | 'present';

/** A key of which the two copies do not hold the same. */
export interface StoreDifference {
  readonly key: string;
  readonly A: Held;
  readonly B: Held;
}

/** A comparison of both copies while service goes on: running, or its result. */
export interface VerifyReport {
  readonly id: string;
  readonly state: VerifyState;
  /** Node whose storage software drives it: the active one. */
  readonly node: NodeId;
  /** Wall clock, ISO 8601, for people. */
  readonly startedAt: string;
  readonly endedAt: string | null;
  /** Records and bytes of values that were compared. */
  readonly records: number;
  readonly bytes: number;
  readonly totalBytes: number;
  readonly rateBps: number | null;
  readonly etaS: number | null;
  /** Records that were compared a second time, most of them because they had just changed. */
  readonly again: number;
  /** Records that changed at each of these times, so that nothing is said about them. */
  readonly unsettled: number;
  readonly differences: number;
  /** The first of them; `differences` counts all. */
  readonly keys: readonly StoreDifference[];
  /** Records that cannot be read, on each node. */
  readonly damaged: Readonly<Record<NodeId, number>>;
  /** Why it failed. */
  readonly code: string | null;
  readonly message: string | null;
}

/** Records and the bytes of their values. */
export interface Amount {
  readonly records: number;
  readonly bytes: number;
}

/** One copy of a split brain. */
export interface SplitSide {
  readonly epoch: number;
  /** Since when it was written without the other one, by its wall clock; null = not known. */
  readonly aloneSince: string | null;
  readonly all: Amount;
  /** What only this copy has. */
  readonly only: Amount;
  /** What both have, with another content. */
  readonly other: Amount;
}

/** Both copies of a split brain, compared without changing anything. */
export interface SplitView {
  readonly A: SplitSide;
  readonly B: SplitSide;
  /** The first of the keys that differ. */
  readonly keys: readonly StoreDifference[];
}

/** What the copy that gave way had beyond the other one, and where it is now. */
export interface SavedRecords extends Amount {
  readonly node: NodeId;
  /** Null when there was nothing to save. */
  readonly file: string | null;
}

/** What the storage software knows beyond its status. */
export interface StorageView {
  readonly verify: VerifyReport | null;
  /** Only while the two copies are split and both are there. */
  readonly split: SplitView | null;
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
