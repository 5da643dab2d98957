/**
 * Where the bytes of a bundle come from: a size and a positional read. The reader works on nothing
 * else, so a file on disk and a bundle that arrives over the network pass the same checks. Always
 * holds: a read returns exactly the bytes that were asked for or throws; nothing is read before it
 * is asked for. Imports core.
 */
import { constants } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { UpdateError } from '../core/errors.ts';

/** Random access to the bytes of one bundle. */
export interface ByteSource {
  /** Size of the whole bundle; does not change while the source is in use. */
  readonly sizeBytes: number;
  /**
   * Exactly `length` bytes from `offset`. Throws `bundle.truncated` when they do not exist, the
   * signal's reason when it is aborted.
   */
  readAt(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
}

/** A source that owns its file. */
export type FileSource = ByteSource & AsyncDisposable & { readonly handle: FileHandle };

/**
 * Source over an open file, which the caller keeps and closes. The size is taken once: a file that
 * grows is cut there, one that shrinks gives `bundle.truncated`. Throws `bundle.not_a_file`.
 */
export async function fileSource(handle: FileHandle): Promise<ByteSource> {
  const found = await handle.stat();
  if (!found.isFile()) {
    const kind = found.isDirectory() ? 'a directory' : 'a device, a pipe or a socket';
    throw new UpdateError('bundle.not_a_file', `found ${kind}, expected a regular file`, {
      detail: { found: kind, expected: 'a regular file' },
    });
  }
  const sizeBytes = found.size;
  return {
    sizeBytes,
    async readAt(offset, length, signal) {
      signal?.throwIfAborted();
      const bytes = Buffer.allocUnsafeSlow(length);
      let done = 0;
      while (done < length) {
        const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) {
          throw new UpdateError(
            'bundle.truncated',
            `the file ends at byte ${offset + done}, expected ${offset + length} bytes or more`,
            { detail: { foundBytes: offset + done, expectedBytes: offset + length } },
          );
        }
        done += bytesRead;
        signal?.throwIfAborted();
      }
      return bytes;
    },
  };
}

/**
 * Opens `path` once for reading; a pipe does not block it. Throws `file.not_found`,
 * `file.unreadable` or `bundle.not_a_file`, each with the path.
 */
export async function openFileSource(path: string): Promise<FileSource> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (cause) {
    throw fileError(cause, path);
  }
  try {
    const source = await fileSource(handle);
    return { ...source, handle, [Symbol.asyncDispose]: () => handle.close() };
  } catch (error) {
    await handle.close();
    if (!(error instanceof UpdateError)) throw fileError(error, path);
    throw new UpdateError(error.code, `${path}: ${error.message}`, {
      cause: error,
      detail: { ...error.detail, path },
    });
  }
}

/**
 * The whole file, at most `maxBytes`; throws like `openFileSource`, or `code` when it is larger.
 */
export async function readSmallFile(path: string, maxBytes: number): Promise<Uint8Array> {
  await using source = await openFileSource(path);
  if (source.sizeBytes > maxBytes) {
    throw new UpdateError(
      'file.unreadable',
      `${path} has ${source.sizeBytes} bytes, expected at most ${maxBytes}`,
      { detail: { path, foundBytes: source.sizeBytes, maxBytes } },
    );
  }
  return await source.readAt(0, source.sizeBytes);
}

/** Whether something is at `path`; throws `file.unreadable` when that cannot be said. */
export async function fileExists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (cause) {
    const error = fileError(cause, path);
    if (error.code === 'file.not_found') return false;
    throw error;
  }
}

/** A failed file operation as an error with a code; the path is in the sentence. */
export function fileError(cause: unknown, path: string): UpdateError {
  if (cause instanceof UpdateError) return cause;
  const errno = (cause as NodeJS.ErrnoException | null)?.code ?? 'unknown';
  if (errno === 'ENOENT' || errno === 'ENOTDIR') {
    return new UpdateError('file.not_found', `${path} does not exist`, { cause, detail: { path } });
  }
  if (errno === 'EISDIR') {
    return new UpdateError('bundle.not_a_file', `${path} is a directory, expected a regular file`, {
      cause,
      detail: { path },
    });
  }
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    return new UpdateError('space.depot', `no space left to write ${path}`, {
      cause,
      detail: { path, errno },
    });
  }
  return new UpdateError('file.unreadable', `${path}: ${errno}`, {
    cause,
    detail: { path, errno },
  });
}
