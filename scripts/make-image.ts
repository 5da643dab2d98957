/**
 * Makes the images of a release: the system image (Node runtime, the bundled program, the workload,
 * shared libraries, health hooks, release file) and the storage software image. Always holds: what
 * an image reports as its version is in the release file inside it, and the same input gives the
 * same bytes. The variants are images that fail on purpose, for demonstrations and tests. Also a
 * command line: `node scripts/make-image.ts --help`. Imports core and scripts/image.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { asUpdateError, UpdateError } from '../src/core/errors.ts';
import type { Release } from '../src/core/model.ts';
import { BUILD_DIR, buildProgram, type Programs } from './build.ts';
import { releaseFile, SYSTEM_VARIANTS, systemFiles, type SystemVariant } from './image/content.ts';
import { makeExt4, type ImageFile } from './image/ext4.ts';
import { librariesOf, runtimeBinary } from './image/runtime.ts';

/** Which storage image is made; `unhealthy` fails its health check on purpose. */
export type StorageVariant = 'good' | 'unhealthy';
/** Storage images that can be asked for, the good one first. */
export const STORAGE_VARIANTS: readonly StorageVariant[] = ['good', 'unhealthy'];

/** How the storage software keeps its copies level: by itself in directories, or with DRBD. */
export type StorageKind = 'directory' | 'drbd';
/** Storage software that can be asked for, the usual one first. */
export const STORAGE_KINDS: readonly StorageKind[] = ['directory', 'drbd'];

/** What both kinds of image are made from. */
export interface ImageSpec {
  readonly product: string;
  readonly version: string;
  /** Release counter, the ordering authority. */
  readonly counter: number;
  /** The image file that is written. */
  readonly out: string;
  readonly programs: Programs;
  /** Default: as the content needs. */
  readonly sizeBytes?: number;
}

/** Makes a system image; returns its size in bytes. Throws `tool.missing`, `tool.failed`. */
export async function makeSystemImage(
  spec: ImageSpec & { readonly variant?: SystemVariant; readonly cacheDir?: string },
): Promise<number> {
  const { product, version, counter, programs, variant = 'good' } = spec;
  const cacheDir = spec.cacheDir ?? BUILD_DIR;
  await mkdir(cacheDir, { recursive: true });
  const node = await runtimeBinary(cacheDir);
  const release: Release = { product, class: 'system', version, counter };
  const files: ImageFile[] = [
    ...(await systemFiles({ release, programs, node, variant })),
    ...(await librariesOf(node)),
  ];
  return makeExt4({ ...sized(spec), label: `system ${version}`.slice(0, 16), files });
}

/** Makes a storage software image; returns its size in bytes. */
export async function makeStorageImage(
  spec: ImageSpec & {
    /** On-disk format level that the software writes. */
    readonly formatLevel: number;
    readonly variant?: StorageVariant;
    /** Default `directory`; only appliances with partitions can run `drbd`. */
    readonly kind?: StorageKind;
  },
): Promise<number> {
  const { product, version, counter, programs, formatLevel } = spec;
  const program = spec.kind === 'drbd' ? programs.storageDrbd : programs.storage;
  if (program === undefined) {
    throw new UpdateError('usage.invalid', `version ${version} has no storage software on DRBD`);
  }
  const files: ImageFile[] = [
    releaseFile({ product, class: 'storage', version, counter, formatLevel }),
    { path: '/opt/storage/storage.mjs', mode: 0o644, from: program },
  ];
  if (spec.variant === 'unhealthy') {
    const text = 'the storage software of this image fails its health check on purpose\n';
    files.push({ path: '/opt/storage/fail-health', mode: 0o644, text });
  }
  return makeExt4({ ...sized(spec), label: `storage ${version}`.slice(0, 16), files });
}

function sized(spec: ImageSpec): { out: string; sizeBytes?: number } {
  return spec.sizeBytes === undefined
    ? { out: spec.out }
    : { out: spec.out, sizeBytes: spec.sizeBytes };
}

const USAGE = `Usage: node scripts/make-image.ts system|storage --version V --counter N --out FILE
         [--product NAME] [--size BYTES] [--variant WORD] [--format-level N] [--kind WORD]

  --variant       system: ${SYSTEM_VARIANTS.join(', ')}; storage: ${STORAGE_VARIANTS.join(', ')}
  --format-level  storage only; default 1
  --kind          storage only: ${STORAGE_KINDS.join(', ')}

Example: node scripts/make-image.ts system --version 1.2.0 --counter 12 --out build/system.img
`;

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new UpdateError('usage.invalid', `--${name} is "${text}"; it must be a positive number`);
}

function oneOf<T extends string>(option: string, words: readonly T[], text: string): T {
  const word = words.find((one) => one === text);
  if (word !== undefined) return word;
  throw new UpdateError('usage.invalid', `--${option} is "${text}"; accepted: ${words.join(', ')}`);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      version: { type: 'string' },
      counter: { type: 'string' },
      out: { type: 'string' },
      product: { type: 'string', default: 'tandem-demo' },
      size: { type: 'string' },
      variant: { type: 'string', default: 'good' },
      'format-level': { type: 'string', default: '1' },
      kind: { type: 'string', default: 'directory' },
      help: { type: 'boolean', default: false },
    },
  });
  const [cls] = positionals;
  const { version, counter, out, product, variant } = values;
  if (values.help || (cls !== 'system' && cls !== 'storage') || !version || !counter || !out) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 2;
  }
  const spec = {
    product,
    version,
    counter: wholeNumber('counter', counter),
    out: resolve(out),
    programs: await buildProgram(),
    ...(values.size === undefined ? {} : { sizeBytes: wholeNumber('size', values.size) }),
  };
  await mkdir(dirname(spec.out), { recursive: true });
  const formatLevel = wholeNumber('format-level', values['format-level']);
  const bytes =
    cls === 'system'
      ? await makeSystemImage({ ...spec, variant: oneOf('variant', SYSTEM_VARIANTS, variant) })
      : await makeStorageImage({
          ...spec,
          formatLevel,
          variant: oneOf('variant', STORAGE_VARIANTS, variant),
          kind: oneOf('kind', STORAGE_KINDS, values.kind),
        });
  console.log(`${spec.out}  ${cls} ${version}  ${String(bytes)} bytes`);
  return 0;
}

if (import.meta.main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    const failure = asUpdateError(error);
    process.stderr.write(`${failure.message}\n${failure.report().next}\n`);
    process.exitCode = failure.exit;
  }
}
