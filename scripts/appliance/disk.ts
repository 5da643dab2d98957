/**
 * Makes the disk of an appliance as one sparse file, without root and without loop devices: GPT,
 * boot loader, boot state, and the content of slots and data partitions. Always holds: the same
 * input gives the same bytes; the file is whole or not there; blocks of zeros take no space.
 * Imports core, the layout, the boot chooser's formats and the tools.
 */
import { mkdtemp, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstBootState } from '../../src/core/boot-change.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { Slot } from '../../src/core/model.ts';
import { newGrubStates } from '../../src/drivers/boot-grub-env.ts';
import { runTool } from '../image/tools.ts';
import { makeBootFat, makeGrub } from './disk-grub.ts';
import {
  DISK_SECTOR_BYTES,
  layoutOf,
  partitionOf,
  SEAL_BYTES,
  sealOffset,
  type DiskLayout,
  type DiskSizes,
  type Partition,
  type PartitionName,
} from './layout.ts';

/** A partition that holds what an image file has. */
export type ImagePartition = Exclude<PartitionName, 'tandem-grub' | 'tandem-boot' | 'tandem-state'>;
/** A slot's partition. */
export type SlotPartition = Exclude<ImagePartition, 'tandem-data' | 'tandem-store'>;

/** A disk that is to be made. */
export interface DiskSpec {
  /** The file; one that is there is replaced. */
  readonly path: string;
  readonly sizes: DiskSizes;
  /** Image file of each partition that is not empty. */
  readonly images: Readonly<Partial<Record<ImagePartition, string>>>;
  /** Last block of each slot that is sealed, 4096 bytes as the slots' driver reads them. */
  readonly seals: Readonly<Partial<Record<SlotPartition, Uint8Array>>>;
  /** Which slot boots, and whether the other one may. */
  readonly boot: { readonly default: Slot; readonly otherOk: boolean };
  /** Added to the kernel's command line, `console=ttyS0,115200` for one. */
  readonly kernelArguments?: readonly string[];
}

/** Id of the disk in its GPT; the partitions count on from it. Appliances never share a machine. */
const DISK_GUID = '54414E44-454D-4000-8000-000000000000';
/** Images are copied in pieces of this size; pieces of zeros are left out. */
const PIECE_BYTES = 64 * 1024;

/**
 * Makes the disk and returns its layout. Throws `tool.missing` with the Debian package,
 * `tool.failed` with the tool's words, `space.slot` for an image that does not fit,
 * `file.not_found` and `file.unreadable` for one that cannot be read and for a disk that cannot be
 * written.
 */
export async function makeDisk(spec: DiskSpec): Promise<DiskLayout> {
  const layout = layoutOf(spec.sizes);
  await checkImages(spec, layout);
  const work = await mkdtemp(join(tmpdir(), 'tandem-disk-'));
  const unfinished = `${spec.path}.new`;
  try {
    await rm(unfinished, { force: true });
    {
      await using disk = await open(unfinished, 'wx');
      await disk.truncate(layout.totalBytes);
    }
    await runTool('sfdisk', ['-q', '--no-tell-kernel', unfinished], { input: tableOf(layout) });
    await fill(unfinished, spec, layout, work);
    await rename(unfinished, spec.path);
    return layout;
  } catch (error) {
    await rm(unfinished, { force: true });
    throw diskError(error, spec.path);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Every image is there and fits, seal left out, before anything is made. */
async function checkImages(spec: DiskSpec, layout: DiskLayout): Promise<void> {
  for (const [name, path] of imagesOf(spec)) {
    const partition = partitionOf(layout, name);
    const room = isSlot(name) ? sealOffset(partition) : partition.sizeBytes;
    const found = await stat(path).catch((cause: unknown) => {
      throw diskError(cause, path);
    });
    if (!found.isFile()) throw new UpdateError('file.unreadable', `${path} is not a regular file`);
    if (found.size <= room) continue;
    const message = `${path} has ${found.size} bytes, ${name} takes ${room}`;
    const detail = { path, sizeBytes: found.size, maxBytes: room };
    throw new UpdateError('space.slot', message, { detail });
  }
  for (const [name, seal] of Object.entries(spec.seals)) {
    if (seal.length === SEAL_BYTES) continue;
    const message = `A seal of ${seal.length} bytes for ${name}, expected ${SEAL_BYTES}`;
    throw new UpdateError('internal.bug', message);
  }
}

/** Writes everything but the partition table. */
async function fill(path: string, spec: DiskSpec, layout: DiskLayout, work: string): Promise<void> {
  const { bootCode, core } = await makeGrub(work, layout, spec.kernelArguments ?? []);
  const fat = await makeBootFat(work, layout);
  await using disk = await open(path, 'r+');
  const at = (name: PartitionName): number => partitionOf(layout, name).startBytes;
  await put(disk, bootCode, 0);
  await put(disk, core, at('tandem-grub'));
  await copySparse(fat, disk, at('tandem-boot'));
  const states = newGrubStates(firstBootState(spec.boot.default, spec.boot.otherOk));
  await put(disk, states, at('tandem-state'));
  for (const [name, image] of imagesOf(spec)) await copySparse(image, disk, at(name));
  for (const [name, seal] of Object.entries(spec.seals)) {
    const partition = partitionOf(layout, name as SlotPartition);
    await put(disk, seal, partition.startBytes + sealOffset(partition));
  }
  await disk.sync();
}

/** Writes all of the bytes; a disk that is full takes a part at first. */
async function put(disk: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await disk.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}

/** Copies a file to an offset of the disk, which is zeros there; zeros are not written. */
async function copySparse(from: string, disk: FileHandle, offset: number): Promise<void> {
  await using source = await open(from, 'r');
  const piece = Buffer.alloc(PIECE_BYTES);
  const zeros = Buffer.alloc(PIECE_BYTES);
  for (let at = 0; ;) {
    const { bytesRead } = await source.read(piece, 0, piece.length, at);
    if (bytesRead === 0) return;
    const bytes = piece.subarray(0, bytesRead);
    const blank = bytes.equals(zeros.subarray(0, bytesRead));
    if (!blank) await put(disk, bytes, offset + at);
    at += bytesRead;
  }
}

/** The partition table as sfdisk reads it. */
function tableOf(layout: DiskLayout): string {
  const rows = layout.partitions.map((one: Partition) => {
    const start = one.startBytes / DISK_SECTOR_BYTES;
    const size = one.sizeBytes / DISK_SECTOR_BYTES;
    const uuid = DISK_GUID.replace(/.$/, String(one.number));
    return `start=${start}, size=${size}, type=${one.type}, uuid=${uuid}, name=${one.name}`;
  });
  const head = ['label: gpt', `label-id: ${DISK_GUID}`, 'unit: sectors', 'sector-size: 512'];
  return `${[...head, ...rows].join('\n')}\n`;
}

function imagesOf(spec: DiskSpec): readonly (readonly [ImagePartition, string])[] {
  return Object.entries(spec.images) as [ImagePartition, string][];
}

function isSlot(name: ImagePartition): boolean {
  return name !== 'tandem-data' && name !== 'tandem-store';
}

function diskError(error: unknown, path: string): UpdateError {
  if (error instanceof UpdateError) return error;
  const word = (error as NodeJS.ErrnoException).code ?? String(error);
  const code = word === 'ENOENT' ? 'file.not_found' : 'file.unreadable';
  return new UpdateError(code, `${path}: ${word}`, { cause: error, detail: { path, error: word } });
}
