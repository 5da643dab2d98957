/**
 * A root file system as a list of entries, before it becomes an image. Always holds: every path is
 * absolute and has its folders, the order is that of the paths, a path is there once, and nothing
 * of the building machine (owners, times, umask, order of its folders) gets in. Imports core.
 */
import {
  chmod,
  copyFile,
  mkdir,
  readdir,
  readFile,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import type { ImageFile } from '../image/ext4.ts';

/** A file from a file or a text, a symbolic link, a folder, or a character device. */
export type TreeEntry =
  | ImageFile
  | { readonly path: string; readonly mode: number; readonly bytes: Buffer }
  | { readonly path: string; readonly link: string }
  | { readonly path: string; readonly dir: true; readonly mode: number }
  | {
      readonly path: string;
      readonly device: { readonly major: number; readonly minor: number };
      readonly mode: number;
    };

/** Entries of a whole tree. */
export type Tree = readonly TreeEntry[];

const PATH = /^(\/[\w.+@:,=~[-]+)+$/;

function foldersOf(path: string): string[] {
  const above = dirname(path);
  return above === '/' ? [] : [...foldersOf(above), above];
}

/**
 * All entries and the folders that they need, in the order of their paths. Of two entries with the
 * same path the later one counts. Throws `internal.bug` for a path that is not plain, and for a
 * folder that is something else.
 */
export function completeTree(entries: Tree): Tree {
  const all = new Map<string, TreeEntry>();
  for (const entry of entries) {
    if (!PATH.test(entry.path) || /\/\.\.?(\/|$)/.test(entry.path)) {
      throw new UpdateError('internal.bug', `${entry.path} is no plain path of an image`);
    }
    all.set(entry.path, entry);
  }
  for (const { path } of entries) {
    for (const folder of foldersOf(path)) {
      const there = all.get(folder);
      if (there === undefined) all.set(folder, { path: folder, dir: true, mode: 0o755 });
      else if (!('dir' in there)) {
        throw new UpdateError('internal.bug', `${path} lies in ${folder}, which is no folder`);
      }
    }
  }
  return [...all.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/** The tree without what lies at `path` and below it. */
export function without(tree: Tree, path: string): Tree {
  return tree.filter((entry) => entry.path !== path && !entry.path.startsWith(`${path}/`));
}

/** Content of a file of the tree. */
export async function contentOf(entry: TreeEntry): Promise<Buffer> {
  if ('from' in entry) return readFile(entry.from);
  if ('text' in entry) return Buffer.from(entry.text);
  if ('bytes' in entry) return entry.bytes;
  throw new UpdateError('internal.bug', `${entry.path} is no file`);
}

/**
 * The files below a folder of the source tree as they lie in the image: `folder/etc/inittab`
 * becomes `/etc/inittab`. What may be executed there may be executed in the image, everything is
 * readable.
 */
export async function filesBelow(folder: string): Promise<Tree> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const entries = found
    .filter((one) => one.isFile())
    .map(async (one) => {
      const from = join(one.parentPath, one.name);
      const { mode } = await stat(from);
      const path = `/${relative(folder, from)}`;
      return { path, from, mode: (mode & 0o100) === 0 ? 0o644 : 0o755 };
    });
  return Promise.all(entries);
}

/** Writes the whole tree below an empty folder, for a tool that makes an image of it. */
export async function writeTree(tree: Tree, dir: string): Promise<void> {
  await chmod(dir, 0o755);
  for (const entry of tree) {
    const path = join(dir, entry.path);
    if ('link' in entry) {
      await symlink(entry.link, path);
      continue;
    }
    if ('device' in entry) {
      throw new UpdateError('internal.bug', `${entry.path}: only root can make a device`);
    }
    if ('dir' in entry) await mkdir(path);
    else if ('from' in entry) await copyFile(entry.from, path);
    else await writeFile(path, await contentOf(entry));
    // Not at creation, where the umask would have its word.
    await chmod(path, entry.mode);
  }
}
