/**
 * Files that the kernel makes up as they are read: /proc, /sys. They tell no length, so they are
 * read in one piece with a limit of their own. Imports node.
 */
import { open } from 'node:fs/promises';
import { isErrno } from './fs-atomic.ts';

/** Longest content that is read. */
export const KERNEL_FILE_BYTES_MAX = 8192;

/**
 * The text of such a file without the white space around it, or null when there is none: no such
 * file, or its device has gone. What is longer than the limit is cut off. Throws plain errors of
 * the system.
 */
export async function readKernelFile(path: string): Promise<string | null> {
  try {
    await using handle = await open(path, 'r');
    const buffer = Buffer.alloc(KERNEL_FILE_BYTES_MAX);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    return buffer.toString('utf8', 0, bytesRead).trim();
  } catch (error) {
    if (isErrno(error) && GONE.has(error.code ?? '')) return null;
    throw error;
  }
}

const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ENODEV', 'ENXIO']);
