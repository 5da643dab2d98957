/**
 * Delta bundles that are signed and wrong, and delta bundles that were changed after signing: every
 * way in which a list of segments can lie, each new field of a record, each byte of both. They come
 * from the second maker, which was written from the format alone. May import tap, node: and the
 * bundle room.
 */
import { constants, zstdCompressSync } from 'node:zlib';
import t from 'tap';
import { checkRaw, inflateChunk } from '../../src/bundle/chunk.ts';
import { readDictionary } from '../../src/bundle/delta.ts';
import { decodeIndex } from '../../src/bundle/index-codec.ts';
import { openBundle } from '../../src/bundle/reader.ts';
import { CHUNK, craft, craftImageId, sampleImages, sha256, type CraftOptions } from './craft.ts';
import { codes, failure, KEY, memorySource, opened, opening, outcome, ROOT } from './kit.ts';

const invalid = 'bundle.invalid_manifest';
const HEAD = 32;
const RECORD = 88;
const UNIT = 4096;
const { system: NEW = Buffer.alloc(0), storage = Buffer.alloc(0) } = sampleImages();
/** 50 units, the last one of 100 bytes. */
const OLD = Buffer.concat([Buffer.alloc(30 * UNIT, 0x61), NEW.subarray(0, 19 * UNIT + 100)]);
const UNITS = 50;

interface Bend {
  /** Segments of the first chunk and of the third one; what lies between them is complete. */
  readonly first?: readonly (readonly [start: number, units: number])[];
  readonly third?: readonly (readonly [start: number, units: number])[];
  /** Bends the index with its segments. */
  readonly index?: (index: Buffer) => Buffer;
  // oxlint-disable-next-line typescript/no-explicit-any -- anything may be written into it
  readonly manifest?: (manifest: any) => void;
  readonly members?: CraftOptions['members'];
}

const FIRST: NonNullable<Bend['first']> = [
  [0, 1],
  [30, 16],
];
const THIRD: NonNullable<Bend['third']> = [[49, 1]];

function table(...lists: NonNullable<Bend['first']>[]): Buffer {
  const bytes = Buffer.alloc(8 * lists.flat().length);
  for (const [i, [start, units]] of lists.flat().entries()) {
    bytes.writeUInt32LE(start % 2 ** 32, 8 * i);
    bytes.writeUInt32LE(units % 2 ** 32, 8 * i + 4);
  }
  return bytes;
}

function dictionaryOf(segments: NonNullable<Bend['first']>): Buffer {
  const inside = segments.filter(([start, units]) => start + units <= UNITS && units < 600);
  const parts = inside.map(([start, units]) => OLD.subarray(start * UNIT, (start + units) * UNIT));
  return Buffer.concat([Buffer.alloc(8), ...parts]);
}

/** A signed delta bundle whose first and third system chunk have segments. */
function bundle({ first = FIRST, third = THIRD, ...bend }: Bend = {}): Buffer {
  const lists = new Map([
    [0, first],
    [2, third],
  ]);
  return craft({
    keys: [KEY],
    images: { system: NEW, storage },
    records: (records, name) => {
      if (name !== 'system') return;
      for (const [i, segments] of lists) {
        const raw = NEW.subarray(i * CHUNK, (i + 1) * CHUNK);
        const params = { [constants.ZSTD_c_compressionLevel]: 3 };
        const dictionary = dictionaryOf(segments);
        const frame = zstdCompressSync(raw, { params, dictionary });
        // Noise that no dictionary helps with is longer than itself; then the frame is a lie.
        records[i]!.frame = frame.length < raw.length ? frame : frame.subarray(0, raw.length - 1);
        records[i]!.kind = 3;
      }
    },
    index: (plain, name) => {
      if (name !== 'system') return plain;
      plain.writeUInt32LE(first.length + third.length, 20);
      plain.writeUInt8(first.length % 256, HEAD + 1);
      plain.writeUInt8(third.length % 256, HEAD + 2 * RECORD + 1);
      plain.writeUInt32LE(first.length, HEAD + 2 * RECORD + 20);
      const whole = Buffer.concat([plain, table(first, third)]);
      return bend.index?.(whole) ?? whole;
    },
    manifest: (manifest) => {
      manifest.requires = ['delta'];
      manifest.images[0].base = {
        version: '1.0.0',
        counter: 10,
        rawBytes: OLD.length,
        rawSha256: sha256(OLD),
        imageId: craftImageId(OLD.length, CHUNK, [sha256(OLD)]),
      };
      bend.manifest?.(manifest);
    },
    ...(bend.members !== undefined && { members: bend.members }),
  });
}

