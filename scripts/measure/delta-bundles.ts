/**
 * The bundles of the benchmark of deltas: the full ones of both releases and the delta between
 * them, signed, with the slots that they are installed into. Always holds: what is there from an
 * earlier run is used again; a file appears only when it is complete. Imports bundle and drivers.
 */
import { open, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { makeBundle, type BundleSpec } from '../../src/bundle/builder.ts';
import { loadSigningKey, writeSigningKey, type SigningKey } from '../../src/bundle/keys.ts';
import { inspectBundle } from '../../src/bundle/reader.ts';
import { openFileSource } from '../../src/bundle/source.ts';
import type { ManifestImage } from '../../src/core/manifest.ts';
import { createSlots } from '../../src/drivers/slots-file.ts';
import type { InstallTarget } from '../../src/install/protocol.ts';
import { trustRootOf } from '../image/trust-root.ts';
import { LAYOUTS, makePair, type ImagePair, type Layout } from './delta-pair.ts';

const MIB = 1024 * 1024;
/** Level of the full bundle; the default of `bundle make`. */
const FULL_LEVEL = 9;
/** One chunk in so many is compressed to say how large a full bundle of level 19 would be. */
const SAMPLE = 8;
const BEST_LEVEL = 19;

/** What making a delta cost. */
export interface Cost {
  readonly wallS: number;
  readonly cpuS: number;
  /** Peak of the resident memory of the whole process, from its start on. */
  readonly peakMiB: number;
}

/** One layout, ready to be measured. */
export interface LayoutBundles {
  readonly pair: ImagePair;
  readonly full: string;
  readonly delta: string;
  readonly fullBytes: number;
  readonly deltaBytes: number;
  /** Of the new image. */
  readonly rawBytes: number;
  /** Frames of the full bundle at level 19, estimated. */
  readonly bestBytes: number;
  readonly base: ManifestImage;
  /** What the delta cost; null when it was there already. */
  readonly cost: Cost | null;
}

/** A layout by its name; throws for any other. */
export function layoutNamed(name: string): Layout {
  const layout = LAYOUTS.find((one) => one === name);
  if (layout === undefined) throw new Error(`--layout ${name}; known: ${LAYOUTS.join(', ')}`);
  return layout;
}

function spec(counter: number): BundleSpec {
  const version = `${counter}.0.0`;
  return {
    product: 'bench',
    hardware: ['bench'],
    version,
    releaseCounter: counter,
    from: '*',
    blocked: [],
    minUpdater: '0.1.0',
    pair: { protocol: [1, 1], sideBySide: '*' },
    images: [{ name: 'system', class: 'system', version, counter, runsWith: '*' }],
  };
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

/** The key that signs in `dir`, with its trust root; both stay for later runs. */
export async function signer(dir: string): Promise<{ key: SigningKey; root: string }> {
  const [keyFile, root] = [join(dir, 'bench.key'), join(dir, 'root.json')];
  if (!(await exists(keyFile))) await writeSigningKey(dir, 'bench');
  const key = await loadSigningKey(keyFile);
  await writeFile(root, JSON.stringify(trustRootOf(key, 'benchmark')));
  return { key, root };
}

async function make(
  path: string,
  counter: number,
  image: string,
  options: { readonly level: number; readonly key: SigningKey; readonly base?: string },
): Promise<Cost | null> {
  if (await exists(path)) return null;
  const { key, ...more } = options;
  const [startMs, start] = [performance.now(), process.cpuUsage()];
  await makeBundle(spec(counter), { system: image }, `${path}.part`, { keys: [key], ...more });
  await rename(`${path}.part`, path);
  const { user, system } = process.cpuUsage(start);
  const peakMiB = process.resourceUsage().maxRSS / 1024;
  return { wallS: (performance.now() - startMs) / 1000, cpuS: (user + system) / 1e6, peakMiB };
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path)).size;
}

async function systemIn(path: string): Promise<ManifestImage> {
  await using source = await openFileSource(path);
  return (await inspectBundle(source)).manifest.images[0]!;
}

/** Size of all frames of an image at level 19, from every eighth chunk. */
async function bestBytesOf(image: string): Promise<number> {
  await using file = await open(image, 'r');
  const { size } = await file.stat();
  const chunk = Buffer.alloc(MIB);
  let [packed, raw] = [0, 0];
  for (let at = 0; at < size; at += SAMPLE * MIB) {
    const { bytesRead } = await file.read(chunk, 0, MIB, at);
    const params = { [constants.ZSTD_c_compressionLevel]: BEST_LEVEL };
    packed += zstdCompressSync(chunk.subarray(0, bytesRead), { params }).length;
    raw += bytesRead;
  }
  return Math.round((packed / raw) * size);
}

/** The bundles of a layout in `dir`. Throws `tool.*` and what the maker throws. */
export async function bundlesOf(
  layout: Layout,
  dir: string,
  key: SigningKey,
  level: number,
  tell: (line: string) => void,
): Promise<LayoutBundles> {
  const pair = await makePair(layout, dir, tell);
  const at = (name: string): string => join(dir, `${name}-${layout}.bin`);
  const [old, full, delta] = [at('old'), at('full'), at('delta')];
  tell(`bundles of ${layout}`);
  await make(old, 1, pair.old, { key, level: 1 });
  // First, because the peak of the memory is that of everything that this process has done.
  const cost = await make(delta, 2, pair.new, { key, level, base: old });
  await make(full, 2, pair.new, { key, level: FULL_LEVEL });
  const rawBytes = await sizeOf(pair.new);
  const [fullBytes, deltaBytes] = [await sizeOf(full), await sizeOf(delta)];
  const bestBytes = await bestBytesOf(pair.new);
  const base = await systemIn(old);
  return { pair, full, delta, fullBytes, deltaBytes, rawBytes, bestBytes, base, cost };
}

/** Slot B, with the old image in slot A. */
export async function slotsOf(
  { pair, rawBytes, base }: LayoutBundles,
  dir: string,
): Promise<InstallTarget> {
  const sizeBytes = (Math.ceil(Math.max(rawBytes, base.rawBytes) / MIB) + 1) * MIB;
  const slots = join(dir, `slots-${pair.layout}`);
  await createSlots(slots, { system: sizeBytes, storage: MIB });
  const [a, b] = [join(slots, 'system-A.img'), join(slots, 'system-B.img')];
  await copyInto(pair.old, a);
  const target = { image: 'system', class: 'system', slot: 'B', device: b, sizeBytes } as const;
  return { ...target, base: { device: a, sizeBytes, imageId: base.imageId } };
}

/** Copies into space that is allocated already. */
async function copyInto(image: string, slot: string): Promise<void> {
  await using from = await open(image, 'r');
  await using to = await open(slot, 'r+');
  const chunk = Buffer.alloc(MIB);
  for (let at = 0; ; at += MIB) {
    const { bytesRead } = await from.read(chunk, 0, MIB, at);
    if (bytesRead === 0) break;
    await to.write(chunk, 0, bytesRead, at);
  }
  await to.sync();
}
