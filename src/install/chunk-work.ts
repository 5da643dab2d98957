/**
 * The work on single chunks, the same in the main thread and in the worker, all synchronous.
 * Always holds: compressed bytes are compared with the signed index before anything decompresses
 * them, and raw bytes reach the slot only from there; what was made from another slot is written
 * only after its own digest was compared; a chunk counts as kept only after its bytes
 * in the slot were hashed; the buffers of this file are all the memory that a thread works with.
 * Imports core, bundle and the block file.
 */
import { hash } from 'node:crypto';
import { checkCompressed, checkRaw, inflateInto } from '../bundle/chunk.ts';
import { frameDecoder, type FrameDecoder } from '../bundle/frame-decoder.ts';
import { KIND, type ChunkRecord } from '../bundle/index-codec.ts';
import { UpdateError } from '../core/errors.ts';
import { allocateSlab, BlockFile } from '../drivers/block-file.ts';
import { Dictionaries, type BaseJob } from './base-slot.ts';
import { Board, CHUNK, PHASE, type BoardMemory } from './board.ts';
import { readBundle } from './read-bundle.ts';

/** One slot to write, as it is sent to a worker. */
export interface SlotJob {
  readonly board: BoardMemory;
  readonly device: string;
  readonly sizeBytes: number;
  /** Descriptor of the bundle file that was verified; all threads share it. */
  readonly bundleFd: number;
  /** Position of the image's data in the bundle. */
  readonly dataOffset: number;
  readonly records: readonly ChunkRecord[];
  /** That many chunks from the start are probably in the slot already. */
  readonly hintedChunks: number;
  readonly readBack: boolean;
  /** What delta chunks are made from; null where there are none. */
  readonly base: BaseJob | null;
}

/** One thread's hands on one slot. */
export class ChunkWork implements Disposable {
  readonly #job: SlotJob;
  readonly #slot: BlockFile;
  readonly #slab: Uint8Array;
  readonly #compressed: Buffer;
  readonly #decoder: FrameDecoder;
  readonly #dictionaries: Dictionaries | null;

  /** `claim` in the first thread only, see BlockFile. Throws `slot.io`. */
  constructor(job: SlotJob, options: { readonly claim: boolean }) {
    this.#job = job;
    const largest = (pick: (record: ChunkRecord) => number): number =>
      job.records.reduce((most, record) => Math.max(most, pick(record)), 0);
    // The decoder wants room for one byte more than it should find.
    this.#slab = allocateSlab(largest((record) => record.rawBytes) + 1);
    this.#compressed = Buffer.allocUnsafeSlow(largest((record) => record.compressedBytes));
    this.#decoder = frameDecoder();
    this.#slot = BlockFile.open(job.device, job.sizeBytes, options);
    try {
      this.#dictionaries = job.base === null ? null : new Dictionaries(job.base, job.records);
    } catch (error) {
      this.#slot[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Brings chunk `chunk` into the slot, unless the hint says that it is there and its digest
   * agrees. Throws as `put` does.
   */
  write(chunk: number): typeof CHUNK.written | typeof CHUNK.kept {
    if (this.keeps(chunk)) return CHUNK.kept;
    this.put(chunk);
    return CHUNK.written;
  }

  /** Whether the hint says that the slot holds chunk `chunk`, and it does. Throws `slot.io`. */
  keeps(chunk: number): boolean {
    return chunk < this.#job.hintedChunks && this.#holds(this.#record(chunk));
  }

  /**
   * Writes chunk `chunk`. Durable only after a sync. Throws `bundle.damaged` and
   * `bundle.wrong_base` before a byte is written, `slot.io`.
   */
  put(chunk: number): void {
    const record = this.#record(chunk);
    if (record.kind === KIND.zeros) this.#slab.fill(0, 0, record.rawBytes);
    else this.#inflate(record);
    this.#slot.write(this.#slab, record.rawOffset, record.rawBytes);
  }

  /** Throws `slot.readback` unless the slot holds chunk `chunk`. */
  readBack(chunk: number): void {
    const record = this.#record(chunk);
    if (this.#holds(record)) return;
    const { image, rawOffset } = record;
    throw new UpdateError(
      'slot.readback',
      `${this.#job.device} does not hold chunk ${chunk} of image ${image} at byte ${rawOffset}`,
      { detail: { device: this.#job.device, image, chunk, offset: rawOffset } },
    );
  }

  /** Everything that any thread wrote before is on the disk then. Throws `slot.io`. */
  async sync(): Promise<void> {
    await this.#slot.sync();
  }

  [Symbol.dispose](): void {
    this.#dictionaries?.[Symbol.dispose]();
    this.#slot[Symbol.dispose]();
  }

  #record(chunk: number): ChunkRecord {
    const record = this.#job.records[chunk];
    if (record === undefined) throw new UpdateError('internal.bug', `there is no chunk ${chunk}`);
    return record;
  }

  #holds(record: ChunkRecord): boolean {
    this.#slot.read(this.#slab, record.rawOffset, record.rawBytes);
    return hash('sha256', this.#slab.subarray(0, record.rawBytes), 'hex') === record.rawSha256;
  }

  #inflate(record: ChunkRecord): void {
    const bytes = this.#compressed.subarray(0, record.compressedBytes);
    readBundle(this.#job.bundleFd, bytes, this.#job.dataOffset + record.offset);
    checkCompressed(record, bytes);
    const { segments } = record;
    const dictionary = segments === undefined ? undefined : this.#dictionaries?.of(segments);
    inflateInto(this.#decoder, record, bytes, this.#slab, dictionary);
    // The raw digest is checked once, by the read-back, or here when there is none. But a base that
    // is not the right one gives wrong bytes and no error, and they must not reach the slot.
    if (record.kind === KIND.delta || !this.#job.readBack) {
      checkRaw(record, this.#slab.subarray(0, record.rawBytes));
    }
  }
}

/** What a worker does with a job: chunks as long as there are any, phase by phase. */
export function workUntilDone(job: SlotJob): void {
  const board = new Board(job.board);
  try {
    using work = new ChunkWork(job, { claim: false });
    writeAll(board, work);
    awaitReadBack(board);
    for (let chunk = board.takeRead(); chunk !== null; chunk = board.takeRead()) {
      work.readBack(chunk);
      board.finishRead();
    }
  } catch (error) {
    board.stop();
    throw error;
  }
}

function writeAll(board: Board, work: ChunkWork): void {
  for (;;) {
    const seen = board.events;
    const chunk = board.takeWrite();
    if (chunk === null) return;
    if (chunk === 'wait') board.sleep(seen);
    else board.finishWrite(chunk, work.write(chunk));
  }
}

/** Returns when the main thread has synced what was written, or when there is nothing to do. */
function awaitReadBack(board: Board): void {
  for (;;) {
    const seen = board.events;
    if (board.phase !== PHASE.write || board.stopped) return;
    board.sleep(seen);
  }
}
