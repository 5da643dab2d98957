/**
 * Who signed: the table of lists that count and lists that do not, for each scheme, and the order
 * of judging and parsing.
 */
import { hash, verify } from 'node:crypto';
import t from 'tap';
import type { UpdateError } from '../../src/core/errors.ts';
import { openBundle } from '../../src/bundle/reader.ts';
import {
  decodeSignatures,
  encodeSignatures,
  preAuthEncoding,
  verifySignatures,
  type SignatureEntry,
} from '../../src/bundle/signature.ts';
import { parseTrustRoot, type TrustRoot } from '../../src/bundle/trust.ts';
import { craft, dsse, listMember, rootOf, sha256, testKey, type TestKey } from './craft.ts';
import { minisignEntry, minisignPublic, sshEntry, sshPublic } from './foreign-signers.ts';
import { codes, failure, memorySource, outcome } from './kit.ts';

const MANIFEST = Buffer.from('{"any":"bytes"}');
const [A, B, C, STRANGER] = [testKey(), testKey(), testKey(), testKey()] as const;
const NAMESPACE = 'update@example';

interface Entry {
  readonly keyid: string;
  readonly scheme: string;
  readonly public: string;
  readonly namespace?: string;
  readonly revoked?: boolean;
}

const ed = (key: TestKey): Entry => ({
  keyid: key.keyid,
  scheme: 'ed25519',
  public: key.der.toString('base64'),
});
const ssh = (key: TestKey): Entry => ({
  keyid: key.keyid,
  scheme: 'sshsig',
  public: sshPublic(key),
  namespace: NAMESPACE,
});
const mini = (key: TestKey): Entry => ({
  keyid: key.keyid,
  scheme: 'minisign',
  public: minisignPublic(key),
});

function rootWith(threshold: number, ...keys: Entry[]): TrustRoot {
  const text = JSON.stringify({ schema: 1, version: 1, threshold, keys });
  return parseTrustRoot(Buffer.from(text));
}

const judge = (root: TrustRoot, signatures: readonly SignatureEntry[]) => (): unknown =>
  verifySignatures(MANIFEST, { manifest: sha256(MANIFEST), signatures }, root);

const sigA = dsse(MANIFEST, A);
const sigB = dsse(MANIFEST, B);
const two = rootWith(2, ed(A), ed(B), ed(C));
const revokedB = rootWith(1, ed(A), { ...ed(B), revoked: true });
const wrong = { ...sigB, sig: dsse(Buffer.from('other'), B).sig };
await codes('a threshold of distinct known keys', [
  ['one of one', 'ok', judge(rootWith(1, ed(A)), [sigA])],
  ['two of three', 'ok', judge(two, [sigA, sigB])],
  ['three of two', 'ok', judge(two, [sigA, sigB, dsse(MANIFEST, C)])],
  ['no signature (CVE-2020-10759)', 'trust.untrusted', judge(rootWith(1, ed(A)), [])],
  ['one of two', 'trust.untrusted', judge(two, [sigA])],
  ['one key twice (CVE-2020-15163)', 'trust.untrusted', judge(two, [sigA, sigA])],
  ['one key three times', 'trust.untrusted', judge(two, [sigA, sigA, sigA])],
  ['an unknown key', 'trust.untrusted', judge(rootWith(1, ed(A)), [dsse(MANIFEST, STRANGER)])],
  ['a known and an unknown key', 'trust.untrusted', judge(two, [sigA, dsse(MANIFEST, STRANGER)])],
  ['an unknown key beside enough', 'ok', judge(two, [dsse(MANIFEST, STRANGER), sigA, sigB])],
  ['a bad one beside enough', 'ok', judge(rootWith(1, ed(A), ed(B)), [wrong, sigA])],
  ['a bad one before a good one of the same key', 'ok', judge(rootWith(1, ed(B)), [wrong, sigB])],
  ['a signature of other bytes', 'trust.untrusted', judge(rootWith(1, ed(B)), [wrong])],
  ['a revoked key', 'trust.untrusted', judge(revokedB, [sigB])],
  ['a revoked key beside enough', 'ok', judge(revokedB, [sigB, sigA])],
  ['another key id', 'trust.untrusted', judge(two, [sigA, { ...sigA, keyid: B.keyid }])],
  [
    'an unknown scheme',
    'trust.untrusted',
    judge(rootWith(1, ed(A)), [{ ...sigA, scheme: 'none' }]),
  ],
  ['an empty signature', 'trust.untrusted', judge(rootWith(1, ed(A)), [{ ...sigA, sig: '' }])],
  [
    'a long one',
    'trust.untrusted',
    judge(rootWith(1, ed(A)), [{ ...sigA, sig: `${sigA.sig}AAAA` }]),
  ],
  ['not canonical', 'trust.untrusted', judge(rootWith(1, ed(A)), [{ ...sigA, sig: loose() }])],
  ['a threshold of 0 by mistake', 'trust.untrusted', judge({ ...two, threshold: 0 }, [])],
]);

