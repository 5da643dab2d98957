/**
 * The parts of an appliance's disk that GRUB is made of: its core image with the selection script
 * inside, the first sector that loads it, and the FAT with the try counter. Always holds: the same
 * input gives the same bytes, whatever the time and whoever makes them. Imports core, the layout,
 * the boot chooser's formats and the tools.
 */
import { access, mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from 'tar';
import { UpdateError } from '../../src/core/errors.ts';
import { encodeGrubCounter } from '../../src/drivers/boot-grub-env.ts';
import { runTool } from '../image/tools.ts';
import {
  DISK_SECTOR_BYTES,
  partitionOf,
  sealOffset,
  slotPartitionName,
  type DiskLayout,
} from './layout.ts';

/** Where Debian's grub-pc-bin puts the modules for BIOS machines. */
export const GRUB_DIR = '/usr/lib/grub/i386-pc';
/** Scripts of the boot loader: what its core runs first, and the selection. */
const SCRIPTS = new URL('../../images/boot/', import.meta.url);
/**
 * What the scripts use, and the file systems of the slots; no menu, no other partition table. For
 * GRUB a command that it does not have is a condition that holds, so none may be missing.
 */
export const GRUB_MODULES = [
  'biosdisk',
  'part_gpt',
  'memdisk',
  'tar',
  'fat',
  'squash4',
  'ext2',
  'gzio',
  'xzio',
  'configfile', // source
  'normal',
  'loadenv',
  'test',
  'echo',
  'regexp',
  'sleep',
  'reboot',
  'serial',
  'terminal',
  'boot',
  'linux',
  'multiboot', // forgets a kernel
  'setpci',
  'memrw',
] as const;
/** Longest part of sector 0 that belongs to boot code; the partition table follows. */
const BOOT_CODE_BYTES = 440;
/** Number of core's first sector in boot.img. Source: GRUB 2.06, include/grub/i386/pc/boot.h. */
const BOOT_KERNEL_SECTOR = 0x5c;
/** Number of core's second sector in its first one: the list of blocks grows down from the end. */
const CORE_NEXT_SECTOR = DISK_SECTOR_BYTES - 12;
/** Seconds until a boot that stands still is reset when nothing else is said. */
const WATCHDOG_S = 40;
/** The watchdog of the selection script runs twice before it resets. */
const STAGES = 2;
/** Every file's time. */
const EPOCH = new Date('2020-01-01T00:00:00Z');
/** Fixed ids: the appliance names partitions by label. */
const FAT_SERIAL = '54414e44';
/** Name of the try counter's file on the FAT of the boot partition. */
export const COUNTER_FILE = 'tries.env';

/** Both images of GRUB, each told where on this disk it lies. */
export interface GrubImages {
  /** Start of sector 0. */
  readonly bootCode: Uint8Array;
  /** Content of the partition `tandem-grub`. */
  readonly core: Uint8Array;
}

/**
 * Makes GRUB's images for a disk in the empty folder `dir`. `kernelArguments` follow those of the
 * selection. Throws `tool.missing`, `tool.failed`, and `internal.bug` for an argument with a
 * character that GRUB's script language would not pass on.
 */
export async function makeGrub(
  dir: string,
  layout: DiskLayout,
  kernelArguments: readonly string[],
): Promise<GrubImages> {
  const partition = partitionOf(layout, 'tandem-grub');
  const firstSector = partition.startBytes / DISK_SECTOR_BYTES;
  const path = join(dir, 'core.img');
  const memdisk = join(dir, 'memdisk.tar');
  const bootImage = join(GRUB_DIR, 'boot.img');
  await needGrubFiles(bootImage);
  await makeMemdisk(dir, memdisk, diskScript(layout, kernelArguments));
  const early = join(dir, 'core.cfg');
  await writeFile(early, withoutComments(await readFile(new URL('core.cfg', SCRIPTS), 'utf8')));
  const where = ['-O', 'i386-pc', '-d', GRUB_DIR, '-p', '(memdisk)', '-m', memdisk];
  await runTool('grub-mkimage', [...where, '-c', early, '-o', path, ...GRUB_MODULES]);
  const core = Buffer.from(await readFile(path));
  if (core.length > partition.sizeBytes) {
    const message = `GRUB's core has ${core.length} bytes, ${partition.sizeBytes} fit`;
    throw new UpdateError('tool.failed', message);
  }
  core.writeBigUInt64LE(BigInt(firstSector + 1), CORE_NEXT_SECTOR);
  const bootCode = Buffer.from(await readFile(bootImage)).subarray(0, BOOT_CODE_BYTES);
  bootCode.writeBigUInt64LE(BigInt(firstSector), BOOT_KERNEL_SECTOR);
  return { bootCode, core };
}

/** Makes the FAT with the try counter, nothing used, in `dir`; returns the path of its image. */
export async function makeBootFat(dir: string, layout: DiskLayout): Promise<string> {
  const { sizeBytes } = partitionOf(layout, 'tandem-boot');
  const path = join(dir, 'boot.fat');
  const counter = join(dir, COUNTER_FILE);
  const env = {
    TZ: 'UTC',
    MTOOLS_SKIP_CHECK: '1',
    MTOOLSRC: '/dev/null',
    SOURCE_DATE_EPOCH: String(EPOCH.getTime() / 1000),
  };
  await writeFile(counter, encodeGrubCounter({ trialId: 0, used: 0 }));
  await utimes(counter, EPOCH, EPOCH);
  const sectors = String(sizeBytes / DISK_SECTOR_BYTES);
  const shape = ['-T', sectors, '-h', '16', '-s', '32', '-c', '1', '-N', FAT_SERIAL];
  await runTool('mformat', ['-C', '-i', path, ...shape, '-v', 'TANDEM', '::'], { env });
  await runTool('mcopy', ['-m', '-i', path, counter, `::${COUNTER_FILE}`], { env });
  return path;
}

/** The core's own parser knows no comments: an apostrophe in one would swallow what follows. */
function withoutComments(script: string): string {
  return script.replaceAll(/^(#.*)?\n/gm, '');
}

/** The time that the system is told, too: nothing shortens or lengthens it from stage to stage. */
function watchdogSeconds(kernelArguments: readonly string[]): number {
  const words = kernelArguments.map((word) => /^tandem\.watchdog=(\d{1,4})$/.exec(word)?.[1]);
  // 0 leaves the system's watchdog alone; a kernel that hangs early is reset all the same.
  return Number(words.findLast((word) => word !== undefined)) || WATCHDOG_S;
}

/** What the selection script has to know of this disk. */
function diskScript(layout: DiskLayout, kernelArguments: readonly string[]): string {
  for (const word of kernelArguments) {
    if (/^[\w.,:=/@+-]+$/.test(word)) continue;
    throw new UpdateError('internal.bug', `"${word}" cannot be an argument of the kernel`);
  }
  // Both slots have one size, so the seals begin at the same sector of their partitions.
  const seal = sealOffset(partitionOf(layout, slotPartitionName('system', 'A')));
  const lines = [
    `set seal_sector=${String(seal / DISK_SECTOR_BYTES)}`,
    `set kernel_arguments="${kernelArguments.join(' ')}"`,
    `set watchdog_ticks=${String((watchdogSeconds(kernelArguments) * 1000) / STAGES)}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** The archive that GRUB's core carries: the selection script and what it knows of the disk. */
async function makeMemdisk(dir: string, path: string, disk: string): Promise<void> {
  const root = join(dir, 'memdisk');
  await mkdir(root);
  await writeFile(join(root, 'grub.cfg'), await readFile(new URL('grub.cfg', SCRIPTS)));
  await writeFile(join(root, 'disk.cfg'), disk);
  const names = ['disk.cfg', 'grub.cfg'];
  await create({ file: path, cwd: root, portable: true, mtime: EPOCH, noPax: true }, names);
}

async function needGrubFiles(path: string): Promise<void> {
  try {
    await access(path);
  } catch (cause) {
    const detail = { tool: path, package: 'grub-pc-bin' };
    const message = `${path} is not there (Debian package grub-pc-bin)`;
    throw new UpdateError('tool.missing', message, { cause, detail });
  }
}
