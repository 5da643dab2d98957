/**
 * Makes the system image of an appliance: kernel, initramfs and root file system of one version in
 * one squashfs, and beside it a record of what it was made from. Always holds: the same versions of
 * the packages and the same sources give the same bytes. Imports core, the build and the parts
 * beside it.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Release, Sha256 } from '../../src/core/model.ts';
import { BUILD_DIR, type Programs } from '../build.ts';
import { pinnedVersion, runtimeBinary } from '../image/runtime.ts';
import type { DebianPackage } from './debian.ts';
import { needHostTools } from './host-tools.ts';
import { makeInitramfs } from './initramfs.ts';
import { prepareMaterial, type Material } from './material.ts';
import { makeRootImage } from './rootfs.ts';
import type { ApplianceVariant } from './variants.ts';

/** What is asked for. */
export interface ApplianceImageSpec {
  readonly product: string;
  readonly version: string;
  /** Release counter, the ordering authority. */
  readonly counter: number;
  /** The image file that is written. */
  readonly out: string;
  readonly programs: Programs;
  /** Default `good`. */
  readonly variant?: ApplianceVariant;
  /** Folder of packages and of the stripped runtime; default `build/`. */
  readonly cacheDir?: string;
  /** Told what takes long. */
  readonly say?: (line: string) => void;
}

/** What was made. */
export interface ApplianceImage {
  readonly file: string;
  readonly sizeBytes: number;
  readonly sha256: Sha256;
  readonly release: Release;
  /** From the first to the last step, without the downloads of a first time. */
  readonly buildMs: number;
}

/** The record beside an image, `IMAGE.json`: what it is and every version that is in it. */
export interface ImageRecord {
  readonly release: Release;
  readonly variant: ApplianceVariant;
  readonly sizeBytes: number;
  readonly sha256: Sha256;
  /** Version of the Node runtime, with its `v`. */
  readonly node: string;
  readonly packages: readonly DebianPackage[];
}

/**
 * Makes the image and its record. Throws `tool.missing` with every missing tool and its Debian
 * package, `tool.failed` with a tool's words.
 */
export async function makeApplianceImage(spec: ApplianceImageSpec): Promise<ApplianceImage> {
  const { product, version, counter, out, programs, variant = 'good' } = spec;
  const cacheDir = spec.cacheDir ?? BUILD_DIR;
  await needHostTools(['image']);
  await mkdir(dirname(out), { recursive: true });
  const material = await prepareMaterial(cacheDir, spec.say ?? (() => undefined));
  const startedMs = performance.now();
  const node = await runtimeBinary(cacheDir);
  const release: Release = { product, class: 'system', version, counter };
  const sizeBytes = await makeRootImage({ release, variant, material, programs, node }, out);
  const hash = createHash('sha256');
  await pipeline(createReadStream(out), hash);
  const sha256 = hash.digest('hex') as Sha256;
  const { packages } = material;
  const record: ImageRecord = {
    release,
    variant,
    sizeBytes,
    sha256,
    node: await pinnedVersion(),
    packages,
  };
  await writeFile(`${out}.json`, `${JSON.stringify(record, null, 2)}\n`);
  const buildMs = performance.now() - startedMs;
  return { file: out, sizeBytes, sha256, release, buildMs };
}

/** Kernel and initramfs as files, for a machine that boots them directly. */
export interface BootFiles {
  readonly kernel: string;
  readonly initrd: string;
}

/** The kernel and the initramfs of an image's material; the initramfs is written to `initrd`. */
export async function makeBootFiles(material: Material, initrd: string): Promise<BootFiles> {
  await writeFile(initrd, await makeInitramfs(material));
  return { kernel: material.kernel, initrd };
}
