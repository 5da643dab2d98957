/**
 * Fuzz targets of a bundle: the archive, the manifest, the index, lists of segments, and frames
 * with dictionaries. Some inputs are changed after they were signed, as on the way; others before,
 * so that what lies behind the signature is reached. Always holds: what is accepted is exactly what
 * it says. Imports the second maker and the bundle room.
 */
import { constants, zstdCompressSync } from 'node:zlib';
import { inflateInto } from '../../src/bundle/chunk.ts';
import { documentedDecoder, frameDecoder } from '../../src/bundle/frame-decoder.ts';
import { decodeIndex, KIND, type ChunkRecord } from '../../src/bundle/index-codec.ts';
import { parseManifest } from '../../src/bundle/manifest.ts';
import { inspectBundle, openBundle } from '../../src/bundle/reader.ts';
import { verifyBundle } from '../../src/bundle/verify.ts';
import { parseTrustRoot, type TrustRoot } from '../../src/bundle/trust.ts';
import type { ManifestImage } from '../../src/core/manifest.ts';
import type { Sha256 } from '../../src/core/model.ts';
import { CHUNK, craft, header, reseal, rootOf, sampleImages } from '../bundle/craft.ts';
import type { CraftedMember, CraftOptions } from '../bundle/craft.ts';
import { link, rootsJson } from '../bundle/craft-roots.ts';
import { memorySource } from '../bundle/kit.ts';
import { ending, promise, type Subject, type Target } from './engine.ts';
import { fixedKey } from './keys.ts';
import { bentJson, bentValue, mutated, noise } from './mutate.ts';
import type { Random } from './random.ts';

const KEY = fixedKey(1);
const ROOT: TrustRoot = parseTrustRoot(Buffer.from(JSON.stringify(rootOf([KEY]))));
const ROOTS = rootsJson([link({ version: 2, keys: [KEY] }, [KEY])]);
/** Two chunks and a short one, and a second image; small, because every run reads all of it. */
const IMAGES = {
  system: Buffer.concat([
    Buffer.alloc(CHUNK, 'a quick fox '),
    Buffer.alloc(CHUNK),
    Buffer.from('tail'),
  ]),
  storage: Buffer.alloc(1000, 'storage software '),
};
const GOOD = craft({ keys: [KEY], images: IMAGES });
const BRINGING = craft({
  keys: [KEY],
  images: IMAGES,
  roots: { bytes: ROOTS, version: 2 },
  updater: { bytes: Buffer.from('export {};\n'), version: '9.1.0' },
});
const MANIFEST: unknown = JSON.parse(GOOD.toString('latin1', 512, GOOD.indexOf('\n}\n') + 3));

/** Members in another order, twice, not at all, with other names and headers. */
function bentMembers(random: Random, list: CraftedMember[]): CraftedMember[] {
  const at = random.below(list.length);
  const one = list[at]!;
  switch (random.below(6)) {
    case 0:
      return list.toSpliced(at, 1);
    case 1:
      return list.toSpliced(random.below(list.length), 0, one);
    case 2:
      return list.with(at, list[random.below(list.length)]!);
    case 3:
      return list.with(at, { ...one, name: random.pick(['../x', '/x', 'x', 'a'.repeat(99)]) });
    case 4:
      return list.with(at, { ...one, header: header(one.name, Math.abs(random.edge())) });
    default: {
      const bent = mutated(random, header(one.name, one.data.length)).subarray(0, 512);
      return list.with(at, {
        ...one,
        header: reseal(Buffer.concat([bent, Buffer.alloc(512)], 512)),
      });
    }
  }
}

/** An archive, and whether it was changed on the way, so that only the good one may pass. */
function walkerInput(random: Random): readonly [bytes: Buffer, good: Buffer | null] {
  const base = random.oneIn(2) ? GOOD : BRINGING;
  if (random.oneIn(40)) return [noise(random, 3000), GOOD];
  if (random.oneIn(3)) {
    const members = (list: CraftedMember[]) => bentMembers(random, list);
    return [craft({ keys: [KEY], images: IMAGES, members }), GOOD];
  }
  if (random.oneIn(6)) {
    const bent = (manifest: object): void => bend(random, manifest);
    return [craft({ keys: [KEY], images: IMAGES, manifest: bent }), null];
  }
  return [mutated(random, base), base];
}

