/**
 * The trust root: every way in which a root is none, because no root means that nothing is
 * accepted.
 */
import { chmodSync } from 'node:fs';
import t from 'tap';
import { parsePublicKey } from '../../src/bundle/keys.ts';
import { loadTrustRoot, parseTrustRoot } from '../../src/bundle/trust.ts';
import { rootOf, testKey } from './craft.ts';
import { minisignPublic, skRootKey, sshPublic } from './foreign-signers.ts';
import { codes, failure, outcome } from './kit.ts';

const [A, B, C] = [testKey(), testKey(), testKey()] as const;
const good = (): any => rootOf([A, B]); // oxlint-disable-line typescript/no-explicit-any

/** Root with something changed. */
function bent(bend: (root: ReturnType<typeof good>) => unknown): () => unknown {
  const root = good();
  bend(root);
  return text(JSON.stringify(root));
}

function text(content: string): () => unknown {
  return () => parseTrustRoot(Buffer.from(content));
}

const none = 'trust.no_root';
await codes('roots', [
  ['a good one', 'ok', bent(() => null)],
  ['empty', none, text('')],
  ['null', none, text('null')],
  ['an empty object', none, text('{}')],
  ['a list', none, text('[]')],
  ['no JSON', none, text('keys: all')],
  ['with a byte order mark', none, text(`\ufeff${JSON.stringify(good())}`)],
  ['a newer schema', none, bent((root) => (root.schema = 2))],
  ['no schema', none, bent((root) => delete root.schema)],
  ['version 0', none, bent((root) => (root.version = 0))],
  ['threshold 0', none, bent((root) => (root.threshold = 0))],
  ['threshold -1', none, bent((root) => (root.threshold = -1))],
  ['threshold 1.5', none, bent((root) => (root.threshold = 1.5))],
  ['threshold "1"', none, bent((root) => (root.threshold = '1'))],
  ['no threshold', none, bent((root) => delete root.threshold)],
  ['threshold above the keys', none, bent((root) => (root.threshold = 3))],
  ['threshold of all keys', 'ok', bent((root) => (root.threshold = 2))],
  ['no keys', none, bent((root) => (root.keys = []))],
  ['keys missing', none, bent((root) => delete root.keys)],
  ['a key twice', none, bent((root) => root.keys.push(root.keys[0]))],
  [
    'a key twice, once revoked',
    none,
    bent((root) => root.keys.push({ ...root.keys[0], revoked: true })),
  ],
  [
    'a key under two schemes',
    none,
    bent((root) => root.keys.push(ssh({ ...root.keys[0] }, 'x@y'))),
  ],
  ['a key under two numbers of minisign', none, bent((root) => root.keys.push(...twoNumbers()))],
  ['a security key', 'ok', bent((root) => (root.keys[0] = skRootKey(A)))],
  [
    'a security key as one in a file',
    none,
    bent((root) => (root.keys[0] = { ...skRootKey(A), scheme: 'sshsig' })),
  ],
  [
    'a security key without namespace',
    none,
    bent((root) => (root.keys[0] = { ...skRootKey(A), namespace: undefined })),
  ],
  [
    'two of three',
    'ok',
    bent((root) => Object.assign(root, { threshold: 2 }).keys.push(skRootKey(C))),
  ],
  [
    'all revoked',
    none,
    bent((root) => root.keys.forEach((key: object) => Object.assign(key, { revoked: true }))),
  ],
  ['one revoked', 'ok', bent((root) => (root.keys[0].revoked = true))],
  [
    'one revoked of two needed',
    none,
    bent((root) => (Object.assign(root, { threshold: 2 }).keys[0].revoked = true)),
  ],
  ['a misspelled field', none, bent((root) => (root.keys[0].revokd = true))],
  ['a field twice', none, text(JSON.stringify(good()).replace('{', '{"threshold":1,'))],
  ['the id of another key', none, bent((root) => (root.keys[0].keyid = 'ab'.repeat(32)))],
  [
    'an id in capitals',
    none,
    bent((root) => (root.keys[0].keyid = root.keys[0].keyid.toUpperCase())),
  ],
  ['no public key', none, bent((root) => (root.keys[0].public = ''))],
  ['a public key that is none', none, bent((root) => (root.keys[0].public = 'AAAA'))],
  ['an sshsig key without namespace', none, bent((root) => ssh(root.keys[0], undefined))],
  ['an sshsig key with an empty one', none, bent((root) => ssh(root.keys[0], ''))],
  ['an sshsig key', 'ok', bent((root) => ssh(root.keys[0], 'update@example'))],
  ['a key of a later scheme beside one', 'ok', bent((root) => (root.keys[0].scheme = 'ml-dsa-65'))],
  [
    'only keys of later schemes',
    none,
    bent((root) => root.keys.forEach((key: { scheme: string }) => (key.scheme = 'later'))),
  ],
  ['65 keys', none, bent((root) => (root.keys = Array.from({ length: 65 }, () => root.keys[0])))],
  ['too large', none, text(JSON.stringify(good()) + ' '.repeat(65_536))],
]);

/** One key, once under each of two numbers that minisign might have given it. */
function twoNumbers(): object[] {
  return ['00'.repeat(8), '11'.repeat(8)].map((number) => ({
    keyid: C.keyid,
    scheme: 'minisign',
    public: minisignPublic(C, number),
  }));
}

function ssh(key: Record<string, unknown>, namespace: string | undefined) {
  Object.assign(key, { scheme: 'sshsig', public: sshPublic(A) });
  if (namespace !== undefined) key['namespace'] = namespace;
  return key;
}

await t.test('files that are no root: nothing is accepted', async (t) => {
  const content = JSON.stringify(good());
  const dir = t.testdir({ 'root.json': content, empty: '', folder: {}, secret: content });
  chmodSync(`${dir}/secret`, 0);
  t.equal(await outcome(() => loadTrustRoot(`${dir}/root.json`)), 'ok');
  for (const name of ['missing', 'empty', 'folder', 'root.json/x']) {
    const error = await failure(() => loadTrustRoot(`${dir}/${name}`));
    t.equal(error?.code, none, name);
    t.equal(error?.exit, 13);
    t.match(error?.message, name, 'names the path');
  }
  const asRoot = process.getuid?.() === 0;
  const secret = await outcome(() => loadTrustRoot(`${dir}/secret`));
  t.equal(secret, asRoot ? 'ok' : none, 'unreadable, unless we are root');
});

await t.test('key ids do not depend on the encoding', (t) => {
  const texts = {
    ed25519: A.der.toString('base64'),
    sshsig: `${sshPublic(A)} somebody@example`,
    minisign: minisignPublic(A),
  } as const;
  for (const scheme of ['ed25519', 'sshsig', 'minisign'] as const) {
    t.equal(parsePublicKey(scheme, texts[scheme])?.keyid, A.keyid, scheme);
    t.equal(parsePublicKey(scheme, texts[scheme].slice(0, 40)), undefined);
    t.equal(parsePublicKey(scheme, 'x'), undefined);
  }
  t.end();
});
