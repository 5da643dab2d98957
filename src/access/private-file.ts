/**
 * A small JSON file with secrets in it, which nobody but its owner may read or write. Always holds:
 * a file that others could have written, or that is no plain file, is not read as if it were good;
 * writing replaces it whole and durably, with mode 0600. Imports core and the atomic replacement.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { ioError, isErrno, writeFileAtomic } from '../drivers/fs-atomic.ts';

/** Longest such file. */
export const PRIVATE_BYTES_MAX = 256 * 1024;

/** What was found: the parsed object, or why there is none. */
export type PrivateContent =
  | { readonly value: Readonly<Record<string, unknown>> }
  | { readonly missing: true }
  /** A sentence without the path. */
  | { readonly problem: string };

/** Reads it; nothing that is wrong with the file is thrown. */
export async function readPrivate(path: string): Promise<PrivateContent> {
  try {
    const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
    await using handle = await open(path, flags);
    const stat = await handle.stat();
    const { mode, uid, size } = stat;
    if (!stat.isFile()) return { problem: 'is not a regular file' };
    const own = process.geteuid?.() ?? uid;
    if (uid !== own && uid !== 0) return { problem: `belongs to user ${uid}; accepted: ${own}` };
    const rights = (mode & 0o777).toString(8).padStart(4, '0');
    if ((mode & 0o077) !== 0) return { problem: `has mode ${rights}; accepted: 0600` };
    if (size > PRIVATE_BYTES_MAX) {
      return { problem: `has ${size} bytes; accepted: ${PRIVATE_BYTES_MAX}` };
    }
    const buffer = Buffer.alloc(PRIVATE_BYTES_MAX);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    return parsed(buffer.toString('utf8', 0, bytesRead));
  } catch (error) {
    if (!isErrno(error)) throw error;
    if (error.code === 'ENOENT') return { missing: true };
    if (error.code === 'ELOOP') return { problem: 'is a symbolic link' };
    return { problem: `cannot be read: ${error.message}` };
  }
}

/** Replaces it durably; throws `state.io`. */
export async function writePrivate(path: string, value: object): Promise<void> {
  try {
    await writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  } catch (error) {
    throw ioError(error, 'state.io', `${path} cannot be written`);
  }
}

function parsed(text: string): PrivateContent {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { problem: 'is not JSON' };
  }
  const good = typeof value === 'object' && value !== null && !Array.isArray(value);
  return good ? { value: value as Record<string, unknown> } : { problem: 'holds no JSON object' };
}
