/**
 * A small value in two checksummed copies in one preallocated file, each in a block of its own.
 * Only the copy with the lower sequence number is ever written, in one write, synced and read back;
 * the valid copy with the higher number counts. Always holds: a power cut at any moment leaves the
 * old value or the new one, never none and never a mixture, and a write needs no free space.
 * Imports core and the disk file.
 */
import type { Code } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { encodeFrame, FRAME_HEADER_BYTES, isBlank, readFrame } from '../core/frame.ts';
import type { DiskFile } from './disk-file.ts';
import { ioError } from './fs-atomic.ts';

/** Distance of the copies: a block, the unit that file systems and large disks rewrite. */
export const COPY_BYTES = 4096;
/** Size of the file. */
export const TWO_COPY_BYTES = 2 * COPY_BYTES;
/** Longest value. */
export const VALUE_BYTES_MAX = COPY_BYTES - FRAME_HEADER_BYTES;
const GENERATION = 1;

/** What one copy turned out to be. */
export type CopyState = 'good' | 'blank' | 'damaged';

/** What the two copies hold. */
export interface Copies {
  /** The value that counts, or null when no copy is good. */
  readonly value: { readonly seq: number; readonly bytes: Uint8Array } | null;
  readonly states: readonly [CopyState, CopyState];
  /** Byte offset of the copy that the next write goes to. */
  readonly next: number;
}

/** Reads the content of such a file; never throws, whatever the bytes are. */
export function readCopies(bytes: Uint8Array): Copies {
  const [first, second] = [readCopy(bytes, 0), readCopy(bytes, COPY_BYTES)] as const;
  const newest = (second.value?.seq ?? -1) > (first.value?.seq ?? -1) ? second : first;
  const next = newest === first ? COPY_BYTES : 0;
  return { value: newest.value, states: [first.state, second.state], next };
}

/** Content of a new file, with this value in both copies. */
export function newCopies(value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(TWO_COPY_BYTES);
  bytes.set(encodeValue(1, value));
  bytes.set(encodeValue(2, value), COPY_BYTES);
  return bytes;
}

/** One value with its checksum, as it lies at the start of a copy; at most a block long. */
export function encodeValue(seq: number, value: Uint8Array): Uint8Array {
  if (value.length > VALUE_BYTES_MAX) {
    const message = `A value has ${value.length} bytes, at most ${VALUE_BYTES_MAX} fit`;
    throw new UpdateError('internal.bug', message);
  }
  return encodeFrame('value', GENERATION, seq, value);
}

/** The value at the start of these bytes, or null when it is damaged or missing. */
export function decodeValue(bytes: Uint8Array): Copies['value'] {
  const frame = readFrame(bytes, 0);
  if (frame?.kind !== 'value' || frame.payload.length > VALUE_BYTES_MAX) return null;
  return { seq: frame.seq, bytes: frame.payload };
}

/** Such a file, open. Calls run one after the other. */
export class TwoCopy implements AsyncDisposable {
  readonly #file: DiskFile;
  readonly #code: Code;
  /** A write failed: what is read may be in the kernel's cache only. */
  #suspect = false;
  #queue: Promise<unknown> = Promise.resolve();

  /** `code` is what an error of the disk becomes. */
  constructor(file: DiskFile, code: Code) {
    this.#file = file;
    this.#code = code;
  }

  /** Both copies as they are on disk now; the value that it returns is durable. */
  read(): Promise<Copies> {
    return this.#inTurn(async () => {
      const copies = await this.#copies();
      if (this.#suspect && copies.value !== null) {
        await this.#write(copies, copies.value.bytes);
        return this.#copies();
      }
      // A writer that was killed before its sync may have left the value in the cache only.
      await this.#file.sync();
      return copies;
    });
  }

  /**
   * Makes a new value from the one that counts, durably; returns its sequence number. Nothing is
   * written when `change` returns null (then null is returned) or throws.
   */
  update(change: (copies: Copies) => Uint8Array | null): Promise<number | null> {
    return this.#inTurn(async () => {
      const copies = await this.#copies();
      const value = change(copies);
      return value === null ? null : this.#write(copies, value);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue;
    await this.#file[Symbol.asyncDispose]();
  }

  async #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const mine = this.#queue.then(run);
    this.#queue = mine.catch(() => undefined);
    try {
      return await mine;
    } catch (error) {
      throw ioError(error, this.#code, `${this.#file.name} cannot be read or written`);
    }
  }

  async #copies(): Promise<Copies> {
    return readCopies(await this.#file.read(0, Math.min(this.#file.sizeBytes, TWO_COPY_BYTES)));
  }

  async #write(copies: Copies, value: Uint8Array): Promise<number> {
    const seq = (copies.value?.seq ?? 0) + 1;
    const bytes = encodeValue(seq, value);
    this.#suspect = true;
    await this.#file.write(copies.next, bytes);
    await this.#file.sync();
    const back = await this.#file.read(copies.next, bytes.length);
    if (!bytes.every((byte, index) => byte === back[index])) {
      const message = `${this.#file.name} does not hold what was written at byte ${copies.next}`;
      throw new UpdateError(this.#code, message);
    }
    this.#suspect = false;
    return seq;
  }
}

function readCopy(
  bytes: Uint8Array,
  offset: number,
): { readonly value: Copies['value']; readonly state: CopyState } {
  const copy = bytes.subarray(offset, offset + COPY_BYTES);
  const value = decodeValue(copy);
  if (value !== null) return { value, state: 'good' };
  return { value, state: copy.length === COPY_BYTES && isBlank(copy) ? 'blank' : 'damaged' };
}
