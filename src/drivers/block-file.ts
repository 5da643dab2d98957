/**
 * A slot's raw content, read and written in whole chunks past the page cache (O_DIRECT): what is
 * read back comes from the disk, and the memory of the appliance is left alone. Reads and writes
 * are synchronous, so this is for the installer's process and never for the daemon's loop. Always
 * holds: nothing is read or written past `sizeBytes`, and the file never grows. Where a file system
 * or a length does not allow direct I/O the same bytes go through the page cache. Imports core and
 * node:fs.
 */
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { UpdateError } from '../core/errors.ts';

/**
 * Alignment of memory, offset and length of direct I/O. Linux asks for the logical block size of
 * the device; 4096 is the largest that disks have. Source: open(2), "O_DIRECT".
 */
export const BLOCK_BYTES = 4096;

/** @types/node does not name WebAssembly; this is the part of it that is used here. */
declare const WebAssembly: {
  Memory: new (descriptor: { initial: number; maximum: number }) => {
    readonly buffer: ArrayBuffer;
  };
};
const WASM_PAGE_BYTES = 65_536;
const fdatasync = promisify(fs.fdatasync);
const read = promisify(fs.read);

/**
 * Zeroed memory of at least `bytes` bytes that begins on a page boundary, as direct I/O needs it.
 * The memory of WebAssembly is the only one in Node that promises such an address.
 */
export function allocateSlab(bytes: number): Uint8Array<ArrayBuffer> {
  const pages = Math.max(1, Math.ceil(bytes / WASM_PAGE_BYTES));
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer);
}

/** `fs.readSync` or `fs.writeSync` at a position. */
type Transfer = (
  fd: number,
  slab: Uint8Array,
  from: number,
  length: number,
  offset: number,
) => number;

/** One open slot. All errors of the disk are `slot.io` with path, offset and the system's word. */
export class BlockFile implements Disposable {
  readonly path: string;
  readonly sizeBytes: number;
  #directFd: number;
  #bufferedFd: number;

