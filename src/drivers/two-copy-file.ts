/**
 * A small JSON value in a preallocated file of two copies, overwritten in place: a full disk never
 * blocks a write, and a power cut in the middle of one leaves the older copy whole. Layout of each
 * copy of 4096 bytes: magic (8), sequence number (u64, big endian), length of the JSON (u32),
 * SHA-256 over sequence, length and JSON (32), the JSON (UTF-8), zeros. The valid copy with the
 * higher sequence number counts. Always holds: after `write` no older value can come back, because
 * both copies carry the new one. Imports core, node: and the preallocator.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { UpdateError } from '../core/errors.ts';
import { preallocate } from './preallocate.ts';

/** Size of one copy; also the unit that disks write whole or not at all, at best. */
export const COPY_BYTES = 4096;
const MAGIC = Buffer.from('TNDM2CP1', 'latin1');
const HEAD_BYTES = 52;
/** Longest JSON text that a copy holds, in bytes. */
export const VALUE_BYTES_MAX = COPY_BYTES - HEAD_BYTES;

interface Copy {
  readonly seq: bigint;
  readonly value: unknown;
}

/** Makes the file with both copies blank, space allocated; an existing one stays as it is. */
export async function createTwoCopyFile(path: string): Promise<void> {
  await preallocate(path, 2 * COPY_BYTES);
}

/** One open file of two copies. System errors pass through as they are. */
export class TwoCopyFile implements AsyncDisposable {
  readonly #file: FileHandle;
  #seqs: [bigint, bigint];
  #value: unknown;

  private constructor(file: FileHandle, copies: readonly [Copy | null, Copy | null]) {
    this.#file = file;
    this.#seqs = [copies[0]?.seq ?? 0n, copies[1]?.seq ?? 0n];
    this.#value = (copies[this.#newest()] ?? null)?.value ?? null;
  }

  /** Opens an existing file and reads it. */
  static async open(path: string): Promise<TwoCopyFile> {
    const file = await open(path, constants.O_RDWR);
    try {
      const bytes = Buffer.alloc(2 * COPY_BYTES);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
      const whole = bytes.subarray(0, bytesRead);
      const second = whole.subarray(COPY_BYTES);
      return new TwoCopyFile(file, [decode(whole.subarray(0, COPY_BYTES)), decode(second)]);
    } catch (cause) {
      await file.close();
      throw cause;
    }
  }

  /** The value that counts; null when neither copy is valid (blank or damaged). */
  get value(): unknown {
    return this.#value;
  }

  /** Replaces the value in both copies, the older one first; durable when it returns. */
  async write(value: unknown): Promise<void> {
    await this.writeOne(value);
    await this.writeOne(value);
  }

  /**
   * Replaces the value in the older copy only, durable when it returns: half the cost, for values
   * where coming back to the one before does no harm.
   */
  async writeOne(value: unknown): Promise<void> {
    const newest = this.#newest();
    const oldest = newest === 0 ? 1 : 0;
    const seq = this.#seqs[newest] + 1n;
    const { bytesWritten } = await this.#file.write(
      encode(seq, value),
      0,
      COPY_BYTES,
      oldest * COPY_BYTES,
    );
    if (bytesWritten !== COPY_BYTES) throw new UpdateError('internal.bug', 'short write of a copy');
    await this.#file.datasync();
    this.#seqs[oldest] = seq;
    this.#value = value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  #newest(): 0 | 1 {
    return this.#seqs[1] > this.#seqs[0] ? 1 : 0;
  }
}

function digest(numbers: Uint8Array, json: Uint8Array): Buffer {
  return createHash('sha256').update(numbers).update(json).digest();
}

function encode(seq: bigint, value: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(value), 'utf8');
  if (json.length > VALUE_BYTES_MAX) {
    throw new UpdateError('internal.bug', `${json.length} bytes do not fit ${VALUE_BYTES_MAX}`);
  }
  const copy = Buffer.alloc(COPY_BYTES);
  MAGIC.copy(copy, 0);
  copy.writeBigUInt64BE(seq, 8);
  copy.writeUInt32BE(json.length, 16);
  digest(copy.subarray(8, 20), json).copy(copy, 20);
  json.copy(copy, HEAD_BYTES);
  return copy;
}

function decode(copy: Buffer): Copy | null {
  if (copy.length !== COPY_BYTES || !copy.subarray(0, 8).equals(MAGIC)) return null;
  const length = copy.readUInt32BE(16);
  if (length > VALUE_BYTES_MAX) return null;
  const json = copy.subarray(HEAD_BYTES, HEAD_BYTES + length);
  if (!digest(copy.subarray(8, 20), json).equals(copy.subarray(20, HEAD_BYTES))) return null;
  return { seq: copy.readBigUInt64BE(8), value: JSON.parse(json.toString('utf8')) as unknown };
}
