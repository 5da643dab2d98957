/**
 * The root file system of an appliance: which files it has, and the squashfs that it becomes.
 * Always holds: everything belongs to root, times are fixed, and the same tree gives the same
 * bytes; the compression is one that the boot loader reads, which takes kernel and initramfs out
 * of the slot.
 * Imports core, scripts/image and the parts beside it.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Release } from '../../src/core/model.ts';
import { PROJECT_DIR, type Programs } from '../build.ts';
import { systemFiles } from '../image/content.ts';
import { runTool } from '../image/tools.ts';
import { BOOT_MODULES, makeInitramfs } from './initramfs.ts';
import { BUSYBOX, librariesFor, programOf, type Material } from './material.ts';
import { kernelModules } from './modules.ts';
import { makePack, makeStarter } from './pack.ts';
import { completeTree, filesBelow, writeTree, type Tree, type TreeEntry } from './tree.ts';
import { faultyFile, faultyTree, systemVariantOf, type ApplianceVariant } from './variants.ts';

const run = promisify(execFile);

/** What is loaded once the slot is mounted: data partition, GRUB's FAT, network, serial ports. */
const ROOT_MODULES = [
  'crc32c_generic',
  'ext4',
  'vfat',
  'nls_cp437',
  'nls_ascii',
  'virtio_net',
  'virtio_console',
];
/** Only where the store is replicated by DRBD. */
const DRBD_MODULES = ['drbd'];
/** The module with the roles of the program. */
const PROGRAM = 'src/main-roles.ts';
/** Of the packages, at their places in them; libraries follow from these. */
const PROGRAMS = [
  'sbin/drbdadm',
  'sbin/drbdmeta',
  'sbin/drbdsetup',
  'sbin/debugfs',
  'sbin/e2fsck',
  'sbin/mke2fs',
  'usr/bin/dbclient',
  'usr/bin/dropbearkey',
  'usr/sbin/dropbear',
];
/** For the kernel module of Linux 6.1, which drbdadm of a newer version calls. */
const DRBD_COMPATIBLE = ['drbdadm-84', 'drbdsetup-84'];

/** Of images/units, what keeps the service running where there is no systemd. */
const SERVICE_FILES: readonly string[] = [
  '/etc/init.d/tandem',
  '/usr/lib/tandem/boot-words',
  '/usr/lib/tandem/ended',
  '/usr/lib/tandem/keep',
  '/usr/lib/tandem/start',
];

const EMPTY_DIRS = ['/data', '/dev', '/proc', '/run', '/sys', '/tmp', '/mnt'];
/** What programs look for in one place and what the image has, or may write to, in another. */
const LINKS: Readonly<Record<string, string>> = {
  '/bin': 'usr/bin',
  '/sbin': 'usr/sbin',
  '/lib': 'usr/lib',
  '/lib64': 'usr/lib64',
  '/var/lib/drbd': '/data/drbd',
  '/var/lock': '/run/lock',
  '/var/log': '/run',
  '/var/run': '/run',
  '/var/tmp': '/tmp',
  // The storage software writes it; the kernel's helper drbdadm reads it there.
  '/etc/drbd.conf': '/run/tandem/drbd.conf',
  '/etc/mtab': '/proc/self/mounts',
  '/etc/tandem/tandem.jsonc': '/data/etc/tandem.jsonc',
  // Home of the account tandem-console is the root.
  '/.ssh': '/data/etc/ssh/console',
};
/** 2026-01-01T00:00:00Z: times of files are nobody's business here. */
const TIME_S = 1_767_225_600;

/** What a root file system is made from. */
export interface RootSpec {
  readonly release: Release;
  readonly variant: ApplianceVariant;
  readonly material: Material;
  readonly programs: Programs;
  /** The Node runtime. */
  readonly node: string;
}

/** Links for all that busybox can do, where nothing else has that name. */
async function appletLinks(material: Material, taken: Tree): Promise<Tree> {
  const busybox = join(material.dir, BUSYBOX);
  const { stdout } = await run(busybox, ['--list-full'], { timeout: 10_000 });
  const paths = new Set(taken.map((entry) => entry.path));
  return stdout.split('\n').flatMap((line) => {
    const match = /^(?:usr\/)?(s?bin)\/(.+)$/.exec(line);
    if (match === null) return [];
    const [, dir = '', name = ''] = match;
    const path = `/usr/${dir}/${name}`;
    if (name === 'busybox' || paths.has(path)) return [];
    return [{ path, link: dir === 'bin' ? 'busybox' : '../bin/busybox' }];
  });
}

