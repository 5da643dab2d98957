/**
 * Opening a bundle: what a whole one gives, and the code for every way in which the file is not
 * one.
 */
import { gzipSync } from 'node:zlib';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { MANIFEST_BYTES_MAX } from '../../src/bundle/limits.ts';
import { inspectBundle, openBundle } from '../../src/bundle/reader.ts';
import { fileSource, openFileSource } from '../../src/bundle/source.ts';
import { archive, craft, craftImageId, CHUNK, header, sampleImages, sha256 } from './craft.ts';
import type { CraftedMember, CraftOptions } from './craft.ts';
import { codes, failure, KEY, memorySource, opening, outcome, ROOT } from './kit.ts';

const GOOD = craft({ keys: [KEY] });

await t.test('a whole bundle of another maker opens', async (t) => {
  const source = memorySource(GOOD);
  const found = await openBundle(source, ROOT);
  const size = Number.parseInt(GOOD.toString('latin1', 124, 135), 8);
  t.equal(found.bundle, sha256(GOOD.subarray(512, 512 + size)));
  t.equal(found.sizeBytes, GOOD.length);
  t.same(found.signers, [KEY.keyid]);
  t.equal(found.manifest.version, '2.0.0');
  t.same(
    found.images.map(({ image, records }) => [image.name, records.map((record) => record.kind)]),
    [
      ['system', [1, 0, 2, 2]],
      ['storage', [1]],
    ],
  );
  t.equal(found.headBytes, found.images[0]?.dataOffset);
  const { system } = sampleImages();
  t.equal(found.images[0]?.image.imageId, craftImageId(system!.length, CHUNK, digests(system!)));
  const dataStart = found.headBytes;
  const inChunks = source.reads.filter(([at, length]) =>
    found.images.some(
      ({ dataOffset, image }) =>
        at < dataOffset + image.compressedBytes && at + length > dataOffset,
    ),
  );
  t.same(inChunks, [], 'no chunk is read');
  t.ok(source.reads.every(([, length]) => length <= MANIFEST_BYTES_MAX));
  t.ok(source.reads.slice(0, -5).every(([at, length]) => at + length <= dataStart));
});

function digests(raw: Buffer): string[] {
  const list: string[] = [];
  for (let at = 0; at < raw.length; at += CHUNK) list.push(sha256(raw.subarray(at, at + CHUNK)));
  return list;
}

await t.test('what a bundle says of itself is labelled untrusted', async (t) => {
  const found = await inspectBundle(memorySource(craft()));
  t.equal(found.trusted, false);
  t.equal(found.manifest.product, 'tandem-test');
  t.same(found.signatures.signatures, []);
  t.equal(found.expectedBytes, found.sizeBytes);
});

const other = (name: string): Buffer => archive([{ name, data: Buffer.from('x') }]);
await codes('other kinds of files', [
  ['an empty file', 'bundle.truncated', opening(Buffer.alloc(0))],
  ['the first bytes of a bundle', 'bundle.truncated', opening(GOOD.subarray(0, 300))],
  ['a short text', 'bundle.wrong_type', opening(Buffer.from('hello'))],
  ['a random file', 'bundle.wrong_type', opening(Buffer.alloc(4096, 'random 1234'))],
  ['a file of zeros', 'bundle.wrong_type', opening(Buffer.alloc(4096))],
  ['a bundle in gzip', 'bundle.wrong_type', opening(gzipSync(GOOD))],
  ['another archive', 'bundle.wrong_type', opening(other('etc/passwd'))],
  ['an archive without our second member', 'bundle.wrong_type', opening(dockerLike())],
  ['zeros in front', 'bundle.wrong_type', opening(shifted())],
]);

function dockerLike(): Buffer {
  return archive([
    { name: 'manifest.json', data: Buffer.from('[]') },
    { name: 'layer.tar', data: Buffer.alloc(600) },
  ]);
}

function shifted(): Buffer {
  return Buffer.concat([Buffer.alloc(512), GOOD]);
}

await t.test('the message names what was found', async (t) => {
  const found = await failure(() => openBundle(memorySource(gzipSync(GOOD)), ROOT));
  t.match(found?.message, /a gzip file/);
  const name = '\u001b[2J../../etc/passwd';
  const hostile = await failure(() => openBundle(memorySource(other(name)), ROOT));
  t.notMatch(hostile?.message, '\u001b');
});

await t.test('paths that are no regular files', async (t) => {
  const dir = t.testdir({ folder: {}, 'update.bin': GOOD });
  symlinkSync(`${dir}/update.bin`, `${dir}/link`);
  execFileSync('mkfifo', [`${dir}/pipe`]);
  const at = (name: string) => async (): Promise<void> => {
    await using source = await openFileSource(`${dir}/${name}`);
    await openBundle(source, ROOT);
  };
  t.equal(await outcome(at('update.bin')), 'ok');
  t.equal(await outcome(at('link')), 'ok');
  t.equal(await outcome(at('missing')), 'file.not_found');
  t.equal(await outcome(at('folder')), 'bundle.not_a_file');
  t.equal(await outcome(at('pipe')), 'bundle.not_a_file', 'and does not wait for a writer');
  t.equal(await outcome(at('update.bin/x')), 'file.not_found');
});

