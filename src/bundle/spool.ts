/**
 * A file for bytes whose place is not known yet. Always holds: it has no name any more, so nothing
 * of it is left however the process ends. Imports core.
 */
import { open, rm, type FileHandle } from 'node:fs/promises';
import { besidePath } from './replace-file.ts';
import { fileError } from './source.ts';

/** An open file that vanishes with its handle. */
export type Spool = AsyncDisposable & { readonly handle: FileHandle };

/** A spool on the disk of `outPath`; `purpose` tells those of one output apart. Throws `file.*`. */
export async function openSpool(outPath: string, purpose = 'spool'): Promise<Spool> {
  const path = besidePath(outPath, purpose);
  try {
    await rm(path, { force: true });
    const handle = await open(path, 'wx+', 0o600);
    await rm(path);
    return { handle, [Symbol.asyncDispose]: () => handle.close() };
  } catch (cause) {
    throw fileError(cause, path);
  }
}
