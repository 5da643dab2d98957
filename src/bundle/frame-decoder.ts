/**
 * Decompresses zstd frames into memory that is used again and again: one decompressor of the engine
 * for all chunks of an image, where `zstdDecompressSync` makes one for each, with two buffers as
 * large as the chunk and a copy of the dictionary that stay until a collection. Always holds: never
 * more than the asked length plus one byte is written; a frame that holds more, less, or something
 * behind its end is an error; where the engine is not the one that this was written for, or does
 * not do in a test what it should, the documented function does the work and gives the same.
 * Imports node: alone.
 */
import type { Transform } from 'node:stream';
import { constants, createZstdDecompress, zstdDecompressSync, type ZstdOptions } from 'node:zlib';

/** Largest window that a frame may ask the decompressor to keep, as a power of two (B6.3). */
const WINDOW_LOG_MAX = 23;
const PARAMS = { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX };
/** The engine's main version whose inner parts are known; they change between main versions. */
const KNOWN_ENGINE = '24';
/** A chunk size that the decompressor's stream accepts; its buffer is not used. */
const SMALL_BYTES = 64;

/** Gives the raw bytes of frames; one per thread. */
export interface FrameDecoder {
  /**
   * Writes the raw bytes of `frame` into `into`, which has room for `rawBytes` and one more.
   * `dictionary` is content, never a trained one. Throws an Error in zstd's words, with its code;
   * also when the frame does not hold exactly `rawBytes` bytes, or is not all that there is. `into`
   * is garbage then.
   */
  decode(frame: Uint8Array, into: Uint8Array, rawBytes: number, dictionary?: Uint8Array): void;
}

/**
 * What lies behind the documented stream: the engine's own decompressor, as zstdDecompressSync uses
 * it. Source: lib/zlib.js and src/node_zlib.cc of Node 24.
 */
interface Handle {
  /** Starts anew, with a copy of the dictionary; gives back what was there before. */
  init(
    params: Uint32Array,
    pledgedBytes: undefined,
    state: Uint32Array,
    done: () => void,
    dictionary: Uint8Array | undefined,
  ): void;
  /** Leaves in the state: room that is left, input that is left. */
  writeSync(
    flush: number,
    from: Uint8Array,
    fromAt: number,
    fromBytes: number,
    into: Uint8Array,
    intoAt: number,
    intoBytes: number,
  ): void;
  onerror: (message: string, number: number, code: string) => void;
}

interface Inner extends Transform {
  readonly _handle?: Partial<Handle> | null;
  readonly _writeState?: unknown;
}

/** The fastest decoder that this engine has. */
export function frameDecoder(): FrameDecoder {
  if (process.versions.node.split('.')[0] !== KNOWN_ENGINE) return documentedDecoder();
  const reused = new ReusedDecoder();
  return passes(reused) ? reused : documentedDecoder();
}

/** By the documented function alone: a decompressor and buffers for each frame. */
export function documentedDecoder(): FrameDecoder {
  return {
    decode: (frame, into, rawBytes, dictionary) => {
      const options: ZstdOptions = {
        // With one byte more the function need not ask a second buffer whether there is more.
        chunkSize: Math.max(SMALL_BYTES, rawBytes + 1),
        maxOutputLength: rawBytes,
        rejectGarbageAfterEnd: true,
        params: PARAMS,
      };
      const raw = zstdDecompressSync(frame, dictionary ? { ...options, dictionary } : options);
      checkLength(raw.length, rawBytes);
      into.set(raw);
      // Gives the memory back at once instead of at some later collection. What is a part of a
      // larger buffer, or was put together, is left to that.
      const whole = raw.buffer instanceof ArrayBuffer && raw.buffer.byteLength <= rawBytes + 1;
      if (whole && raw.buffer.byteLength >= SMALL_BYTES) raw.buffer.transfer(0);
    },
  };
}

/** An error in the form of the engine's own ones. */
const fault = (message: string, code: string): Error => Object.assign(new Error(message), { code });

function checkLength(found: number, rawBytes: number): void {
  if (found < rawBytes) throw fault(`it holds ${found} bytes`, 'ERR_FRAME_TOO_SHORT');
}

