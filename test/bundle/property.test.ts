/**
 * Properties: what is made is what comes out, for any images; and whatever is done to a bundle, the
 * reader ends with a code of its own family, stays inside the file and inside its limits.
 */
import { writeFileSync } from 'node:fs';
import * as fc from 'fast-check';
import t from 'tap';
import { makeBundle } from '../../src/bundle/builder.ts';
import { checkCompressed, checkRaw, inflateChunk } from '../../src/bundle/chunk.ts';
import { generateSigningKey } from '../../src/bundle/keys.ts';
import { CHUNKS_MAX, MANIFEST_BYTES_MAX } from '../../src/bundle/limits.ts';
import { inspectBundle, openBundle } from '../../src/bundle/reader.ts';
import { openFileSource, type ByteSource } from '../../src/bundle/source.ts';
import { verifyBundle } from '../../src/bundle/verify.ts';
import { CHUNK, craft, header } from './craft.ts';
import { link, rootsJson } from './craft-roots.ts';
import { failure, KEY, memorySource, ROOT } from './kit.ts';
import { sampleSpec, trusting } from './made.ts';

/** Pieces of an image: zeros, one byte repeated, noise; lengths around the chunk boundaries. */
const piece = fc
  .tuple(fc.constantFrom(0, 1, 2), fc.integer({ min: 1, max: CHUNK + 1000 }), fc.uint8Array())
  .map(([kind, length, seed]) => {
    if (kind === 0) return Buffer.alloc(length);
    if (kind === 1) return Buffer.alloc(length, seed.length === 0 ? 7 : Buffer.from(seed));
    let state = length;
    return Buffer.from(
      Array.from({ length }, () => {
        state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
        return state >> 16;
      }),
    );
  });
const image = fc.array(piece, { minLength: 1, maxLength: 4 }).map((parts) => Buffer.concat(parts));

await t.test('round trip of any images', async (t) => {
  const dir = t.testdir({});
  const key = generateSigningKey();
  const paths = { system: `${dir}/system`, storage: `${dir}/storage` };
  const round = fc.asyncProperty(image, image, async (system, storage) => {
    writeFileSync(paths.system, system);
    writeFileSync(paths.storage, storage);
    await makeBundle(sampleSpec(), paths, `${dir}/update.bin`, { keys: [key], level: 1 });
    await using source = await openFileSource(`${dir}/update.bin`);
    const open = await verifyBundle(source, trusting([key]));
    for (const {
      image: { name },
      records,
      dataOffset,
    } of open.images) {
      const expected = name === 'system' ? system : storage;
      const raws: Uint8Array[] = [];
      for (const record of records) {
        const at = dataOffset + record.offset;
        const packed = await source.readAt(at, record.compressedBytes);
        checkCompressed(record, packed);
        const raw = inflateChunk(record, packed);
        checkRaw(record, raw);
        if (record.rawOffset !== record.chunk * CHUNK) return false;
        raws.push(raw);
      }
      if (!Buffer.concat(raws).equals(expected)) return false;
    }
    return true;
  });
  await fc.assert(round, { numRuns: 25 });
  t.pass('25 pairs of images');
});

// It brings a new trust root, so that every part that a bundle can have is mutated.
const ROOTS = rootsJson([link({ version: 2, keys: [KEY] }, [KEY])]);
const GOOD = craft({ keys: [KEY], roots: { bytes: ROOTS, version: 2 } });
const LONGEST = Math.max(MANIFEST_BYTES_MAX + 512, 32 + CHUNKS_MAX * 88 + 512);

type Mutation = (bytes: Buffer) => Buffer;
const position = fc.oneof(fc.nat(GOOD.length - 1), fc.nat(25_000));
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(position, fc.nat(255)).map(([at, value]) => (bytes: Buffer) => {
    if (at < bytes.length) bytes[at] = value;
    return bytes;
  }),
  position.map((at) => (bytes: Buffer) => bytes.subarray(0, at)),
  fc.tuple(position, fc.uint8Array({ maxLength: 600 })).map(
    ([at, insert]) =>
      (bytes: Buffer) =>
        Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at)]),
  ),
  fc.tuple(position, fc.nat(2000)).map(
    ([at, length]) =>
      (bytes: Buffer) =>
        Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]),
  ),
  fc
    .tuple(
      fc.constantFrom('manifest.json', 'manifest.sig', 'roots.json', 'x'),
      fc.nat(2 ** 31 - 1),
      fc.nat(48),
    )
    .map(([name, size, block]) => (bytes: Buffer) => {
      if (block * 512 + 512 <= bytes.length) header(name, size).copy(bytes, block * 512);
      return bytes;
    }),
);

const verify = (source: ByteSource): Promise<unknown> => verifyBundle(source, ROOT);
const WAYS = [(source: ByteSource) => openBundle(source, ROOT), verify, inspectBundle];

await t.test('any mutation: a code of the bundle, and no read outside of it', async (t) => {
  const seen = new Map<string, number>();
  const anything = fc.array(mutation, { minLength: 1, maxLength: 3 });
  const property = fc.asyncProperty(anything, async (mutations) => {
    let bytes: Buffer = Buffer.from(GOOD);
    for (const mutate of mutations) bytes = Buffer.from(mutate(bytes));
    for (const open of WAYS) {
      const source = memorySource(bytes);
      // `failure` throws on what is no UpdateError, `memorySource` on a read out of bounds.
      const code = (await failure(() => open(source)))?.code ?? 'ok';
      if (open === verify) {
        seen.set(code, (seen.get(code) ?? 0) + 1);
        if (code === 'ok' && !bytes.equals(GOOD)) return false;
      }
      if (!/^(ok|bundle\.|trust\.)/.test(code)) return false;
      if (source.reads.some(([, length]) => length > LONGEST)) return false;
    }
    return true;
  });
  await fc.assert(property, { numRuns: 600 });
  t.comment(JSON.stringify(Object.fromEntries(seen)));
  for (const code of ['bundle.damaged', 'bundle.truncated', 'bundle.trailing_data']) {
    t.ok(seen.has(code), code);
  }
});
