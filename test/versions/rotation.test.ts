/**
 * What the release before says of a bundle that brings a new trust root, and of a root that this
 * program keeps: it refuses the one by name, and reads the other. Only with VERSIONS_ALL=1
 * (`npm run test:versions`), because it builds the commit that is pinned.
 */
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { openPrevious } from '../../scripts/previous.ts';
import { craft, type TestKey } from '../bundle/craft.ts';
import { ceremony, link, rootBytes, rootsJson } from '../bundle/craft-roots.ts';
import { skRootKey } from '../bundle/foreign-signers.ts';
import { VERSIONS } from './judge.ts';
import { loadTree } from './tree.ts';

t.setTimeout(200_000);

t.test('the release before and new trust roots', VERSIONS, async (t) => {
  const previous = await loadTree((await openPrevious()).dir);
  const { a, b, c, d, e, old, next } = ceremony();
  const dir = t.testdir({});
  const root = previous.trust.parseTrustRoot(rootBytes(old));
  const roots = { bytes: rootsJson([link(next, [a, b, d, e])]), version: 2 };
  const images = { system: Buffer.alloc(900, 'system ') };
  const judged = async (keys: readonly TestKey[], words: object): Promise<unknown> => {
    const file = join(dir, 'update.bin');
    await writeFile(file, craft({ images, keys, ...words }));
    await using handle = await open(file);
    const source = await previous.source.fileSource(handle);
    return await previous.verify.verifyBundle(source, root).then(
      () => 'ok',
      (error: unknown) => error,
    );
  };
  t.equal(await judged([a, b], {}), 'ok', 'a bundle without');
  const named = { code: 'bundle.unknown_format', exit: 10, message: /requires "root"/ };
  t.match(await judged([a, b, d, e], { roots }), named, 'signed by both: it is named');
  t.match(
    await judged([d, e], { roots }),
    { code: 'trust.untrusted', exit: 13 },
    'by the new ones',
  );
  const kept = previous.trust.parseTrustRoot(rootBytes({ ...next, revoked: [a, b, c] }));
  t.match(kept, { version: 2, threshold: 2 }, 'a root that was kept is read after a rollback');
  const words = JSON.parse(rootBytes(next).toString()) as { keys: object[] };
  words.keys.push(skRootKey(a));
  const mixed = previous.trust.parseTrustRoot(Buffer.from(JSON.stringify(words)));
  t.equal(mixed.keys.size, 3, 'a security key does not count there, and does no harm');
});
