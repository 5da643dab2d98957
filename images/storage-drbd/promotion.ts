/**
 * How a copy becomes primary in the kernel, and what it may not be led with. Always holds: an
 * attempt that fails leaves nothing mounted and a secondary; nothing is forced but a copy to which
 * nothing was ever written, by the word of core. Imports core, the kernel and the state of DRBD.
 */
import { UpdateError } from '../../src/core/errors.ts';
import type { Generation } from '../../src/core/records.ts';
import type { DrbdState } from './events.ts';
import type { FencePort } from './fence.ts';
import type { KernelPort } from './kernel.ts';
import type { OpenStore } from './open-store.ts';
import { isConnected, isFresh } from './view.ts';
import type { Watcher } from './watcher.ts';

/** How long the peer may take to let its role go once it has heard of the higher epoch. */
const LET_GO_MS = 4000;
/** How long two new copies may take to agree that they are level. */
const AGREE_MS = 4000;

/** The parts of a copy that the kernel's role needs. */
export interface KernelParts {
  readonly kernel: KernelPort;
  readonly watcher: Pick<Watcher, 'state' | 'until'>;
  /** Makes the file system ready and opens the objects on it; this copy is primary. */
  readonly openStore: () => Promise<OpenStore>;
  /** Lets go of a file system that an attempt to open it left mounted. */
  readonly unmount: () => Promise<void>;
}

/** Throws why this copy must not be led with. */
export function checkCopy({ disk }: DrbdState, generation: Generation): void {
  if (disk === 'UpToDate' || disk === 'Consistent') return;
  if (disk === 'Inconsistent' && isFresh(generation)) return;
  if (disk === 'Inconsistent' || disk === 'Outdated') {
    throw new UpdateError('store.stale', `this copy lacks acknowledged writes: ${disk}`);
  }
  throw new UpdateError('store.io', `this copy cannot be used: its disk is ${disk ?? 'missing'}`);
}

/**
 * Becomes primary in the kernel and opens the objects. With the peer it waits for the peer to let
 * go; without it the handler must have its word by now. `fresh`: nothing was ever written to this
 * copy. Throws `store.fenced`, `store.busy`, `store.corrupt`, `store.io`.
 */
export async function takeRole(parts: KernelParts, fresh: boolean): Promise<OpenStore> {
  const { kernel, watcher, openStore, unmount } = parts;
  const met = isConnected(watcher.state);
  if (met && !(await watcher.until(({ peerRole }) => peerRole !== 'Primary', LET_GO_MS))) {
    throw new UpdateError('store.fenced', 'the copy of the other node is still the primary');
  }
  if (met && !(await watcher.until(({ disk }) => disk === 'UpToDate', AGREE_MS))) {
    throw new UpdateError('store.busy', 'the two copies have not found out yet who has what');
  }
  // Nobody ever wrote to it and the peer is not there: it counts because core says so.
  await kernel.primary(!met && fresh);
  try {
    return await openStore();
  } catch (error) {
    await unmount();
    await kernel.secondary();
    throw error;
  }
}

/** Opens a copy that gives way, for what is to be saved of it; of a secondary without its peer. */
export async function readOnce<T>(
  parts: KernelParts & { readonly fence: FencePort },
  read: (store: OpenStore) => Promise<T>,
): Promise<T> {
  const { kernel, fence, openStore, unmount } = parts;
  try {
    await fence.give();
    await kernel.primary();
    await using store = await openStore();
    return await read(store);
  } finally {
    fence.take();
    await unmount();
    await kernel.secondary();
  }
}

/** Waits for `promise`, at most so long. */
export async function within(promise: Promise<void>, limitMs: number): Promise<void> {
  const { promise: limit, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limitMs);
  try {
    await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** This side takes no writes. */
export const readOnly = (): UpdateError =>
  new UpdateError('store.read_only', 'this copy is not the primary');

/** An epoch that is over, or that another one leads in. */
export const fenced = (epoch: number, seen: number): UpdateError =>
  new UpdateError('store.fenced', `epoch ${epoch} was given, this copy has seen ${seen}`);
