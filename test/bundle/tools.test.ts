/**
 * Signatures of the tools that people sign with, of bundles and of trust roots: what ssh-keygen,
 * minisign and openssl of Debian 12 really made is recorded here and judged in every run, and where
 * a tool is installed it signs anew. Security keys: recorded with ssh-keygen and a software token
 * as its provider; what this test signs as one is judged by ssh-keygen too.
 */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { makeBundle } from '../../src/bundle/builder.ts';
import { openBundle } from '../../src/bundle/reader.ts';
import { loadRoots, signRoot } from '../../src/bundle/root-sign.ts';
import { nextRootFile, rootKeyFromFile, writeRoot } from '../../src/bundle/root-file.ts';
import { followRoots } from '../../src/bundle/rotation.ts';
import { attachSignatures, bytesToSign } from '../../src/bundle/sign.ts';
import { verifySignatures } from '../../src/bundle/signature.ts';
import { openFileSource } from '../../src/bundle/source.ts';
import { loadTrustRoot, parseTrustRoot, type RootKey } from '../../src/bundle/trust.ts';
import { sha256, testKey } from './craft.ts';
import * as foreign from './foreign-signers.ts';
import { codes, failure, outcome } from './kit.ts';
import { run, sampleSpec } from './made.ts';

const MESSAGE = Buffer.from('{"any":"bytes"}');
const NAMESPACE = 'update@example';
const SK = 'sk-ssh-ed25519@openssh.com ';
const SSHSIG = 'U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg';

/** A public key as it stands in the tool's own file, and what the tool signed with it. */
interface Recorded {
  readonly name: string;
  /** Content of the .pub file. */
  readonly pub: string;
  readonly scheme: string;
  /** What stands in the list for it. */
  readonly sig: string;
}

const ED_PUB =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJrjur5TvsKPY+Q8U2xjRrnhDAWmKO4KkdsOEZEGewbd signer\n';
const SK_PUB =
  SK +
  'AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIMUlHKdpcEaxUQFU7UkWxf3X3fy6Rl/scfNs' +
  'L86+ko6wAAAABHNzaDo= signer\n';
const SK_UNTOUCHED_PUB =
  SK +
  'AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIDxLZpRHpyDsfmnW+4W3hRqY0bQfGS7HXqTm' +
  'H31g8GfeAAAABHNzaDo= signer\n';
const MINI_PUB =
  'untrusted comment: minisign public key 777966BEACBF73C6\n' +
  'RWTGc7+svmZ5d7Z8QtRz9EP9Xnl3XMEyQII57JS3L/W6dd8RMmt7XDoR\n';
const OPENSSL_PUB =
  '-----BEGIN PUBLIC KEY-----\n' +
  'MCowBQYDK2VwAyEAOKdfc4xwG+l5EmKY3RnxDJI61+77nHCNKYKjG1oLDJg=\n' +
  '-----END PUBLIC KEY-----\n';