const bent = (bend: Bend): (() => Promise<unknown>) => opening(bundle(bend));
const at = (offset: number, value: number, bytes: 1 | 2 | 4 = 4): (() => Promise<unknown>) =>
  bent({
    index: (index) => {
      index.writeUIntLE(value, offset, bytes);
      return index;
    },
  });
const many = (count: number, units = 1): NonNullable<Bend['first']> =>
  Array.from({ length: count }, (_, i) => [i * units, units] as const);
const segmentAt = (number: number): number => HEAD + 4 * RECORD + 8 * number;

t.test('what the second maker makes is what this program reads', async (t) => {
  const source = memorySource(bundle());
  const { images } = await openBundle(source, ROOT);
  const [record] = images[0]!.records;
  t.same(record?.segments, [
    { startUnit: 0, units: 1 },
    { startUnit: 30, units: 16 },
  ]);
  t.same(
    images[0]!.records.map(({ kind, segments }) => [kind, segments?.length ?? 0]),
    [
      [3, 2],
      [0, 0],
      [3, 1],
      [2, 0],
    ],
  );
  const packed = await source.readAt(
    images[0]!.dataOffset + record!.offset,
    record!.compressedBytes,
  );
  const dictionary = await readDictionary(record!.segments!, OLD.length, (offset, length) =>
    Promise.resolve(OLD.subarray(offset, offset + length)),
  );
  const raw = inflateChunk(record!, packed, dictionary);
  checkRaw(record!, raw);
  t.ok(Buffer.from(raw).equals(NEW.subarray(0, CHUNK)));
  // Another base of the same size: mostly no error, and always another digest.
  dictionary.fill(0x62, 8);
  const error = await failure(() => {
    checkRaw(record!, inflateChunk(record!, packed, dictionary));
  });
  t.equal(error?.code, 'bundle.wrong_base');
});

await codes('lists of segments', [
  ['as they are', 'ok', bent({})],
  ['the last unit of the base, which is not full', 'ok', bent({ third: [[40, 10]] })],
  ['all of the base', 'ok', bent({ first: [[0, 50]] })],
  ['none', invalid, bent({ first: [] })],
  ['an empty one', invalid, bent({ first: [[3, 0]] })],
  ['the same segments for two chunks', 'ok', bent({ first: many(25), third: many(25) })],
  ['65', invalid, bent({ first: many(65), manifest: hugeBase })],
  ['64 of a huge base', 'ok', bent({ first: many(64), manifest: hugeBase })],
  ['256, which is 0 in a byte', invalid, bent({ first: many(256), manifest: hugeBase })],
  ['512 units', 'ok', bent({ first: [[0, 512]], manifest: hugeBase })],
  ['513 units', invalid, bent({ first: [[0, 513]], manifest: hugeBase })],
  ['513 units in two', invalid, bent({ first: many(2, 257), manifest: hugeBase })],
  ['overlapping', invalid, bent({ first: [[0, 5], [4, 2]] })], // prettier-ignore
  ['the same twice', invalid, bent({ first: [[4, 2], [4, 2]] })], // prettier-ignore
  ['descending', invalid, bent({ first: [[30, 2], [0, 2]] })], // prettier-ignore
  ['touching', 'ok', bent({ first: [[0, 5], [5, 2]] })], // prettier-ignore
  ['one unit beyond the base', invalid, bent({ third: [[49, 2]] })],
  ['behind the base', invalid, bent({ third: [[50, 1]] })],
  ['a start of 2^32 - 1', invalid, bent({ third: [[2 ** 32 - 1, 1]] })],
  ['a start and a length that overflow 2^32', invalid, bent({ third: [[1, 2 ** 32 - 1]] })],
  ['a sum of lengths that overflows 2^32', invalid, bent({ first: many(2, 2 ** 31) })],
]);

/** A base so large that only the other limits count. */
function hugeBase(manifest: { images: { base: { rawBytes: number } }[] }): void {
  manifest.images[0]!.base.rawBytes = 2 ** 38;
}

await codes('fields of the index', [
  ['one segment more in the head', invalid, at(20, 4)],
  ['one segment less in the head', invalid, at(20, 2)],
  ['2^32 - 1 segments in the head', invalid, at(20, 2 ** 32 - 1)],
  ['a record with one segment more', invalid, at(HEAD + 1, 3, 1)],
  ['a record with one segment less', invalid, at(HEAD + 1, 1, 1)],
  ['a record with 255', invalid, at(HEAD + 1, 255, 1)],
  ['reserved bytes at 2', invalid, at(HEAD + 2, 1, 1)],
  ['reserved bytes at 3', invalid, at(HEAD + 3, 1, 1)],
  ['another first segment', invalid, at(HEAD + 20, 1)],
  ['a first segment of another record', invalid, at(HEAD + 2 * RECORD + 20, 0)],
  ['a first segment of 2^32 - 1', invalid, at(HEAD + 2 * RECORD + 20, 2 ** 32 - 1)],
  ['segments of a chunk without a base', invalid, at(HEAD + 3 * RECORD + 1, 1, 1)],
  ['a first segment of one', invalid, at(HEAD + 3 * RECORD + 20, 3)],
  ['kind 1 in place of kind 3', invalid, at(HEAD, 1, 1)],
  ['kind 4', invalid, at(HEAD, 4, 1)],
  ['a table that is cut', invalid, bent({ index: (index) => index.subarray(0, -8) })],
  ['a table that is cut within', invalid, bent({ index: (index) => index.subarray(0, -1) })],
  ['bytes after the table', invalid, bent({ index: (i) => Buffer.concat([i, Buffer.alloc(8)]) })],
  ['a unit of a segment', invalid, at(segmentAt(2), 50)],
]);

