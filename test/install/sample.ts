/**
 * A signed sample bundle, its trust root, slots and requests, for the tests of the installer. The
 * images are made of chunks of all kinds: zeros, compressible, not compressible. May import node:
 * and what it lays out.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeBundle, type BundleSpec, type MadeBundle } from '../../src/bundle/builder.ts';
import { generateSigningKey, type SigningKey } from '../../src/bundle/keys.ts';
import { openBundle, type OpenBundle } from '../../src/bundle/reader.ts';
import { openFileSource } from '../../src/bundle/source.ts';
import { loadTrustRoot } from '../../src/bundle/trust.ts';
import { createSlots, openSlots } from '../../src/drivers/slots-file.ts';
import type { InstallRequest } from '../../src/install/pipeline.ts';
import type { Slots } from '../../src/ports.ts';

export const MIB = 1024 * 1024;
export const ENTRY = join(import.meta.dirname, '../../src/installer.ts');

export interface Sample {
  readonly dir: string;
  readonly bundlePath: string;
  readonly rootPath: string;
  readonly depotDir: string;
  readonly made: MadeBundle;
  readonly raw: { readonly system: Buffer; readonly storage: Buffer };
  readonly slots: Slots;
  /** The verified structure of the bundle file. */
  open(): Promise<OpenBundle>;
  /** Request that installs both images into the slots B. */
  request(overrides?: Partial<InstallRequest>): InstallRequest;
  /** Raw content of slot B of a class. */
  slot(cls: 'system' | 'storage'): Promise<Buffer>;
}

export interface SampleOptions {
  readonly systemBytes?: number;
  readonly storageBytes?: number;
  readonly slotBytes?: number;
  readonly chunkBytes?: number;
  readonly version?: string;
}

const spec = (version: string, chunkBytes: number): BundleSpec => ({
  product: 'tandem-appliance',
  hardware: ['bench-1'],
  version,
  releaseCounter: 7,
  from: '>=1.0.0',
  blocked: [],
  minUpdater: '0.1.0',
  pair: { protocol: [1, 1], sideBySide: '>=1.0.0' },
  chunkBytes,
  images: [
    { name: 'system', class: 'system', version, counter: 7, runsWith: '>=1.0.0' },
    { name: 'storage', class: 'storage', version, counter: 5, runsWith: '>=1.0.0', formatLevel: 2 },
  ],
});

/** Content of an image: by turns zeros, text and noise, in pieces of `pieceBytes`. */
export function imageContent(sizeBytes: number, pieceBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (let at = 0, turn = 0; at < sizeBytes; at += pieceBytes, turn += 1) {
    const piece = bytes.subarray(at, Math.min(at + pieceBytes, sizeBytes));
    if (turn % 3 === 1) piece.fill(`piece ${turn} of an image, `);
    if (turn % 3 === 2) randomBytes(piece.length).copy(piece);
  }
  return bytes;
}

/** Lays everything out in `dir`. */
export async function makeSample(dir: string, options: SampleOptions = {}): Promise<Sample> {
  const chunkBytes = options.chunkBytes ?? 64 * 1024;
  const slotBytes = options.slotBytes ?? 4 * MIB;
  const raw = {
    system: imageContent(options.systemBytes ?? 2 * MIB + 12_345, chunkBytes),
    storage: imageContent(options.storageBytes ?? 200_000, chunkBytes),
  };
  await mkdir(dir, { recursive: true });
  const images = { system: join(dir, 'system.raw'), storage: join(dir, 'storage.raw') };
  await writeFile(images.system, raw.system);
  await writeFile(images.storage, raw.storage);
  const key = generateSigningKey();
  const [bundlePath, rootPath] = [join(dir, 'update.bin'), join(dir, 'root.json')];
  await writeFile(rootPath, rootText(key));
  const made = await makeBundle(spec(options.version ?? '2.0.0', chunkBytes), images, bundlePath, {
    level: 1,
    keys: [key],
  });
  const slotsDir = join(dir, 'slots');
  await createSlots(slotsDir, { system: slotBytes, storage: 256 * 1024 });
  const slots = await openSlots(slotsDir);
  return {
    dir,
    bundlePath,
    rootPath,
    depotDir: join(dir, 'depot'),
    made,
    raw,
    slots,
    open: async () => {
      await using source = await openFileSource(bundlePath);
      return await openBundle(source, await loadTrustRoot(rootPath));
    },
    request: (overrides = {}) => ({
      do: 'install',
      path: bundlePath,
      trustRoot: rootPath,
      targets: (['system', 'storage'] as const).map((name) => {
        const { path: device, sizeBytes } = slots.device(name, 'B');
        return { image: name, class: name, slot: 'B', device, sizeBytes };
      }),
      progressFile: join(dir, 'progress'),
      readBack: true,
      format: false,
      ...overrides,
    }),
    slot: (cls) => readFile(slots.device(cls, 'B').path),
  };
}

function rootText(key: SigningKey): string {
  return JSON.stringify({
    schema: 1,
    version: 1,
    threshold: 1,
    keys: [{ keyid: key.keyid, scheme: 'ed25519', public: key.public }],
  });
}

/** Flips one bit of a file in place. */
export async function flipBit(path: string, at: number): Promise<void> {
  await using file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 0x10;
  await file.write(byte, 0, 1, at);
}
