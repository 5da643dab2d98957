/**
 * What a copy of the store must never forget besides its objects: whose it is, the highest epoch
 * that it has seen, its generation ids, whether it is known to lag, its format level. Kept in a
 * preallocated file of two copies, written in place: a full disk never blocks it. Always holds:
 * changes are durable before they are told to anybody; the epoch only grows. Imports core and the
 * file of two copies.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { Generation } from '../../src/core/records.ts';
import type { Amount } from '../../src/core/store.ts';
import { createDiskFile, openDiskFile } from '../../src/drivers/disk-file.ts';
import { newCopies, TWO_COPY_BYTES, TwoCopy } from '../../src/drivers/two-copy.ts';
import { newGeneration } from './generation.ts';
import { FORMAT_MIN } from './limits.ts';
import { ioFailure } from './segments.ts';

/** Schema that this program writes. */
export const STATE_SCHEMA = 1;

/** The durable fields; unknown ones of the same schema are kept. */
export interface CopyState {
  readonly schema: number;
  readonly node: NodeId;
  readonly pair: string;
  /** Highest epoch that this copy has seen. */
  readonly epoch: number;
  readonly generation: Generation;
  /** This copy lacks acknowledged writes, or may: only a sync that ended takes it back. */
  readonly stale: boolean;
  /** Nothing that is on this disk counts until it was read; with `stale`. Absent = false. */
  readonly distrusted?: boolean;
  /** When this copy was first written without the other one; null or absent = never, or unknown. */
  readonly aloneSince?: string | null;
  /** Level that records are written at; raised only by `finalizeFormat`. */
  readonly formatLevel: number;
  /** With DRBD only: whether its meta-data were begun, or made; absent = neither. */
  readonly metaData?: 'begun' | 'made';
  /** With DRBD only: what the copy held when this node could look at it last. */
  readonly counted?: Amount;
}

/** The open state; `now` is always what is on disk. */
export class StateFile implements AsyncDisposable {
  readonly #file: TwoCopy;
  #now: CopyState;
  #turn: Promise<void> = Promise.resolve();
  #busySinceMs: number | null = null;

  private constructor(file: TwoCopy, state: CopyState) {
    this.#file = file;
    this.#now = state;
  }

  /**
   * Opens the state in `dir`, or makes it when `fresh` (no object was ever written there). Throws
   * `store.corrupt` when it is missing or damaged beside objects, `config.invalid` when the data
   * belong to another node or pair, `state.newer_schema`.
   */
  static async open(dir: string, owner: Owner, fresh: () => Promise<boolean>): Promise<StateFile> {
    const path = join(dir, 'state');
    try {
      const exists = (await stat(path).catch(() => null)) !== null;
      if (!exists) {
        if (!(await fresh())) throw damaged(path);
        await createDiskFile(path, TWO_COPY_BYTES, newCopies(encode(firstState(owner))));
      }
      const disk = await openDiskFile(path, { maxBytes: TWO_COPY_BYTES });
      const file = new TwoCopy(disk, 'store.io');
      try {
        const { value } = await file.read();
        if (value === null) throw damaged(path);
        return new StateFile(file, decode(value.bytes, owner, path));
      } catch (error) {
        await file[Symbol.asyncDispose]();
        throw error;
      }
    } catch (error) {
      throw ioFailure(error);
    }
  }

  /** The fields as they are on disk. */
  get now(): CopyState {
    return this.#now;
  }

  /** For how long the change that is under way has taken; 0 without one. */
  get busyMs(): number {
    return this.#busySinceMs === null ? 0 : performance.now() - this.#busySinceMs;
  }

  /** Changes some fields; durable when it resolves. Changes happen in the order of the calls. */
  async change(change: Partial<CopyState>): Promise<void> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      const epoch = Math.max(this.#now.epoch, change.epoch ?? 0);
      const next = { ...this.#now, ...change, epoch };
      if (JSON.stringify(next) === JSON.stringify(this.#now)) return;
      this.#busySinceMs = performance.now();
      await this.#file.update(() => encode(next));
      this.#now = next;
    } finally {
      this.#busySinceMs = null;
      resolve();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    await this.#file[Symbol.asyncDispose]();
  }
}

/** Whose copy it is. */
type Owner = Pick<CopyState, 'node' | 'pair'>;

function encode(state: CopyState): Uint8Array {
  return Buffer.from(JSON.stringify(state), 'utf8');
}

function firstState(owner: Owner): CopyState {
  return {
    schema: STATE_SCHEMA,
    node: owner.node,
    pair: owner.pair,
    epoch: 0,
    generation: newGeneration(),
    stale: false,
    formatLevel: FORMAT_MIN,
  };
}

function decode(bytes: Uint8Array, owner: Owner, path: string): CopyState {
  const state = JSON.parse(Buffer.from(bytes).toString('utf8')) as CopyState;
  if (state.schema > STATE_SCHEMA) {
    throw new UpdateError(
      'state.newer_schema',
      `${path} has schema ${state.schema}, this program knows ${STATE_SCHEMA}`,
    );
  }
  if (state.node !== owner.node || state.pair !== owner.pair) {
    throw new UpdateError(
      'config.invalid',
      `${path} belongs to node ${state.node} of pair ${state.pair}, ` +
        `expected node ${owner.node} of pair ${owner.pair}`,
    );
  }
  return state;
}

function damaged(path: string): UpdateError {
  return new UpdateError('store.corrupt', `${path} is missing or damaged, but there are objects`);
}