const RECORDED: readonly Recorded[] = [
  {
    name: 'ssh-keygen -Y sign',
    pub: ED_PUB,
    scheme: 'sshsig',
    sig:
      SSHSIG +
      'muO6vlO+wo9j5DxTbGNGueEMBaYo7gqR2w4RkQZ7Bt0AAAAOdXBkYXRlQGV4YW1wbGUAAAAAAAAABnNo' +
      'YTUxMgAAAFMAAAALc3NoLWVkMjU1MTkAAABAA3p1evIDxgM6j7b/zddxEzIiHrEUfiKsfx4d6GHeNhxy' +
      'hfDPyPFkuNRhfSjnxjsV/S7A2ndi1FhPBCNAUIdbAw==',
  },
  {
    name: 'ssh-keygen -Y sign -O hashalg=sha256',
    pub: ED_PUB,
    scheme: 'sshsig',
    sig:
      SSHSIG +
      'muO6vlO+wo9j5DxTbGNGueEMBaYo7gqR2w4RkQZ7Bt0AAAAOdXBkYXRlQGV4YW1wbGUAAAAAAAAABnNo' +
      'YTI1NgAAAFMAAAALc3NoLWVkMjU1MTkAAABAzL9hFa3JLNVf5YidWUiZC3RI/RKYIQbTRwds2tet1Lcm' +
      'JCpskDjsw9GK5WxxWrYSfIKoJ8pzh2JEREosyaDyDA==',
  },
  {
    name: 'ssh-keygen -Y sign with a security key',
    pub: SK_PUB,
    scheme: 'sshsig-sk',
    sig:
      'U1NIU0lHAAAAAQAAAEoAAAAac2stc3NoLWVkMjU1MTlAb3BlbnNzaC5jb20AAAAgxSUcp2lwRrFRAVTt' +
      'SRbF/dfd/LpGX+xx82wvzr6SjrAAAAAEc3NoOgAAAA51cGRhdGVAZXhhbXBsZQAAAAAAAAAGc2hhNTEy' +
      'AAAAZwAAABpzay1zc2gtZWQyNTUxOUBvcGVuc3NoLmNvbQAAAEAAyZkDh/FPoxCNa4rGZllAG7117DBA' +
      'NA5igeNWctCCQfMaPZPgTuxabxHeJDCrC18tfIZnhu0hH9N324T1z3kJAQECAwQ=',
  },
  {
    name: 'minisign -S',
    pub: MINI_PUB,
    scheme: 'minisign',
    sig:
      'RUTGc7+svmZ5d4J3jmwoehvfL99IA22mBaYvFoLm+dHAiuw8qYgSIT9tOl6+Z+fIfT1bi/ftQo9a+BU6' +
      'Q6pi2J0ELYeBAmPa2w4=',
  },
  {
    name: 'minisign -S -l',
    pub: MINI_PUB,
    scheme: 'minisign',
    sig:
      'RWTGc7+svmZ5d92WwXmz5oeISzzIBCgh4/gTIH8g/AVAlekPTn/nlFpIErZ/oFp/ThixMKLXgAeKtWQm' +
      'TG04bWAwL+yFBoiXQgs=',
  },
  {
    name: 'openssl pkeyutl -sign -rawin',
    pub: OPENSSL_PUB,
    scheme: 'ed25519',
    sig: 'YYsGIgvky6zwRGBO6GcU0cCyg6/TaRRm4OFVRoDgbccEd2ZNyViKANDtm01G6XkeHkDqZUIu/iBxvQEB3iRfDg==',
  },
];
const UNTOUCHED =
  'U1NIU0lHAAAAAQAAAEoAAAAac2stc3NoLWVkMjU1MTlAb3BlbnNzaC5jb20AAAAgPEtmlEenIOx+adb7' +
  'hbeFGpjRtB8ZLsdepOYffWDwZ94AAAAEc3NoOgAAAA51cGRhdGVAZXhhbXBsZQAAAAAAAAAGc2hhNTEy' +
  'AAAAZwAAABpzay1zc2gtZWQyNTUxOUBvcGVuc3NoLmNvbQAAAEDN4k9r1Jkg4yk4iCxxkcRuvOfrQ/dl' +
  'EIORMPHERzmG1nSB79v++DosgQZIjELH7uDFSLb0DXzJ7mdQZTWzhWcJAAECAwQ=';

/** Entry of a root for a .pub file. */
async function keyOf(dir: string, pub: string, namespace = NAMESPACE): Promise<RootKey> {
  writeFileSync(`${dir}/key.pub`, pub);
  return await rootKeyFromFile(`${dir}/key.pub`, 'key', namespace);
}

/** What judging one signature of `message` under one key ends with. */
function judged(key: RootKey, sig: string, message: Uint8Array = MESSAGE): Promise<string> {
  const text = JSON.stringify({ schema: 1, version: 1, threshold: 1, keys: [key] });
  const signatures = [{ keyid: key.keyid, scheme: key.scheme, sig }];
  return outcome(() =>
    verifySignatures(
      message,
      { manifest: sha256(message), signatures },
      parseTrustRoot(Buffer.from(text)),
    ),
  );
}

await t.test('recorded signatures of the real tools', async (t) => {
  const dir = t.testdir({});
  for (const { name, pub, scheme, sig } of RECORDED) {
    const key = await keyOf(dir, pub);
    t.equal(key.scheme, scheme, name);
    t.equal(await judged(key, sig), 'ok', name);
    t.equal(await judged(key, sig, Buffer.from('x')), 'trust.untrusted', 'other bytes');
    const blob = Buffer.from(sig, 'base64');
    let good = 0;
    for (let at = 0; at < blob.length; at += 3) {
      const flipped = Buffer.from(blob);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      if ((await judged(key, flipped.toString('base64'))) === 'ok') good += 1;
    }
    t.equal(good, 0, `${name}: no byte of it is free`);
    if (key.namespace === undefined) continue;
    const other = await keyOf(dir, pub, 'git');
    t.equal(await judged(other, sig), 'trust.untrusted', 'another namespace');
  }
});