await codes('the manifest', [
  ['no base', invalid, bent({ manifest: (m) => delete m.images[0].base })],
  ['delta not required', invalid, bent({ manifest: (m) => (m.requires = []) })],
  ['a base that is later', invalid, bent({ manifest: (m) => base(m, 'counter', 21) })],
  ['versions against counters', invalid, bent({ manifest: (m) => base(m, 'version', '3.0.0') })],
  ['no version', invalid, bent({ manifest: (m) => base(m, 'version', 'newest') })],
  ['an empty base', invalid, bent({ manifest: (m) => base(m, 'rawBytes', 0) })],
  ['no id', invalid, bent({ manifest: (m) => base(m, 'imageId', '') })],
  ['a field more', invalid, bent({ manifest: (m) => base(m, 'slot', 'A') })],
  ['one unit less', invalid, bent({ manifest: (m) => base(m, 'rawBytes', 49 * UNIT) })],
  ['an index of 1 GiB', invalid, bent({ manifest: (m) => (m.images[0].indexBytes = 2 ** 30) })],
]);

// oxlint-disable-next-line typescript/no-explicit-any -- anything may be written into it
function base(manifest: any, field: string, value: unknown): void {
  manifest.images[0].base[field] = value;
}

t.test('one flipped bit in any byte of the index, its new fields and its segments', async (t) => {
  const whole = bundle();
  const start = whole.indexOf('TDMINDEX');
  const end = segmentAt(3);
  const found = new Set<string>();
  for (let offset = 0; offset < end; offset += 1) {
    const bytes = Buffer.from(whole);
    bytes[start + offset]! ^= 1 << (offset % 8);
    found.add(await opened(bytes));
  }
  t.same([...found], ['bundle.damaged']);
});

t.test('cut within and around the segments', async (t) => {
  const whole = bundle();
  const start = whole.indexOf('TDMINDEX');
  for (const cut of [segmentAt(0), segmentAt(1) - 3, segmentAt(3), segmentAt(3) + 1]) {
    const source = memorySource(whole.subarray(0, start + cut));
    t.equal(await outcome(() => openBundle(source, ROOT)), 'bundle.truncated');
  }
});

t.test('an index of any content is refused or keeps every limit', async (t) => {
  const whole = bundle();
  const { manifest } = await openBundle(memorySource(whole), ROOT);
  const image = manifest.images[0]!;
  const start = whole.indexOf('TDMINDEX');
  const plain = whole.subarray(start, start + segmentAt(3));
  const next = generator(1);
  const seen = new Map<string, number>();
  for (let turn = 0; turn < 4000; turn += 1) {
    const bytes = Buffer.from(plain);
    for (let times = 1 + next(3); times > 0; times -= 1) {
      // Mostly where the new fields are, with values at the limits more often than others.
      const at = next(2) === 0 ? segmentAt(0) + next(24) : next(bytes.length);
      bytes[at] = [0, 1, 63, 64, 65, 0xff, next(256)][next(7)]!;
    }
    // The head as it has to be, so that what lies behind it is looked at.
    plain.copy(bytes, 0, 0, HEAD);
    const code = await outcome(() => {
      for (const { segments = [] } of decodeIndex(bytes, image)) {
        const units = segments.reduce((sum, segment) => sum + segment.units, 0);
        const last = segments.at(-1);
        if (segments.length > 64 || units > 512) throw new Error('more than the limits');
        if ((last?.startUnit ?? 0) + (last?.units ?? 0) > UNITS) throw new Error('outside');
      }
    });
    seen.set(code, (seen.get(code) ?? 0) + 1);
  }
  t.strictSame([...seen.keys()].toSorted(), [invalid, 'ok']);
  t.ok((seen.get('ok') ?? 0) > 20, `${seen.get('ok')} were acceptable`);
});

/** Whole numbers below a bound, the same ones for the same seed (a linear congruence, 2^31 - 1). */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}
