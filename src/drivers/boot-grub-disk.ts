/**
 * The two places of GRUB's boot chooser on a real disk: the state partition, read and written in
 * whole blocks past the page cache, so that what is read back comes from the disk, and the try
 * counter's file on GRUB's FAT. Always holds: each write of the state is one call that returns when
 * the disk has it (O_DSYNC); a counter that is not there is none, and is made whole or not at all.
 * Imports core and the drivers of files.
 */
import { constants } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { UpdateError } from '../core/errors.ts';
import { allocateSlab, BLOCK_BYTES } from './block-file.ts';
import { GRUB_SECTOR_BYTES } from './boot-grub-env.ts';
import { createDiskFile, type DiskFile } from './disk-file.ts';
import { isErrno } from './fs-atomic.ts';

/** Where the boot chooser lies. */
export interface GrubPaths {
  /** The state partition, `/dev/disk/by-partlabel/tandem-state` for one; a file in tests. */
  readonly state: string;
  /** The try counter's file on the FAT, which is mounted. */
  readonly counter: string;
}

/** The file with the try counter. Errors of the operating system pass through as they are. */
export interface CounterFile {
  /** For messages only. */
  readonly name: string;
  /** Its bytes; null when it is not there or is no file of one sector. */
  read(): Promise<Uint8Array | null>;
  /** Makes the file, or makes it again; durable when it returns. */
  make(bytes: Uint8Array): Promise<void>;
}

/**
 * Opens a block device or a file of which the first `sizeBytes` bytes are used, in whole blocks.
 * Throws `boot.io` when it is neither, or too small, and plain errors of the system.
 */
export async function openStateDisk(path: string, sizeBytes: number): Promise<DiskFile> {
  const { O_RDWR, O_DSYNC, O_DIRECT, O_NONBLOCK } = constants;
  let handle: FileHandle;
  try {
    handle = await open(path, O_RDWR | O_DSYNC | O_DIRECT | O_NONBLOCK);
  } catch (error) {
    // A file system that does not know direct I/O says so at once.
    if (!isErrno(error) || error.code !== 'EINVAL') throw error;
    handle = await open(path, O_RDWR | O_DSYNC | O_NONBLOCK);
  }
  try {
    const found = await handle.stat();
    if (found.isBlockDevice() || (found.isFile() && found.size >= sizeBytes)) {
      return new StateDisk(path, sizeBytes, handle);
    }
    const what = found.isFile() ? `a file of ${found.size} bytes` : 'neither device nor file';
    throw new UpdateError('boot.io', `${path} is ${what}, expected ${sizeBytes} bytes`);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The try counter's file at this path; nothing is opened yet. */
export function openCounterFile(path: string): CounterFile {
  return {
    name: path,
    async read(): Promise<Uint8Array | null> {
      try {
        const found = await stat(path);
        if (!found.isFile() || found.size !== GRUB_SECTOR_BYTES) return null;
        await using handle = await open(path, 'r');
        const bytes = Buffer.alloc(GRUB_SECTOR_BYTES);
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
        return bytesRead === bytes.length ? bytes : null;
      } catch (error) {
        // A damaged file system gives EIO for a file whose blocks make no sense.
        if (isErrno(error) && (error.code === 'ENOENT' || error.code === 'EIO')) return null;
        throw error;
      }
    },
    async make(bytes: Uint8Array): Promise<void> {
      await createDiskFile(path, bytes.length, bytes);
    },
  };
}

class StateDisk implements DiskFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly #handle: FileHandle;
  /** Direct I/O needs memory on a page boundary. */
  readonly #slab: Uint8Array<ArrayBuffer>;

  constructor(name: string, sizeBytes: number, handle: FileHandle) {
    this.name = name;
    this.sizeBytes = sizeBytes;
    this.#handle = handle;
    this.#slab = allocateSlab(sizeBytes);
  }

  async read(offset: number, lengthBytes: number): Promise<Uint8Array> {
    this.#check(offset, lengthBytes);
    const { bytesRead } = await this.#handle.read(this.#slab, 0, lengthBytes, offset);
    if (bytesRead === lengthBytes) return this.#slab.slice(0, lengthBytes);
    throw new UpdateError('boot.io', `${this.name} ends at byte ${offset + bytesRead}`);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#check(offset, bytes.length);
    this.#slab.set(bytes);
    const { bytesWritten } = await this.#handle.write(this.#slab, 0, bytes.length, offset);
    if (bytesWritten === bytes.length) return;
    // The rest would be a second write, and the copy counts for nothing as it is.
    throw new UpdateError('boot.io', `${this.name} took ${bytesWritten} of ${bytes.length} bytes`);
  }

  async sync(): Promise<void> {
    await this.#handle.datasync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  #check(offset: number, lengthBytes: number): void {
    const whole = offset % BLOCK_BYTES === 0 && lengthBytes % BLOCK_BYTES === 0;
    if (whole && offset >= 0 && offset + lengthBytes <= this.sizeBytes) return;
    const message = `${lengthBytes} bytes at ${offset} are no blocks of ${this.name}`;
    throw new UpdateError('internal.bug', message);
  }
}