/** Modules of the running system, each list in load order, without those of the initramfs. */
async function moduleEntries(material: Material): Promise<Tree> {
  const booted = new Set(
    (await kernelModules(material.modulesDir, BOOT_MODULES)).map(({ name }) => name),
  );
  const files = new Map<string, TreeEntry>();
  const lists: TreeEntry[] = [];
  for (const [list, names] of Object.entries({ order: ROOT_MODULES, drbd: DRBD_MODULES })) {
    const all = await kernelModules(material.modulesDir, names);
    const fresh = all.filter(({ name }) => !booted.has(name));
    const text = fresh.map(({ name }) => `${name}\n`).join('');
    lists.push({ path: `/usr/lib/modules/${list}`, mode: 0o644, text });
    for (const { name, file } of fresh) {
      booted.add(name);
      files.set(name, { path: `/usr/lib/modules/${name}.ko`, mode: 0o644, from: file });
    }
  }
  return [...lists, ...files.values()];
}

/** Programs of the kernel's packages that are scripts or are found under another name. */
function drbdEntries(material: Material): Tree {
  return DRBD_COMPATIBLE.map((name) => {
    const from = join(material.dir, 'lib/drbd', name);
    return { path: `/usr/lib/drbd/${name}`, mode: 0o755, from };
  });
}

/**
 * The program as an appliance has it, in parts with their code, in the place of the one file; an
 * image whose program is to fail keeps that file.
 */
async function programEntries({ variant, node }: RootSpec): Promise<Tree> {
  if (systemVariantOf(variant) === 'crash') return [];
  const bytes = await makeStarter(PROJECT_DIR);
  const pack = await makePack(join(PROJECT_DIR, PROGRAM), node, PROJECT_DIR);
  return [
    { path: '/opt/tandem/tandem.mjs', mode: 0o755, bytes },
    { path: '/opt/tandem/tandem.parts', mode: 0o644, bytes: pack },
  ];
}

/** What keeps the service running, as on any other machine. */
export async function serviceFiles(): Promise<Tree> {
  const found = await filesBelow(join(PROJECT_DIR, 'images/units'));
  return found.filter(({ path }) => SERVICE_FILES.includes(path));
}

/** The whole root file system of a system image as a tree. */
export async function rootTree(spec: RootSpec): Promise<Tree> {
  const { release, variant, material, programs, node } = spec;
  const busybox = programOf(material, BUSYBOX);
  const initrd = await makeInitramfs(material);
  const files: Tree = [
    ...(await systemFiles({ release, programs, node, variant: systemVariantOf(variant) })),
    ...(await programEntries(spec)),
    ...PROGRAMS.map((at) => programOf(material, at)),
    ...drbdEntries(material),
    ...(await serviceFiles()),
    ...(await filesBelow(join(PROJECT_DIR, 'images/appliance/root'))),
  ];
  const tree: Tree = [
    busybox,
    ...files,
    ...(await appletLinks(material, files)),
    ...(await librariesFor(material, files)),
    ...(await moduleEntries(material)),
    ...Object.entries(LINKS).map(([path, link]) => ({ path, link })),
    ...EMPTY_DIRS.map((path) => ({ path, dir: true as const, mode: 0o755 })),
    { path: '/boot/vmlinuz', mode: 0o644, from: material.kernel },
    { path: '/boot/initrd', mode: 0o644, bytes: initrd },
  ];
  return completeTree(await faultyTree(variant, tree));
}

/**
 * Makes the squashfs of a complete tree; returns its size in bytes. It is packed with LZO: a start
 * unpacks most of a program of 108 MB, for which gzip needs nearly twice the time for a tenth less
 * of size, and the boot loader reads neither LZ4 nor Zstandard. `out` appears only when it is
 * complete. Throws `tool.missing` and `tool.failed`.
 */
export async function makeSquashfs(tree: Tree, out: string): Promise<number> {
  const part = join(dirname(out), `.${basename(out)}.${String(process.pid)}.part`);
  const work = await mkdtemp(join(dirname(out), '.tree-'));
  try {
    await writeTree(tree, work);
    const fixed = ['-mkfs-time', String(TIME_S), '-all-time', String(TIME_S), '-all-root'];
    const shape = ['-comp', 'lzo', '-b', '131072', '-no-xattrs', '-noappend'];
    const quiet = ['-no-progress', '-quiet'];
    // The variable and the options for times exclude each other.
    const env = { SOURCE_DATE_EPOCH: undefined };
    await runTool('mksquashfs', [work, part, ...shape, ...fixed, ...quiet], { env });
    await rename(part, out);
    return (await stat(out)).size;
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(part, { force: true });
  }
}

/** Makes the system image of a specification at `out`; returns its size in bytes. */
export async function makeRootImage(spec: RootSpec, out: string): Promise<number> {
  const sizeBytes = await makeSquashfs(await rootTree(spec), out);
  await faultyFile(spec.variant, out);
  return sizeBytes;
}