/** By one decompressor for all frames. A failure ends it, and the next frame gets a new one. */
class ReusedDecoder implements FrameDecoder {
  #handle: Handle | null = null;
  #state: Uint32Array = new Uint32Array(2);
  #fault: Error | null = null;

  decode(frame: Uint8Array, into: Uint8Array, rawBytes: number, dictionary?: Uint8Array): void {
    const handle = this.#ready(dictionary);
    const end = constants.ZSTD_e_end;
    handle.writeSync(end, frame, 0, frame.length, into, 0, rawBytes + 1);
    const [room = 0, left = 0] = this.#state;
    const good = this.#fault === null && room === 1 && left === 0;
    if (good) return;
    this.#handle = null;
    if (this.#fault !== null) throw this.#fault;
    if (room === 0) throw fault('it holds more', 'ERR_BUFFER_TOO_LARGE');
    checkLength(rawBytes + 1 - room, rawBytes);
    throw fault(`${left} bytes follow it`, 'ERR_TRAILING_JUNK_AFTER_STREAM_END');
  }

  /** Starts anew: the engine's `reset` would forget the largest window. */
  #ready(dictionary: Uint8Array | undefined): Handle {
    this.#fault = null;
    this.#handle ??= this.#open();
    this.#handle.init(HANDLE_PARAMS, undefined, this.#state, () => undefined, dictionary);
    return this.#handle;
  }

  #open(): Handle {
    const stream = createZstdDecompress({ chunkSize: SMALL_BYTES, params: PARAMS }) as Inner;
    const { _handle: handle, _writeState: state } = stream;
    if (!isHandle(handle) || !(state instanceof Uint32Array) || state.length !== 2) {
      throw new Error('this engine has another decompressor');
    }
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- no event target, one slot
    handle.onerror = (message, _number, code) => (this.#fault = fault(message, code));
    this.#state = state;
    return handle;
  }
}

function isHandle(handle: Partial<Handle> | null | undefined): handle is Handle {
  return typeof handle?.init === 'function' && typeof handle.writeSync === 'function';
}

/** Every parameter by its number; all bits set = the default. */
const HANDLE_PARAMS = new Uint32Array(constants.ZSTD_d_windowLogMax + 1)
  .fill(0xffff_ffff)
  .with(constants.ZSTD_d_windowLogMax, WINDOW_LOG_MAX);

/** Frames with what they hold: one made alone, one that needs the dictionary. */
const SAMPLE = {
  frame: 'KLUv/WAAAF0BAHLCBwzQPUXZwphdAIoIbQE13mq5dy4K6Ll46sriqbZAagQCAL0hUOBqUU8=',
  raw: 'a frame for the decoder, and once more a frame for the decoder, '.repeat(4),
  delta: 'KLUv/SAsdQAAMGEgd2hhdAIA7wzrU1c=',
  deltaRaw: 'an earlier release had in another order what',
  dictionary: '\0\0\0\0\0\0\0\0what an earlier release had, in another order',
} as const;

/** Whether it gives the samples, and refuses what is longer, shorter, cut or no frame. */
function passes(decoder: FrameDecoder): boolean {
  const frame = Buffer.from(SAMPLE.frame, 'base64');
  const delta = Buffer.from(SAMPLE.delta, 'base64');
  const dictionary = Buffer.from(SAMPLE.dictionary, 'latin1');
  const into = Buffer.alloc(512);
  const gives = (from: Uint8Array, raw: string, base?: Uint8Array): boolean => {
    try {
      decoder.decode(from, into.fill(0), raw.length, base);
    } catch {
      return false;
    }
    return into.toString('latin1', 0, raw.length) === raw;
  };
  const { raw, deltaRaw } = SAMPLE;
  const good = (): boolean => gives(frame, raw) && gives(delta, deltaRaw, dictionary);
  return (
    good() &&
    !gives(delta, deltaRaw) &&
    !gives(frame, raw.slice(1)) &&
    !gives(frame, `${raw}a`) &&
    !gives(frame.subarray(0, -4), raw) &&
    !gives(Buffer.concat([frame, frame]), raw) &&
    !gives(dictionary, raw) &&
    good()
  );
}
