/**
 * One copy of the store in memory: what survives a power cut and what does not. Always holds: a
 * fresh copy runs, holds nothing and is a secondary. Imports core, ports and the pure rules of the
 * storage software.
 */
import { newGeneration } from '../../images/storage/generation.ts';
import type { Generation } from '../../src/core/records.ts';
import { STORE_UNKNOWN, type VerifyBrief } from '../../src/core/store.ts';
import type { StoreStatus } from '../../src/ports.ts';

/** One write on its way. */
export interface Write {
  key: string;
  value: string | null;
  state: 'waiting' | 'acknowledged' | 'failed';
}

/** One copy. */
export interface Replica {
  // Durable.
  epoch: number;
  generation: Generation;
  stale: boolean;
  formatLevel: number;
  readonly data: Map<string, string>;
  verify: VerifyBrief | null;
  /** No client may write anything but deletions. */
  full: boolean;
  // Volatile.
  running: boolean;
  role: 'primary' | 'secondary';
  /** Has compared itself with the peer, or is the primary: knows whether its copy lags. */
  known: boolean;
  alone: boolean;
  waiting: Write[];
  lastSync: StoreStatus['lastSync'];
  told: StoreStatus;
  readonly listeners: ((status: StoreStatus) => void)[];
}

/** A fresh copy. */
export const replica = (): Replica => ({
  epoch: 0,
  generation: newGeneration(),
  stale: false,
  formatLevel: 1,
  data: new Map(),
  verify: null,
  full: false,
  running: true,
  role: 'secondary',
  known: false,
  alone: false,
  waiting: [],
  lastSync: null,
  told: STORE_UNKNOWN,
  listeners: [],
});

/** Makes a write visible. */
export function apply(
  to: Replica,
  write: { readonly key: string; readonly value: string | null },
): void {
  if (write.value === null) to.data.delete(write.key);
  else to.data.set(write.key, write.value);
}

/** Lists and objects are the same only when they are one: a needless telling does no harm. */
export function same(a: StoreStatus, b: StoreStatus): boolean {
  const keys = Object.keys(a) as (keyof StoreStatus)[];
  return keys.every((key) => a[key] === b[key] || key === 'protocol');
}

/** Bytes of all values. */
export function sizeOf(self: Replica): number {
  return [...self.data.values()].reduce((sum, value) => sum + value.length, 0);
}
