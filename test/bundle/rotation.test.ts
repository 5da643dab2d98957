/**
 * From one trust root to the next: every way in which a new root is refused, with the one reason
 * for it, and chains of them.
 */
import t from 'tap';
import { decodeRoots, encodeRoots, followRoots } from '../../src/bundle/rotation.ts';
import { parseTrustRoot } from '../../src/bundle/trust.ts';
import { dsse, testKey } from './craft.ts';
import { ceremony, dsseRoot, link, rootBytes, rootsJson, type Link } from './craft-roots.ts';
import { codes, failure } from './kit.ts';

const { a, b, c, d, e, f, old, next } = ceremony();
const OLD = parseTrustRoot(rootBytes(old));
const stranger = testKey();
const all = [a, b, d, e];

/** The version that these lead to. */
const lead = (links: readonly Link[], from = OLD): number =>
  followRoots(from, decodeRoots(rootsJson(links))).root.version;
const row = (links: readonly Link[]) => (): unknown => lead(links);
const refused = 'trust.rotation';
const ok = 'ok';
const signed = (words = next, by = all): Link => link(words, by);
const swapped = (one: Link, root: Buffer): Link => ({ ...one, root });

await codes('thresholds of the old and of the new keys', [
  ['two of each', ok, row([signed()])],
  ['two old, three new', ok, row([signed(next, [...all, f])])],
  ['no signature (CVE-2020-10759)', refused, row([signed(next, [])])],
  ['one old, two new', refused, row([signed(next, [a, d, e])])],
  ['two old, one new', refused, row([signed(next, [a, b, d])])],
  ['only old keys', refused, row([signed(next, [a, b, c])])],
  ['only new keys', refused, row([signed(next, [d, e, f])])],
  ['one old key twice (CVE-2020-15163)', refused, row([signed(next, [a, a, d, e])])],
  ['one new key twice', refused, row([signed(next, [a, b, d, d])])],
  ['strangers', refused, row([signed(next, [stranger, stranger, d, e])])],
  ['a key of both counts for both', ok, row([signed({ ...next, keys: [a, b] }, [a, b])])],
  ['one of both and one of each', ok, row([signed({ ...next, keys: [a, d] }, [a, b, d])])],
  ['a key under the id of another', refused, row([forged()])],
  ['a signature of a manifest is none of a root', refused, row([asManifest()])],
  [
    'signatures of another root',
    refused,
    row([swapped(signed(), rootBytes({ ...next, threshold: 1 }))]),
  ],
]);

/** A signature of A that says that it is of B. */
function forged(): Link {
  const one = signed();
  const [first, , ...rest] = one.signatures;
  return { ...one, signatures: [first!, { ...first!, keyid: b.keyid }, ...rest] };
}

function asManifest(): Link {
  const root = rootBytes(next);
  return { version: 2, root, signatures: all.map((key) => dsse(root, key)) };
}

await t.test('every signature over other bytes: none counts', async (t) => {
  const one = signed();
  const other = rootBytes({ ...next, threshold: 1 });
  t.throws(() => lead([swapped(one, other)]), { code: refused, message: /0 signatures of old/ });
  const signatures = all.map((key) => dsseRoot(other, key));
  const error = await failure(() => lead([{ ...one, signatures }]));
  t.match(error?.detail, { found: 0, expected: 2, keys: 'old', version: 2 });
});

const third = { ...next, version: 3, keys: [f, stranger] };
await codes('versions', [
  ['the next one', ok, row([signed()])],
  ['a missing one', refused, row([signed(third, [a, b, f, stranger])])],
  [
    'its bytes say another one',
    refused,
    row([{ ...signed(third, [a, b, f, stranger]), version: 2 }]),
  ],
  ['the same version once more, with other keys', ok, row([signed({ ...next, version: 1 }, [])])],
  ['two steps', ok, row([signed(), signed(third, [d, e, f, stranger])])],
  [
    'the second step signed by the first keys only',
    refused,
    row([signed(), signed(third, [a, b, f])]),
  ],
  ['a gap in the list', 'bundle.damaged', row([signed(), signed({ ...third, version: 4 })])],
  ['backwards in the list', 'bundle.damaged', row([signed(), signed({ ...next, version: 1 })])],
  ['twice in the list', 'bundle.damaged', row([signed(), signed()])],
]);

await t.test('a version never goes back, and what a node has already is passed over', (t) => {
  const evil = link({ version: 1, keys: [stranger] }, [stranger]);
  t.equal(lead([evil]), 1);
  t.equal(followRoots(OLD, decodeRoots(rootsJson([evil]))).root, OLD, 'not even the same version');
  const links = [signed(), signed(third, [d, e, f, stranger])];
  t.equal(lead(links), 3);
  const second = followRoots(OLD, decodeRoots(rootsJson(links.slice(0, 1))));
  t.equal(second.root.version, 2);
  t.ok(Buffer.from(second.bytes ?? []).equals(links[0]!.root), 'the exact bytes that were signed');
  const from = followRoots(second.root, decodeRoots(rootsJson(links)));
  t.equal(from.root.version, 3);
  t.equal(followRoots(from.root, decodeRoots(rootsJson(links))).bytes, null);
  t.end();
});

