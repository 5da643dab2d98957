/**
 * What the kernel says of partitions: where the one with a label of the GPT is, how large a device
 * is, whose label it carries. It is read from sysfs, so it needs neither udev nor native code.
 * Always holds: a label that two disks carry is refused and not guessed; a regular file at the path
 * of a device is refused, since something has written to a path that was to be a disk. Imports
 * core, node and the files of the kernel.
 */
import type { FileHandle } from 'node:fs/promises';
import { readdir, readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UpdateError } from '../core/errors.ts';
import { readKernelFile } from './kernel-file.ts';

/** Where the kernel shows its devices. */
export interface DeviceRoots {
  /** `/dev` */
  readonly dev: string;
  /** `/sys` */
  readonly sys: string;
  /** Whether regular files may stand for devices, as in tests. */
  readonly files: boolean;
}

/** The machine's own. */
export const DEVICE_ROOTS: DeviceRoots = { dev: '/dev', sys: '/sys', files: false };

/** Label of the partition with the state of GRUB's boot chooser. */
export const STATE_LABEL = 'tandem-state';

/** Unit of `size` in sysfs, whatever the sectors of the disk are. Source: kernel, sysfs-block. */
const SYSFS_SECTOR_BYTES = 512;

/** A partition as it was found. */
export interface FoundPartition {
  readonly label: string;
  /** The device node, e.g. `/dev/vda4`. */
  readonly path: string;
  /** Name of the disk that it is on, e.g. `vda`. */
  readonly disk: string;
}

/**
 * The partitions with these labels, in their order, on `disk` (a path such as `/dev/vda`) or on
 * whichever disk has them. Throws `slot.io` when a label is missing or is carried by two
 * partitions.
 */
export async function findPartitions(
  labels: readonly string[],
  disk: string | null,
  roots: DeviceRoots = DEVICE_ROOTS,
): Promise<readonly FoundPartition[]> {
  const all = await listPartitions(roots);
  // A name such as /dev/disk/by-id/... stays when the kernel counts its disks another way.
  const wanted = disk === null ? null : basename(await realpath(disk).catch(() => disk));
  return labels.map((label) => {
    const found = all.filter(
      (one) => one.label === label && (wanted === null || one.disk === wanted),
    );
    const [first] = found;
    if (first !== undefined && found.length === 1) return first;
    const where = disk === null ? 'on any disk' : `on ${disk}`;
    const paths = found.map((one) => one.path);
    const message =
      first === undefined
        ? `there is no partition ${label} ${where}`
        : `${paths.join(' and ')} are both labelled ${label}; name the disk in slots.disk`;
    throw new UpdateError('slot.io', message, { detail: { label, paths } });
  });
}

/** Every partition that has a label. */
async function listPartitions(roots: DeviceRoots): Promise<readonly FoundPartition[]> {
  const dir = join(roots.sys, 'class/block');
  const found: FoundPartition[] = [];
  try {
    for (const name of (await readdir(dir)).toSorted()) {
      const { PARTNAME: label, DEVNAME } = await readUevent(join(dir, name, 'uevent'));
      if (label === undefined || DEVNAME === undefined) continue;
      // class/block/vda4 points to .../block/vda/vda4.
      const disk = basename(dirname(await readlink(join(dir, name))));
      found.push({ label, path: join(roots.dev, DEVNAME), disk });
    }
  } catch (cause) {
    if (cause instanceof UpdateError) throw cause;
    const word = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new UpdateError('slot.io', `the disks in ${dir} cannot be listed: ${word}`, { cause });
  }
  return found;
}

/**
 * Size in bytes of what is open, if it is the block device with this label (null = whatever it
 * carries). Throws `slot.io` for anything else, and plain errors of the system.
 */
export async function checkDevice(
  handle: FileHandle,
  path: string,
  label: string | null,
  roots: DeviceRoots = DEVICE_ROOTS,
): Promise<number> {
  const stat = await handle.stat();
  if (stat.isFile() && roots.files) return stat.size;
  if (!stat.isBlockDevice()) {
    const found = stat.isFile() ? 'a regular file' : 'no block device';
    throw new UpdateError('slot.io', `${path} is ${found}, expected the device of a slot`);
  }
  const { major, minor } = numbersOf(stat.rdev);
  const dir = join(roots.sys, `dev/block/${major}:${minor}`);
  const { PARTNAME: carried } = await readUevent(join(dir, 'uevent'));
  if (label !== null && carried !== label) {
    const found = carried === undefined ? 'no label' : `the label ${carried}`;
    const message = `${path} has ${found}, expected the partition ${label}`;
    throw new UpdateError('slot.io', message, { detail: { path, label } });
  }
  return Number(await readKernelFile(join(dir, 'size'))) * SYSFS_SECTOR_BYTES;
}

/** The two halves of a device number as Linux packs them. Source: glibc, sys/sysmacros.h. */
function numbersOf(rdev: number): { readonly major: number; readonly minor: number } {
  const bits = BigInt(rdev);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}

/** What is used of it. */
interface Uevent {
  readonly PARTNAME?: string;
  readonly DEVNAME?: string;
}

/** NAME=value lines; those of a device that just went away are none. */
async function readUevent(path: string): Promise<Uevent> {
  const values: Record<string, string> = {};
  for (const line of ((await readKernelFile(path)) ?? '').split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0) values[line.slice(0, equals)] = line.slice(equals + 1);
  }
  return values;
}