function loose(): string {
  return sigA.sig.replace(/=+$/, '');
}

const ssha = rootWith(1, ssh(A));
const sshRow = (fields: Parameters<typeof sshEntry>[2]) =>
  judge(ssha, [sshEntry(MANIFEST, A, fields)]);
await codes('sshsig', [
  ['sha512', 'ok', sshRow({})],
  ['sha256', 'ok', sshRow({ hash: 'sha256' })],
  ['reserved bytes are covered', 'ok', sshRow({ reserved: 'x' })],
  ['another namespace', 'trust.untrusted', sshRow({ namespace: 'git' })],
  ['no namespace', 'trust.untrusted', sshRow({ namespace: '' })],
  ['a weak hash', 'trust.untrusted', sshRow({ hash: 'md5' })],
  ['another version', 'trust.untrusted', sshRow({ version: 2 })],
  ['another key type', 'trust.untrusted', sshRow({ keyType: 'ssh-rsa' })],
  ['another signature type', 'trust.untrusted', sshRow({ signatureType: 'rsa-sha2-512' })],
  ['bytes after the end', 'trust.untrusted', sshRow({ trailing: Buffer.alloc(4) })],
  ['a field more in the signature', 'trust.untrusted', sshRow({ inside: 'x' })],
  ['half a length after the end', 'trust.untrusted', sshRow({ trailing: Buffer.alloc(2) })],
  ['names a key that did not sign', 'trust.untrusted', sshRow({ claim: B })],
  ['a stranger under a known id', 'trust.untrusted', judge(ssha, [stranger('sshsig')])],
  ['the same key as ed25519', 'trust.untrusted', judge(ssha, [sigA])],
  ['an ed25519 key as sshsig', 'trust.untrusted', judge(two, [sshEntry(MANIFEST, A), sigB])],
]);

function stranger(scheme: 'sshsig' | 'minisign'): SignatureEntry {
  const entry =
    scheme === 'sshsig' ? sshEntry(MANIFEST, STRANGER) : minisignEntry(MANIFEST, STRANGER);
  return { ...entry, keyid: A.keyid };
}

const minia = rootWith(1, mini(A));
await codes('minisign', [
  ['prehashed', 'ok', judge(minia, [minisignEntry(MANIFEST, A)])],
  ['legacy', 'ok', judge(minia, [minisignEntry(MANIFEST, A, 'Ed')])],
  ['prehashed, called legacy', 'trust.untrusted', judge(minia, [relabel('Ed')])],
  ['another algorithm', 'trust.untrusted', judge(minia, [relabel('EX')])],
  [
    'another key number',
    'trust.untrusted',
    judge(minia, [minisignEntry(MANIFEST, A, 'ED', '00'.repeat(8))]),
  ],
  ['other bytes', 'trust.untrusted', judge(minia, [minisignEntry(Buffer.from('x'), A)])],
  ['a stranger under a known id', 'trust.untrusted', judge(minia, [stranger('minisign')])],
  [
    'one of each scheme',
    'ok',
    judge(rootWith(3, ed(A), ssh(B), mini(C)), [
      sigA,
      sshEntry(MANIFEST, B),
      minisignEntry(MANIFEST, C),
    ]),
  ],
]);