const root = (words: object): Link => {
  const bytes = Buffer.from(JSON.stringify(words));
  return { version: 2, root: bytes, signatures: all.map((key) => dsseRoot(bytes, key)) };
};
const good = JSON.parse(rootBytes(next).toString()) as { keys: object[] };
await codes('a root that could not be used is refused, whoever signed it', [
  ['as it is', ok, row([root(good)])],
  ['no keys', refused, row([root({ ...good, keys: [] })])],
  ['a threshold that nobody reaches', refused, row([root({ ...good, threshold: 4 })])],
  ['a threshold of 0', refused, row([root({ ...good, threshold: 0 })])],
  ['keys of a later scheme alone', refused, row([root(laterKeys())])],
  ['a later schema', refused, row([root({ ...good, schema: 2 })])],
  ['an unknown field', refused, row([root({ ...good, expires: '2030' })])],
  ['no JSON', refused, row([raw('none')])],
  ['a field twice', refused, row([raw(rootBytes(next).toString().replace('{', '{"version":2,'))])],
  ['larger than a root may be', 'bundle.damaged', row([raw(' '.repeat(70_000))])],
]);

function laterKeys(): object {
  return { ...good, keys: good.keys.map((key) => ({ ...key, scheme: 'ml-dsa-65' })) };
}

function raw(text: string): Link {
  const bytes = Buffer.from(text);
  return { version: 2, root: bytes, signatures: all.map((key) => dsseRoot(bytes, key)) };
}

await t.test(
  'the old keys are judged before the new bytes are parsed (CVE-2026-28525)',
  async (t) => {
    for (const text of ['not JSON', '['.repeat(500), '{"keys":1,"keys":2}']) {
      const bytes = Buffer.from(text);
      const one = { version: 2, root: bytes, signatures: [dsseRoot(bytes, d)] };
      const error = await failure(() => lead([one]));
      t.match(error?.message, /signatures of old keys/, 'nothing of the text is said');
    }
  },
);

await t.test('revoked and removed keys', (t) => {
  const without = parseTrustRoot(rootBytes({ ...old, keys: [a, b], revoked: [c] }));
  const two = { ...next, keys: [d, e, a] };
  t.equal(lead([signed(two, [a, b, d, e])], without), 2);
  t.throws(() => lead([signed(two, [a, c, d, e])], without), { code: refused, message: /revoked/ });
  const revoking = { ...next, keys: [d, e], revoked: [a, b, c] };
  const after = followRoots(OLD, decodeRoots(rootsJson([signed(revoking)]))).root;
  t.equal(after.revoked.size, 3);
  const back = { ...old, version: 3 };
  t.throws(() => lead([signed(back, [a, b, c])], after), { code: refused }, 'they cannot return');
  t.equal(lead([signed(back, [a, b, d, e])], after), 3, 'unless the new ones want them');
  t.end();
});

const bytes = rootsJson([signed()]);
const text = bytes.toString();
const form = (change: string) => (): unknown => decodeRoots(Buffer.from(change));
await codes('the form of roots.json', [
  ['canonical', ok, form(text)],
  ['empty', 'bundle.damaged', form('')],
  ['no root', 'bundle.damaged', () => decodeRoots(rootsJson([]))],
  ['no line feed', 'bundle.damaged', form(text.trimEnd())],
  ['white space', 'bundle.damaged', form(text.replace(',', ', '))],
  ['another digest', 'bundle.damaged', form(text.replace(/"sha256":"../, '"sha256":"zz'))],
  [
    'a digest of something else',
    'bundle.damaged',
    form(text.replace(/"sha256":".{64}/, `"sha256":"${'0'.repeat(64)}`)),
  ],
  ['another field', 'bundle.damaged', form(text.replace('{', '{"x":1,'))],
  ['a field twice', 'bundle.damaged', form(text.replace('{', '{"roots":[],'))],
  ['another order', 'bundle.damaged', () => decodeRoots(rootsJson([signed()], reordered))],
  [
    'base64 that is not canonical',
    'bundle.damaged',
    () => decodeRoots(rootsJson([signed()], loose)),
  ],
  [
    'a version of 1.5',
    'bundle.damaged',
    () => decodeRoots(rootsJson([{ ...signed(), version: 1.5 }])),
  ],
  ['17 roots', 'bundle.damaged', () => decodeRoots(rootsJson(many(17)))],
  ['16 roots', ok, () => decodeRoots(rootsJson(many(16)))],
  [
    '65 signatures',
    'bundle.damaged',
    () =>
      decodeRoots(
        rootsJson([
          signed(
            next,
            Array.from({ length: 65 }, () => a),
          ),
        ]),
      ),
  ],
  ['too large', 'bundle.damaged', form(text + ' '.repeat(1024 * 1024))],
]);

function many(count: number): Link[] {
  return Array.from({ length: count }, (_, i) => ({ ...signed(), version: i + 2 }));
}

function reordered(list: string): string {
  return list.replace(/"version":2,("root":"[^"]*")/, '$1,"version":2');
}

function loose(list: string): string {
  return list.replace(/"root":"([^"=]*)=*"/, '"root":"$1 "');
}

await t.test('what is encoded is decoded, and the second maker agrees', (t) => {
  t.ok(encodeRoots(decodeRoots(bytes)).equals(bytes));
  t.throws(() => encodeRoots([]), { code: 'bundle.invalid_input' });
  t.end();
});
