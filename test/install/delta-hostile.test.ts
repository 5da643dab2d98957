/**
 * Deltas that are signed and lie, on their way into a slot: hostile lists of segments leave it
 * without a single write, and a base whose content looks like one of zstd's trained dictionaries is
 * content and nothing else. May import tap, node:, crafted bundles and src.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import t from 'tap';
import { asUpdateError } from '../../src/core/errors.ts';
import type { Sha256 } from '../../src/core/model.ts';
import { createSlots, openSlots } from '../../src/drivers/slots-file.ts';
import { installImages } from '../../src/install/pipeline.ts';
import { CHUNK, craft, craftImageId, rootOf, sha256, testKey } from '../bundle/craft.ts';
import { noise } from './delta-sample.ts';

const UNIT = 4096;
const KEY = testKey();
/** Twelve units and a piece, each of which begins as a trained dictionary would (RFC 8878, 5). */
const OLD = noise('a base', 12 * UNIT + 100);
for (let at = 0; at < OLD.length; at += UNIT) OLD.write('37a430ec', at, 'hex');
const NEW = Buffer.concat([Buffer.from('in front'), OLD.subarray(0, 8 * UNIT)]);
const BASE_ID = craftImageId(OLD.length, CHUNK, [sha256(OLD)]) as Sha256;

type Segments = readonly (readonly [start: number, units: number])[];
const GOOD: Segments = [
  [0, 3],
  [3, 9],
];

/** A signed delta bundle of one chunk; `listed` is what its index says of the segments. */
function bundle(segments: Segments, listed: Segments = segments, count = listed.length): Buffer {
  const parts = segments.map(([start, units]) =>
    OLD.subarray(start * UNIT, (start + units) * UNIT),
  );
  const dictionary = Buffer.concat([Buffer.alloc(8), ...parts]);
  return craft({
    keys: [KEY],
    images: { system: NEW },
    records: ([record]) => {
      record!.kind = 3;
      record!.frame = zstdCompressSync(NEW, { dictionary });
    },
    index: (plain) => {
      plain.writeUInt32LE(listed.length, 20);
      plain.writeUInt8(count % 256, 33);
      const table = Buffer.alloc(8 * listed.length);
      for (const [i, words] of listed.entries()) {
        for (const [j, word] of words.entries()) table.writeUInt32LE(word, 8 * i + 4 * j);
      }
      return Buffer.concat([plain, table]);
    },
    manifest: (manifest) => {
      manifest.requires = ['delta'];
      const digests = { rawSha256: sha256(OLD), imageId: BASE_ID };
      manifest.images[0].base = { version: '1.0.0', counter: 1, rawBytes: OLD.length, ...digests };
    },
  });
}

/** A node that has the base in slot A. */
async function node(dir: string) {
  await createSlots(join(dir, 'slots'), { system: 2 * CHUNK, storage: CHUNK });
  const slots = await openSlots(join(dir, 'slots'));
  const [a, b] = [slots.device('system', 'A'), slots.device('system', 'B')];
  writeFileSync(a.path, Buffer.concat([OLD, Buffer.alloc(2 * CHUNK - OLD.length, 0x77)]));
  writeFileSync(join(dir, 'root.json'), JSON.stringify(rootOf([KEY])));
  const [path, progressFile] = [join(dir, 'update.bin'), join(dir, 'progress')];
  const base = { device: a.path, sizeBytes: a.sizeBytes, imageId: BASE_ID };
  const target = { image: 'system', class: 'system', slot: 'B', device: b.path, base } as const;
  const install = async (bytes: Buffer): Promise<string> => {
    writeFileSync(path, bytes);
    const { signal } = new AbortController();
    const targets = [{ ...target, sizeBytes: b.sizeBytes }];
    const where = { path, trustRoot: join(dir, 'root.json'), progressFile, targets };
    const request = { do: 'install' as const, ...where, readBack: true, format: false };
    const options = { signal, onProgress: () => undefined, entry: null };
    return await installImages(request, options).then(
      () => 'ok',
      (error: unknown) => asUpdateError(error).code,
    );
  };
  const written = (): bigint => statSync(b.path, { bigint: true }).mtimeNs;
  return { install, written, slot: () => readFileSync(b.path) };
}

t.test('lists of segments that lie: not one write', async (t) => {
  const n = await node(t.testdir({}));
  const before = n.written();
  const many = Array.from({ length: 65 }, (_, i) => [i % 12, 1] as const);
  const rows: readonly (readonly [string, Buffer])[] = [
    ['none', bundle(GOOD, [])],
    ['fewer than it says', bundle(GOOD, GOOD, 3)],
    ['more than it says', bundle(GOOD, GOOD, 1)],
    ['an empty one', bundle(GOOD, [[0, 0]])],
    ['overlapping', bundle(GOOD, [[0, 5], [4, 3]])], // prettier-ignore
    ['descending', bundle(GOOD, [[5, 2], [0, 2]])], // prettier-ignore
    ['behind the base', bundle(GOOD, [[13, 1]])],
    ['beyond its end', bundle(GOOD, [[12, 2]])],
    ['around 2^32', bundle(GOOD, [[1, 2 ** 32 - 1]])],
    ['longer than 2 MiB', bundle(GOOD, [[0, 513]])],
    ['65 of them', bundle(GOOD, many)],
  ];
  for (const [name, bytes] of rows) {
    t.equal(await n.install(bytes), 'bundle.invalid_manifest', name);
    t.equal(n.written(), before, `${name}: no write`);
  }
});

t.test('segments of other places than it was made from: nothing of it is written', async (t) => {
  const n = await node(t.testdir({}));
  const before = n.slot();
  // Every limit is kept, so that only the digest of what comes out tells.
  t.equal(await n.install(bundle(GOOD, [[4, 6]])), 'bundle.invalid_manifest');
  t.ok(n.slot().equals(before), 'not a byte of it');
});

t.test('a base that looks like a trained dictionary, in every unit', async (t) => {
  const n = await node(t.testdir({}));
  for (const segments of [
    GOOD,
    [[0, 13]],
    [[1, 8]],
    [
      [2, 1],
      [5, 4],
    ],
  ] as Segments[]) {
    // prettier-ignore
    t.equal(await n.install(bundle(segments)), 'ok', JSON.stringify(segments));
    t.ok(n.slot().subarray(0, NEW.length).equals(NEW));
    writeFileSync(join(t.testdirName, 'progress'), Buffer.alloc(8192));
  }
});
