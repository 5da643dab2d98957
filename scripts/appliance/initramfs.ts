/**
 * The initramfs that lies beside its kernel in a slot: busybox, the modules that it takes to reach
 * the slot, and the program in images/appliance/initramfs. Always holds: a module comes after what
 * it needs, the watchdog's driver comes first, and the same input gives the same bytes. Imports the
 * tree, cpio and the modules.
 */
import { join } from 'node:path';
import { PROJECT_DIR } from '../build.ts';
import { cpioOf } from './cpio.ts';
import { BUSYBOX, type Material } from './material.ts';
import { kernelModules } from './modules.ts';
import { completeTree, type Tree } from './tree.ts';

/** What the slot is reached with, the watchdog first: it stands still while its driver loads. */
export const BOOT_MODULES = [
  'i6300esb',
  'virtio_pci',
  'virtio_blk',
  'squashfs',
] as const satisfies readonly string[];

const APPLETS = ['cat', 'echo', 'grep', 'insmod', 'mount', 'reboot', 'sh', 'sleep'];
const MORE_APPLETS = ['[', 'switch_root', 'usleep'];
const FOLDERS = ['/proc', '/sys', '/slot'];

/** The initramfs as a tree. */
export async function initramfsTree(material: Material): Promise<Tree> {
  const modules = await kernelModules(material.modulesDir, BOOT_MODULES);
  const busybox = join(material.dir, BUSYBOX);
  const init = join(PROJECT_DIR, 'images/appliance/initramfs/init');
  const order = modules.map(({ name }) => `${name}\n`).join('');
  return completeTree([
    { path: '/init', mode: 0o755, from: init },
    { path: '/bin/busybox', mode: 0o755, from: busybox },
    ...[...APPLETS, ...MORE_APPLETS].map((name) => ({ path: `/bin/${name}`, link: 'busybox' })),
    // The kernel opens it for the first program before that one can mount anything.
    { path: '/dev/console', mode: 0o600, device: { major: 5, minor: 1 } },
    ...FOLDERS.map((path) => ({ path, dir: true as const, mode: 0o755 })),
    { path: '/modules/order', mode: 0o644, text: order },
    ...modules.map(({ name, file }) => ({ path: `/modules/${name}.ko`, mode: 0o644, from: file })),
  ]);
}

/** The initramfs as the boot loader hands it to the kernel; not compressed, its slot is. */
export async function makeInitramfs(material: Material): Promise<Buffer> {
  return cpioOf(await initramfsTree(material));
}
