/**
 * A slot's raw content, read and written in whole chunks past the page cache (O_DIRECT): what is
 * read back comes from the disk, and the memory of the appliance is left alone. Always holds:
 * nothing is read or written past `sizeBytes`, and the file never grows; a slab that was handed to
 * a transfer is the disk's until that has ended, and the file is closed only after that. Where a
 * file system or a length does not allow direct I/O the same bytes go through the page cache.
 * Imports core and node:fs.
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
const write = promisify(fs.write);

/**
 * Zeroed memory of at least `bytes` bytes that begins on a page boundary, as direct I/O needs it.
 * The memory of WebAssembly is the only one in Node that promises such an address.
 */
export function allocateSlab(bytes: number): Uint8Array<ArrayBuffer> {
  const pages = Math.max(1, Math.ceil(bytes / WASM_PAGE_BYTES));
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer);
}

/** What `fs.read` or `fs.write` moved, of a slab at a position, in bytes. */
type Transfer = (
  fd: number,
  slab: Uint8Array,
  from: number,
  length: number,
  offset: number,
) => Promise<number>;

const reads: Transfer = async (...words) => (await read(...words)).bytesRead;
const writes: Transfer = async (...words) => (await write(...words)).bytesWritten;

/** One open slot. All errors of the disk are `slot.io` with path, offset and the system's word. */
export class BlockFile implements Disposable {
  readonly path: string;
  readonly sizeBytes: number;
  #directFd: number;
  #bufferedFd: number;
  /** The file system took the flag of direct I/O but not a request. */
  #refused = false;

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
    return this.#directFd >= 0 && !this.#refused;
  }

  /**
   * Fills the first `length` bytes of `slab` from `offset`, which is a multiple of the block size.
   * An odd tail is read in whole blocks as well, so that it comes from the disk too. Blocks the
   * thread until then.
   */
  read(slab: Uint8Array, offset: number, length: number): void {
    this.#checkRange(offset, length);
    const whole = Math.min(roundUp(length), slab.length);
    for (let done = 0; done < length;) {
      const n = this.#readSync(slab, done, whole - done, offset + done);
      if (n === 0) throw this.#endsAt(offset + done);
      done += n;
    }
  }

  /** As `read`, without blocking the thread: the next piece arrives while one is worked on. */
  async readLater(slab: Uint8Array, offset: number, length: number): Promise<void> {
    this.#checkRange(offset, length);
    const whole = Math.min(roundUp(length), slab.length);
    for (let done = 0; done < length;) {
      const n = await this.#transfer(reads, slab, done, whole - done, offset + done);
      if (n === 0) throw this.#endsAt(offset + done);
      done += n;
    }
  }

  /**
   * Writes the first `length` bytes of `slab` at `offset`, a multiple of the block size, and zeros
   * up to the end of the last block (or of the slot), for which the slab must have room, without
   * blocking the thread. Durable only after `sync`.
   */
  async writeLater(slab: Uint8Array, offset: number, length: number): Promise<void> {
    this.#checkRange(offset, length);
    const end = Math.min(roundUp(length), this.sizeBytes - offset);
    slab.fill(0, length, end);
    for (let done = 0; done < end;) {
      done += await this.#transfer(writes, slab, done, end - done, offset + done);
    }
  }

  /** Everything that was written before the call, through any descriptor, is on the disk then. */
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

  /** One request to the disk: direct for whole blocks, else through the page cache. */
  async #transfer(
    call: Transfer,
    slab: Uint8Array,
    from: number,
    length: number,
    offset: number,
  ): Promise<number> {
    const whole = this.#wholeBlocks(from, length, offset);
    try {
      try {
        if (whole > 0) return await call(this.#directFd, slab, from, whole, offset);
      } catch (cause) {
        this.#refuse(cause);
      }
      return await call(this.#bufferedFd, slab, from, length, offset);
    } catch (cause) {
      throw slotError(this.path, `be read or written at byte ${offset}`, cause);
    }
  }

  #readSync(slab: Uint8Array, from: number, length: number, offset: number): number {
    const whole = this.#wholeBlocks(from, length, offset);
    try {
      try {
        if (whole > 0) return fs.readSync(this.#directFd, slab, from, whole, offset);
      } catch (cause) {
        this.#refuse(cause);
      }
      return fs.readSync(this.#bufferedFd, slab, from, length, offset);
    } catch (cause) {
      throw slotError(this.path, `be read at byte ${offset}`, cause);
    }
  }

  /** How many of the bytes go past the page cache; 0 = none. */
  #wholeBlocks(from: number, length: number, offset: number): number {
    const aligned = offset % BLOCK_BYTES === 0 && from % BLOCK_BYTES === 0;
    return this.direct && aligned ? length - (length % BLOCK_BYTES) : 0;
  }

  /** From here on through the page cache; throws what is another error. */
  #refuse(cause: unknown): void {
    if ((cause as NodeJS.ErrnoException).code !== 'EINVAL') throw cause;
    this.#refused = true;
  }

  #endsAt(offset: number): UpdateError {
    return new UpdateError('slot.io', `${this.path} ends at byte ${offset}`);
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
