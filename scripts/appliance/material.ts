/**
 * What the appliance image is put together from, unpacked on this machine: kernel, modules,
 * busybox, programs and libraries of Debian packages. Always holds: the folder of a record is
 * complete or not there, and what is unpacked in it belongs to exactly these versions. Imports core
 * and debian.
 */
import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import {
  cachedFile,
  choosePackages,
  downloadPackages,
  isFlavour,
  recordText,
  unpack,
  type DebianPackage,
} from './debian.ts';
import { isElf, neededLibraries } from './elf.ts';
import type { Tree, TreeEntry } from './tree.ts';
import { buildWatchdogModule, modulePackagesOf } from './watchdog-module.ts';

/**
 * The flavour for virtual machines: it lacks the drivers of real ones, and unpacks itself three
 * seconds sooner than the other under software emulation. The watchdog's driver is built for it.
 */
const KERNEL = 'linux-image-cloud-amd64';

/** Packages that the image is made from, beside the kernel. */
const PACKAGES = [
  'busybox-static',
  'drbd-utils',
  'dropbear-bin',
  'e2fsprogs',
  'libblkid1',
  'libc6',
  'libcom-err2',
  'libcrypt1',
  'libext2fs2',
  'libgcc-s1',
  'libgmp10',
  'libss2',
  'libstdc++6',
  'libtomcrypt1',
  'libtommath1',
  'libuuid1',
  'zlib1g',
] as const;

/** The static busybox in its package. */
export const BUSYBOX = 'bin/busybox';

/** Where in packages of libraries and programs the wanted files are. */
const WANTED = /^(usr\/)?(s?bin|lib\/x86_64-linux-gnu|lib\/drbd)(\/|$)/;
/** The kernel and the parts of its modules that an appliance may need: 391 MiB are 20 then. */
const WANTED_KERNEL = new RegExp(
  '^boot/vmlinuz-|^lib/modules/[^/]+/(modules\\.builtin$|kernel/(' +
    'arch/x86/crypto|crypto|lib|fs|fs/(ext4|fat|jbd2|nls|squashfs)|net/core|' +
    'drivers/(virtio|watchdog|block|block/drbd|char|char/hw_random|net))/[^/]+\\.ko$)',
);

const LIBRARY_DIRS = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'];
/** Where the image has its libraries; the loader looks there without being told. */
const LIBRARIES = '/usr/lib/x86_64-linux-gnu';

/** Unpacked packages. */
export interface Material {
  readonly packages: readonly DebianPackage[];
  /** Root of what was unpacked. */
  readonly dir: string;
  /** The kernel as the boot loader loads it. */
  readonly kernel: string;
  /** Folder with the modules of this kernel. */
  readonly modulesDir: string;
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/**
 * Downloads and unpacks what the record in `cacheDir` names, or what apt offers today when there is
 * no record yet. Throws `tool.missing` and `tool.failed`.
 */
export async function prepareMaterial(
  cacheDir: string,
  say: (line: string) => void,
): Promise<Material> {
  const debs = join(cacheDir, 'debian');
  const wanted = { kernel: KERNEL, names: PACKAGES, beside: forModuleOf };
  const packages = await choosePackages(wanted, join(debs, 'packages.json'));
  const source = `${recordText(packages)}${WANTED.source}${WANTED_KERNEL.source}`;
  const digest = createHash('sha256').update(source).digest('hex').slice(0, 16);
  const dir = join(debs, `unpacked-${digest}`);
  if (!(await isThere(dir))) {
    await downloadPackages(packages, debs, say);
    say(`unpacking ${String(packages.length)} packages`);
    await unpackAll(packages, debs, dir);
  }
  const kernel = await onlyOne(join(dir, 'boot'), /^vmlinuz-/);
  const modulesDir = await onlyOne(join(dir, 'lib/modules'), /^\d/);
  return { packages, dir, kernel, modulesDir };
}

function forModuleOf(kernel: string): readonly string[] {
  return Object.values(modulePackagesOf(kernel));
}

async function unpackAll(packages: readonly DebianPackage[], debs: string, dir: string) {
  await mkdir(dirname(dir), { recursive: true });
  const part = await mkdtemp(join(debs, '.unpack-'));
  const kernel = packages.find(({ name }) => isFlavour(name, KERNEL))!;
  const forModule = modulePackagesOf(kernel.name);
  const fileOf = (name: string): string =>
    cachedFile(
      packages.find((one) => one.name === name)!,
      debs,
    );
  const onlyForModule = forModuleOf(kernel.name);
  try {
    for (const one of packages) {
      if (onlyForModule.includes(one.name)) continue;
      const pattern = one === kernel ? WANTED_KERNEL : WANTED;
      await unpack(cachedFile(one, debs), part, (path) => pattern.test(path));
    }
    const modulesDir = await onlyOne(join(part, 'lib/modules'), /^\d/);
    await buildWatchdogModule(forModule, fileOf, modulesDir);
    await rename(part, dir);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

async function onlyOne(dir: string, pattern: RegExp): Promise<string> {
  const found = (await readdir(dir).catch(() => [])).filter((name) => pattern.test(name));
  if (found.length === 1) return join(dir, found[0]!);
  const seen = found.join(', ') || 'nothing';
  const message = `found ${seen} in ${dir}, expected one ${String(pattern)}`;
  throw new UpdateError('tool.failed', message);
}

/** A program of the packages as an entry of the image; `at` is where it lies in its package. */
export function programOf(material: Material, at: string): TreeEntry {
  const dir = /(^|\/)sbin\//.test(at) ? '/usr/sbin' : '/usr/bin';
  return { path: `${dir}/${basename(at)}`, mode: 0o755, from: join(material.dir, at) };
}

async function libraryFile(material: Material, name: string, wantedBy: string): Promise<string> {
  for (const dir of LIBRARY_DIRS) {
    const path = join(material.dir, dir, name);
    if (await isThere(path)) return realpath(path);
  }
  const message = `${wantedBy} needs ${name}, which none of the packages has`;
  throw new UpdateError('tool.failed', message);
}

/**
 * The shared libraries that the programs of a tree need, and the loader where programs name it.
 * Throws `tool.failed` for a library that no package has.
 */
export async function librariesFor(material: Material, tree: Tree): Promise<Tree> {
  const found = new Map<string, string>();
  const queue = tree.flatMap((entry) => ('from' in entry ? [entry.from] : []));
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    const content = await readFile(file);
    if (!isElf(content)) continue;
    for (const name of neededLibraries(content)) {
      if (found.has(name)) continue;
      const library = await libraryFile(material, name, file);
      found.set(name, library);
      queue.push(library);
    }
  }
  const names = [...found.keys()].toSorted();
  const loader = names.find((name) => name.startsWith('ld-linux'));
  const entries = names.map((name) => {
    return { path: `${LIBRARIES}/${name}`, mode: 0o755, from: found.get(name)! };
  });
  if (loader === undefined) return entries;
  return [...entries, { path: `/usr/lib64/${loader}`, link: `../lib/x86_64-linux-gnu/${loader}` }];
}
