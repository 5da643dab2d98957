/**
 * Files that are made whole or not at all: filled under a temporary name beside their place,
 * synced, renamed, the folder synced. Always holds: a reader of the path finds the old content or
 * the whole new one, whenever the power is cut, and a failure leaves no temporary file. Imports
 * core.
 */
import { constants } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileError } from './source.ts';

/** Name of a temporary file beside `path`; one per process and purpose. */
export function besidePath(path: string, purpose: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.${purpose}`);
}

/**
 * Makes or replaces `path` with what `fill` writes into the handle, which is open for reading and
 * writing. Throws `file.*`, `space.depot`, or what `fill` throws; the old content is then still
 * there.
 */
export async function replaceFile<T>(
  path: string,
  fill: (handle: FileHandle, temporary: string) => Promise<T>,
): Promise<T> {
  const temporary = besidePath(path, 'part');
  try {
    // Process ids come again: what a killed process left must not block this one.
    await rm(temporary, { force: true });
    let result: T;
    {
      await using handle = await open(temporary, 'wx+', 0o644);
      result = await fill(handle, temporary);
      await handle.sync();
    }
    await rename(temporary, path);
    await using folder = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
    await folder.sync();
    return result;
  } catch (error) {
    await rm(temporary, { force: true });
    throw isErrno(error) ? fileError(error, path) : error;
  }
}

function isErrno(error: unknown): boolean {
  return error instanceof Error && 'errno' in error && typeof error.errno === 'number';
}

/** Writes all of `bytes` at `offset`. */
export async function writeAll(
  handle: FileHandle,
  bytes: Uint8Array,
  offset: number,
): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}
