/**
 * Frames on a serial line: a zero byte, the content and its CRC-32C in COBS, a zero byte. COBS
 * takes every zero out of a frame, so a zero always is a boundary: whatever noise did, the receiver
 * is in step again with the next frame. Always holds: what the parser gives arrived as it was sent,
 * as far as a checksum can tell (it authenticates nothing), and nothing above the limit is kept.
 * Source of the coding: Cheshire and Baker, "Consistent Overhead Byte Stuffing", 1999. Imports
 * core.
 */
import { crc32c } from '../core/crc32c.ts';

/** Longest content of one frame, in bytes. */
export const LINE_FRAME_BYTES_MAX = 256;
const CRC_BYTES = 4;
/** Longest run without a zero in COBS, and with it the longest group. */
const GROUP_MAX = 254;
/** Coded bytes between two zeros at most: content, checksum, one byte for each started group. */
const CODED_BYTES_MAX =
  LINE_FRAME_BYTES_MAX + CRC_BYTES + Math.ceil((LINE_FRAME_BYTES_MAX + CRC_BYTES) / GROUP_MAX) + 1;

/** Bytes that a frame takes on the line at most, for a content of `contentBytes`. */
export function lineBytes(contentBytes: number): number {
  const plain = contentBytes + CRC_BYTES;
  return plain + Math.floor(plain / GROUP_MAX) + 1 + 2;
}

/** The frame of a content. Throws `RangeError` above the limit: that is a fault of this program. */
export function encodeLineFrame(content: Buffer): Buffer {
  if (content.length > LINE_FRAME_BYTES_MAX) {
    throw new RangeError(`a frame of ${content.length} bytes, at most ${LINE_FRAME_BYTES_MAX}`);
  }
  const crc = Buffer.alloc(CRC_BYTES);
  crc.writeUInt32BE(crc32c(content));
  const plain = Buffer.concat([content, crc]);
  const frame = Buffer.alloc(lineBytes(content.length));
  // The first zero ends whatever noise the receiver has gathered on the idle line.
  let group = 1;
  let at = 2;
  for (const byte of plain) {
    if (byte !== 0) frame[at++] = byte;
    if (byte === 0 || at - group > GROUP_MAX) {
      frame[group] = at - group;
      group = at++;
    }
  }
  frame[group] = at - group;
  return frame.subarray(0, at + 1);
}

/** Incremental parser of what a line brings. */
export class LineParser {
  readonly #coded = Buffer.alloc(CODED_BYTES_MAX);
  #fill = 0;
  /** Bytes that came and were no part of a good frame, since the start. */
  #noiseBytes = 0;

  /** Contents of the good frames that these bytes complete; what is damaged is left out. */
  push(chunk: Buffer): Buffer[] {
    const contents: Buffer[] = [];
    for (const byte of chunk) {
      if (byte !== 0) {
        if (this.#fill < CODED_BYTES_MAX) this.#coded[this.#fill] = byte;
        this.#fill += 1;
        continue;
      }
      if (this.#fill === 0) continue;
      const content = this.#fill > CODED_BYTES_MAX ? null : decode(this.#coded, this.#fill);
      if (content === null) this.#noiseBytes += this.#fill;
      else contents.push(content);
      this.#fill = 0;
    }
    return contents;
  }

  /** Bytes of what was no frame so far, the unfinished rest left out. */
  get noiseBytes(): number {
    return this.#noiseBytes;
  }
}

/** The content of `fill` coded bytes, or null when they are no good frame. */
function decode(coded: Buffer, fill: number): Buffer | null {
  const plain = Buffer.alloc(fill);
  let size = 0;
  for (let at = 0; at < fill;) {
    const length = coded[at]!;
    if (at + length > fill) return null;
    size += coded.copy(plain, size, at + 1, at + length);
    at += length;
    // A group shorter than the longest one stands for the zero after it; the last one does not.
    if (length <= GROUP_MAX && at < fill) plain[size++] = 0;
  }
  const contentBytes = size - CRC_BYTES;
  if (contentBytes < 0) return null;
  const content = plain.subarray(0, contentBytes);
  return crc32c(content) === plain.readUInt32BE(contentBytes) ? content : null;
}
