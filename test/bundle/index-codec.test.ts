/** The chunk index: records that tile, and every way in which they do not. */
import t from 'tap';
import { decodeIndex, encodeIndex } from '../../src/bundle/index-codec.ts';
import { CHUNK, craft, sampleImages, sha256, type CraftOptions } from './craft.ts';
import { codes, KEY, opening } from './kit.ts';

const RECORD = 88;
const at = (chunk: number, field: number): number => 32 + chunk * RECORD + field;
const invalid = 'bundle.invalid_manifest';

/** A signed bundle whose system index is bent; its digest in the manifest fits. */
function bent(bend: (index: Buffer) => void): () => Promise<unknown> {
  return crafted({
    index: (index, name) => {
      if (name === 'system') bend(index);
      return index;
    },
  });
}

function crafted(options: CraftOptions): () => Promise<unknown> {
  return opening(craft({ keys: [KEY], ...options }));
}

const u32 =
  (offset: number, value: number) =>
  (index: Buffer): void =>
    void index.writeUInt32LE(value, offset);
const u8 =
  (offset: number, value: number) =>
  (index: Buffer): void =>
    void (index[offset] = value);
const u64 =
  (offset: number, value: bigint) =>
  (index: Buffer): void =>
    void index.writeBigUInt64LE(value, offset);

await codes('the head', [
  ['as it is', 'ok', bent(() => undefined)],
  ['another magic', 'bundle.unknown_format', bent(u8(0, 0x58))],
  ['a later format', 'bundle.unknown_format', bent(u32(8, 2))],
  ['another record size', invalid, bent(u32(12, 96))],
  ['a record too many', invalid, bent(u32(16, 5))],
  ['a record too few', invalid, bent(u32(16, 3))],
  ['segments without a base', invalid, bent(u32(20, 1))],
  ['another chunk size', invalid, bent(u32(24, 131_072))],
  ['the reserved field', invalid, bent(u32(28, 1))],
]);

await codes('records', [
  ['kind 3 without a base', invalid, bent(u8(at(0, 0), 3))],
  ['kind 4', invalid, bent(u8(at(0, 0), 4))],
  ['kind 255', invalid, bent(u8(at(0, 0), 255))],
  ['reserved bytes at 1', invalid, bent(u8(at(0, 1), 1))],
  ['reserved bytes at 3', invalid, bent(u8(at(0, 3), 1))],
  ['reserved bytes at 20', invalid, bent(u32(at(0, 20), 1))],
  ['a gap', invalid, bent(u64(at(1, 8), 1_000_000n))],
  ['an overlap', invalid, bent(u64(at(1, 8), 0n))],
  ['an offset of 2^53 + 1', invalid, bent(u64(at(1, 8), 2n ** 53n + 1n))],
  ['an offset of 2^64 - 1', invalid, bent(u64(at(1, 8), 2n ** 64n - 1n))],
  ['a raw length that is too long', invalid, bent(u32(at(0, 16), CHUNK + 1))],
  ['a raw length of 0', invalid, bent(u32(at(0, 16), 0))],
  ['a raw length of the tail', invalid, bent(u32(at(3, 16), CHUNK))],
  ['a compressed length of 0', invalid, bent(u32(at(0, 4), 0))],
  ['a compressed length of 2^32 - 1', invalid, bent(u32(at(0, 4), 2 ** 32 - 1))],
  ['a stored chunk that says zstd', invalid, bent(u8(at(2, 0), 1))],
  ['a zstd chunk that says stored', invalid, bent(u8(at(0, 0), 2))],
  ['a zstd chunk that says zeros', invalid, bent(u8(at(0, 0), 0))],
  ['zeros with another raw digest', invalid, bent(u8(at(1, 56), 1))],
  ['zeros with another digest', invalid, bent(u8(at(1, 24), 1))],
  ['another raw digest: another image id', invalid, bent(u8(at(0, 56), 1))],
]);

await codes('records that do not fit the image', [
  ['zeros as zstd are fine', 'ok', crafted({ records: swapZeros })],
  [
    'the last chunk is missing in the index',
    invalid,
    crafted({ index: (index) => index.subarray(0, -RECORD) }),
  ],
  ['an empty index', invalid, crafted({ index: () => Buffer.alloc(0) })],
  ['an index of a head alone', invalid, crafted({ index: (index) => index.subarray(0, 32) })],
]);

/** A frame of zeros is a frame like any other for kind 1. */
function swapZeros(records: Parameters<NonNullable<CraftOptions['records']>>[0]): void {
  for (const record of records) if (record.kind === 0) record.kind = 1;
}

const exchanged: CraftOptions['members'] = (list) =>
  list.map((member) => {
    if (member.name !== 'index/storage.idx') return member;
    const data = Buffer.from(member.data);
    data[40] = (data[40] ?? 0) ^ 1;
    return { ...member, data };
  });

await codes('an index whose digest is not the signed one', [
  ['one byte', 'bundle.damaged', crafted({ members: exchanged })],
]);

await t.test('what is encoded is decoded', (t) => {
  const { system } = sampleImages();
  const digest = sha256(system!) as never;
  const records = [0, 1, 2].map((chunk) => ({
    image: 'system',
    chunk,
    kind: 1 as const,
    offset: chunk * 100,
    compressedBytes: 100,
    rawOffset: chunk * CHUNK,
    rawBytes: chunk === 2 ? 1000 : CHUNK,
    compressedSha256: digest,
    rawSha256: digest,
  }));
  const image = {
    name: 'system',
    rawBytes: 2 * CHUNK + 1000,
    chunkBytes: CHUNK,
    chunks: 3,
    compressedBytes: 300,
  };
  const bytes = encodeIndex(CHUNK, records);
  t.throws(() => decodeIndex(bytes, { ...image, imageId: digest }), /image id/);
  t.equal(bytes.length, 32 + 3 * RECORD);
  t.end();
});
