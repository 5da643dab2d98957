/**
 * Delta bundles as they are made and checked without a slot: what becomes of which content, the
 * same bytes each time, bases that cannot be one, and verification with and without the base. May
 * import tap, node: and the bundle room.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeBundle, type BundleSpec, type MadeBundle } from '../../src/bundle/builder.ts';
import { openBase } from '../../src/bundle/delta-base.ts';
import { generateSigningKey } from '../../src/bundle/keys.ts';
import { inspectBundle, inspectImages, type OpenImage } from '../../src/bundle/reader.ts';
import { openFileSource } from '../../src/bundle/source.ts';
import { verifyBundle } from '../../src/bundle/verify.ts';
import { CHUNK } from './craft.ts';
import { failure, memorySource, outcome } from './kit.ts';
import { run, trusting } from './made.ts';

const KEY = generateSigningKey();
const ROOT = trusting([KEY]);
const DIR = t.testdir();

const noise = (seed: string, sizeBytes: number): Buffer =>
  createHash('shake256', { outputLength: sizeBytes }).update(seed).digest();

function spec(counter: number, change: Partial<BundleSpec> = {}): BundleSpec {
  const version = `${counter}.0.0`;
  return {
    product: 'tandem-test',
    hardware: ['bench-1'],
    version,
    releaseCounter: counter,
    from: '>=1.0.0',
    blocked: [],
    minUpdater: '0.1.0',
    pair: { protocol: [1, 1], sideBySide: '*' },
    chunkBytes: CHUNK,
    images: [{ name: 'system', class: 'system', version, counter, runsWith: '*' }],
    ...change,
  };
}

let files = 0;
async function make(
  counter: number,
  image: Buffer,
  more: { base?: string; level?: number; spec?: Partial<BundleSpec> } = {},
): Promise<{ readonly path: string; readonly made: MadeBundle }> {
  files += 1;
  const [path, file] = [join(DIR, `${files}.bin`), join(DIR, `${files}.raw`)];
  writeFileSync(file, image);
  const { spec: change, ...options } = more;
  const words = { keys: [KEY], level: 3, ...options };
  return { path, made: await makeBundle(spec(counter, change), { system: file }, path, words) };
}

async function imageIn(path: string): Promise<OpenImage> {
  await using source = await openFileSource(path);
  const { layout } = await inspectBundle(source);
  return (await inspectImages(source, layout))[0]!;
}

async function verify(path: string, basePath?: string): Promise<string> {
  return await outcome(async () => {
    await using source = await openFileSource(path);
    await using base = basePath === undefined ? null : await openBase(basePath);
    await verifyBundle(source, ROOT, base === null ? {} : { base });
  });
}

const OLD = Buffer.concat([noise('a', 3 * CHUNK), Buffer.alloc(CHUNK), noise('b', CHUNK + 5)]);
const old = await make(1, OLD);

t.test('content is found wherever it went, and the image stays the same one', async (t) => {
  const { rawBytes } = old.made.manifest.images[0]!;
  const image = Buffer.concat([
    noise('new', 100),
    OLD.subarray(2 * CHUNK + 33),
    OLD.subarray(0, CHUNK + 1000),
    noise('c', CHUNK),
  ]);
  const delta = await make(2, image, { base: old.path });
  const full = await make(2, image);
  const found = delta.made.manifest;
  t.same(found.requires, ['delta']);
  t.equal(found.minUpdater, '0.2.0', 'a program that knows no deltas does not try');
  t.equal(found.images[0]?.imageId, full.made.manifest.images[0]?.imageId);
  const { version, counter, rawSha256, imageId } = old.made.manifest.images[0]!;
  t.same(found.images[0]?.base, { version, counter, rawBytes, rawSha256, imageId });
  t.same(
    (await imageIn(delta.path)).records.map(({ kind }) => kind),
    [3, 3, 3, 3, 3, 2],
    'what is new in the last chunk is stored',
  );
  const share = found.images[0]!.compressedBytes / full.made.manifest.images[0]!.compressedBytes;
  t.ok(share < 0.35, `${share} of the full one`);
  t.equal(await verify(delta.path), 'ok');
  t.equal(await verify(delta.path, old.path), 'ok');
});

t.test('the same input gives the same bytes', async (t) => {
  const image = Buffer.concat([OLD.subarray(70_001), noise('d', 5000), OLD.subarray(0, 70_001)]);
  const [one, two] = [
    await make(2, image, { base: old.path }),
    await make(2, image, { base: old.path }),
  ];
  t.ok(readFileSync(one.path).equals(readFileSync(two.path)));
});

t.test('an image that did not change costs next to nothing', async (t) => {
  const again = await make(1, OLD, { base: old.path });
  const [image] = again.made.manifest.images;
  t.ok(image!.compressedBytes < 600, `${image!.compressedBytes} bytes`);
  t.equal(image!.imageId, old.made.manifest.images[0]?.imageId);
  t.equal(await verify(again.path, old.path), 'ok');
});

t.test('nothing in common: the bundle is complete in itself', async (t) => {
  const { path, made } = await make(2, noise('other', 2 * CHUNK), { base: old.path });
  t.same(made.manifest.requires, []);
  t.equal(made.manifest.images[0]?.base, undefined);
  t.equal(made.manifest.minUpdater, '0.1.0');
  t.equal(await verify(path), 'ok');
});

t.test('a base that looks like a trained dictionary wherever a segment begins', async (t) => {
  const base = noise('dictionary', 2 * CHUNK);
  const magic = Buffer.from('37a430ec', 'hex');
  for (let at = 0; at < base.length; at += 4096) magic.copy(base, at);
  const before = await make(1, base);
  const image = Buffer.concat([base.subarray(CHUNK), base.subarray(0, CHUNK)]);
  const delta = await make(2, image, { base: before.path });
  t.ok(delta.made.manifest.images[0]!.compressedBytes < 1000);
  t.equal(await verify(delta.path, before.path), 'ok');
  for (const { segments } of (await imageIn(delta.path)).records) {
    t.ok((segments ?? []).length > 0);
  }
});

t.test('a dictionary is at most 64 segments and 2 MiB, however much is alike', async (t) => {
  const base = noise('wide', 200 * CHUNK);
  const before = await make(1, base);
  // 200 pieces that lie far apart in the base, in one chunk.
  const pieces = Array.from({ length: 200 }, (_, i) =>
    base.subarray(i * CHUNK + 7, i * CHUNK + 7 + 300),
  );
  const delta = await make(2, Buffer.concat(pieces), { base: before.path });
  const [record] = (await imageIn(delta.path)).records;
  const units = record!.segments!.reduce((sum, segment) => sum + segment.units, 0);
  t.equal(record!.segments!.length, 64);
  t.ok(units <= 512, `${units} units`);
  t.equal(await verify(delta.path, before.path), 'ok');
});

t.test('bases that cannot be one', async (t) => {
  const delta = await make(2, OLD, { base: old.path });
  const other = { product: 'another' };
  const foreign = await make(1, OLD, { spec: other });
  const rotten = join(DIR, 'rotten.bin');
  const bytes = readFileSync(old.path);
  const { dataOffset } = await imageIn(old.path);
  bytes[dataOffset + 1000] = bytes[dataOffset + 1000]! ^ 1;
  writeFileSync(rotten, bytes);
  const rows: readonly (readonly [string, string, RegExp, object?])[] = [
    ['a delta', delta.path, /a delta bundle as base/],
    ['another product', foreign.path, /is of product another/],
    ['none that it updates from', old.path, /from which the bundle does not/, { from: '>=1.5.0' }],
    ['no file', join(DIR, 'none.bin'), /does not exist/],
    ['a damaged one', rotten, /SHA-256/],
  ];
  for (const [name, base, words, change] of rows) {
    const error = await failure(() => make(3, OLD, { base, ...(change && { spec: change }) }));
    t.match(error?.message, words, name);
  }
  const later = await make(5, OLD);
  const error = await failure(() => make(4, OLD, { base: later.path }));
  t.match(error, { code: 'bundle.invalid_input', message: /a base that is later/ });
});

t.test('verification with another base, and of a damaged delta', async (t) => {
  const image = Buffer.concat([noise('x', 50), OLD.subarray(0, 3 * CHUNK)]);
  const { path } = await make(2, image, { base: old.path });
  const other = await make(1, Buffer.concat([OLD, OLD]));
  t.equal(await verify(path, other.path), 'bundle.wrong_base');
  t.equal(await verify(path, path), 'bundle.invalid_input', 'a delta is no base');
  const bytes = readFileSync(path);
  const { dataOffset, records } = await imageIn(path);
  t.equal(await verify(path), 'ok');
  for (const { kind, offset, compressedBytes } of records) {
    if (kind !== 3) continue;
    const at = dataOffset + offset + compressedBytes - 1;
    const bent = Buffer.from(bytes);
    bent[at]! ^= 1;
    const work = (): unknown => verifyBundle(memorySource(bent), ROOT);
    t.equal(await outcome(work), 'bundle.damaged', 'without its base as well');
  }
  for (const end of [bytes.length - 1, dataOffset + 10, dataOffset, 600]) {
    const cut = memorySource(bytes.subarray(0, end));
    t.equal(await outcome(() => verifyBundle(cut, ROOT)), 'bundle.truncated');
  }
});

t.test('zstd unpacks a delta chunk with its dictionary in a file', async (t) => {
  const image = Buffer.concat([noise('y', 10), OLD.subarray(100, CHUNK + 50)]);
  const { path } = await make(2, image, { base: old.path });
  const { dataOffset, records } = await imageIn(path);
  const [record] = records;
  const parts = record!.segments!.map(({ startUnit, units }) =>
    OLD.subarray(startUnit * 4096, (startUnit + units) * 4096),
  );
  writeFileSync(join(DIR, 'dictionary'), Buffer.concat([Buffer.alloc(8), ...parts]));
  const at = dataOffset + record!.offset;
  writeFileSync(join(DIR, 'frame'), readFileSync(path).subarray(at, at + record!.compressedBytes));
  const raw = run('zstd', ['-dcq', '-D', 'dictionary', 'frame'], DIR);
  if (raw === undefined) t.pass('zstd is not installed');
  else t.ok(raw.equals(image.subarray(0, CHUNK)));
});
