/**
 * Files whose space is really there: every byte below their size is backed by blocks, so that
 * writing to them in place cannot meet a full disk. Always holds: a file never gets a hole here; it
 * grows by whole allocation or not at all, and a failed growth gives its space back. Imports core
 * and node:.
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { open, statfs, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { UpdateError } from '../core/errors.ts';
import { syncDirectory } from './fs-atomic.ts';

const run = promisify(execFile);
const STEP_BYTES = 1024 * 1024;

/** The system's words for "no room": disk full, quota used up, file size limit of the process. */
const NO_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** True when a system call failed because there is no room for the bytes. */
export function isNoRoom(error: unknown): boolean {
  return NO_ROOM.has((error as NodeJS.ErrnoException | null)?.code ?? '');
}

/**
 * Makes `path` exactly `sizeBytes` long with all of its space allocated, durably; what it held
 * below that size stays, the rest reads as zeros. Idempotent. `fallocate` of util-linux does it at
 * once; where it is missing, or the file system cannot, zeros are written. Throws `space.depot`
 * with the bytes that are missing and leaves the file as long as it was (empty when it was new).
 */
export async function preallocate(path: string, sizeBytes: number): Promise<void> {
  await using file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  const before = (await file.stat()).size;
  if (before > sizeBytes) await file.truncate(sizeBytes);
  if (before < sizeBytes) await grow(file, path, before, sizeBytes);
  await file.sync();
  await syncDirectory(dirname(path));
}

/** Throws `space.depot` unless `bytes` more can be allocated on the file system of `path`. */
export async function checkFree(path: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  const free = bavail * bsize;
  if (free < bytes) throw noRoom(path, bytes, free);
}

async function grow(file: FileHandle, path: string, from: number, to: number): Promise<void> {
  await checkFree(path, to - from);
  try {
    if (!(await fallocate(path, to))) await writeZeros(file, from, to);
    // Delayed allocation may find out only here that there is no room.
    await file.sync();
  } catch (cause) {
    await file.truncate(from);
    if (!isNoRoom(cause)) throw cause;
    const { bavail, bsize } = await statfs(path);
    throw noRoom(path, to - from, Math.min(bavail * bsize, to - from - 1));
  }
}

/** True when the tool allocated all of it; false when there is no tool or it could not. */
async function fallocate(path: string, sizeBytes: number): Promise<boolean> {
  try {
    await run('fallocate', ['--length', String(sizeBytes), '--', path], { timeout: 60_000 });
  } catch {
    return false;
  }
  await using file = await open(path, constants.O_RDONLY);
  return (await file.stat()).size === sizeBytes;
}

async function writeZeros(file: FileHandle, from: number, to: number): Promise<void> {
  const zeros = Buffer.alloc(Math.min(STEP_BYTES, to - from));
  for (let at = from; at < to;) {
    const { bytesWritten } = await file.write(zeros, 0, Math.min(zeros.length, to - at), at);
    at += bytesWritten;
  }
}

function noRoom(path: string, neededBytes: number, freeBytes: number): UpdateError {
  const missingBytes = neededBytes - freeBytes;
  return new UpdateError(
    'space.depot',
    `${path}: ${neededBytes} bytes are needed, ${freeBytes} are free, ${missingBytes} are missing`,
    { detail: { path, neededBytes, freeBytes, missingBytes } },
  );
}
