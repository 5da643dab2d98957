/**
 * System images that fail on purpose, by name, for demonstrations and tests. Always holds: an image
 * differs from the good one of its version in its one fault and in nothing else, and the fault is
 * the same bytes each time. Imports core and the tree.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import { PROJECT_DIR } from '../build.ts';
import type { SystemVariant } from '../image/content.ts';
import { contentOf, without, type Tree, type TreeEntry } from './tree.ts';

/** Every system image of an appliance that can be asked for, and what becomes of it. */
export const APPLIANCE_VARIANTS = {
  good: 'works',
  'kernel-body': 'the kernel hangs while it unpacks itself',
  'kernel-header': 'the boot loader refuses the kernel',
  'file-system': 'the boot loader finds no file system in the slot',
  'no-init': 'the root file system has no init',
  'init-hangs': 'init starts and nothing after it',
  crash: 'the service ends as soon as it starts',
  unhealthy: 'the health check of the image fails',
  'unhealthy-on-B': 'the health check of the image fails on node B',
  panic: 'the kernel panics a minute after its start',
} as const satisfies Readonly<Record<string, string>>;
/** Name of a system image of an appliance. */
export type ApplianceVariant = keyof typeof APPLIANCE_VARIANTS;

const KERNEL = '/boot/vmlinuz';
const RC = '/usr/lib/tandem/rc';
const GOOD_RC = '/usr/lib/tandem/rc.good';
const HEADER_BYTES = 4096;
const SUPERBLOCK_BYTES = 1024 * 1024;
const VARIANTS_DIR = join(PROJECT_DIR, 'images/appliance/variants');

/** True for a word that names a system image. */
export function isApplianceVariant(word: string): word is ApplianceVariant {
  return Object.hasOwn(APPLIANCE_VARIANTS, word);
}

/** The part of the fault that every kind of system image can have. */
export function systemVariantOf(variant: ApplianceVariant): SystemVariant {
  switch (variant) {
    case 'crash':
    case 'unhealthy':
    case 'unhealthy-on-B':
      return variant;
    default:
      return 'good';
  }
}

/** Bytes that look like chance and are the same each time. */
function noise(bytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at * 32 < bytes; at += 1) {
    parts.push(
      createHash('sha256')
        .update(`noise ${String(at)}`)
        .digest(),
    );
  }
  return Buffer.concat(parts).subarray(0, bytes);
}

function entryAt(tree: Tree, path: string): TreeEntry {
  const found = tree.find((entry) => entry.path === path);
  if (found === undefined) throw new UpdateError('internal.bug', `the image has no ${path}`);
  return found;
}

async function withKernel(tree: Tree, change: (kernel: Buffer) => void): Promise<Tree> {
  const kernel = Buffer.from(await contentOf(entryAt(tree, KERNEL)));
  change(kernel);
  return [...without(tree, KERNEL), { path: KERNEL, mode: 0o644, bytes: kernel }];
}

/** The rc of the variant in the place of the good one, which lies beside it. */
function withRc(tree: Tree, name: string): Tree {
  const good = entryAt(tree, RC);
  if (!('from' in good)) throw new UpdateError('internal.bug', `${RC} is no file`);
  return [
    ...without(tree, RC),
    { path: RC, mode: 0o755, from: join(VARIANTS_DIR, name) },
    { path: GOOD_RC, mode: 0o755, from: good.from },
  ];
}

/** The tree of the good image with the variant's fault in it, if it is one of the tree. */
export async function faultyTree(variant: ApplianceVariant, tree: Tree): Promise<Tree> {
  switch (variant) {
    case 'kernel-body':
      // Behind all that the boot loader looks at, in the middle of what is compressed.
      return withKernel(tree, (kernel) => {
        const third = Math.floor(kernel.length / 3);
        noise(third).copy(kernel, third);
      });
    case 'kernel-header':
      return withKernel(tree, (kernel) => kernel.fill(0, 0, HEADER_BYTES));
    case 'no-init':
      return without(tree, '/usr/sbin/init');
    case 'init-hangs':
      return withRc(tree, 'rc-hangs');
    case 'panic':
      return withRc(tree, 'rc-panics');
    default:
      return tree;
  }
}

/** Puts the variant's fault into the finished image file, if it is one of the file. */
export async function faultyFile(variant: ApplianceVariant, file: string): Promise<void> {
  if (variant !== 'file-system') return;
  await using handle = await open(file, 'r+');
  await handle.write(Buffer.alloc(SUPERBLOCK_BYTES), 0, SUPERBLOCK_BYTES, 0);
}
