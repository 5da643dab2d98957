/**
 * Command line that makes the system image of an appliance from Debian packages, the pinned Node
 * and this program; `npm run make:appliance -- --help`. Always holds: nothing is installed on this
 * machine unless `--install-host-tools` asks for it. Imports core and scripts/appliance.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { asUpdateError, UpdateError } from '../src/core/errors.ts';
import type { NodeId } from '../src/core/model.ts';
import { makePairDisks, type FactoryPair } from './appliance/factory.ts';
import { installHostTools, needHostTools } from './appliance/host-tools.ts';
import { MIB } from './appliance/layout.ts';
import { makeApplianceImage, type ApplianceImage } from './appliance/make.ts';
import {
  APPLIANCE_VARIANTS,
  isApplianceVariant,
  type ApplianceVariant,
} from './appliance/variants.ts';
import { BUILD_DIR, buildProgram, type Programs } from './build.ts';
import { makeStorageImage, STORAGE_KINDS, type StorageKind } from './make-image.ts';

const NAMES = Object.entries(APPLIANCE_VARIANTS).map(([name, what]) => `${name.padEnd(16)}${what}`);
const USAGE = `Usage: npm run make:appliance -- --version V --counter N --out FILE
         [--product NAME] [--variant WORD] [--new-packages] [--install-host-tools]
         [--disks DIR --trust-root FILE [--storage-kind WORD]]

  --variant  ${NAMES.join('\n             ')}
  --new-packages        ask apt for the versions of today; without it those in the record
                        build/debian/packages.json are used, and no network once they are there
  --disks DIR           make the disks of a pair as well, A.img and B.img, paired and with the
                        storage software of this version
  --trust-root FILE     the keys that may sign bundles for this pair
  --storage-kind WORD   storage software of the disks: ${STORAGE_KINDS.join(', ')}
  --install-host-tools  install the Debian packages of missing tools first (as root)

Example: npm run make:appliance -- --version 1.2.0 --counter 12 --out build/appliance-1.2.0.img
`;

const STORAGE_SLOT_BYTES = 8 * MIB;
const DATA_BYTES = 512 * MIB;
const STORE_BYTES = 64 * MIB;
/** For the pairing and the disks together. */
const PAIRING_MS = 120_000;

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function counterOf(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new UpdateError('usage.invalid', `--counter is "${text}"; it must be a positive number`);
}

function variantOf(text: string): ApplianceVariant {
  if (isApplianceVariant(text)) return text;
  const accepted = Object.keys(APPLIANCE_VARIANTS).join(', ');
  throw new UpdateError('usage.invalid', `--variant is "${text}"; accepted: ${accepted}`);
}

function kindOf(text: string): StorageKind {
  const kind = STORAGE_KINDS.find((one) => one === text);
  if (kind !== undefined) return kind;
  const accepted = STORAGE_KINDS.join(', ');
  throw new UpdateError('usage.invalid', `--storage-kind is "${text}"; accepted: ${accepted}`);
}

/** The disks of a pair that begins with this image, on machines with a serial console. */
async function makeDisks(
  { file, release, sizeBytes }: ApplianceImage,
  programs: Programs,
  dir: string,
  trustRoot: string,
  kind: StorageKind,
): Promise<Readonly<Record<NodeId, string>>> {
  await needHostTools(['disk']);
  await mkdir(dir, { recursive: true });
  const { product, version, counter } = release;
  const storage = { product, version, counter, formatLevel: 1 };
  const storageFile = join(dir, 'storage.img');
  await makeStorageImage({ ...storage, out: storageFile, programs, kind });
  const pair: FactoryPair = {
    dir,
    product,
    hardware: 'virtual',
    trustRoot,
    systemImage: { file, release, runsWith: '*' },
    storageImage: { file: storageFile, release: { ...storage, class: 'storage' }, runsWith: '*' },
    // Room for later releases, and for both of them in the depot.
    sizes: {
      systemBytes: Math.ceil((sizeBytes * 1.25) / MIB) * MIB,
      storageBytes: STORAGE_SLOT_BYTES,
      dataBytes: DATA_BYTES,
      storeBytes: STORE_BYTES,
    },
    kernelArguments: ['console=ttyS0,115200', 'quiet'],
  };
  return makePairDisks(pair, AbortSignal.timeout(PAIRING_MS));
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      version: { type: 'string' },
      counter: { type: 'string' },
      out: { type: 'string' },
      product: { type: 'string', default: 'tandem-demo' },
      variant: { type: 'string', default: 'good' },
      'new-packages': { type: 'boolean', default: false },
      disks: { type: 'string' },
      'trust-root': { type: 'string' },
      'storage-kind': { type: 'string', default: 'directory' },
      'install-host-tools': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const { version, counter, out, product } = values;
  if (values.help || !version || !counter || !out) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 2;
  }
  const spec = { product, version, counter: counterOf(counter), out: resolve(out) };
  const variant = variantOf(values.variant);
  const kind = kindOf(values['storage-kind']);
  const { disks, 'trust-root': trustRoot } = values;
  if ((disks === undefined) !== (trustRoot === undefined)) {
    throw new UpdateError('usage.invalid', '--disks and --trust-root belong together');
  }
  if (values['install-host-tools']) {
    await installHostTools(disks === undefined ? ['image'] : ['image', 'disk'], say);
  }
  if (values['new-packages']) await rm(join(BUILD_DIR, 'debian/packages.json'), { force: true });
  const programs = await buildProgram();
  const made = await makeApplianceImage({ ...spec, variant, programs, say });
  const mebibytes = (made.sizeBytes / MIB).toFixed(1);
  const seconds = (made.buildMs / 1000).toFixed(1);
  console.log(`${made.file}  ${variant}  ${version}  ${mebibytes} MiB  ${seconds} s`);
  console.log(`sha256 ${made.sha256}`);
  if (disks === undefined || trustRoot === undefined) return 0;
  const files = await makeDisks(made, programs, resolve(disks), resolve(trustRoot), kind);
  for (const file of Object.values(files)) console.log(file);
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  const failure = asUpdateError(error);
  process.stderr.write(`${failure.message}\n${failure.report().next}\n`);
  process.exitCode = failure.exit;
}
