/**
 * Bundles that bring a new trust root: who has to sign what, that the signed manifest and the root
 * that was judged are one, that every bit and every cut of it is noticed, and what a program says
 * that knows nothing of it.
 */
import t from 'tap';
import { layoutOf } from '../../src/bundle/layout.ts';
import { KNOWN_FEATURES, parseManifest } from '../../src/bundle/manifest.ts';
import { inspectBundle, openBundle } from '../../src/bundle/reader.ts';
import { parseTrustRoot, type TrustRoot } from '../../src/bundle/trust.ts';
import { verifyBundle } from '../../src/bundle/verify.ts';
import { craft, rootOf, testKey, type CraftedMember, type CraftOptions } from './craft.ts';
import { ceremony, link, rootBytes, rootsJson, type Link } from './craft-roots.ts';
import { codes, failure, KEY, memorySource, outcome, ROOT } from './kit.ts';

const { a, b, c, d, e, f, old, next } = ceremony();
const OLD = parseTrustRoot(rootBytes(old));
const NEW = parseTrustRoot(rootBytes(next));
const good = rootsJson([link(next, [a, b, d, e])]);
const images = { system: Buffer.alloc(70_000, 'system '), storage: Buffer.alloc(900, 'storage ') };

/** A bundle that brings `bytes`. */
function bringing(bytes: Buffer, options: CraftOptions = {}, version = 2): Buffer {
  return craft({ images, roots: { bytes, version }, keys: [d, e], ...options });
}

const opening =
  (bytes: Buffer, root: TrustRoot = OLD) =>
  async (): Promise<unknown> =>
    await openBundle(memorySource(bytes), root);
const with_ = (links: readonly Link[], version = 2): (() => Promise<unknown>) =>
  opening(bringing(rootsJson(links), {}, version));

await t.test('judged by the root that it brings, from a node that has the old one', async (t) => {
  const bundle = bringing(good);
  const found = await verifyBundle(memorySource(bundle), OLD);
  t.equal(found.root.version, 2);
  t.equal(found.rotation?.version, 2);
  t.ok(Buffer.from(found.rotation!.root).equals(rootBytes(next)), 'the exact bytes to keep');
  t.ok(Buffer.from(found.rotation!.roots).equals(good));
  t.same(found.signers.toSorted(), [d.keyid, e.keyid].toSorted());
  const again = await verifyBundle(memorySource(bundle), NEW);
  t.equal(again.rotation, null, 'a node that has it already gets nothing');
  const shown = await inspectBundle(memorySource(bundle));
  t.equal(shown.roots.length, 1);
  t.equal(found.headBytes, layoutOf(shown.manifestBytes.length, shown.manifest).headBytes);
});

await codes('who has to sign', [
  ['two new keys', 'ok', opening(bringing(good))],
  ['an old and a new one', 'trust.untrusted', opening(bringing(good, { keys: [a, d] }))],
  ['the old keys alone', 'trust.untrusted', opening(bringing(good, { keys: [a, b, c] }))],
  ['all of them', 'ok', opening(bringing(good, { keys: [a, b, d, e, f] }))],
  ['nobody', 'trust.untrusted', opening(bringing(good, { keys: [] }))],
  ['one old key signed the root', 'trust.rotation', with_([link(next, [a, d, e])])],
  ['one new key signed the root', 'trust.rotation', with_([link(next, [a, b, d])])],
  ['a root of strangers', 'trust.rotation', with_([link({ version: 2, keys: [testKey()] }, [])])],
  ['a missing version', 'trust.rotation', with_([link({ ...next, version: 3 }, [a, b, d, e])], 3)],
  ['another node', 'trust.rotation', opening(bringing(good), ROOT)],
  ['without it', 'trust.untrusted', opening(craft({ images, keys: [d, e] }))],
  ['without it, on a node that has it', 'ok', opening(craft({ images, keys: [d, e] }), NEW)],
  ['an old bundle there', 'trust.untrusted', opening(craft({ images, keys: [a, b] }), NEW)],
]);

await t.test('a root that failed its check is not kept (CVE-2020-15163)', async (t) => {
  const evil = link({ version: 2, keys: [KEY] }, [a, KEY]);
  const bundle = bringing(rootsJson([evil]), { keys: [KEY] });
  const error = await failure(opening(bundle));
  t.match(error, { code: 'trust.rotation', exit: 13, detail: { version: 2, found: 1 } });
  t.equal(OLD.version, 1, 'nothing of it is in the root that judged');
  t.notOk(OLD.keys.has(KEY.keyid as never));
});

await t.test('three versions at once, and nodes in between', async (t) => {
  const third = { version: 3, keys: [f, a], threshold: 2 };
  const links = [link(next, [a, b, d, e]), link(third, [d, e, f, a])];
  const bundle = bringing(rootsJson(links), { keys: [f, a] }, 3);
  for (const root of [OLD, NEW]) {
    const found = await verifyBundle(memorySource(bundle), root);
    t.equal(found.rotation?.version, 3);
    t.ok(Buffer.from(found.rotation!.root).equals(links[1]!.root));
  }
});

