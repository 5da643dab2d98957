/**
 * Images and bundles that are kept between runs. Always holds: the folder they are kept in is named
 * by a digest of everything that decides their content, so what is taken from it is what would be
 * made; a file or folder in it is complete. Imports the build.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { PROJECT_DIR, type Programs } from '../build.ts';

/** The name of such a folder; others beside it are nobody's cache. */
const KEY = /^[0-9a-f]{16,}$/;

/** A file of the project, or all files below a folder in a fixed order; none where nothing is. */
async function filesOf(path: string): Promise<string[]> {
  const whole = join(PROJECT_DIR, path);
  const found = await stat(whole).catch(() => null);
  if (found === null) return [];
  if (found.isFile()) return [whole];
  const entries = await readdir(whole, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => join(entry.parentPath, entry.name)).toSorted();
}

/** Digest of programs and of the files and folders of the project that make something of them. */
export async function makersDigest(programs: Programs, makers: readonly string[]): Promise<string> {
  const { tandem, storage, storageDrbd, workload } = programs;
  const drbd = storageDrbd === undefined ? [] : [storageDrbd];
  const files = await Promise.all(makers.map((path) => filesOf(path)));
  const sum = createHash('sha256');
  for (const file of [tandem, storage, ...drbd, workload, ...files.flat()]) {
    sum.update(`${file.slice(PROJECT_DIR.length)}\0`);
    for await (const part of createReadStream(file)) sum.update(part as Buffer);
  }
  return sum.digest('hex').slice(0, 16);
}

/**
 * Opens the folder of this content below `root`, and removes those of other contents. One that was
 * opened less than `inUseMs` ago may still be in use by another run.
 */
export async function openKept(root: string, digest: string, inUseMs: number): Promise<string> {
  const own = join(root, digest);
  await mkdir(own, { recursive: true });
  const now = new Date();
  await utimes(own, now, now);
  for (const other of await readdir(root)) {
    if (!KEY.test(other)) continue;
    const { mtimeMs } = await stat(join(root, other));
    if (now.getTime() - mtimeMs < inUseMs) continue;
    await rm(join(root, other), { recursive: true, force: true });
  }
  return own;
}

/** What has this name in `dir`, made first when it is not there; it appears when it is complete. */
export async function kept(
  dir: string,
  name: string,
  make: (out: string) => Promise<void>,
): Promise<string> {
  const path = join(dir, name);
  const there = (): Promise<boolean> => stat(path).then(Boolean, () => false);
  if (await there()) return path;
  const part = `${path}.${String(process.pid)}.part`;
  try {
    await make(part);
    await rename(part, path).catch(async (error: unknown) => {
      // Another run was faster, and a folder is not replaced.
      if (!(await there())) throw error;
    });
    return path;
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}
