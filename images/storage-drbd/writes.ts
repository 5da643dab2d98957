/**
 * Writes of the primary on their way to the replicated device. Always holds: they are made in the
 * order in which they were asked for, and their number and bytes are bounded; none begins while the
 * copy is frozen; each ends exactly once, acknowledged when it is synced on the device, which is
 * then on both disks, or given up; one that was given up may hold or not. Imports core, objects and
 * limits.
 */
import { randomBytes } from 'node:crypto';
import { UpdateError } from '../../src/core/errors.ts';
import type { Change } from '../storage/entry.ts';
import { PENDING_BYTES_MAX, PENDING_MAX } from '../storage/limits.ts';
import type { Objects } from '../storage/objects.ts';
import { hashOf } from '../storage/record.ts';

interface Waiting {
  readonly key: string;
  readonly value: Buffer | null;
  readonly resolve: (found: boolean) => void;
  readonly reject: (error: Error) => void;
  over: boolean;
}

/** What the writes need to know of their copy. */
export interface WritesOptions {
  /** The objects while writes may begin; null while they must wait. */
  readonly objects: () => Objects | null;
  /** The device refused a write; nothing can be promised any more. */
  readonly onFailed: (error: unknown) => void;
}

/** The writes of one copy; empty on a secondary. */
export class Writes {
  readonly #options: WritesOptions;
  /** Not begun yet, in order. */
  readonly #waiting: Waiting[] = [];
  /** Begun, and not ended yet. */
  readonly #begun = new Set<Waiting>();
  #bytes = 0;
  /** This term as primary. */
  #run = '';
  #version = 0;
  #empty = Promise.withResolvers<void>();

  constructor(options: WritesOptions) {
    this.#options = options;
  }

  /** A new term as primary begins, on these objects. */
  begin(objects: Objects): void {
    this.#run = randomBytes(8).toString('hex');
    this.#version = objects.position.version;
  }

  /** Takes a write; throws `store.busy` when no more may wait. */
  async take(key: string, value: Buffer | null): Promise<boolean> {
    const count = this.#waiting.length + this.#begun.size;
    const bytes = this.#bytes + (value?.length ?? 0);
    if (count >= PENDING_MAX || bytes > PENDING_BYTES_MAX) {
      throw new UpdateError(
        'store.busy',
        `${count} writes with ${this.#bytes} bytes wait; ` +
          `at most ${PENDING_MAX} writes with ${PENDING_BYTES_MAX} bytes may`,
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    this.#bytes = bytes;
    this.#waiting.push({ key, value, resolve, reject, over: false });
    this.advance();
    return await promise;
  }

  /** Begins what may begin now. */
  advance(): void {
    for (let objects = this.#options.objects(); objects; objects = this.#options.objects()) {
      const write = this.#waiting.shift();
      if (write === undefined) return;
      this.#begun.add(write);
      void this.#place(objects, write);
    }
  }

  /** Resolves when none waits. */
  async empty(): Promise<void> {
    if (this.#waiting.length + this.#begun.size > 0) await this.#empty.promise;
  }

  /** What was not acknowledged is given up. */
  giveUp(why: string): void {
    for (const write of [...this.#begun, ...this.#waiting.splice(0)]) {
      this.#end(write, () => write.reject(new UpdateError('store.unacknowledged', why)));
    }
  }

  /** Synchronous up to the append, so that the order of the calls is that on the disk. */
  async #place(objects: Objects, write: Waiting): Promise<void> {
    const { key, value } = write;
    const earlier = [...this.#begun].some((one) => one !== write && one.key === key);
    if (value === null && !objects.has(key) && !earlier) {
      this.#end(write, () => write.resolve(false));
      return;
    }
    const version = (this.#version += 1);
    const hash = value === null ? null : hashOf(value);
    const change: Change = { key, value, hash, version, run: this.#run, copy: false };
    try {
      objects.show(await objects.append(change));
      this.#end(write, () => write.resolve(true));
    } catch (error) {
      this.#end(write, () => write.reject(error as Error));
      this.#options.onFailed(error);
    }
  }

  /** Ends a write, unless it has ended. */
  #end(write: Waiting, how: () => void): void {
    if (write.over) return;
    write.over = true;
    this.#begun.delete(write);
    this.#bytes -= write.value?.length ?? 0;
    how();
    if (this.#waiting.length + this.#begun.size > 0) return;
    this.#empty.resolve();
    this.#empty = Promise.withResolvers<void>();
  }
}