  private constructor(path: string, sizeBytes: number, directFd: number, bufferedFd: number) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.#directFd = directFd;
    this.#bufferedFd = bufferedFd;
  }

  /**
   * Opens an existing regular file of at least `sizeBytes` bytes, or a block device. With `claim` a
   * block device that is mounted or otherwise held is refused (open(2), O_EXCL): the booted slot is
   * never written. One process claims once; its further threads open without. With `readOnly` a
   * slot that is mounted can be read, and a write fails. Throws `slot.io`.
   */
  static open(
    path: string,
    sizeBytes: number,
    options: { readonly claim: boolean; readonly readOnly?: boolean },
  ): BlockFile {
    const { O_RDONLY, O_RDWR, O_DIRECT, O_EXCL, O_NONBLOCK } = fs.constants;
    const access = options.readOnly === true ? O_RDONLY : O_RDWR;
    let bufferedFd = -1;
    try {
      const found = fs.statSync(path);
      if (found.isFile() ? found.size < sizeBytes : !found.isBlockDevice()) {
        const what = found.isFile() ? `a file of ${found.size} bytes` : 'neither file nor device';
        const message = `${path} is ${what}, expected a slot of ${sizeBytes} bytes`;
        throw new UpdateError('slot.io', message, { detail: { path, sizeBytes } });
      }
      const exclusive = options.claim && found.isBlockDevice() ? O_EXCL : 0;
      bufferedFd = fs.openSync(path, access | exclusive | O_NONBLOCK);
      return new BlockFile(path, sizeBytes, openDirect(path, access | O_DIRECT), bufferedFd);
    } catch (cause) {
      if (bufferedFd >= 0) fs.closeSync(bufferedFd);
      throw slotError(path, 'be opened', cause);
    }
  }

  /** True while reads and writes of whole blocks go past the page cache. */
  get direct(): boolean {
    return this.#directFd >= 0;
  }

  /**
   * Fills the first `length` bytes of `slab` from `offset`, which is a multiple of the block size.
   * An odd tail is read in whole blocks as well, so that it comes from the disk too.
   */
  read(slab: Uint8Array, offset: number, length: number): void {
    this.#checkRange(offset, length);
    const whole = Math.min(roundUp(length), slab.length);
    let done = 0;
    while (done < length) {
      const n = this.#transfer(fs.readSync, slab, done, whole - done, offset + done);
      if (n === 0) {
        throw new UpdateError('slot.io', `${this.path} ends at byte ${offset + done}`);
      }
      done += n;
    }
  }

  /**
   * As `read`, without blocking the thread: the next piece arrives while one is worked on. The slab
   * is the disk's until the promise settles.
   */
  async readLater(slab: Uint8Array, offset: number, length: number): Promise<void> {
    this.#checkRange(offset, length);
    const whole = Math.min(roundUp(length), slab.length);
    for (let done = 0; done < length;) {
      const n = await this.#readSome(slab, done, whole - done, offset + done);
      if (n === 0) throw new UpdateError('slot.io', `${this.path} ends at byte ${offset + done}`);
      done += n;
    }
  }

  /**
   * Writes the first `length` bytes of `slab` at `offset`, a multiple of the block size, and zeros
   * up to the end of the last block (or of the slot), for which the slab must have room. Durable
   * only after `sync`.
   */
  write(slab: Uint8Array, offset: number, length: number): void {
    this.#checkRange(offset, length);
    const end = Math.min(roundUp(length), this.sizeBytes - offset);
    slab.fill(0, length, end);
    for (let done = 0; done < end;) {
      done += this.#transfer(fs.writeSync, slab, done, end - done, offset + done);
    }
  }

  /**
   * Everything that was written before the call, through any descriptor, is on the disk then. The
   * one call that does not block its thread, so that work goes on while the disk is busy.
   */
  async sync(): Promise<void> {
    try {
      await fdatasync(this.#bufferedFd);
    } catch (cause) {
      throw slotError(this.path, 'be synced', cause);
    }
  }

  [Symbol.dispose](): void {
    if (this.#directFd >= 0) fs.closeSync(this.#directFd);
    if (this.#bufferedFd >= 0) fs.closeSync(this.#bufferedFd);
    this.#directFd = -1;
    this.#bufferedFd = -1;
  }

  async #readSome(slab: Uint8Array, from: number, length: number, offset: number): Promise<number> {
    const whole = length - (length % BLOCK_BYTES);
    const aligned = whole > 0 && offset % BLOCK_BYTES === 0 && from % BLOCK_BYTES === 0;
    try {
      if (this.#directFd >= 0 && aligned) {
        try {
          return (await read(this.#directFd, slab, from, whole, offset)).bytesRead;
        } catch (cause) {
          if ((cause as NodeJS.ErrnoException).code !== 'EINVAL') throw cause;
        }
      }
      return (await read(this.#bufferedFd, slab, from, length, offset)).bytesRead;
    } catch (cause) {
      throw slotError(this.path, `be read at byte ${offset}`, cause);
    }
  }

  /** One system call: direct for whole blocks, else through the page cache. */
  #transfer(
    call: Transfer,
    slab: Uint8Array,
    from: number,
    length: number,
    offset: number,
  ): number {
    const whole = length - (length % BLOCK_BYTES);
    const aligned = whole > 0 && offset % BLOCK_BYTES === 0 && from % BLOCK_BYTES === 0;
    try {
      if (this.#directFd >= 0 && aligned) {
        try {
          return call(this.#directFd, slab, from, whole, offset);
        } catch (cause) {
          if ((cause as NodeJS.ErrnoException).code !== 'EINVAL') throw cause;
          // The file system took the flag but not the request: from here on through the cache.
          fs.closeSync(this.#directFd);
          this.#directFd = -1;
        }
      }
      return call(this.#bufferedFd, slab, from, length, offset);
    } catch (cause) {
      throw slotError(this.path, `be read or written at byte ${offset}`, cause);
    }
  }

  #checkRange(offset: number, length: number): void {
    const good =
      Number.isSafeInteger(offset) &&
      offset >= 0 &&
      offset % BLOCK_BYTES === 0 &&
      Number.isSafeInteger(length) &&
      length > 0 &&
      offset + length <= this.sizeBytes;
    if (!good) {
      const message = `${length} bytes at ${offset} are outside a slot of ${this.sizeBytes} bytes`;
      throw new UpdateError('internal.bug', message);
    }
  }
}

const roundUp = (length: number): number => Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES;

/** -1 where the file system refuses direct I/O at once. */
function openDirect(path: string, flags: number): number {
  try {
    return fs.openSync(path, flags);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EINVAL') return -1;
    throw cause;
  }
}

function slotError(path: string, doing: string, cause: unknown): UpdateError {
  if (cause instanceof UpdateError) return cause;
  const word = (cause as NodeJS.ErrnoException).code ?? String(cause);
  return new UpdateError('slot.io', `${path} cannot ${doing}: ${word}`, {
    cause,
    detail: { path, error: word },
  });
}
