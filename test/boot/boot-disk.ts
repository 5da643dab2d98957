/**
 * A disk of an appliance whose slots hold stub kernels, and what a test does to it: slots that can
 * be loaded or not, copies of the state, the try counter, damage to the FAT, and the changes that
 * the real driver makes between two boots. Always holds: the disk is made by scripts/appliance,
 * with the selection script as it is. Imports the disk's makers, the driver and the tools.
 */
import { mkdir, open, readFile, rm, writeFile, copyFile } from 'node:fs/promises';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { makeDisk } from '../../scripts/appliance/disk.ts';
import { COUNTER_FILE } from '../../scripts/appliance/disk-grub.ts';
import {
  MIB,
  partitionOf,
  sealOffset,
  slotPartitionName,
  type DiskLayout,
  type PartitionName,
} from '../../scripts/appliance/layout.ts';
import { runTool } from '../../scripts/image/tools.ts';
import type { BootCounter, CommitMarks } from '../../src/core/boot.ts';
import type { Slot } from '../../src/core/model.ts';
import { openGrubBoot, type GrubBootChooser } from '../../src/drivers/boot-grub.ts';
import {
  encodeGrubCounter,
  encodeSealMark,
  GRUB_SECTOR_BYTES,
  GRUB_STATE_BYTES,
} from '../../src/drivers/boot-grub-env.ts';
import { stubKernel } from './stub-kernel.ts';

/** What a slot holds. */
export type SlotContent =
  'good' | 'hang' | 'no-kernel' | 'no-initrd' | 'bad-header' | 'short-kernel' | 'no-file-system';

/** Contents that GRUB loads and starts. */
export const LOADABLE: readonly SlotContent[] = ['good', 'hang'];

const SIZES = { systemBytes: MIB, storageBytes: MIB, dataBytes: MIB, storeBytes: MIB };
/** First byte of a name that was removed from a FAT. */
const FAT_REMOVED = 0xe5;
const FAT_ENTRY_BYTES = 32;
const KERNEL_BYTES_SHORT = 700;

/** Folder with one image for each content, made once. */
export async function makeContents(dir: string): Promise<void> {
  const images: readonly (readonly [SlotContent, Uint8Array | null, boolean])[] = [
    ['good', stubKernel('reset'), true],
    ['hang', stubKernel('hang'), true],
    ['no-kernel', null, true],
    ['no-initrd', stubKernel('reset'), false],
    ['bad-header', new Uint8Array(4096), true],
    ['short-kernel', stubKernel('reset').subarray(0, KERNEL_BYTES_SHORT), true],
  ];
  for (const [name, kernel, initrd] of images) {
    const root = join(dir, `${name}.root`);
    await mkdir(join(root, 'boot'), { recursive: true });
    if (kernel !== null) await writeFile(join(root, 'boot/vmlinuz'), kernel);
    if (initrd) await writeFile(join(root, 'boot/initrd'), 'initrd');
    const path = join(dir, `${name}.squashfs`);
    await runTool('mksquashfs', [root, path, '-noappend', '-quiet', '-all-root']);
  }
  await writeFile(join(dir, 'no-file-system.squashfs'), Buffer.alloc(4096, 0x5a));
}

/** The disk under test. Offsets are bytes of the partition that is named. */
export class BootDisk {
  readonly path: string;
  readonly layout: DiskLayout;
  readonly #contents: string;
  /** Where the try counter's only sector lies in the FAT's partition. */
  readonly #counterAt: number;

  private constructor(path: string, contents: string, layout: DiskLayout, counterAt: number) {
    this.path = path;
    this.layout = layout;
    this.#contents = contents;
    this.#counterAt = counterAt;
  }

  /** A new appliance at `path`: slot A boots, both hold the good stub, both seals are marked. */
  static async make(path: string, contents: string): Promise<BootDisk> {
    const good = join(contents, 'good.squashfs');
    const layout = await makeDisk({
      path,
      sizes: SIZES,
      images: { 'tandem-system-a': good, 'tandem-system-b': good },
      seals: {},
      boot: { default: 'A', otherOk: false },
      kernelArguments: ['console=ttyS0', 'quiet'],
    });
    const fresh = new BootDisk(path, contents, layout, 0);
    const fat = await fresh.read('tandem-boot', 0, partitionOf(layout, 'tandem-boot').sizeBytes);
    const at = fat.indexOf(encodeGrubCounter({ trialId: 0, used: 0 }));
    return new BootDisk(path, contents, layout, at);
  }

