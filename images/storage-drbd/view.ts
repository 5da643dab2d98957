/**
 * What DRBD says, in core's words. Always holds: only `UpToDate` is current, only a copy that is
 * known to lag is stale, anything in between is unknown; a primary without its peer is frozen until
 * it was told to go on alone. Pure; imports core and ports types.
 */
import type { Progress } from '../../src/core/model.ts';
import type { Generation } from '../../src/core/records.ts';
import type { VerifyBrief } from '../../src/core/store.ts';
import type { StoreStatus } from '../../src/ports.ts';
import { NEW_GENERATION } from '../storage/generation.ts';
import { PROTOCOL } from '../storage/limits.ts';
import type { DiskState, DrbdState } from './events.ts';

/** What the status is made from. */
export interface Facts {
  readonly kernel: DrbdState;
  /** Primary by the word of core; the kernel's role follows once it may. */
  readonly leads: boolean;
  /** The objects can be read and written. */
  readonly open: boolean;
  /** The word to go on without the peer. */
  readonly alone: boolean;
  readonly epoch: number;
  readonly generation: Generation;
  readonly splitBrain: boolean;
  readonly progress: Progress | null;
  readonly lastSync: StoreStatus['lastSync'];
  readonly formatLevel: number;
  readonly verify: VerifyBrief | null;
  readonly full: boolean;
}

/** Words for a resync that this side sends, and for one that it takes. */
const SENDS: ReadonlySet<string> = new Set([
  'StartingSyncS',
  'WFBitMapS',
  'SyncSource',
  'PausedSyncS',
]);
const TAKES: ReadonlySet<string> = new Set([
  'StartingSyncT',
  'WFBitMapT',
  'WFSyncUUID',
  'SyncTarget',
  'PausedSyncT',
]);

/**
 * The two copies have met and compared their ids. Of a connection whose comparison is still to come
 * the kernel says `Connected`, too.
 */
export const isConnected = ({ connection, replication }: DrbdState): boolean =>
  connection === 'Connected' && replication !== null && replication !== 'Off';
/** DRBD does not even try to connect; while it has no connection at all, either. */
export const isStandAlone = ({ connection }: DrbdState): boolean =>
  connection === null || connection === 'StandAlone';
/** This side sends a resync. */
export const sendsSync = ({ replication }: DrbdState): boolean => SENDS.has(replication ?? '');
/** This side takes a resync. */
export const takesSync = ({ replication }: DrbdState): boolean => TAKES.has(replication ?? '');
/** A comparison runs. */
export const verifies = ({ replication }: DrbdState): boolean =>
  replication === 'VerifyS' || replication === 'VerifyT';
/** The peer has everything. */
export const peerIsCurrent = (kernel: DrbdState): boolean =>
  isConnected(kernel) && kernel.peerDisk === 'UpToDate' && kernel.disk === 'UpToDate';
/** Nothing was ever written to a copy with these ids. */
export const isFresh = ({ current }: Generation): boolean => current === NEW_GENERATION;

function copyOf(disk: DiskState | null): StoreStatus['local'] {
  if (disk === 'UpToDate') return 'current';
  return disk === 'Outdated' || disk === 'Inconsistent' ? 'stale' : 'unknown';
}

function localOf({ kernel, leads, generation }: Facts): StoreStatus['local'] {
  const copy = copyOf(kernel.disk);
  // Two copies that nothing was ever written to agree as soon as they meet.
  if (copy === 'stale' && isFresh(generation) && !takesSync(kernel)) return 'unknown';
  // It cannot be compared with anything: core has said that this is the copy that counts.
  return leads && kernel.disk === 'Consistent' ? 'current' : copy;
}

function peerOf({ kernel, leads, generation }: Facts): StoreStatus['peer'] {
  if (leads && sendsSync(kernel)) return 'syncing';
  const copy = copyOf(kernel.peerDisk);
  if (isConnected(kernel)) return copy === 'stale' && isFresh(generation) ? 'unknown' : copy;
  if (!leads) return 'unknown';
  return copy === 'stale' || generation.base !== null ? 'stale' : 'unknown';
}

/** True while writes wait for the peer, or for the word to go on without it (rule R4). */
export function isFrozen({ kernel, leads, open, alone }: Facts): boolean {
  if (!leads) return false;
  if (kernel.frozen || !open) return true;
  return !isConnected(kernel) && !alone;
}

/** The status of a copy. */
export function statusOf(facts: Facts): StoreStatus {
  const { kernel, leads, epoch, splitBrain, progress, lastSync, generation } = facts;
  return {
    role: leads ? 'primary' : 'secondary',
    epoch,
    connected: isConnected(kernel),
    local: localOf(facts),
    peer: peerOf(facts),
    frozen: isFrozen(facts),
    splitBrain,
    sync: sendsSync(kernel) || takesSync(kernel) ? progress : null,
    lastSync,
    generation,
    protocol: PROTOCOL,
    formatLevel: facts.formatLevel,
    verify: facts.verify,
    full: facts.full,
  };
}