await t.test('a security key that nobody touched', async (t) => {
  const key = await keyOf(t.testdir({}), SK_UNTOUCHED_PUB);
  t.equal(
    await judged(key, UNTOUCHED),
    'trust.untrusted',
    'ssh-keygen took it: -O no-touch-required',
  );
});

const [one, two] = [testKey(), testKey()] as const;
const skRow = (fields: foreign.SkFields) => async (): Promise<unknown> => {
  const text = JSON.stringify({
    schema: 1,
    version: 1,
    threshold: 1,
    keys: [foreign.skRootKey(one)],
  });
  const signatures = [foreign.skEntry(MESSAGE, one, fields)];
  const list = { manifest: sha256(MESSAGE), signatures };
  return await Promise.resolve(verifySignatures(MESSAGE, list, parseTrustRoot(Buffer.from(text))));
};
await codes('security keys', [
  ['touched', 'ok', skRow({})],
  ['touched and its PIN given', 'ok', skRow({ flags: 0x05 })],
  ['any counter', 'ok', skRow({ counter: 0xffff_ffff })],
  ['sha256', 'ok', skRow({ hash: 'sha256' })],
  ['not touched', 'trust.untrusted', skRow({ flags: 0x04 })],
  ['for another application', 'trust.untrusted', skRow({ application: 'ssh:evil' })],
  ['another namespace', 'trust.untrusted', skRow({ namespace: 'git' })],
  ['flags that were not signed', 'trust.untrusted', skRow({ flags: 0, claimFlags: 1 })],
  ['no flags', 'trust.untrusted', skRow({ cut: 5 })],
  ['half a counter', 'trust.untrusted', skRow({ cut: 2 })],
  ['bytes behind them', 'trust.untrusted', skRow({ inside: 'x' })],
  ['the type of a key in a file', 'trust.untrusted', skRow({ signatureType: 'ssh-ed25519' })],
  ['names a key that did not sign', 'trust.untrusted', skRow({ claim: two })],
]);

await t.test('a key in a file and a security key are not taken for each other', async (t) => {
  const file = { keyid: one.keyid, scheme: 'sshsig', public: foreign.sshPublic(one) };
  const sig = foreign.skEntry(MESSAGE, one, {}).sig;
  t.equal(await judged({ ...file, namespace: NAMESPACE }, sig), 'trust.untrusted');
  const plain = foreign.sshEntry(MESSAGE, one).sig;
  t.equal(await judged(foreign.skRootKey(one), plain), 'trust.untrusted');
  const named = { ...foreign.skRootKey(one), public: foreign.sshPublic(one) };
  t.equal(await judged(named, sig), 'trust.no_root', 'nor in the root');
});

await t.test('ssh-keygen takes what this test signs as a security key', (t) => {
  const dir = t.testdir({ message: MESSAGE });
  const sig = foreign.sshArmor(Buffer.from(foreign.skEntry(MESSAGE, one, {}).sig, 'base64'));
  writeFileSync(`${dir}/message.sig`, sig);
  const check = ['-Y', 'check-novalidate', '-n', NAMESPACE, '-s', 'message.sig'];
  const out = run(
    'sh',
    ['-c', `command -v ssh-keygen >/dev/null || exit 0; ssh-keygen ${check.join(' ')} <message`],
    dir,
  );
  if (out?.length === 0) t.comment('ssh-keygen is not installed');
  else t.match(out?.toString(), /^Good "update@example" signature with ED25519-SK key/);
  t.end();
});

/** A bundle without signatures and its manifest, a root that `root.json` is, and the next one. */
async function workplace(dir: string, key: RootKey) {
  writeFileSync(`${dir}/s.img`, Buffer.alloc(70_000, 'system'));
  const images = sampleSpec().images.slice(0, 1);
  const bundle = `${dir}/update.bin`;
  const made = await makeBundle(sampleSpec({ images }), { system: `${dir}/s.img` }, bundle);
  writeFileSync(`${dir}/manifest.json`, made.manifestBytes);
  const root = nextRootFile(undefined, { add: [key], revoke: [], remove: [] });
  await writeRoot(`${dir}/root.json`, root);
  const change = { add: [], revoke: [], remove: [], threshold: 1 };
  await writeRoot(`${dir}/next.json`, nextRootFile(root, change));
  return { bundle, root: await loadTrustRoot(`${dir}/root.json`) };
}