const renamed = (members: CraftedMember[], at: number, name: string): CraftedMember[] =>
  members.map((one, i) => (i === at ? { name, data: one.data } : one));
const exchanged = rootsJson([link(next, [a, b, c, d, e])]);
const bend = (change: CraftOptions) => opening(bringing(good, { keys: [a, b, d, e], ...change }));
await codes('the signed manifest says what was judged', [
  ['as it should be', 'ok', bend({})],
  ['other roots, as good', 'bundle.damaged', bend({ members: put(exchanged) })],
  ['no member', 'bundle.truncated', bend({ members: (list) => list.filter((_, i) => i !== 2) })],
  ['no field', 'bundle.trailing_data', bend({ manifest: without('root', 'requires') })],
  ['not required', 'bundle.invalid_manifest', bend({ manifest: (m) => (m.requires = []) })],
  ['required, no field', 'bundle.invalid_manifest', bend({ manifest: (m) => delete m.root })],
  ['another version', 'bundle.invalid_manifest', bend({ manifest: (m) => (m.root.version = 3) })],
  ['another size', 'bundle.trailing_data', bend({ manifest: (m) => (m.root.sizeBytes -= 512) })],
  ['an empty digest', 'bundle.invalid_manifest', bend({ manifest: (m) => (m.root.sha256 = '') })],
  ['another name', 'bundle.damaged', bend({ members: (list) => renamed(list, 2, 'root.json') })],
  [
    'at the end',
    'bundle.damaged',
    bend({ members: ([x, y, z, ...rest]) => [x!, y!, ...rest, z!] }),
  ],
  [
    'twice',
    'bundle.trailing_data',
    bend({ members: ([x, y, z, ...rest]) => [x!, y!, z!, z!, ...rest] }),
  ],
]);

function put(bytes: Buffer): NonNullable<CraftOptions['members']> {
  return (list) => list.map((one, i) => (i === 2 ? { name: one.name, data: bytes } : one));
}

function without(...names: string[]): NonNullable<CraftOptions['manifest']> {
  return (manifest) => {
    for (const name of names) delete manifest[name];
    manifest.requires = [];
  };
}

await t.test('exchanged between its judgement and the check of its digest', async (t) => {
  // As large as the good one, and signed by enough keys: only its digest tells.
  const alike = bringing(rootsJson([link(next, [b, a, d, e])]));
  const bundle = bringing(good);
  const { layout } = await inspectBundle(memorySource(bundle));
  t.equal(alike.length, bundle.length);
  const plain = memorySource(bundle);
  let reads = 0;
  const readAt = async (offset: number, length: number): Promise<Uint8Array> => {
    if (offset !== layout.roots!.dataOffset) return await plain.readAt(offset, length);
    reads += 1;
    return await memorySource(reads === 1 ? alike : bundle).readAt(offset, length);
  };
  t.equal(await outcome(() => openBundle({ ...plain, readAt }, OLD)), 'bundle.damaged');
  t.equal(reads, 1, 'what was judged is what is compared');
});

await t.test('every byte of it: a flipped bit, and a cut', async (t) => {
  const bundle = bringing(good);
  const shown = await inspectBundle(memorySource(bundle));
  const { roots, signature } = layoutOf(shown.manifestBytes.length, shown.manifest);
  const found = new Set<string>();
  const { headerOffset, dataOffset, endOffset } = roots!;
  for (let at = headerOffset; at < endOffset; at += at < dataOffset ? 3 : 11) {
    const changed = Buffer.from(bundle);
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    found.add(await outcome(opening(changed)));
  }
  t.same([...found], ['bundle.damaged'], 'header, content, padding');
  const edges = [dataOffset, dataOffset + roots!.sizeBytes, endOffset];
  const blocks = Array.from({ length: 6 }, (_, i) => signature.endOffset + 512 * i);
  for (const cut of [...edges.flatMap((edge) => [edge - 1, edge, edge + 1]), ...blocks]) {
    t.equal(await outcome(opening(bundle.subarray(0, cut))), 'bundle.truncated', `${cut} bytes`);
  }
});

await t.test('damage of what it brings is told apart from a foreign signature', async (t) => {
  const index = opening(craft({ images, keys: [d, e] }));
  t.equal(await outcome(index), 'trust.untrusted', 'an index follows: the signer is unknown');
  const error = await failure(bend({ keys: [d, e], members: (list) => renamed(list, 2, 'x') }));
  t.match(error, { code: 'bundle.damaged', message: /roots\.json/ });
});

await t.test('a program that does not know it refuses before anything else', async (t) => {
  // What the release before does: it judges with its root, then reads `requires`.
  const bundle = bringing(good, { keys: [a, b, d, e] });
  const { manifestBytes } = await inspectBundle(memorySource(bundle));
  const text = Buffer.from(manifestBytes).toString();
  t.ok(KNOWN_FEATURES.includes('root'));
  const later = Buffer.from(text.replace('"root"', '"root2"'));
  t.throws(() => parseManifest(later), { code: 'bundle.unknown_format', message: /root2/ });
  const plain = parseTrustRoot(Buffer.from(JSON.stringify(rootOf([a, b], 2))));
  t.equal(plain.version, 1, 'and its own root.json has not changed its form');
});
