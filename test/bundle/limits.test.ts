/**
 * Large and many: positions beyond 2^31 and 2^32, the most chunks that the format allows, and no
 * more work per chunk for it. The bundles exist only as far as the reader looks.
 */
import t from 'tap';
import { openBundle } from '../../src/bundle/reader.ts';
import type { ByteSource } from '../../src/bundle/source.ts';
import { paddedBytes } from '../../src/bundle/ustar.ts';
import { craftImageId, craftIndex, dsse, header, listMember, sha256 } from './craft.ts';
import type { CraftedRecord } from './craft.ts';
import { failure, KEY, ROOT } from './kit.ts';

const FRAME = Buffer.alloc(1);
const RAW = 'ab'.repeat(32);

interface Sparse extends ByteSource {
  readonly calls: () => number;
}

/** Source in which only these pieces are not zero. */
function sparseSource(sizeBytes: number, pieces: readonly (readonly [number, Buffer])[]): Sparse {
  let calls = 0;
  return {
    sizeBytes,
    calls: () => calls,
    readAt: (offset, length) => {
      calls += 1;
      const bytes = Buffer.alloc(length);
      for (const [at, piece] of pieces) {
        const from = Math.max(at, offset);
        const to = Math.min(at + piece.length, offset + length);
        if (to > from) piece.copy(bytes, from - offset, from - at, to - at);
      }
      return Promise.resolve(bytes);
    },
  };
}

interface Big {
  readonly chunkBytes: number;
  readonly chunks: number;
  readonly compressedPerChunk: number;
}

/** A bundle with a system image of that size; a storage image of one chunk follows it. */
function bigBundle(big: Big, bend: (image: Record<string, unknown>) => void = () => {}): Sparse {
  const images = [imageOf('system', big), imageOf('storage', { ...big, chunks: 1 })];
  for (const { image } of images) bend(image);
  const manifest = {
    format: 1,
    product: 'tandem-test',
    hardware: ['bench-1'],
    version: '2.0.0',
    releaseCounter: 20,
    from: '*',
    blocked: [],
    minUpdater: '0.1.0',
    pair: { protocol: [1, 1], sideBySide: '*' },
    requires: [],
    images: images.map(({ image }) => image),
  };
  const text = Buffer.from(JSON.stringify(manifest));
  const list = JSON.stringify({ manifest: sha256(text), signatures: [dsse(text, KEY)] });
  const pieces: [number, Buffer][] = [];
  let at = 0;
  const put = (name: string, size: number, data?: Buffer): void => {
    pieces.push([at, header(name, size)]);
    if (data !== undefined) pieces.push([at + 512, data]);
    at += 512 + paddedBytes(size);
  };
  put('manifest.json', text.length, text);
  put('manifest.sig', 16_384, listMember(list));
  for (const { name, index } of images) put(`index/${name}.idx`, index.length, index);
  for (const { name, compressedBytes } of images) put(`image/${name}.zst`, compressedBytes);
  return sparseSource(at + 1024, pieces);
}

function imageOf(name: string, { chunkBytes, chunks, compressedPerChunk }: Big) {
  const frame = { length: compressedPerChunk } as Buffer;
  const record: CraftedRecord = { kind: 1, frame: FRAME, rawBytes: chunkBytes, rawSha256: RAW };
  const index = craftIndex(
    Array.from({ length: chunks }, () => record),
    chunkBytes,
  );
  for (let i = 0; i < chunks; i += 1) {
    index.writeUInt32LE(frame.length, 32 + i * 88 + 4);
    index.writeBigUInt64LE(BigInt(i * frame.length), 32 + i * 88 + 8);
  }
  const rawBytes = chunks * chunkBytes;
  const digests = Array.from({ length: chunks }, () => RAW);
  const compressedBytes = chunks * compressedPerChunk;
  const system = name === 'system';
  const image: Record<string, unknown> = {
    name,
    class: name,
    version: '2.0.0',
    counter: 20,
    rawBytes,
    chunkBytes,
    chunks,
    compressedBytes,
    indexBytes: index.length,
    indexSha256: sha256(index),
    rawSha256: RAW,
    imageId: craftImageId(rawBytes, chunkBytes, digests),
    runsWith: '*',
    ...(system ? {} : { formatLevel: 1 }),
  };
  return { name, index, image, compressedBytes };
}

const MIB = 1024 * 1024;

await t.test('an image beyond 2^31 and one beyond 2^32, compressed', async (t) => {
  for (const chunks of [600, 1100, 2040]) {
    const big = { chunkBytes: 4 * MIB, chunks, compressedPerChunk: 4 * MIB - 1 };
    const source = bigBundle(big);
    const { images, sizeBytes } = await openBundle(source, ROOT);
    const [system, storage] = images;
    const compressed = chunks * big.compressedPerChunk;
    t.equal(sizeBytes, source.sizeBytes, `${chunks} chunks`);
    t.ok(compressed > 2 ** (chunks === 600 ? 31 : 32));
    t.equal(storage!.dataOffset, system!.dataOffset + paddedBytes(compressed) + 512);
    t.equal(system!.records.at(-1)!.offset, compressed - big.compressedPerChunk);
    t.equal(system!.records.at(-1)!.rawOffset, (chunks - 1) * big.chunkBytes);
  }
});

await t.test('the most chunks: as few reads as for one', async (t) => {
  const one = bigBundle({ chunkBytes: 4 * MIB, chunks: 1, compressedPerChunk: 10 });
  const most = bigBundle({ chunkBytes: 4 * MIB, chunks: 65_536, compressedPerChunk: 10 });
  await openBundle(one, ROOT);
  const { images } = await openBundle(most, ROOT);
  t.equal(images[0]!.image.rawBytes, 2 ** 38);
  t.equal(images[0]!.records.length, 65_536);
  t.ok(most.calls() <= one.calls(), `${most.calls()} reads`);
});

await t.test('sizes in the manifest that do not fit', async (t) => {
  const small = { chunkBytes: MIB, chunks: 3, compressedPerChunk: 1000 };
  const fields = ['rawBytes', 'compressedBytes', 'indexBytes', 'chunks', 'chunkBytes', 'counter'];
  const values = [0, -1, 1.5, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 64, 1e300, '3', null];
  for (const field of fields) {
    for (const value of values) {
      const bent = bigBundle(small, (image) => {
        if (image['class'] === 'system') image[field] = value;
      });
      const error = await failure(() => openBundle(bent, ROOT));
      const expected =
        field === 'compressedBytes' && (value === 2 ** 31 || value === 2 ** 32)
          ? 'bundle.truncated'
          : 'bundle.invalid_manifest';
      t.equal(error?.code, expected, `${field} ${String(value)}`);
    }
  }
});
