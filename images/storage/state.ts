/**
 * What a copy of the store must never forget besides its objects: whose it is, the highest epoch
 * that it has seen, its generation ids, whether it is known to lag, its format level. Kept in a
 * preallocated file of two copies, written in place: a full disk never blocks it. Always holds:
 * changes are durable before they are told to anybody; the epoch only grows. Imports core and the
 * file of two copies.
 */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { Generation } from '../../src/core/records.ts';
import { createTwoCopyFile, TwoCopyFile } from '../../src/drivers/two-copy-file.ts';
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
  /** Level that records are written at; raised only by `finalizeFormat`. */
  readonly formatLevel: number;
}

/** The open state; `now` is always what is on disk. */
export class StateFile implements AsyncDisposable {
  readonly #file: TwoCopyFile;
  #now: CopyState;
  #turn: Promise<void> = Promise.resolve();

  private constructor(file: TwoCopyFile, state: CopyState) {
    this.#file = file;
    this.#now = state;
  }

  /**
   * Opens the state in `dir`, or makes it when `fresh` (no object was ever written there). Throws
   * `store.corrupt` when it is missing or damaged beside objects, `config.invalid` when the data
   * belong to another node or pair, `state.newer_schema`.
   */
  static async open(
    dir: string,
    owner: { readonly node: NodeId; readonly pair: string },
    fresh: () => Promise<boolean>,
  ): Promise<StateFile> {
    const path = join(dir, 'state');
    try {
      const exists = await access(path).then(
        () => true,
        () => false,
      );
      if (!exists) {
        if (!(await fresh())) throw damaged(path);
        await createTwoCopyFile(path);
      }
      const file = await TwoCopyFile.open(path);
      try {
        if (file.value === null) {
          // Blank: the power went between making the file and its first value.
          if (!(await fresh())) throw damaged(path);
          await file.write(firstState(owner));
        }
        return new StateFile(file, checkState(file.value as CopyState, owner, path));
      } catch (error) {
        await file[Symbol.asyncDispose]();
        throw error;
      }
    } catch (error) {
      throw ioFailure(error);
    }
  }

  get now(): CopyState {
    return this.#now;
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
      await this.#file.write(next);
      this.#now = next;
    } catch (error) {
      throw ioFailure(error);
    } finally {
      resolve();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    await this.#file[Symbol.asyncDispose]();
  }
}

function firstState(owner: { readonly node: NodeId; readonly pair: string }): CopyState {
  return {
    schema: STATE_SCHEMA,
    ...owner,
    epoch: 0,
    generation: newGeneration(),
    stale: false,
    formatLevel: FORMAT_MIN,
  };
}

function checkState(
  state: CopyState,
  owner: { readonly node: NodeId; readonly pair: string },
  path: string,
): CopyState {
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
