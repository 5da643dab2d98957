/**
 * Keeps the progress record of one slot close behind the writing. Always holds: the record speaks
 * only of chunks that were synced before it was written, and no chunk is handed out for writing
 * that lies more than the window (32 MiB) after what the record says, so a power cut can cost no
 * more than that. Imports the board and bundle types.
 */
import type { ChunkRecord } from '../bundle/index-codec.ts';
import type { Board } from './board.ts';

/** Most that has to be written again after a power cut, in raw bytes. */
export const WINDOW_BYTES = 32 * 1024 * 1024;
/** Oldest that the record gets while something is written. */
const AGE_MS = 1000;

/** Which install is recorded, and where. */
export interface RecorderOptions {
  readonly board: Board;
  readonly records: readonly ChunkRecord[];
  /** Chunks that the record on disk claims already. */
  readonly hintedChunks: number;
  /** Brings everything that was written to the disk. */
  readonly sync: () => Promise<void>;
  /** Writes the record durably: the slot is right up to `doneBytes`. */
  readonly save: (doneBytes: number) => Promise<void>;
}

/** One recorder per slot. Syncing goes on beside the work of the thread that calls it. */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #windowChunks: number;
  /** Chunks that the record on disk speaks of. */
  #recorded: number;
  #savedMs = performance.now();
  #running: Promise<void> | null = null;
  #failed: { readonly error: unknown } | null = null;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#recorded = options.hintedChunks;
    const chunkBytes = options.records[0]?.rawBytes ?? WINDOW_BYTES;
    this.#windowChunks = Math.max(2, Math.floor(WINDOW_BYTES / chunkBytes));
  }

  /**
   * Replaces the record of whatever was in the slot before, then lets the writing begin: from the
   * first write on that record would be wrong.
   */
  async begin(): Promise<void> {
    await this.#save(this.#recorded);
  }

  /**
   * Starts a record when half a window or a second has passed. Throws what an earlier one threw.
   */
  tick(): void {
    if (this.#failed) throw this.#failed.error;
    if (this.#running !== null) return;
    const finished = this.#options.board.finishedFrom(this.#recorded);
    const chunks = finished - this.#recorded;
    const old = performance.now() - this.#savedMs >= AGE_MS;
    if (chunks >= this.#windowChunks / 2 || (old && chunks > 0)) this.#start(finished);
  }

  /**
   * For a thread that the gate keeps from work: starts a record if there is anything to record, and
   * waits for it. False when there is nothing, because another thread still has the next chunk.
   */
  async advance(): Promise<boolean> {
    const finished = this.#options.board.finishedFrom(this.#recorded);
    if (this.#running === null && finished > this.#recorded) this.#start(finished);
    if (this.#running === null) return false;
    await this.#running;
    if (this.#failed) throw this.#failed.error;
    return true;
  }

  /** Records everything; all chunks are finished. The data are on the disk when it returns. */
  async finish(): Promise<void> {
    await this.settle();
    if (this.#failed) throw this.#failed.error;
    await this.#options.sync();
    await this.#save(this.#options.records.length);
  }

  /** Returns when no record is being written; never throws. */
  async settle(): Promise<void> {
    await this.#running;
  }

  #start(chunks: number): void {
    this.#running = this.#record(chunks);
  }

  async #record(chunks: number): Promise<void> {
    try {
      await this.#options.sync();
      await this.#save(chunks);
    } catch (error) {
      this.#failed = { error };
    } finally {
      this.#running = null;
    }
  }

  async #save(chunks: number): Promise<void> {
    const last = this.#options.records[chunks - 1];
    await this.#options.save(last === undefined ? 0 : last.rawOffset + last.rawBytes);
    this.#recorded = chunks;
    this.#savedMs = performance.now();
    this.#options.board.openGate(chunks + this.#windowChunks);
  }
}
