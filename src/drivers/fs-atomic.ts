/**
 * Small files on a real file system: replaced whole or not at all, and read up to a limit. Always
 * holds: after `writeFileAtomic` returns, the new content survives a power cut; before it returns,
 * a reader finds the old content or the new one, never a mixture. Imports core and node.
 */
import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Code } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';

/** Whether the operating system reported this error (it carries an errno). */
export function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'errno' in error && typeof error.errno === 'number';
}

/**
 * An error of the operating system as UpdateError with `sentence`, the errno's text and the errno
 * in its detail; every other value unchanged, so that a bug stays a bug.
 */
export function ioError(error: unknown, code: Code, sentence: string): unknown {
  if (!isErrno(error)) return error;
  const detail = { errno: error.code ?? String(error.errno) };
  return new UpdateError(code, `${sentence}: ${error.message}`, { cause: error, detail });
}

/** Makes names that were created, renamed or removed in this directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  await handle.sync();
}

/** Name of the file that is filled before it takes the place of `path`; one fixed name, so that
 * power cuts never pile up leftovers. */
export function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.tmp`);
}

/** The newest replacement of each path in this process, which the next one waits for. */
const running = new Map<string, Promise<void>>();

/**
 * Replaces the file at `path`: temporary file in the same directory, fsync, rename, fsync of the
 * directory. `mode` (default 0600) is set exactly, whatever the umask. Calls for one path run one
 * after the other; two processes must not replace the same file (the state lock sees to that).
 * Throws `state.io`; the old content is then still there.
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: { readonly mode?: number } = {},
): Promise<void> {
  const key = resolve(path);
  const before = running.get(key) ?? Promise.resolve();
  // The outcome of the call before is its own caller's business.
  const mine = before.catch(() => undefined).then(() => replace(key, data, options.mode ?? 0o600));
  running.set(key, mine);
  try {
    await mine;
  } finally {
    if (running.get(key) === mine) running.delete(key);
  }
}

async function replace(path: string, data: string | Uint8Array, mode: number): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    await rm(temporary, { force: true });
    {
      await using handle = await open(temporary, 'wx', mode);
      await handle.chmod(mode);
      await handle.writeFile(data);
      await handle.sync();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw ioError(error, 'state.io', `${path} cannot be written`);
  }
}

/**
 * The whole content of a regular file of at most `maxBytes`. Throws `file.not_found`, or
 * `file.unreadable` for a directory, a device, a pipe, missing permission or too many bytes. Never
 * waits for a writer at the other end of a pipe.
 */
export async function readFileLimited(path: string, maxBytes: number): Promise<Buffer> {
  try {
    await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await handle.stat();
    if (!stat.isFile()) {
      throw new UpdateError('file.unreadable', `${path} is not a regular file`);
    }
    // One byte more than allowed, so that a file that grows meanwhile is found out.
    const buffer = Buffer.alloc(Math.min(stat.size, maxBytes) + 1);
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    if (filled > maxBytes || stat.size > maxBytes) {
      const detail = { maxBytes, sizeBytes: Math.max(stat.size, filled) };
      const message = `${path} has more than ${maxBytes} bytes`;
      throw new UpdateError('file.unreadable', message, { detail });
    }
    return buffer.subarray(0, filled);
  } catch (error) {
    const missing = isErrno(error) && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
    if (missing)
      throw new UpdateError('file.not_found', `${path} does not exist`, { cause: error });
    throw ioError(error, 'file.unreadable', `${path} cannot be read`);
  }
}