  /** The same disk as another file. */
  async copyTo(path: string): Promise<BootDisk> {
    await copyFile(this.path, path, constants.COPYFILE_FICLONE);
    return new BootDisk(path, this.#contents, this.layout, this.#counterAt);
  }

  /** Everything. */
  async bytes(): Promise<Buffer> {
    return readFile(this.path);
  }

  /** Bytes of the disk that the boot loader may change: the counter's sector. */
  get counterSector(): readonly [from: number, to: number] {
    const from = partitionOf(this.layout, 'tandem-boot').startBytes + this.#counterAt;
    return [from, from + GRUB_SECTOR_BYTES];
  }

  /** Where the directory of the FAT begins that names the counter's file. */
  async directoryOffset(): Promise<number> {
    const fat = await this.read('tandem-boot', 0, this.#counterAt);
    return fat.indexOf('TANDEM', GRUB_SECTOR_BYTES);
  }

  async read(name: PartitionName, offset: number, length: number): Promise<Buffer> {
    await using file = await open(this.path, 'r');
    const bytes = Buffer.alloc(length);
    await file.read(bytes, 0, length, partitionOf(this.layout, name).startBytes + offset);
    return bytes;
  }

  async write(name: PartitionName, offset: number, bytes: Uint8Array): Promise<void> {
    await using file = await open(this.path, 'r+');
    const at = partitionOf(this.layout, name).startBytes + offset;
    await file.write(bytes, 0, bytes.length, at);
  }

  async setSlot(slot: Slot, content: SlotContent): Promise<void> {
    const image = await readFile(join(this.#contents, `${content}.squashfs`));
    await this.write(slotPartitionName('system', slot), 0, image);
  }

  async setMarks(marks: CommitMarks): Promise<void> {
    for (const slot of ['A', 'B'] as const) await this.setMark(slot, encodeSealMark(marks[slot]));
  }

  async setMark(slot: Slot, sector: Uint8Array): Promise<void> {
    const name = slotPartitionName('system', slot);
    await this.write(name, sealOffset(partitionOf(this.layout, name)), sector);
  }

  async mark(slot: Slot): Promise<Buffer> {
    const name = slotPartitionName('system', slot);
    return this.read(name, sealOffset(partitionOf(this.layout, name)), GRUB_SECTOR_BYTES);
  }

  async setCounter(counter: BootCounter): Promise<void> {
    await this.setCounterSector(encodeGrubCounter(counter));
  }

  async setCounterSector(sector: Uint8Array): Promise<void> {
    await this.write('tandem-boot', this.#counterAt, sector);
  }

  /** The counter's file as the system finds it on the mounted FAT; null when there is none. */
  async counterFile(): Promise<Buffer | null> {
    const to = `${this.path}.tries`;
    await rm(to, { force: true });
    try {
      await this.#mcopy(['-n', `::${COUNTER_FILE}`, to]);
      return await readFile(to);
    } catch {
      return null;
    }
  }

  /** Takes the counter's file off the FAT. */
  async removeCounter(): Promise<void> {
    const at = await this.directoryOffset();
    const sector = await this.read('tandem-boot', at, GRUB_SECTOR_BYTES);
    // The first entry is the label; a name in small letters takes two more.
    for (let entry = FAT_ENTRY_BYTES; sector[entry]; entry += FAT_ENTRY_BYTES) {
      sector[entry] = FAT_REMOVED;
    }
    await this.write('tandem-boot', at, sector);
  }

  /** Lets the system's driver work on state and counter, as it would while the appliance runs. */
  async system(work: (chooser: GrubBootChooser) => Promise<void>): Promise<void> {
    const state = `${this.path}.state`;
    const counter = `${this.path}.tries`;
    await writeFile(state, await this.read('tandem-state', 0, GRUB_STATE_BYTES));
    await this.counterFile();
    {
      await using chooser = await openGrubBoot({ state, counter });
      await work(chooser);
    }
    await this.write('tandem-state', 0, await readFile(state));
    await this.#mcopy(['-o', counter, `::${COUNTER_FILE}`]);
  }

  async #mcopy(args: readonly string[]): Promise<void> {
    const { startBytes } = partitionOf(this.layout, 'tandem-boot');
    const env = { MTOOLS_SKIP_CHECK: '1', MTOOLSRC: '/dev/null' };
    await runTool('mcopy', ['-i', `${this.path}@@${String(startBytes)}`, ...args], { env });
  }
}
