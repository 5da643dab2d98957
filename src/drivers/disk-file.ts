/**
 * A preallocated file that is written in place: the smallest thing that journal, boot state and
 * other two-copy values need of a disk, so that tests can run them on a simulated one. Always
 * holds: writing inside a file never needs free space (on file systems that overwrite in place; a
 * copy-on-write file system cannot promise it). Imports core, fs-atomic and node.
 */
import { constants } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UpdateError } from '../core/errors.ts';
import { syncDirectory, temporaryPath } from './fs-atomic.ts';

/** Zeros are written in pieces of this size. */
const PIECE_BYTES = 64 * 1024;

/**
 * A file of fixed size. Errors of the operating system pass through as they are; who uses it knows
 * which code they get.
 */
export interface DiskFile extends AsyncDisposable {
  /** For messages only. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Exactly `lengthBytes` bytes from `offset`, in a buffer that belongs to the caller. */
  read(offset: number, lengthBytes: number): Promise<Uint8Array>;
  /** Writes inside the file; durable only after `sync`. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Everything written before is durable when it returns (fdatasync). */
  sync(): Promise<void>;
}

/** Opens an existing file; its size now is its size for ever. Throws plain errors of the system. */
export async function openDiskFile(
  path: string,
  options: { readonly maxBytes: number; readonly readOnly?: boolean },
): Promise<DiskFile> {
  const access = options.readOnly === true ? constants.O_RDONLY : constants.O_RDWR;
  const handle = await open(path, access | constants.O_NONBLOCK);
  try {
    const stat = await handle.stat();
    if (!stat.isFile() || stat.size > options.maxBytes) {
      const found = stat.isFile() ? `has ${stat.size} bytes` : 'is not a regular file';
      const expected = `expected a file of at most ${options.maxBytes} bytes`;
      throw new UpdateError('state.io', `${path} ${found}, ${expected}`);
    }
    return new HandleDiskFile(path, stat.size, handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Creates or replaces the file at `path` with `sizeBytes` bytes: `content` at its start, zeros
 * behind it. The space is really written, so that it is there for good. Whole and durable, or not
 * there at all. Throws plain errors of the system (ENOSPC).
 */
export async function createDiskFile(
  path: string,
  sizeBytes: number,
  content: Uint8Array = new Uint8Array(0),
): Promise<void> {
  const temporary = temporaryPath(path);
  await rm(temporary, { force: true });
  try {
    {
      await using handle = await open(temporary, 'wx', 0o600);
      await writeFully(handle, 0, content);
      const zeros = new Uint8Array(PIECE_BYTES);
      for (let at = content.length; at < sizeBytes; at += PIECE_BYTES) {
        await writeFully(handle, at, zeros.subarray(0, Math.min(PIECE_BYTES, sizeBytes - at)));
      }
      await handle.sync();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

class HandleDiskFile implements DiskFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly #handle: FileHandle;

  constructor(name: string, sizeBytes: number, handle: FileHandle) {
    this.name = name;
    this.sizeBytes = sizeBytes;
    this.#handle = handle;
  }

  async read(offset: number, lengthBytes: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(lengthBytes);
    let filled = 0;
    while (filled < lengthBytes) {
      const rest = lengthBytes - filled;
      const { bytesRead } = await this.#handle.read(bytes, filled, rest, offset + filled);
      if (bytesRead === 0) {
        throw new UpdateError('state.io', `${this.name} ends at byte ${offset + filled}`);
      }
      filled += bytesRead;
    }
    return bytes;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    checkInside(this, offset, bytes.length);
    await writeFully(this.#handle, offset, bytes);
  }

  async sync(): Promise<void> {
    await this.#handle.datasync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

/** Throws when a write would make the file longer: its space would not be preallocated. */
export function checkInside(file: DiskFile, offset: number, lengthBytes: number): void {
  if (offset >= 0 && offset + lengthBytes <= file.sizeBytes) return;
  const found = `${lengthBytes} bytes at ${offset} do not fit into ${file.sizeBytes} bytes`;
  throw new UpdateError('internal.bug', `${file.name}: ${found}`);
}

async function writeFully(handle: FileHandle, offset: number, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const rest = bytes.length - written;
    const { bytesWritten } = await handle.write(bytes, written, rest, offset + written);
    written += bytesWritten;
  }
}