await t.test('a file that shrinks or grows while it is open', async (t) => {
  const dir = t.testdir({ 'update.bin': GOOD });
  const path = `${dir}/update.bin`;
  await using handle = await open(path, 'r+');
  const source = await fileSource(handle);
  writeFileSync(path, Buffer.concat([GOOD, GOOD]));
  t.equal(await outcome(() => openBundle(source, ROOT)), 'ok', 'the size was taken once');
  await handle.truncate(20_000);
  t.equal(await outcome(() => openBundle(source, ROOT)), 'bundle.truncated');
});

await t.test('an aborted signal ends the reading', async (t) => {
  const dir = t.testdir({ 'update.bin': GOOD });
  mkdirSync(`${dir}/x`);
  await using source = await openFileSource(`${dir}/update.bin`);
  const reason = new Error('stop');
  await t.rejects(openBundle(source, ROOT, AbortSignal.abort(reason)), reason);
});

await codes('sizes', [
  ['2^31 in the first header', 'bundle.damaged', withFirstSize(2 ** 31)],
  ['2^32 in the first header', 'bundle.damaged', withFirstSize(2 ** 32)],
  ['2^33 - 1 in the first header', 'bundle.damaged', withFirstSize(2 ** 33 - 1)],
  ['0 in the first header', 'bundle.damaged', withFirstSize(0)],
  ['one above the limit', 'bundle.damaged', withFirstSize(MANIFEST_BYTES_MAX + 1)],
  ['the limit in a short file', 'bundle.truncated', withFirstSize(MANIFEST_BYTES_MAX)],
  ['2^52 in base 256', 'bundle.damaged', opening(withBase256(0x80, 2n ** 52n))],
  ['2^53 in base 256', 'bundle.damaged', opening(withBase256(0x80, 2n ** 53n))],
  ['2^80 in base 256', 'bundle.damaged', opening(withBase256(0x80, 2n ** 80n))],
  ['-1 in base 256', 'bundle.damaged', opening(withBase256(0xff, 2n ** 88n - 1n))],
]);

const longList = (list: CraftedMember[]): CraftedMember[] =>
  list.map((one, i) => (i === 1 ? { ...one, data: Buffer.concat([one.data, one.data]) } : one));
const bent = (options: CraftOptions) => opening(craft({ keys: [KEY], ...options }));

await codes('members of another size', [
  ['an empty manifest', 'bundle.damaged', bent({ text: () => '' })],
  ['a longer manifest.sig', 'bundle.unknown_format', bent({ members: longList })],
  ['an empty manifest.sig', 'bundle.unknown_format', bent({ members: emptyList })],
  ['a header of an index that says less', 'bundle.damaged', bent({ members: saying(2, -1) })],
  ['a header of an image that says more', 'bundle.damaged', bent({ members: saying(4, 1) })],
  ['a header of the last image that says 0', 'bundle.damaged', bent({ members: saying(5) })],
  ['bytes of an image that no chunk covers', 'bundle.invalid_manifest', bent(hiding())],
]);

function emptyList(list: CraftedMember[]): CraftedMember[] {
  return list.map((one, i) => (i === 1 ? { ...one, data: Buffer.alloc(0) } : one));
}

/** A valid header that states another size than the signed one. */
function saying(at: number, more?: number): NonNullable<CraftOptions['members']> {
  return (list) =>
    list.map((one, i) => {
      const size = more === undefined ? 0 : one.data.length + more;
      return i === at ? { ...one, header: header(one.name, size) } : one;
    });
}

/** Seven bytes more than the chunks, and a signed size that fits them. */
function hiding(): CraftOptions {
  return {
    manifest: (manifest) => (manifest.images[0].compressedBytes += 7),
    members: (list) =>
      list.map((one, i) =>
        i === 4 ? { ...one, data: Buffer.concat([one.data, Buffer.alloc(7, 'x')]) } : one,
      ),
  };
}

function withFirstSize(size: number): () => Promise<unknown> {
  const bytes = Buffer.from(GOOD);
  header('manifest.json', size).copy(bytes);
  return opening(bytes);
}

function withBase256(lead: number, value: bigint): Buffer {
  const bytes = Buffer.from(GOOD);
  const hex = value.toString(16).padStart(22, '0');
  const field = Buffer.from(lead.toString(16) + hex, 'hex').toString('latin1');
  header('manifest.json', 1, { 124: field }).copy(bytes);
  return bytes;
}
