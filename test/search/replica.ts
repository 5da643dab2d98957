/**
 * The replicated store as the search sees it: two copies whose data are reduced to "was written
 * alone" and "known to lag", with the rules of images/storage (session, generations, promote, go
 * alone, sync). Always holds: a write is acknowledged with both copies, or by a primary that was
 * told to go alone and has no session. Only tests import it.
 */
import type { StoreStatus } from '../../src/core/store.ts';
import { STORE_UNKNOWN } from '../../src/core/store.ts';

/** One copy; `ahead`, `stale` and `seen` are durable. */
export interface Replica {
  readonly role: 'primary' | 'secondary';
  /** Highest epoch that this copy has seen. */
  readonly seen: number;
  readonly alone: boolean;
  /** This side counts on a session with the other copy. */
  readonly met: boolean;
  readonly known: boolean;
  /** The other copy, as a primary sees it while it has a session. */
  readonly view: 'unknown' | 'current' | 'syncing';
  /** Marked as lacking writes that were acknowledged. */
  readonly stale: boolean;
  /** Holds acknowledged writes that the other copy lacks. */
  readonly ahead: boolean;
  readonly split: boolean;
}

export const FRESH: Replica = {
  role: 'secondary',
  seen: 1,
  alone: false,
  met: false,
  known: false,
  view: 'unknown',
  stale: false,
  ahead: false,
  split: false,
};

/**
 * What the storage software says of the copy, as far as the machine looks: whether the other copy
 * is level is one word, and epochs, ids and the course of a sync are left out.
 */
export function statusOf(copy: Replica): StoreStatus {
  const level = copy.met && copy.view === 'current';
  return {
    ...STORE_UNKNOWN,
    role: copy.role,
    connected: level,
    local: copy.stale ? 'stale' : copy.known ? 'current' : 'unknown',
    peer: level ? 'current' : 'unknown',
    frozen: copy.role === 'primary' && !copy.met && !copy.alone,
    splitBrain: copy.split,
  };
}

/** The copy after the end of its software: what is not durable is gone. */
export const ended = (copy: Replica): Replica => ({
  ...FRESH,
  seen: copy.seen,
  stale: copy.stale,
  ahead: copy.ahead,
});

/** The copy after its session was lost. */
export const detached = (copy: Replica): Replica => ({ ...copy, met: false, view: 'unknown' });

const stepDown = (copy: Replica): Replica => ({
  ...copy,
  role: 'secondary',
  alone: false,
  view: 'unknown',
});

/** Both copies with the split noted; null for the session: it is closed. */
const parted = (pair: readonly [Replica, Replica]): [Replica, Replica] => [
  { ...detached(pair[0]), split: true },
  { ...detached(pair[1]), split: true },
];

/** A copy hears of an epoch: a primary of a lower one ends. */
const hears = (copy: Replica, epoch: number): Replica =>
  epoch > copy.seen ? { ...stepDown(copy), seen: epoch } : copy;

/** The two copies meet: hello, comparison of the generations, and the primary leads. */
export function meet(a: Replica, b: Replica): [Replica, Replica] {
  const [x, y] = [hears(a, b.seen), hears(b, a.seen)];
  const both = x.role === 'primary' && y.role === 'primary';
  const behind = (one: Replica, peer: Replica): boolean => peer.ahead && one.role === 'primary';
  if ((x.ahead && y.ahead) || both || behind(x, y) || behind(y, x)) return parted([x, y]);
  const met: [Replica, Replica] = [
    { ...x, met: true, known: true, split: false, stale: x.stale || y.ahead },
    { ...y, met: true, known: true, split: false, stale: y.stale || x.ahead },
  ];
  if (x.role === 'primary') return lead(met[0], met[1]);
  if (y.role === 'primary') return lead(met[1], met[0]).toReversed() as [Replica, Replica];
  return met;
}

/** A primary with a session asks the other copy to follow. */
function lead(x: Replica, y: Replica): [Replica, Replica] {
  if (x.seen < y.seen) return [hears(x, y.seen), y];
  const follower = hears(y, x.seen);
  if (follower.role === 'primary' || follower.ahead) return parted([x, y]);
  const lags = x.ahead || follower.stale;
  const next: Replica = { ...stepDown(follower), stale: lags };
  return lags ? [{ ...x, view: 'syncing' }, next] : [{ ...x, view: 'current', alone: false }, next];
}

/** `promote(epoch)`; null when the store refuses. `joined` = the session really stands. */
export function promote(
  x: Replica,
  y: Replica,
  epoch: number,
  joined: boolean,
): [Replica, Replica] | null {
  if (epoch < x.seen || (x.stale && x.role !== 'primary')) return null;
  if (x.role === 'primary' && epoch === x.seen) return [x, y];
  const next: Replica = {
    ...x,
    role: 'primary',
    seen: epoch,
    known: true,
    alone: false,
    view: 'unknown',
  };
  if (!joined) return [next, y];
  if (x.role !== 'primary' && y.role === 'primary' && epoch === x.seen) return null;
  return lead(next, y);
}

export const demote = (copy: Replica): Replica => stepDown(copy);

/** `goAlone(epoch)`; null when the store refuses. */
export function goAlone(copy: Replica, epoch: number): Replica | null {
  if (copy.role !== 'primary' || copy.seen !== epoch) return null;
  return copy.view === 'current' ? copy : { ...copy, alone: true };
}

/** May this primary acknowledge a write by itself? */
export const writesAlone = (copy: Replica): boolean =>
  copy.role === 'primary' && copy.alone && !copy.met;

/** The sync of a follower has ended. */
export function synced(x: Replica, y: Replica): [Replica, Replica] {
  return [
    { ...x, ahead: false, view: 'current', alone: false },
    { ...y, stale: false },
  ];
}
