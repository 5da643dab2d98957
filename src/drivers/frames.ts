/**
 * Frames on a stream: four bytes of length (big-endian) and so many bytes of JSON, an object. Three
 * lengths have a meaning of their own and no content: zero keeps the connection alive, all ones
 * says that the sender does not accept the receiver's key, one less that another node has the
 * receiver's place in the pair. Always holds: nothing above the limit
 * is buffered, every byte is copied once however small the pieces come, and a frame is either a
 * whole JSON object or the error `pair.bad_message`. Imports core.
 */
import { UpdateError } from '../core/errors.ts';
import { deeperThan, MESSAGE_LEVELS_MAX } from '../core/json-depth.ts';

/** Longest JSON text of one frame, in bytes. */
export const FRAME_BYTES_MAX = 256 * 1024;
const HEADER_BYTES = 4;
const REFUSED_LENGTH = 0xffff_ffff;
const REPLACED_LENGTH = 0xffff_fffe;

/** Lengths with a meaning of their own. */
const KINDS: Readonly<Record<number, 'keep-alive' | 'refused' | 'replaced'>> = {
  0: 'keep-alive',
  [REFUSED_LENGTH]: 'refused',
  [REPLACED_LENGTH]: 'replaced',
};

/** The frame that says "still here". */
export const KEEP_ALIVE_FRAME: Buffer = Buffer.alloc(HEADER_BYTES);
/** The last frame on a connection whose other end does not have the pinned key. */
export const REFUSED_FRAME: Buffer = Buffer.alloc(HEADER_BYTES, 0xff);
/** The same where that key is of a peer that was replaced. */
export const REPLACED_FRAME: Buffer = Buffer.from([0xff, 0xff, 0xff, 0xfe]);

/** What a frame can be. */
export type Frame =
  | { readonly kind: 'message'; readonly message: object }
  | { readonly kind: 'keep-alive' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'replaced' };

/**
 * The JSON text of a message. Throws `internal.bug` when it is longer than 256 KiB: that is a fault
 * of the sender, which no peer can cause.
 */
export function messageText(message: object): string {
  const text = JSON.stringify(message);
  const sizeBytes = Buffer.byteLength(text);
  if (sizeBytes > FRAME_BYTES_MAX) {
    throw new UpdateError(
      'internal.bug',
      `a message of ${sizeBytes} bytes was to be sent, at most ${FRAME_BYTES_MAX} are allowed`,
    );
  }
  return text;
}

/** The frame of a message; throws as `messageText` does. */
export function encodeFrame(message: object): Buffer {
  const text = messageText(message);
  const sizeBytes = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + sizeBytes);
  frame.writeUInt32BE(sizeBytes, 0);
  frame.write(text, HEADER_BYTES);
  return frame;
}

/**
 * Incremental parser: `push` what arrived, then call `next` until it gives null. After an error
 * the stream has no meaning any more and must be closed.
 */
export class FrameParser {
  readonly #limitBytes: number;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFill = 0;
  /** Content of the frame that is being received; null while its length is not known. */
  #body: Buffer | null = null;
  #bodyFill = 0;
  #input: Buffer = Buffer.alloc(0);

  /** `limitBytes`: longest JSON text that is accepted. */
  constructor(limitBytes: number = FRAME_BYTES_MAX) {
    this.#limitBytes = limitBytes;
  }

  /** Takes bytes that arrived. The buffer is read, and not kept once `next` gave null. */
  push(chunk: Buffer): void {
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
  }

  /**
   * The next whole frame, or null when more bytes are needed. Throws `pair.bad_message` for a
   * length above the limit, text that is not UTF-8 or not JSON, JSON that is not an object or
   * nested too deep.
   */
  next(): Frame | null {
    this.#headerFill += this.#take(this.#header, this.#headerFill);
    if (this.#headerFill < HEADER_BYTES) return null;
    if (this.#body === null) {
      const sizeBytes = this.#header.readUInt32BE(0);
      const kind = KINDS[sizeBytes];
      if (kind !== undefined) {
        this.#headerFill = 0;
        return { kind };
      }
      if (sizeBytes > this.#limitBytes) {
        throw bad(`a frame of ${sizeBytes} bytes, at most ${this.#limitBytes} are allowed`);
      }
      this.#body = Buffer.allocUnsafe(sizeBytes);
      this.#bodyFill = 0;
    }
    this.#bodyFill += this.#take(this.#body, this.#bodyFill);
    if (this.#bodyFill < this.#body.length) return null;
    const body = this.#body;
    this.#body = null;
    this.#headerFill = 0;
    return { kind: 'message', message: decode(body) };
  }

  /** Moves input into `target` from `at` on; returns how many bytes were moved. */
  #take(target: Buffer, at: number): number {
    const taken = this.#input.copy(target, at);
    this.#input = this.#input.subarray(taken);
    return taken;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decode(body: Buffer): object {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(body));
  } catch (cause) {
    throw bad('a frame that is not JSON', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw bad('a frame with JSON that is not an object');
  }
  if (deeperThan(value, MESSAGE_LEVELS_MAX)) throw bad('a frame with JSON that is nested too deep');
  return value;
}

const bad = (found: string, cause?: unknown): UpdateError =>
  new UpdateError('pair.bad_message', `the other side sent ${found}`, { cause });
