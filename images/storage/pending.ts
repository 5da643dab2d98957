/**
 * Writes of the primary that are not acknowledged yet, in their order. Always holds: their number
 * and bytes are bounded; each one ends exactly once, acknowledged or given up; they are
 * acknowledged in order and only when they are on this disk. Imports core, objects and limits.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { PENDING_BYTES_MAX, PENDING_MAX } from './limits.ts';
import type { Change, Placed } from './entry.ts';
import type { Position } from './record.ts';

/** One write that waits for its acknowledgement. */
export interface PendingWrite {
  readonly change: Change;
  readonly promise: Promise<boolean>;
  /** On this disk. */
  placed: Placed | null;
  /** On the peer's disk. */
  peerHas: boolean;
  /** Ended, one way or the other. */
  over: boolean;
}

interface Waiting extends PendingWrite {
  /** Position before this write. */
  readonly before: Position;
  readonly resolve: (done: boolean) => void;
  readonly reject: (error: Error) => void;
}

/** The waiting writes in the order of their versions. */
export class PendingWrites {
  readonly #writes: Waiting[] = [];
  /** Number of waiting writes per key. */
  readonly #keys = new Map<string, number>();
  #bytes = 0;
  #empty = Promise.withResolvers<void>();

  /** Version of the oldest waiting write; null when none waits. */
  get first(): number | null {
    return this.#writes[0]?.change.version ?? null;
  }

  /** Bytes of the values that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** Resolves when none waits; true at once when that is so. */
  async empty(): Promise<void> {
    if (this.#writes.length > 0) await this.#empty.promise;
  }

  /** Throws `store.busy` when no more may wait. */
  checkRoom(bytes: number): void {
    if (this.#writes.length < PENDING_MAX && this.#bytes + bytes <= PENDING_BYTES_MAX) return;
    throw new UpdateError(
      'store.busy',
      `${this.#writes.length} writes with ${this.#bytes} bytes wait; ` +
        `at most ${PENDING_MAX} writes with ${PENDING_BYTES_MAX} bytes may`,
    );
  }

  /** Adds a write that follows `before`. */
  add(change: Change, before: Position): PendingWrite {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const ends = { promise, resolve, reject };
    const write: Waiting = {
      change,
      before,
      ...ends,
      placed: null,
      peerHas: false,
      over: false,
    };
    this.#writes.push(write);
    this.#bytes += change.value?.length ?? 0;
    this.#keys.set(change.key, (this.#keys.get(change.key) ?? 0) + 1);
    return write;
  }

  /** The oldest write when it is on this disk, else null. */
  ready(): PendingWrite | null {
    const [write] = this.#writes;
    return write && write.placed !== null ? write : null;
  }

  /** Ends the oldest write: visible, then answered. */
  acknowledge(write: PendingWrite, show: (placed: Placed) => void): void {
    const oldest = this.#writes.shift();
    if (!oldest || oldest !== write || !oldest.placed) {
      throw new UpdateError('internal.bug', 'a write was acknowledged out of order');
    }
    this.#ended(oldest);
    show(oldest.placed);
    oldest.resolve(true);
  }

  /** Everything up to this version is on the peer's disk. */
  peerHas(version: number): void {
    for (const write of this.#writes) {
      if (write.change.version > version) return;
      write.peerHas = true;
    }
  }

  /** True when a copy at `position` holds all that was taken up to some point in this list. */
  isPrefix(position: Position, head: Position): boolean {
    if (same(position, head)) return true;
    const [first] = this.#writes;
    if (!first) return false;
    return (
      this.#writes.some(({ change }) => same(position, change)) || same(position, first.before)
    );
  }

  /** The writes after `position`, and notes those up to it as being on the peer's disk. */
  after(position: Position | null): readonly PendingWrite[] {
    const at = this.#writes.findIndex(({ change }) => position && same(position, change));
    for (const [index, write] of this.#writes.entries()) write.peerHas = index <= at;
    return this.#writes.slice(at + 1);
  }

  /** Ends all of them unacknowledged; those on this disk become visible, as after a crash. */
  giveUp(why: string, show: (placed: Placed) => void): void {
    for (const write of this.#writes.splice(0)) {
      this.#ended(write);
      if (write.placed) show(write.placed);
      write.reject(new UpdateError('store.unacknowledged', why));
    }
  }

  #ended(write: Waiting): void {
    const { key, value } = write.change;
    write.over = true;
    this.#bytes -= value?.length ?? 0;
    const left = (this.#keys.get(key) ?? 1) - 1;
    if (left === 0) this.#keys.delete(key);
    else this.#keys.set(key, left);
    if (this.#writes.length > 0) return;
    this.#empty.resolve();
    this.#empty = Promise.withResolvers<void>();
  }
}

const same = (a: Position, b: Position): boolean => a.run === b.run && a.version === b.version;
