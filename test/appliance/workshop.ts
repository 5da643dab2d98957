/**
 * What the tests of the appliance boot: system images, and the disk of node A of a pair as the
 * factory makes it. Always holds: everything lies below the folder of the test. Imports the
 * scripts.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FactoryImage } from '../../scripts/appliance.ts';
import { makePairDisks } from '../../scripts/appliance/factory.ts';
import { MIB } from '../../scripts/appliance/layout.ts';
import { makeApplianceImage, type ApplianceImage } from '../../scripts/appliance/make.ts';
import type { ApplianceVariant } from '../../scripts/appliance/variants.ts';
import { buildProgram, type Programs } from '../../scripts/build.ts';
import { trustRootOf } from '../../scripts/image/trust-root.ts';
import { makeStorageImage } from '../../scripts/make-image.ts';
import type { Release } from '../../src/core/model.ts';
import { generateSigningKey } from '../../src/bundle/keys.ts';

const PRODUCT = 'tandem-demo';
const VERSION = '1.0.0';
const COUNTER = 1;
const PAIRING_MS = 60_000;
/**
 * Words for the kernel that every boot has here. Its check of one clock by another fails on a busy
 * computer, and it then says so on the console and takes the clock that is slow to read.
 */
export const KERNEL_ARGUMENTS = ['console=ttyS0,115200', 'quiet', 'nokaslr', 'tsc=reliable'];
const SIZES = {
  systemBytes: 80 * MIB,
  storageBytes: 8 * MIB,
  dataBytes: 64 * MIB,
  storeBytes: 4 * MIB,
};

function say(line: string): void {
  process.stderr.write(`# ${line}\n`);
}

/** Makes a system image of version 1.0.0 into a folder. */
export async function systemImage(
  dir: string,
  variant: ApplianceVariant,
  programs: Programs,
): Promise<ApplianceImage> {
  const out = join(dir, `${variant}.img`);
  const release = { product: PRODUCT, version: VERSION, counter: COUNTER };
  return makeApplianceImage({ ...release, out, programs, variant, say });
}

/** The programs that the images are made with. */
export async function programsFor(): Promise<Programs> {
  return buildProgram();
}

/** What lies on the disks beside the system image. */
export interface Rest {
  readonly storageImage: FactoryImage;
  readonly trustRoot: string;
}

/** Makes the storage image and a trust root into a folder. */
export async function restOf(dir: string, programs: Programs): Promise<Rest> {
  const file = join(dir, 'storage.img');
  const words = { product: PRODUCT, version: VERSION, counter: COUNTER, formatLevel: 1 };
  await makeStorageImage({ ...words, out: file, programs });
  const root = join(dir, 'root.json');
  await writeFile(root, JSON.stringify(trustRootOf(generateSigningKey(), 'test')));
  const release: Release = { ...words, class: 'storage' };
  return { storageImage: { file, release, runsWith: '*' }, trustRoot: root };
}

/**
 * The disk of node A of a pair with this system in slot A, which boots; slot B is empty. Root has a
 * shell on the serial line.
 */
export async function diskWith(
  dir: string,
  image: ApplianceImage,
  rest: Rest,
  kernelArguments: readonly string[],
): Promise<string> {
  await mkdir(dir);
  const disks = await makePairDisks(
    {
      ...rest,
      dir,
      product: PRODUCT,
      hardware: 'virtual',
      systemImage: { file: image.file, release: image.release, runsWith: '*' },
      sizes: SIZES,
      kernelArguments: [...KERNEL_ARGUMENTS, ...kernelArguments],
      rootShells: ['ttyS0'],
    },
    AbortSignal.timeout(PAIRING_MS),
  );
  return disks.A;
}