function relabel(algorithm: string): SignatureEntry {
  const entry = minisignEntry(MANIFEST, A);
  const blob = Buffer.from(entry.sig, 'base64');
  blob.write(algorithm);
  return { ...entry, sig: blob.toString('base64') };
}

await t.test('the pre-authentication encoding is that of DSSE', (t) => {
  const type = 'application/vnd.tandem.manifest.v1+json';
  const expected = `DSSEv1 ${type.length} ${type} ${MANIFEST.length} ${MANIFEST.toString()}`;
  t.equal(preAuthEncoding(MANIFEST).toString(), expected);
  t.notOk(verify(null, MANIFEST, A.private, Buffer.from(sigA.sig, 'base64')), 'never bare bytes');
  t.end();
});

await t.test('the refusal says why each signature did not count', async (t) => {
  const bad = [dsse(MANIFEST, STRANGER), sigB];
  const error: UpdateError | undefined = await failure(judge(revokedB, bad));
  t.match(error?.detail, { found: 0, expected: 1, signatures: 2 });
  const reasons = error?.detail?.['reasons'];
  t.match(reasons, [/does not name/, /revoked/]);
});

await codes('the form of manifest.sig', [
  ['canonical', 'ok', form((text) => text)],
  ['white space', 'bundle.damaged', form((text) => text.replace(',', ', '))],
  ['no JSON', 'bundle.damaged', form(() => 'none')],
  ['a list without the digest', 'bundle.damaged', form(() => '[]')],
  ['another field', 'bundle.damaged', form((text) => text.replace('{', '{"x":1,'))],
  ['a field twice', 'bundle.damaged', form((text) => text.replace('{', '{"signatures":[],'))],
  ['another order', 'bundle.damaged', form(() => '{"signatures":[],"manifest":"00"}')],
  ['too many', 'bundle.damaged', form(() => listOf(17))],
  ['deep', 'bundle.damaged', form(() => '['.repeat(2000))],
  ['as many as fit', 'ok', form(() => listOf(16))],
]);

function listOf(count: number): string {
  return JSON.stringify({
    manifest: sha256(MANIFEST),
    signatures: Array.from({ length: count }, () => sigA),
  });
}

function form(bend: (text: string) => string): () => unknown {
  const text = JSON.stringify({ manifest: sha256(MANIFEST), signatures: [sigA] });
  return () => decodeSignatures(listMember(bend(text)));
}

await t.test('what is encoded is decoded', (t) => {
  const list = { manifest: sha256(MANIFEST), signatures: [sigA, sigB] };
  t.same(decodeSignatures(encodeSignatures(list)), list);
  t.equal(encodeSignatures(list).length, 16_384);
  t.end();
});

await t.test('the signature is judged before the JSON is parsed (CVE-2026-28525)', async (t) => {
  const root = parseTrustRoot(Buffer.from(JSON.stringify(rootOf([A]))));
  const open = (keys: TestKey[], text: string) => async (): Promise<unknown> =>
    await openBundle(memorySource(craft({ keys, text: () => text })), root);
  for (const text of ['not JSON', '{"format":99}', '{"a":1,"a":2}', '['.repeat(5000)]) {
    t.equal(await outcome(open([STRANGER], text)), 'trust.untrusted', text.slice(0, 20));
    t.not(await outcome(open([A], text)), 'trust.untrusted', 'and then it is refused itself');
  }
});

await t.test('a list for another manifest', async (t) => {
  const list = { manifest: hash('sha256', 'other'), signatures: [sigA] };
  t.equal(await outcome(() => verifySignatures(MANIFEST, list, two)), 'bundle.damaged');
});
