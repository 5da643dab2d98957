/**
 * The whole verification: statements that only the content can prove wrong, progress, and an end
 * when it is asked for.
 */
import t from 'tap';
import { verifyBundle } from '../../src/bundle/verify.ts';
import { CHUNK, craft, craftImageId, sampleImages, sha256, type CraftOptions } from './craft.ts';
import { codes, KEY, memorySource, ROOT } from './kit.ts';

const verifying = (options: CraftOptions) => (): Promise<unknown> =>
  verifyBundle(memorySource(craft({ keys: [KEY], ...options })), ROOT);

const LIE = 'ab'.repeat(32);

/** The first chunk has another raw digest; image id and all else agree with it. */
function lyingChunk(): CraftOptions {
  const raw = sampleImages()['system']!;
  const digests = [LIE];
  for (let at = CHUNK; at < raw.length; at += CHUNK) {
    digests.push(sha256(raw.subarray(at, at + CHUNK)));
  }
  return {
    records: (records, name) => {
      if (name === 'system') records[0]!.rawSha256 = LIE;
    },
    manifest: (manifest) => {
      manifest.images[0].imageId = craftImageId(raw.length, CHUNK, digests);
    },
  };
}

await codes('what only the content can prove wrong', [
  ['nothing', 'ok', verifying({})],
  ['the raw digest of a chunk', 'bundle.damaged', verifying(lyingChunk())],
  [
    'the digest of the whole image',
    'bundle.invalid_manifest',
    verifying({ manifest: (manifest) => (manifest.images[1].rawSha256 = LIE) }),
  ],
]);

await t.test('progress counts every raw byte once', async (t) => {
  const seen: number[] = [];
  await verifyBundle(memorySource(craft({ keys: [KEY] })), ROOT, {
    onProgress: ({ doneBytes, totalBytes }) => {
      t.ok(doneBytes <= totalBytes);
      seen.push(doneBytes);
    },
  });
  const { system, storage } = sampleImages();
  t.equal(seen.length, 5);
  t.equal(seen.at(-1), system!.length + storage!.length);
});

await t.test('it ends when it is asked to', async (t) => {
  const stop = new AbortController();
  const reason = new Error('stop');
  let chunks = 0;
  const onProgress = (): void => {
    chunks += 1;
    if (chunks === 2) stop.abort(reason);
  };
  const source = memorySource(craft({ keys: [KEY] }));
  await t.rejects(verifyBundle(source, ROOT, { onProgress, signal: stop.signal }), reason);
  t.equal(chunks, 2);
});
