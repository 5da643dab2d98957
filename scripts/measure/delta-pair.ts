/**
 * Two releases of a system image for the benchmark of deltas, made of real Debian packages: some of
 * them in the oldest and in the newest version that apt offers, the rest the same in both. Always
 * holds: nothing is installed; what is there from an earlier run is used again, so that figures of
 * two runs are of the same bytes. Imports core and the parts of the image makers.
 */
import { access, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import { cachedFile, fetchPackages, packageOf, recordText, unpack } from '../appliance/debian.ts';
import type { DebianPackage } from '../appliance/debian.ts';
import { makeExt4, type ImageFile } from '../image/ext4.ts';
import { runTool } from '../image/tools.ts';

/** Packages that differ: a library, an init system, the C library, an interpreter's modules. */
const CHANGED = ['libssl3', 'systemd', 'libc6', 'libpython3.11-stdlib'];
/** What fills the rest: the kernel with its modules. */
const KERNEL = 'linux-image-amd64';
/** Times of files and of the file system are the same in both. */
const TIME_S = '1767225600';
const MIB = 1024 * 1024;
/** The maker of ext4 images gives out one inode per 64 KiB, and takes plain names only. */
const BYTES_PER_FILE = 80 * 1024;
const PLAIN_PATH = /^[\w./+@:=,~-]+$/;

/** How the file system of an image is laid out. */
export type Layout = 'squashfs-stored' | 'squashfs-gzip' | 'ext4';
/** Every layout that is measured. */
export const LAYOUTS: readonly Layout[] = ['squashfs-stored', 'squashfs-gzip', 'ext4'];

const SQUASHFS: Readonly<Record<'squashfs-stored' | 'squashfs-gzip', readonly string[]>> = {
  'squashfs-stored': ['-noI', '-noD', '-noF', '-noX'],
  'squashfs-gzip': ['-b', '131072'],
};

/** Paths of one image in both releases, with the packages that differ. */
export interface ImagePair {
  readonly layout: Layout;
  readonly old: string;
  readonly new: string;
}

/** The versions of a package that apt can download, newest first. */
async function versionsOf(name: string): Promise<readonly DebianPackage[]> {
  const { stdout } = await runTool('apt-cache', ['show', '--all-versions', name]);
  return stdout
    .split(/\n(?=Package: )/)
    .filter((text) => text.includes('\nSHA256: '))
    .map((text) => packageOf(name, text));
}

/** Writes down which packages both releases are of; once, so that later runs take the same. */
async function chooseVersions(dir: string): Promise<void> {
  const pairs = await Promise.all(CHANGED.map(async (name) => versionsOf(name)));
  const same = pairs.find((versions) => versions.length < 2)?.[0];
  if (same !== undefined) {
    throw new UpdateError('tool.failed', `apt offers one version of ${same.name}, expected two`);
  }
  await writeFile(join(dir, 'old.json'), recordText(pairs.map((versions) => versions.at(-1)!)));
  await writeFile(join(dir, 'new.json'), recordText(pairs.map((versions) => versions[0]!)));
}

/**
 * Lays both images of a layout out in `dir`. Throws `tool.missing` and `tool.failed`.
 */
export async function makePair(
  layout: Layout,
  dir: string,
  tell: (line: string) => void,
): Promise<ImagePair> {
  const cache = join(dir, 'packages');
  await mkdir(cache, { recursive: true });
  if (!(await there(join(dir, 'new.json')))) await chooseVersions(dir);
  const none = { kernel: KERNEL, names: [] };
  const common = await fetchPackages(none, cache, join(dir, 'common.json'), tell);
  const paths = { old: join(dir, `old.${layout}`), new: join(dir, `new.${layout}`) };
  for (const release of ['old', 'new'] as const) {
    if (await there(paths[release])) continue;
    const own = await fetchPackages(
      { kernel: KERNEL, names: CHANGED },
      cache,
      join(dir, `${release}.json`),
      tell,
    );
    const tree = join(dir, `tree-${release}`);
    await rm(tree, { recursive: true, force: true });
    await mkdir(tree);
    for (const one of [...common, ...own]) await unpack(cachedFile(one, cache), tree, () => true);
    const part = `${paths[release]}.part`;
    tell(`making ${paths[release]}`);
    if (layout === 'ext4') await makeFileSystem(tree, part);
    else await squash(tree, part, SQUASHFS[layout]);
    await rename(part, paths[release]);
    await rm(tree, { recursive: true, force: true });
  }
  return { layout, ...paths };
}

async function there(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function squash(tree: string, out: string, shape: readonly string[]): Promise<void> {
  await rm(out, { force: true });
  const fixed = ['-mkfs-time', TIME_S, '-all-time', TIME_S, '-all-root', '-no-xattrs', '-noappend'];
  // The variable and the options for times exclude each other.
  const env = { SOURCE_DATE_EPOCH: undefined };
  await runTool('mksquashfs', [tree, out, ...shape, ...fixed, '-no-progress', '-quiet'], { env });
}

async function makeFileSystem(tree: string, out: string): Promise<void> {
  const entries = await readdir(tree, { recursive: true, withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile());
  const paths = names.map((entry) => join(entry.parentPath, entry.name).slice(tree.length));
  // What the image maker does not take is left out of both releases alike.
  const files = paths
    .filter((path) => PLAIN_PATH.test(path))
    .toSorted()
    .map((path): ImageFile => ({ path, mode: 0o644, from: join(tree, path) }));
  const sizes = await Promise.all(paths.map(async (path) => (await stat(join(tree, path))).size));
  const content = sizes.reduce((sum, size) => sum + Math.ceil(size / 4096) * 4096, 0);
  const needed = Math.max(content * 1.1, files.length * BYTES_PER_FILE);
  const sizeBytes = Math.ceil(needed / (16 * MIB)) * 16 * MIB;
  await makeExt4({ out, label: 'bench-delta', files, sizeBytes });
}
