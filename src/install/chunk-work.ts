/**
 * The work on single chunks, the same in the main thread and in the worker. Always holds:
 * compressed bytes are compared with the signed index before anything decompresses them, and raw
 * bytes reach the slot only from there; what was made from another slot is written only after its
 * own digest was compared; a chunk counts as kept only after its bytes in the slot were hashed; the
 * buffers of this file are all the memory that a thread works with: two slabs, so that one can be
 * the disk's while the other is worked on. Imports core, bundle and the block file.
 */
import { hash } from 'node:crypto';
import { checkCompressed, checkRaw, inflateInto } from '../bundle/chunk.ts';
import { frameDecoder, type FrameDecoder } from '../bundle/frame-decoder.ts';
import { KIND, type ChunkRecord } from '../bundle/index-codec.ts';
import { UpdateError } from '../core/errors.ts';
import { allocateSlab, BlockFile } from '../drivers/block-file.ts';
import { Dictionaries, type BaseJob } from './base-slot.ts';
import type { BoardMemory } from './board.ts';
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

/** One of the two slabs of a thread. */
export type Side = 0 | 1;

/** One thread's hands on one slot. */
export class ChunkWork implements Disposable {
  readonly #job: SlotJob;
  readonly #slot: BlockFile;
  readonly #slabs: readonly [Uint8Array, Uint8Array];
  readonly #compressed: Buffer;
  readonly #decoder: FrameDecoder;
  readonly #dictionaries: Dictionaries | null;

  /** `claim` in the first thread only, see BlockFile. Throws `slot.io`. */
  constructor(job: SlotJob, options: { readonly claim: boolean }) {
    this.#job = job;
    const largest = (pick: (record: ChunkRecord) => number): number =>
      job.records.reduce((most, record) => Math.max(most, pick(record)), 0);
    // The decoder wants room for one byte more than it should find.
    const slabBytes = largest((record) => record.rawBytes) + 1;
    this.#slabs = [allocateSlab(slabBytes), allocateSlab(slabBytes)];
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

  /** Whether the hint says that the slot holds chunk `chunk`: it may be looked for there. */
  isHinted(chunk: number): boolean {
    return chunk < this.#job.hintedChunks;
  }

  /**
   * Makes the raw bytes of chunk `chunk` in a slab that is not the disk's. Throws `bundle.damaged`
   * and `bundle.wrong_base`, and what is in the slab is not to be written then.
   */
  make(chunk: number, side: Side): void {
    const record = this.#record(chunk);
    const slab = this.#slabs[side];
    if (record.kind === KIND.zeros) slab.fill(0, 0, record.rawBytes);
    else this.#inflate(record, slab);
  }

  /** Writes chunk `chunk`, which was made in that slab. Durable after a sync. Throws `slot.io`. */
  async store(chunk: number, side: Side): Promise<void> {
    const { rawOffset, rawBytes } = this.#record(chunk);
    await this.#slot.writeLater(this.#slabs[side], rawOffset, rawBytes);
  }

  /** Reads what the slot holds in the place of chunk `chunk` into a slab. Throws `slot.io`. */
  async load(chunk: number, side: Side): Promise<void> {
    const { rawOffset, rawBytes } = this.#record(chunk);
    await this.#slot.readLater(this.#slabs[side], rawOffset, rawBytes);
  }

  /** Whether a slab that was loaded holds chunk `chunk`. */
  agrees(chunk: number, side: Side): boolean {
    const { rawBytes, rawSha256 } = this.#record(chunk);
    return hash('sha256', this.#slabs[side].subarray(0, rawBytes), 'hex') === rawSha256;
  }

  /** Throws `slot.readback` unless a slab that was loaded holds chunk `chunk`. */
  check(chunk: number, side: Side): void {
    if (this.agrees(chunk, side)) return;
    const { image, rawOffset } = this.#record(chunk);
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

  #inflate(record: ChunkRecord, slab: Uint8Array): void {
    const bytes = this.#compressed.subarray(0, record.compressedBytes);
    readBundle(this.#job.bundleFd, bytes, this.#job.dataOffset + record.offset);
    checkCompressed(record, bytes);
    const { segments } = record;
    const dictionary = segments === undefined ? undefined : this.#dictionaries?.of(segments);
    inflateInto(this.#decoder, record, bytes, slab, dictionary);
    // The raw digest is checked once, by the read-back, or here when there is none. But a base that
    // is not the right one gives wrong bytes and no error, and they must not reach the slot.
    if (record.kind === KIND.delta || !this.#job.readBack) {
      checkRaw(record, slab.subarray(0, record.rawBytes));
    }
  }
}
