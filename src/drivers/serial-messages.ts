/**
 * Messages in the small form that a serial line can carry: JSON text, deflated with a dictionary
 * that both sides know, cut into fragments; and back again. Always holds: a message comes out whole
 * or not at all, is a JSON object of at most 256 KiB however well it was packed, and a fragment
 * that is missing costs one message, not the next. Nothing is repeated: messages are states, the
 * newest one counts. Source of the coding: RFC 1951. Imports core, the dictionary and the frames'
 * limit.
 *
 * A fragment, numbers big-endian: number of the message (2), index of the fragment (2), count of
 * fragments (2), bytes.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { deeperThan, MESSAGE_LEVELS_MAX } from '../core/json-depth.ts';
import { FRAME_BYTES_MAX } from './frames.ts';
import { SERIAL_DICTIONARY } from './serial-dictionary.ts';

const HEAD_BYTES = 6;
/** Bytes of a packed message in one fragment: short, so that beats get through between them. */
const PART_BYTES = 186;
/** Longest payload of a fragment. */
export const FRAGMENT_BYTES_MAX = HEAD_BYTES + PART_BYTES;
/** Deflate adds five bytes to each block that it cannot pack, and little more (RFC 1951, 3.2.4). */
const PACKED_BYTES_MAX = FRAME_BYTES_MAX + 1024;
const PARTS_MAX = Math.ceil(PACKED_BYTES_MAX / PART_BYTES);
const NUMBERS = 2 ** 16;

/** A message in its small form. */
export function packMessage(text: string): Buffer {
  return deflateRawSync(text, { level: 9, memLevel: 9, dictionary: SERIAL_DICTIONARY });
}

/** The message again, or null when these bytes are none. */
export function unpackMessage(packed: Buffer): object | null {
  try {
    const text = inflateRawSync(packed, {
      dictionary: SERIAL_DICTIONARY,
      maxOutputLength: FRAME_BYTES_MAX,
    });
    const value: unknown = JSON.parse(text.toString());
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject && !deeperThan(value, MESSAGE_LEVELS_MAX) ? value : null;
  } catch {
    return null;
  }
}

/** The fragments of one packed message, one after the other; `number` tells messages apart. */
export function fragmentsOf(packed: Buffer, number: number): Buffer[] {
  const count = Math.max(1, Math.ceil(packed.length / PART_BYTES));
  return Array.from({ length: count }, (_, index) => {
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt16BE(number % NUMBERS, 0);
    head.writeUInt16BE(index, 2);
    head.writeUInt16BE(count, 4);
    return Buffer.concat([head, packed.subarray(index * PART_BYTES, (index + 1) * PART_BYTES)]);
  });
}

/** Puts messages together again, of one sender whose fragments come in order. */
export class Assembler {
  #number = 0;
  #count = 0;
  #parts: Buffer[] = [];

  /** The message that this fragment completes, else null. */
  push(fragment: Buffer): object | null {
    if (fragment.length < HEAD_BYTES) return null;
    const number = fragment.readUInt16BE(0);
    const index = fragment.readUInt16BE(2);
    const count = fragment.readUInt16BE(4);
    if (index === 0) {
      this.#number = number;
      this.#count = count;
      this.#parts = [];
    }
    const next = number === this.#number && count === this.#count && index === this.#parts.length;
    if (!next || index >= count || count > PARTS_MAX) {
      this.clear();
      return null;
    }
    this.#parts.push(fragment.subarray(HEAD_BYTES));
    if (this.#parts.length < count) return null;
    const packed = Buffer.concat(this.#parts);
    this.clear();
    return unpackMessage(packed);
  }

  /** Forgets what is not complete. */
  clear(): void {
    this.#count = 0;
    this.#parts = [];
  }
}
