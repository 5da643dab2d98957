/**
 * The demo's factory: programs, images, keys and bundles. Always holds: what is taken from the
 * cache was made from the same content by the same scripts, because the cache's key is a digest of
 * both; keys live in memory only and are new for every run, so that no private key is ever on disk.
 * Imports core and bundle.
 */
import { createHash } from 'node:crypto';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeBundle, signBundle } from '../../src/bundle/builder.ts';
import { generateSigningKey, type SigningKey } from '../../src/bundle/keys.ts';
import type { Release } from '../../src/core/model.ts';
import type { FactoryImage } from '../appliance.ts';
import { BUILD_DIR, buildProgram, type Programs } from '../build.ts';
import { bundleSpec } from '../image/bundle-spec.ts';
import { SHARED_FILES, type SystemVariant } from '../image/content.ts';
import { kept, makersDigest, openKept } from '../image/kept.ts';
import { trustRootOf } from '../image/trust-root.ts';
import { makeStorageImage, makeSystemImage, type StorageVariant } from '../make-image.ts';

/** What the bundles of the demo are made for. */
export const PRODUCT = 'tandem-demo';
/** Hardware revision of the demo's appliances. */
export const HARDWARE = 'virtual';
/** Fast and good enough for a bundle that lives for a minute; releases take a higher level. */
const DEMO_LEVEL = 3;

/** A release of the demo: both images and what its bundle says. */
export interface DemoRelease {
  readonly version: string;
  readonly counter: number;
  readonly system?: SystemVariant;
  readonly storage?: StorageVariant;
  /** Versions that the bundle updates from. */
  readonly from: string;
  /** Versions of the system under which the storage software of this release runs. */
  readonly storageRunsWith: string;
}

/** The factory of one run. */
export interface Workshop {
  readonly programs: Programs;
  systemImage(release: DemoRelease): Promise<FactoryImage>;
  storageImage(release: DemoRelease): Promise<FactoryImage>;
  /** A bundle at `out`, signed by the run's key, or by a stranger's when `foreign`. */
  bundle(release: DemoRelease, out: string, foreign?: boolean): Promise<void>;
  /** Writes the trust root of the run's key. */
  trustRoot(out: string): Promise<void>;
}

/** What decides the content of images and bundles, beside the programs and the release. */
const MAKERS = [
  'images/system',
  'scripts/image',
  'scripts/make-image.ts',
  'src/bundle',
  'package-lock.json',
  ...Object.values(SHARED_FILES),
];
/** Another content's cache that was opened within this time may still be in use by another run. */
const CACHE_IN_USE_MS = 10 * 60_000;

class CachedWorkshop implements Workshop {
  readonly programs: Programs;
  readonly #cache: string;
  readonly #key: SigningKey = generateSigningKey();

  constructor(programs: Programs, cache: string) {
    this.programs = programs;
    this.#cache = cache;
  }

  async systemImage(release: DemoRelease): Promise<FactoryImage> {
    const { version, counter, system: variant = 'good' } = release;
    const file = await this.#cached(`system-${version}-${variant}.img`, async (out) => {
      const spec = { product: PRODUCT, version, counter, out, programs: this.programs };
      await makeSystemImage({ ...spec, variant });
    });
    const words: Release = { product: PRODUCT, class: 'system', version, counter };
    return { file, release: words, runsWith: '>=1.0.0' };
  }

  async storageImage(release: DemoRelease): Promise<FactoryImage> {
    const { version, counter, storage: variant = 'good' } = release;
    const formatLevel = 1;
    const file = await this.#cached(`storage-${version}-${variant}.img`, async (out) => {
      const spec = { product: PRODUCT, version, counter, out, programs: this.programs };
      await makeStorageImage({ ...spec, formatLevel, variant });
    });
    const words: Release = { product: PRODUCT, class: 'storage', version, counter, formatLevel };
    return { file, release: words, runsWith: release.storageRunsWith };
  }

  async bundle(release: DemoRelease, out: string, foreign = false): Promise<void> {
    const images = {
      system: (await this.systemImage(release)).file,
      storage: (await this.storageImage(release)).file,
    };
    const notes = `Release ${release.version} of the demo.`;
    const spec = bundleSpec({ ...release, product: PRODUCT, hardware: HARDWARE, notes });
    const words = createHash('sha256')
      .update(JSON.stringify([spec, images]))
      .digest('hex');
    const unsigned = await this.#cached(`bundle-${words.slice(0, 12)}.bin`, async (part) => {
      await makeBundle(spec, images, part, { level: DEMO_LEVEL });
    });
    await copyFile(unsigned, out);
    await signBundle(out, [foreign ? generateSigningKey() : this.#key]);
  }

  async trustRoot(out: string): Promise<void> {
    const root = trustRootOf(this.#key, 'demo');
    await writeFile(out, `${JSON.stringify(root, null, 2)}\n`);
  }

  #cached(name: string, make: (out: string) => Promise<void>): Promise<string> {
    return kept(this.#cache, name, make);
  }
}

/** Builds the programs and opens the cache for them. */
export async function openWorkshop(): Promise<Workshop> {
  const programs = await buildProgram(BUILD_DIR);
  const digest = await makersDigest(programs, MAKERS);
  const cache = await openKept(join(BUILD_DIR, 'cache'), digest, CACHE_IN_USE_MS);
  return new CachedWorkshop(programs, cache);
}

/** Flips one bit in the middle of a file, as a bad medium does. */
export async function damage(file: string): Promise<void> {
  const bytes = await readFile(file);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = bytes[at]! ^ 1;
  await writeFile(file, bytes);
}