/** Attaches `sign(file)` to the bundle and to the next root, and judges both. */
async function wholeWay(
  t: Test,
  dir: string,
  key: RootKey,
  sign: (file: string, plain: string) => string,
): Promise<void> {
  const { bundle, root } = await workplace(dir, key);
  await attachSignatures(bundle, [sign('manifest.json', 'update.bin')], root);
  await using source = await openFileSource(bundle);
  t.same((await openBundle(source, root)).signers, [key.keyid]);
  const attach = [sign('next.json', 'next.json')];
  await signRoot(`${dir}/next.json`, `${dir}/roots.json`, { keys: [], attach, old: root });
  t.equal(followRoots(root, await loadRoots(`${dir}/roots.json`)).root.version, 2);
  const swapped = { keys: [], attach: [`${dir}/manifest.json.first`], old: root };
  copyFileSync(sign('manifest.json', 'update.bin'), `${dir}/manifest.json.first`);
  const wrong = await failure(() => signRoot(`${dir}/next.json`, `${dir}/roots.json`, swapped));
  t.match(wrong?.code, /^(trust\.untrusted|bundle\.invalid_input)$/, 'one of the other is refused');
}

await t.test('the real ssh-keygen signs a bundle and a root', async (t) => {
  const dir = t.testdir({});
  const words = ['-q', '-t', 'ed25519', '-N', '', '-C', 'signer', '-f', 'key'];
  if (run('ssh-keygen', words, dir) === undefined) return t.comment('ssh-keygen is not installed');
  const key = await keyOf(dir, readFileSync(`${dir}/key.pub`, 'utf8'));
  await wholeWay(t, dir, key, (file) => {
    run('rm', ['-f', `${file}.sig`], dir);
    run('ssh-keygen', ['-q', '-Y', 'sign', '-n', NAMESPACE, '-f', 'key', file], dir);
    return `${dir}/${file}.sig`;
  });
});

await t.test('the real minisign signs a bundle and a root, prehashed and not', async (t) => {
  for (const legacy of [[], ['-l']]) {
    const dir = t.testdir({});
    const words = ['-G', '-W', '-p', 'mini.pub', '-s', 'mini.key'];
    if (run('minisign', words, dir) === undefined) {
      return t.comment('minisign is not installed; its recorded signatures were judged above');
    }
    const key = await keyOf(dir, readFileSync(`${dir}/mini.pub`, 'utf8'));
    await wholeWay(t, dir, key, (file) => {
      run('minisign', ['-S', ...legacy, '-s', 'mini.key', '-m', file, '-x', `${file}.sig`], dir);
      return `${dir}/${file}.sig`;
    });
  }
});

await t.test('the real openssl signs a bundle and a root', async (t) => {
  const dir = t.testdir({});
  if (run('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', 'o.pem'], dir) === undefined) {
    return t.comment('openssl is not installed');
  }
  run('openssl', ['pkey', '-in', 'o.pem', '-pubout', '-out', 'o.pub'], dir);
  const key = await keyOf(dir, readFileSync(`${dir}/o.pub`, 'utf8'));
  const { bundle } = await workplace(dir, key);
  const bytes = new Map<string, Uint8Array>();
  for (const file of ['update.bin', 'next.json', 'manifest.json']) {
    const to = await bytesToSign(`${dir}/${file}`);
    bytes.set(file, to.bytes);
  }
  t.same(bytes.get('update.bin'), bytes.get('manifest.json'), 'a bundle is its manifest');
  t.equal(await outcome(() => bytesToSign(`${dir}/s.img`)), 'bundle.wrong_type');
  await wholeWay(t, dir, key, (file, plain) => {
    writeFileSync(`${dir}/to-sign`, bytes.get(plain)!);
    const words = ['pkeyutl', '-sign', '-rawin', '-inkey', 'o.pem', '-in', 'to-sign'];
    run('openssl', [...words, '-out', `${file}.sig`], dir);
    return `${dir}/${file}.sig`;
  });
  const nameless = await failure(() => attachSignatures(bundle, [`${dir}/manifest.json.sig`]));
  t.match(nameless, { code: 'bundle.invalid_input', message: /needs the trust root/ });
});
