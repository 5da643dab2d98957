/**
 * The demo's factory: programs, images, keys and bundles. Always holds: what is taken from the
 * cache was made from the same content by the same scripts, because the cache's key is a digest of
 * both; keys live in memory only and are new for every run, so that no private key is ever on disk.
 * Imports core and bundle.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  access,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { basename, join } from 'node:path';
import { makeBundle, signBundle, type BundleSpec } from '../../src/bundle/builder.ts';
import { generateSigningKey, type SigningKey } from '../../src/bundle/keys.ts';
import { ROOT_SCHEMA, type RootFile } from '../../src/bundle/trust.ts';
import type { Release } from '../../src/core/model.ts';
import type { FactoryImage } from '../appliance.ts';
import { BUILD_DIR, buildProgram, PROJECT_DIR, type Programs } from '../build.ts';
import { SHARED_FILES, type SystemVariant } from '../image/content.ts';
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

async function digestOf(files: readonly string[]): Promise<string> {
  const sum = createHash('sha256');
  for (const file of files) {
    sum.update(`${basename(file)}\0`);
    for await (const part of createReadStream(file)) sum.update(part as Buffer);
  }
  return sum.digest('hex').slice(0, 20);
}

/** Every file below a folder of the project, in a fixed order. */
async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(join(PROJECT_DIR, folder), {
    recursive: true,
    withFileTypes: true,
  });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => join(entry.parentPath, entry.name)).toSorted();
}

/** What decides the content of images and bundles, besides the release. */
async function makersKey(programs: Programs): Promise<string> {
  return digestOf([
    ...Object.values(programs),
    ...(await filesBelow('images/system')),
    ...(await filesBelow('scripts/image')),
    ...(await filesBelow('src/bundle')),
    ...Object.values(SHARED_FILES).map((path) => join(PROJECT_DIR, path)),
    join(PROJECT_DIR, 'scripts/make-image.ts'),
    join(PROJECT_DIR, 'package-lock.json'),
  ]);
}

/** Another content's cache that was opened within this time may still be in use by another run. */
const CACHE_IN_USE_MS = 10 * 60_000;

/** Opens the cache for this content and drops old ones of other contents. */
async function openCache(key: string): Promise<string> {
  const cache = join(BUILD_DIR, 'cache');
  const own = join(cache, key);
  await mkdir(own, { recursive: true });
  const now = new Date();
  await utimes(own, now, now);
  for (const name of await readdir(cache)) {
    const { mtimeMs } = await stat(join(cache, name));
    if (now.getTime() - mtimeMs < CACHE_IN_USE_MS) continue;
    await rm(join(cache, name), { recursive: true, force: true });
  }
  return own;
}

/** What a release's bundle says. */
function specOf(release: DemoRelease): BundleSpec {
  const { version, counter, from } = release;
  return {
    product: PRODUCT,
    hardware: [HARDWARE],
    version,
    releaseCounter: counter,
    from,
    blocked: [],
    minUpdater: '0.1.0',
    pair: { protocol: [1, 1], sideBySide: '>=1.0.0' },
    notes: `Release ${version} of the demo.`,
    images: [
      { name: 'system', class: 'system', version, counter, runsWith: '>=1.0.0' },
      {
        name: 'storage',
        class: 'storage',
        version,
        counter,
        runsWith: release.storageRunsWith,
        formatLevel: 1,
      },
    ],
  };
}

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
    const spec = specOf(release);
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
    const { keyid, public: text } = this.#key;
    const root: RootFile = {
      schema: ROOT_SCHEMA,
      version: 1,
      threshold: 1,
      keys: [{ keyid, scheme: 'ed25519', public: text, name: 'demo' }],
    };
    await writeFile(out, `${JSON.stringify(root, null, 2)}\n`);
  }

  /** The cached file, made first when it is not there; it appears only when it is complete. */
  async #cached(name: string, make: (out: string) => Promise<void>): Promise<string> {
    const file = join(this.#cache, name);
    try {
      await access(file);
      return file;
    } catch {
      // Not made yet.
    }
    const part = `${file}.${String(process.pid)}.part`;
    try {
      await make(part);
      await rename(part, file);
    } finally {
      await rm(part, { force: true });
    }
    return file;
  }
}

/** Builds the programs and opens the cache for them. */
export async function openWorkshop(): Promise<Workshop> {
  const programs = await buildProgram(BUILD_DIR);
  return new CachedWorkshop(programs, await openCache(await makersKey(programs)));
}

/** Flips one bit in the middle of a file, as a bad medium does. */
export async function damage(file: string): Promise<void> {
  const bytes = await readFile(file);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = bytes[at]! ^ 1;
  await writeFile(file, bytes);
}
