/**
 * The disk of an appliance as a factory delivers it, for benchmarks: node A of a pair, a shell of
 * root on the serial line, some words of the kernel shown. Always holds: everything is made from
 * the sources as they are. Imports the makers of images.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateSigningKey } from '../../src/bundle/keys.ts';
import { makePairDisks } from '../appliance/factory.ts';
import { needHostTools } from '../appliance/host-tools.ts';
import { MIB } from '../appliance/layout.ts';
import { makeApplianceImage } from '../appliance/make.ts';
import { buildProgram } from '../build.ts';
import { trustRootOf } from '../image/trust-root.ts';
import { makeStorageImage } from '../make-image.ts';

const RELEASE = { product: 'tandem-demo', version: '1.0.0', counter: 1 } as const;
const SIZES = {
  systemBytes: 80 * MIB,
  storageBytes: 8 * MIB,
  dataBytes: 64 * MIB,
  storeBytes: 4 * MIB,
};
const DISKS_MS = 300_000;
/** Messages from "notice" on: the kernel's first line tells when it runs. */
const KERNEL_ARGUMENTS = ['console=ttyS0,115200', 'quiet', 'loglevel=6', 'nokaslr'];
/** Nothing is to be reset because this computer is busy. */
const WATCHDOG = 'tandem.watchdog=120';

/** Makes the disk below `dir` and returns its file. Throws `tool.missing` and `tool.failed`. */
export async function makeBootDisk(dir: string, say: (line: string) => void): Promise<string> {
  await needHostTools(['image', 'disk', 'bench']);
  say('making the images');
  const programs = await buildProgram();
  const out = (name: string): string => join(dir, name);
  const system = await makeApplianceImage({ ...RELEASE, out: out('system.img'), programs, say });
  const storage = { ...RELEASE, formatLevel: 1 };
  await makeStorageImage({ ...storage, out: out('storage.img'), programs });
  const root = trustRootOf(generateSigningKey(), 'benchmark');
  await writeFile(out('root.json'), JSON.stringify(root));
  await mkdir(out('disks'));
  const storageRelease = { ...storage, class: 'storage' } as const;
  const disks = await makePairDisks(
    {
      dir: out('disks'),
      product: RELEASE.product,
      hardware: 'virtual',
      trustRoot: out('root.json'),
      systemImage: { file: system.file, release: system.release, runsWith: '*' },
      storageImage: { file: out('storage.img'), release: storageRelease, runsWith: '*' },
      sizes: SIZES,
      kernelArguments: [...KERNEL_ARGUMENTS, WATCHDOG],
      rootShells: ['ttyS0'],
    },
    AbortSignal.timeout(DISKS_MS),
  );
  return disks.A;
}