function bend(random: Random, manifest: object): void {
  const bent = bentValue(random, manifest);
  for (const key of Object.keys(manifest)) Reflect.deleteProperty(manifest, key);
  if (typeof bent === 'object') Object.assign(manifest, bent);
}

/** A bundle as it lies in a file. */
const walker: Target = {
  name: 'walker',
  reads: 'an archive, by all three ways of opening it',
  limits: { steps: { base: 60_000, perByte: 40 }, buffers: { base: 4_000_000, perByte: 60 } },
  async open() {
    // A sample that is refused as it is would hide everything behind the first check.
    for (const good of [GOOD, BRINGING]) await verifyBundle(memorySource(good), ROOT);
    return { make: walk };
  },
};

const WAYS: readonly ((source: ReturnType<typeof memorySource>) => Promise<unknown>)[] = [
  (source) => openBundle(source, ROOT),
  (source) => verifyBundle(source, ROOT),
  (source) => inspectBundle(source),
];

function walk(random: Random): ReturnType<Subject['make']> {
  const [bytes, good] = walkerInput(random);
  return {
    sizeBytes: bytes.length,
    async judge() {
      const words: string[] = [];
      for (const way of WAYS) {
        const source = memorySource(bytes);
        words.push(await ending(() => way(source)));
        const readBytes = source.reads.reduce((sum, [, length]) => sum + length, 0);
        promise(source.reads.length <= 100, `${source.reads.length} reads`);
        promise(readBytes <= 2 * bytes.length, `${readBytes} bytes were read`);
      }
      const [opened = '', verified = ''] = words;
      promise(
        words.every((word) => /^(?:ok|bundle\.|trust\.)/.test(word)),
        words.join(),
      );
      promise(verified !== 'ok' || opened === 'ok', 'verified what cannot be opened');
      promise(verified !== 'ok' || good === null || bytes.equals(good), 'a change passed');
      return verified;
    },
  };
}

/** The text of a manifest, signed by whoever. */
const manifest: Target = {
  name: 'manifest',
  reads: 'the text of a manifest, alone and signed in a bundle',
  limits: { steps: { base: 60_000, perByte: 200 }, buffers: { base: 4_000_000, perByte: 80 } },
  open: () => Promise.resolve({ make: manifestTrial }),
};

function manifestTrial(random: Random): ReturnType<Subject['make']> {
  const text = random.oneIn(5) ? mutated(random, GOOD.subarray(512, 2500)) : bentText(random);
  const whole = random.oneIn(4);
  // Latin-1 keeps every byte of what was bent.
  const latin = text.toString('latin1');
  const bundle = whole
    ? craft({ keys: [KEY], images: IMAGES, text: () => text.toString('utf8') })
    : null;
  return {
    sizeBytes: bundle?.length ?? latin.length,
    async judge() {
      if (bundle !== null) {
        const word = await ending(() => openBundle(memorySource(bundle), ROOT));
        promise(/^(?:ok|bundle\.)/.test(word), word);
        return `signed ${word}`;
      }
      const word = await ending(() => checkManifest(parseManifest(text)));
      promise(/^(?:ok|bundle\.)/.test(word), word);
      return word;
    },
  };
}

const bentText = (random: Random): Buffer => bentJson(random, MANIFEST, random.pick([0, 2]));

function checkManifest({ images }: ReturnType<typeof parseManifest>): void {
  for (const image of images) {
    promise(/^[0-9a-f]{64}$/.test(image.indexSha256), 'an image without a digest');
    promise(image.chunks === Math.ceil(image.rawBytes / image.chunkBytes), 'chunks');
    promise(image.indexBytes <= 39_000_000 && image.chunks <= 65_536, 'an index without a limit');
  }
}

