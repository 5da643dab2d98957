/**
 * What the install benchmark installs: an ext4 image of real files of this machine, a signed bundle
 * of it, its compressed stream alone for the tools beside which we are measured, and a slot. Always
 * holds: what is there from an earlier run of the same size is used again. Imports bundle, drivers
 * and the image maker.
 */
import { createReadStream, createWriteStream, type Dirent } from 'node:fs';
import { mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { makeBundle } from '../../src/bundle/builder.ts';
import { generateSigningKey } from '../../src/bundle/keys.ts';
import { openBundle } from '../../src/bundle/reader.ts';
import { openFileSource } from '../../src/bundle/source.ts';
import { loadTrustRoot } from '../../src/bundle/trust.ts';
import { createSlots } from '../../src/drivers/slots-file.ts';
import { makeExt4, type ImageFile } from '../image/ext4.ts';
import { trustRootOf } from '../image/trust-root.ts';

const MIB = 1024 * 1024;
/** The image maker gives out one inode per 64 KiB; some are its own. */
const BYTES_PER_FILE = 80 * 1024;
/** Full, but for the file system's own blocks. */
const FILL = 0.86;
const PLACES = ['/usr/bin', '/usr/lib', '/usr/share', '/usr/sbin'];
/** As the formats that we are compared with were made. */
const LEVEL = 3;

/** Paths of everything. */
export interface Payload {
  readonly raw: string;
  /** The image's zstd frames, one after the other. */
  readonly zst: string;
  readonly bundle: string;
  readonly root: string;
  readonly slot: string;
  readonly rawBytes: number;
  readonly bundleBytes: number;
  readonly slotBytes: number;
}

/** Lays the payload out in `dir`; takes a minute the first time. */
export async function makePayload(
  dir: string,
  sizeBytes: number,
  tell: (line: string) => void,
): Promise<Payload> {
  const base = join(dir, `payload-${sizeBytes / MIB}`);
  await mkdir(base, { recursive: true });
  const at = (name: string): string => join(base, name);
  const slotBytes = sizeBytes + 16 * MIB;
  await createSlots(at('slots'), { system: slotBytes, storage: MIB });
  const payload = {
    raw: at('system.ext4'),
    zst: at('system.zst'),
    bundle: at('update.bin'),
    root: at('root.json'),
    slot: at('slots/system-B.img'),
    rawBytes: sizeBytes,
    slotBytes,
  };
  if (!(await exists(payload.raw))) {
    tell(`making an image of ${sizeBytes / MIB} MiB from files of this machine`);
    const files = await collect(sizeBytes);
    await makeExt4({ out: payload.raw, label: 'bench', files, sizeBytes });
  }
  if (!(await exists(payload.zst))) {
    tell('making and signing the bundle');
    await makeSigned(payload);
  }
  return { ...payload, bundleBytes: (await stat(payload.bundle)).size };
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

/** Regular files, largest directories first come first served, until the image is full. */
async function collect(sizeBytes: number): Promise<ImageFile[]> {
  const files: ImageFile[] = [];
  const filesMax = Math.floor(sizeBytes / BYTES_PER_FILE);
  let left = sizeBytes * FILL;
  const visit = async (dir: string): Promise<void> => {
    const entries = await readdir(dir, { withFileTypes: true }).catch((): Dirent[] => []);
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) await visit(path);
      if (!entry.isFile() || files.length >= filesMax || !/^[\w./+@:=,~-]+$/.test(path)) continue;
      const { size } = await stat(path);
      if (size > left || size > sizeBytes / 16 || size < 2048) continue;
      left -= Math.ceil(size / 4096) * 4096;
      files.push({ path, mode: 0o644, from: path });
    }
  };
  for (const place of PLACES) await visit(place);
  return files;
}

async function makeSigned(payload: Omit<Payload, 'bundleBytes'>): Promise<void> {
  const key = generateSigningKey();
  await writeFile(payload.root, JSON.stringify(trustRootOf(key, 'benchmark')));
  await makeBundle(
    {
      product: 'tandem-appliance',
      hardware: ['bench-1'],
      version: '2.0.0',
      releaseCounter: 2,
      from: '>=1.0.0',
      blocked: [],
      minUpdater: '0.1.0',
      pair: { protocol: [1, 1], sideBySide: '>=1.0.0' },
      images: [
        { name: 'system', class: 'system', version: '2.0.0', counter: 2, runsWith: '>=1.0.0' },
      ],
    },
    { system: payload.raw },
    payload.bundle,
    { level: LEVEL, keys: [key] },
  );
  await using source = await openFileSource(payload.bundle);
  const { images } = await openBundle(source, await loadTrustRoot(payload.root));
  const { dataOffset = 0, image } = images[0] ?? {};
  const end = dataOffset + (image?.compressedBytes ?? 0) - 1;
  const part = `${payload.zst}.part`;
  await pipeline(
    createReadStream(payload.bundle, { start: dataOffset, end }),
    createWriteStream(part),
  );
  await rename(part, payload.zst);
}
