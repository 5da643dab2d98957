/**
 * Two releases of one product for the tests of deltas: the full bundles of both and the delta
 * between them, a node whose slots A hold the old one, and requests that bring the new one into its
 * slots B. Always holds: the same bytes in every run. May import node: and what it lays out.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeBundle, type BundleSpec, type MadeBundle } from '../../src/bundle/builder.ts';
import { generateSigningKey, type SigningKey } from '../../src/bundle/keys.ts';
import type { ManifestImage } from '../../src/core/manifest.ts';
import { createSlots, openSlots } from '../../src/drivers/slots-file.ts';
import type { InstallRequest } from '../../src/install/pipeline.ts';
import type { InstallTarget } from '../../src/install/protocol.ts';
import type { Slots } from '../../src/ports.ts';

export const CHUNK = 64 * 1024;
const CLASSES = ['system', 'storage'] as const;

/** Bytes that look random and are the same for the same seed. */
export function noise(seed: string, sizeBytes: number): Buffer {
  return createHash('shake256', { outputLength: sizeBytes }).update(seed).digest();
}

/** The images of a release. */
export type Images = Readonly<Record<'system' | 'storage', Buffer>>;

/** What the older release holds: noise that no compression helps with, zeros, text, an odd end. */
export function oldImages(): Images {
  const system = Buffer.concat([
    noise('old', 5 * CHUNK),
    Buffer.alloc(2 * CHUNK),
    Buffer.alloc(CHUNK, 'text that repeats itself, '),
    noise('more', 3 * CHUNK + 12_345),
  ]);
  return { system, storage: noise('storage', 2 * CHUNK + 4097) };
}

/** The newer one: most of it moved by an odd number of bytes, parts of it exchanged and anew. */
export function newImages({ system, storage }: Images): Images {
  const changed = Buffer.from(system.subarray(2 * CHUNK, 5 * CHUNK));
  for (let at = 3000; at < changed.length; at += 20_000) changed.write('CHANGED', at);
  return {
    system: Buffer.concat([
      noise('front', 777),
      changed,
      Buffer.alloc(CHUNK + 100),
      system.subarray(0, 2 * CHUNK),
      noise('new', 2 * CHUNK),
      system.subarray(5 * CHUNK),
    ]),
    storage: Buffer.concat([storage.subarray(5000), noise('end', 900)]),
  };
}

/** A spec for both images; the counters are those of the release. */
export function deltaSpec(counter: number): BundleSpec {
  const version = `${counter}.0.0`;
  return {
    product: 'tandem-appliance',
    hardware: ['bench-1'],
    version,
    releaseCounter: counter,
    from: '>=1.0.0',
    blocked: [],
    minUpdater: '0.1.0',
    pair: { protocol: [1, 1], sideBySide: '>=1.0.0' },
    chunkBytes: CHUNK,
    images: [
      { name: 'system', class: 'system', version, counter, runsWith: '>=1.0.0' },
      { name: 'storage', class: 'storage', version, counter, runsWith: '*', formatLevel: 1 },
    ],
  };
}

/** Both releases, and what they are trusted with. */
export interface Releases {
  readonly key: SigningKey;
  readonly rootPath: string;
  readonly old: Images;
  readonly raw: Images;
  /** Bundles by path: the full old one, the full new one, the delta. */
  readonly paths: Readonly<Record<'old' | 'full' | 'delta', string>>;
  readonly made: Readonly<Record<'old' | 'full' | 'delta', MadeBundle>>;
}

/** A node that runs the old release, with both releases at hand. */
export interface DeltaSample extends Releases {
  readonly dir: string;
  readonly slots: Slots;
  /** Installs a bundle into the slots B. */
  request(path: string, overrides?: Partial<InstallRequest>): InstallRequest;
  target(cls: 'system' | 'storage', overrides?: Partial<InstallTarget>): InstallTarget;
  /** The start of slot B, as long as the new image. */
  slot(cls: 'system' | 'storage'): Promise<Buffer>;
}

/** Makes the three bundles in `dir`. */
export async function makeReleases(dir: string): Promise<Releases> {
  await mkdir(dir, { recursive: true });
  const key = generateSigningKey();
  const rootPath = join(dir, 'root.json');
  const entry = { keyid: key.keyid, scheme: 'ed25519', public: key.public };
  await writeFile(rootPath, JSON.stringify({ schema: 1, version: 1, threshold: 1, keys: [entry] }));
  const old = oldImages();
  const raw = newImages(old);
  const files = async (name: string, images: Images): Promise<Record<string, string>> => {
    const paths: Record<string, string> = {};
    for (const cls of CLASSES) {
      paths[cls] = join(dir, `${name}-${cls}.raw`);
      await writeFile(paths[cls], images[cls]);
    }
    return paths;
  };
  const paths = {
    old: join(dir, 'old.bin'),
    full: join(dir, 'full.bin'),
    delta: join(dir, 'delta.bin'),
  };
  const [before, after] = [await files('old', old), await files('new', raw)];
  const more = { level: 1, keys: [key] };
  const made = {
    old: await makeBundle(deltaSpec(1), before, paths.old, more),
    full: await makeBundle(deltaSpec(2), after, paths.full, more),
    delta: await makeBundle(deltaSpec(2), after, paths.delta, {
      ...more,
      level: 6,
      base: paths.old,
    }),
  };
  return { key, rootPath, old, raw, paths, made };
}

/** Lays a node out in `dir`. */
export async function makeDeltaSample(dir: string, releases: Releases): Promise<DeltaSample> {
  const { rootPath, old, raw, made } = releases;
  await mkdir(dir, { recursive: true });
  const slots = await installOld(join(dir, 'slots'), old);
  const target = (cls: 'system' | 'storage', overrides = {}): InstallTarget => {
    const { path: device, sizeBytes } = slots.device(cls, 'B');
    const base = slots.device(cls, 'A');
    const { imageId } = imageOf(made.old, cls);
    const offered = { device: base.path, sizeBytes: base.sizeBytes, imageId };
    return { image: cls, class: cls, slot: 'B', device, sizeBytes, base: offered, ...overrides };
  };
  return {
    ...releases,
    dir,
    slots,
    target,
    request: (path, overrides = {}) => ({
      do: 'install',
      path,
      trustRoot: rootPath,
      targets: CLASSES.map((cls) => target(cls)),
      progressFile: join(dir, 'progress'),
      readBack: true,
      format: false,
      ...overrides,
    }),
    slot: async (cls) => (await readFile(slots.device(cls, 'B').path)).subarray(0, raw[cls].length),
  };
}

/** The image of a class in what was made. */
export function imageOf({ manifest }: MadeBundle, cls: 'system' | 'storage'): ManifestImage {
  const image = manifest.images.find((one) => one.class === cls);
  if (image === undefined) throw new Error(`no ${cls} image`);
  return image;
}

async function installOld(dir: string, old: Images): Promise<Slots> {
  await createSlots(dir, { system: 16 * CHUNK, storage: 4 * CHUNK });
  const slots = await openSlots(dir);
  for (const cls of CLASSES) {
    await using file = await open(slots.device(cls, 'A').path, 'r+');
    await file.write(old[cls], 0, old[cls].length, 0);
    // What lies behind an image is not part of it.
    await file.write(noise('behind', 4096), 0, 4096, Math.ceil(old[cls].length / 4096) * 4096);
  }
  return slots;
}