/** Bytes of an index and the image that it is of, as `craft` made them. */
function indexOf(options: CraftOptions): { readonly image: ManifestImage; readonly bytes: Buffer } {
  let bytes: Buffer = Buffer.alloc(0);
  let image: unknown;
  craft({
    ...options,
    index: (plain, name) => {
      const made = options.index?.(plain, name) ?? plain;
      if (name === 'system') bytes = made;
      return made;
    },
    manifest: (whole: { images: unknown[] }) => {
      options.manifest?.(whole);
      [image] = whole.images;
    },
  });
  return { image: image as ManifestImage, bytes };
}

const PLAIN = indexOf({});
const OLD_UNITS = 50;
const DELTA = indexOf({
  records: (records, name) => {
    for (const record of name === 'system' ? [records[0]!, records[2]!] : []) {
      record.kind = KIND.delta;
      record.frame = record.frame.subarray(0, 900);
    }
  },
  index: (plain, name) => (name === 'system' ? withSegments(plain) : plain),
  manifest: (whole: { images: { base?: object }[] }) => {
    const digest = 'ab'.repeat(32);
    const base = { version: '1.0.0', counter: 1, rawBytes: OLD_UNITS * 4096 - 7 };
    whole.images[0]!.base = { ...base, rawSha256: digest, imageId: digest };
  },
});

/** Two segments for the first chunk, one for the third. */
function withSegments(plain: Buffer): Buffer {
  const [head, record] = [32, 88];
  plain.writeUInt32LE(3, 20);
  plain.writeUInt8(2, head + 1);
  plain.writeUInt8(1, head + 2 * record + 1);
  plain.writeUInt32LE(2, head + 2 * record + 20);
  const table = Buffer.alloc(24);
  [0, 4, 30, 16, 49, 1].forEach((value, i) => table.writeUInt32LE(value, 4 * i));
  return Buffer.concat([plain, table]);
}

const index: Target = {
  name: 'index',
  reads: 'the chunk index of an image that is complete in itself',
  limits: { steps: { base: 20_000, perByte: 20 }, buffers: { base: 900_000, perByte: 20 } },
  open: () => Promise.resolve({ make: (random) => indexTrial(random, PLAIN) }),
};

const segments: Target = {
  name: 'segments',
  reads: 'the index of a delta image, with its lists of segments',
  limits: index.limits,
  open: () => Promise.resolve({ make: (random) => indexTrial(random, DELTA) }),
};

function indexTrial(
  random: Random,
  { image, bytes }: ReturnType<typeof indexOf>,
): ReturnType<Subject['make']> {
  const bent = mutated(random, bytes);
  // The head as it has to be, so that what lies behind it is looked at.
  if (!random.oneIn(5)) bytes.copy(bent, 0, 0, 32);
  if (image.base !== undefined && random.oneIn(2) && bent.length >= 24) {
    const at = bent.length - 24 + 4 * random.below(6);
    bent.writeUInt32LE(random.oneIn(2) ? random.below(70) : (random.edge() % 2 ** 32) >>> 0, at);
  }
  return {
    sizeBytes: bent.length,
    judge: () =>
      ending(() => {
        checkRecords(decodeIndex(bent, image), image);
      }),
  };
}

/** Every limit of B5, said once more. */
function checkRecords(records: readonly ChunkRecord[], image: ManifestImage): void {
  let [offset, rawOffset] = [0, 0];
  for (const record of records) {
    promise(record.offset === offset && record.rawOffset === rawOffset, 'a gap');
    offset += record.compressedBytes;
    rawOffset += record.rawBytes;
    const own = record.segments ?? [];
    promise(own.length <= 64 && own.length > 0 === (record.kind === KIND.delta), 'segments');
    let [end, units] = [0, 0];
    for (const segment of own) {
      promise(segment.units > 0 && segment.startUnit >= end, 'segments overlap');
      end = segment.startUnit + segment.units;
      units += segment.units;
    }
    promise(units <= 512 && end <= OLD_UNITS, 'segments beyond a limit');
  }
  promise(offset === image.compressedBytes && rawOffset === image.rawBytes, 'not all of it');
}

