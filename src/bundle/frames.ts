/**
 * The two zstd frames that are made and read without zstd: a frame of zeros (record kind 0) and a
 * frame of stored blocks (kind 2), docs/bundle.md B6.4 and B6.5. Both have one layout per raw
 * length, so their bytes are known before they are read, and every member of a bundle stays a
 * plain sequence of zstd frames that `zstd -d` turns into the raw image. Source of the layout:
 * RFC 8878, sections 3.1.1.1 and 3.1.1.2. Imports core.
 */
import { hash } from 'node:crypto';
import { UpdateError } from '../core/errors.ts';
import type { Sha256 } from '../core/model.ts';

/** Magic number, then: single segment, content size in 4 bytes, no checksum, no dictionary. */
const HEAD = [0x28, 0xb5, 0x2f, 0xfd, 0xa0];
const HEAD_BYTES = HEAD.length + 4;
const BLOCK_HEAD_BYTES = 3;
const BLOCK_BYTES_MAX = 128 * 1024;
const RAW_BLOCK = 0;
const RLE_BLOCK = 1;

const blocksOf = (rawBytes: number): number => Math.ceil(rawBytes / BLOCK_BYTES_MAX);

/** Length of the stored frame of `rawBytes` bytes. */
export function storedFrameBytes(rawBytes: number): number {
  return HEAD_BYTES + blocksOf(rawBytes) * BLOCK_HEAD_BYTES + rawBytes;
}

/** Length of the frame of `rawBytes` zeros. */
export function zeroFrameBytes(rawBytes: number): number {
  return HEAD_BYTES + blocksOf(rawBytes) * (BLOCK_HEAD_BYTES + 1);
}

/** Calls `block` with the position in the frame, position and length in the raw bytes, and head. */
function eachBlock(
  rawBytes: number,
  type: typeof RAW_BLOCK | typeof RLE_BLOCK,
  block: (at: number, rawAt: number, rawLength: number, head: number) => void,
): void {
  let at = HEAD_BYTES;
  for (let rawAt = 0; rawAt < rawBytes; rawAt += BLOCK_BYTES_MAX) {
    const length = Math.min(BLOCK_BYTES_MAX, rawBytes - rawAt);
    const last = rawAt + length === rawBytes ? 1 : 0;
    // RFC 8878, 3.1.1.2: bit 0 last block, bits 1-2 type, then 21 bits of size.
    block(at, rawAt, length, last | (type << 1) | (length << 3));
    at += BLOCK_HEAD_BYTES + (type === RLE_BLOCK ? 1 : length);
  }
}

function frameOf(rawBytes: number, sizeBytes: number): Buffer {
  const frame = Buffer.alloc(sizeBytes);
  frame.set(HEAD);
  frame.writeUInt32LE(rawBytes, HEAD.length);
  return frame;
}

/** The frame of `rawBytes` zeros (B6.4). */
export function zeroFrame(rawBytes: number): Uint8Array {
  const frame = frameOf(rawBytes, zeroFrameBytes(rawBytes));
  eachBlock(rawBytes, RLE_BLOCK, (at, _rawAt, _length, head) => {
    frame.writeUIntLE(head, at, BLOCK_HEAD_BYTES);
  });
  return frame;
}

/** The stored frame of `raw` (B6.5). */
export function storedFrame(raw: Uint8Array): Uint8Array {
  const frame = frameOf(raw.length, storedFrameBytes(raw.length));
  eachBlock(raw.length, RAW_BLOCK, (at, rawAt, length, head) => {
    frame.writeUIntLE(head, at, BLOCK_HEAD_BYTES);
    frame.set(raw.subarray(rawAt, rawAt + length), at + BLOCK_HEAD_BYTES);
  });
  return frame;
}

/**
 * Writes the raw bytes of a stored frame into `raw`, which has room for them. Throws
 * `bundle.damaged` when it has any other layout than B6.5.
 */
export function openStoredFrame(frame: Uint8Array, rawBytes: number, raw: Uint8Array): void {
  const view = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  let good =
    view.length === storedFrameBytes(rawBytes) &&
    HEAD.every((byte, i) => view[i] === byte) &&
    view.readUInt32LE(HEAD.length) === rawBytes;
  if (good) {
    eachBlock(rawBytes, RAW_BLOCK, (at, rawAt, length, head) => {
      good &&= view.readUIntLE(at, BLOCK_HEAD_BYTES) === head;
      raw.set(view.subarray(at + BLOCK_HEAD_BYTES, at + BLOCK_HEAD_BYTES + length), rawAt);
    });
  }
  if (!good) {
    throw new UpdateError('bundle.damaged', 'a stored chunk does not have the layout of one');
  }
}

/** Digests of a chunk of zeros: of its frame and of its raw bytes. */
export interface ZeroDigests {
  readonly compressed: Sha256;
  readonly raw: Sha256;
}

const known = new Map<number, ZeroDigests>();
const KNOWN_MAX = 8;

/** Digests of `rawBytes` zeros; remembered for the few lengths that a bundle has. */
export function zeroDigests(rawBytes: number): ZeroDigests {
  let digests = known.get(rawBytes);
  if (digests === undefined) {
    digests = {
      compressed: hash('sha256', zeroFrame(rawBytes), 'hex') as Sha256,
      raw: hash('sha256', Buffer.alloc(rawBytes), 'hex') as Sha256,
    };
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(rawBytes, digests);
  }
  return digests;
}