const FRAME_RAW = Buffer.concat([sampleImages()['system']!.subarray(0, 3000), Buffer.alloc(300)]);
const TRAINED = Buffer.from('37a430ec', 'hex');
const frames: Target = {
  name: 'frames',
  reads: 'frames and dictionaries, by both decoders',
  limits: { steps: { base: 4000, perByte: 2 }, buffers: { base: 900_000, perByte: 10 } },
  open: () => Promise.resolve(frameSubject()),
};

function frameSubject(): Subject {
  const decoders = [frameDecoder(), documentedDecoder()] as const;
  const base = { [constants.ZSTD_c_compressionLevel]: 3 };
  const plain = zstdCompressSync(FRAME_RAW, { params: base });
  return {
    make(random) {
      const start = random.oneIn(2) ? TRAINED : Buffer.alloc(0);
      const content = Buffer.concat([start, FRAME_RAW.subarray(random.below(2000))]);
      // As an installer makes it (B6.7); what a base begins with is up to whoever made it.
      const good = Buffer.concat([Buffer.alloc(8), content]);
      const dictionary = random.oneIn(3) ? bentAfter(random, good, 8) : good;
      const isDelta = random.oneIn(2);
      const packed = isDelta
        ? zstdCompressSync(FRAME_RAW, { params: base, dictionary: good })
        : plain;
      const frame = random.oneIn(6) ? packed : mutated(random, packed);
      const kind = isDelta ? KIND.delta : KIND.zstd;
      const rawBytes = random.oneIn(4) ? random.below(5000) + 1 : FRAME_RAW.length;
      return {
        sizeBytes: frame.length + dictionary.length + rawBytes,
        judge: () => judgeFrame(decoders, recordOf(kind, frame, rawBytes), frame, dictionary),
      };
    },
  };
}

/** What stands behind the first bytes is bent. */
const bentAfter = (random: Random, bytes: Buffer, first: number): Buffer =>
  Buffer.concat([bytes.subarray(0, first), mutated(random, bytes.subarray(first))]);

async function judgeFrame(
  decoders: readonly Parameters<typeof inflateInto>[0][],
  record: ChunkRecord,
  frame: Buffer,
  dictionary: Buffer,
): Promise<string> {
  const given = record.kind === KIND.delta ? dictionary : undefined;
  const found: { readonly word: string; readonly room: Buffer }[] = [];
  for (const decoder of decoders) {
    const room = Buffer.alloc(record.rawBytes + 64, 0xee);
    const into = room.subarray(0, record.rawBytes + 1);
    const word = await ending(() => inflateInto(decoder, record, frame, into, given));
    promise(
      room.subarray(record.rawBytes + 1).every((byte) => byte === 0xee),
      'bytes beyond',
    );
    found.push({ word, room: room.subarray(0, record.rawBytes) });
  }
  const [one, other] = found as [(typeof found)[0], (typeof found)[0]];
  promise(one.word === other.word, `${one.word} and ${other.word}`);
  promise(/^(?:ok|bundle\.(?:damaged|wrong_base))$/.test(one.word), one.word);
  promise(one.word !== 'ok' || one.room.equals(other.room), 'two decoders, two contents');
  return one.word;
}

function recordOf(kind: ChunkRecord['kind'], frame: Buffer, rawBytes: number): ChunkRecord {
  const [image, digest] = ['system', 'ab'.repeat(32) as Sha256];
  const where = { image, chunk: 0, offset: 0, rawOffset: 0 };
  const digests = { compressedSha256: digest, rawSha256: digest };
  return { ...where, ...digests, kind, compressedBytes: frame.length, rawBytes };
}

/** All of them. */
export const BUNDLE_TARGETS: readonly Target[] = [walker, manifest, index, segments, frames];
