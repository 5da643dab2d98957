/**
 * Signing: in place of the empty list and beside others, on another machine, with other tools; and
 * key files.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { makeBundle } from '../../src/bundle/builder.ts';
import { generateSigningKey, loadSigningKey, writeSigningKey } from '../../src/bundle/keys.ts';
import { inspectBundle } from '../../src/bundle/reader.ts';
import { planRoot, rootKeyFromFile, rootKeyOf, writeRoot } from '../../src/bundle/root-file.ts';
import { attachSignatures, signBundle, signManifestFile } from '../../src/bundle/sign.ts';
import { openFileSource } from '../../src/bundle/source.ts';
import { loadTrustRoot } from '../../src/bundle/trust.ts';
import { verifyBundle } from '../../src/bundle/verify.ts';
import { craft, testKey } from './craft.ts';
import * as foreign from './foreign-signers.ts';
import { failure, outcome } from './kit.ts';
import { run, sampleSpec, trusting } from './made.ts';

const [A, B] = [generateSigningKey(), generateSigningKey()] as const;

/** An unsigned bundle in a folder, with its manifest beside it. */
async function unsigned(dir: string): Promise<string> {
  writeFileSync(`${dir}/s.img`, Buffer.alloc(70_000, 'system'));
  const images = sampleSpec().images.slice(0, 1);
  const path = `${dir}/update.bin`;
  const made = await makeBundle(sampleSpec({ images }), { system: `${dir}/s.img` }, path);
  writeFileSync(`${dir}/manifest.json`, made.manifestBytes);
  return path;
}

async function verified(path: string, root = trusting([A, B], 2)): Promise<string> {
  return await outcome(async () => {
    await using source = await openFileSource(path);
    await verifyBundle(source, root);
  });
}

async function keyids(path: string): Promise<readonly string[]> {
  await using source = await openFileSource(path);
  return (await inspectBundle(source)).signatures.signatures.map(({ keyid }) => keyid);
}

await t.test('signatures add up; nothing else changes', async (t) => {
  const path = await unsigned(t.testdir({}));
  const before = readFileSync(path);
  t.same((await signBundle(path, [A])).keyids, [A.keyid]);
  t.equal(await verified(path), 'trust.untrusted', 'one of two');
  t.same((await signBundle(path, [A])).keyids, [A.keyid], 'again: replaced, not added');
  t.same((await signBundle(path, [B])).keyids, [A.keyid, B.keyid]);
  t.equal(await verified(path), 'ok');
  const after = readFileSync(path);
  t.equal(after.length, before.length);
  const start = before.indexOf('manifest.sig') + 512;
  t.ok(after.subarray(0, start).equals(before.subarray(0, start)));
  t.ok(after.subarray(start + 16_384).equals(before.subarray(start + 16_384)));
});

await t.test('only a whole bundle is signed', async (t) => {
  const path = await unsigned(t.testdir({}));
  const good = readFileSync(path);
  const flipped = Buffer.from(good);
  flipped[good.indexOf('TDMINDEX') + 60]! ^= 1;
  const bent: [string, Buffer, string][] = [
    ['cut', good.subarray(0, -600), 'bundle.truncated'],
    ['with something behind it', Buffer.concat([good, Buffer.alloc(10)]), 'bundle.trailing_data'],
    ['with a damaged index', flipped, 'bundle.damaged'],
    ['not a bundle', Buffer.alloc(2000, 'x'), 'bundle.wrong_type'],
    [
      'with an invalid manifest',
      craft({ manifest: (m) => delete m.product }),
      'bundle.invalid_manifest',
    ],
  ];
  for (const [name, bytes, code] of bent) {
    writeFileSync(path, bytes);
    t.equal(await outcome(() => signBundle(path, [A])), code, name);
    t.ok(readFileSync(path).equals(bytes), 'and it is left alone');
  }
});

await t.test('signed on another machine, which has the manifest alone', async (t) => {
  const dir = t.testdir({});
  const path = await unsigned(dir);
  const signed = await signManifestFile(`${dir}/manifest.json`, [A, B]);
  t.equal(signed.manifest.version, '2.0.0', 'the signer sees what is signed');
  writeFileSync(`${dir}/list.json`, signed.text);
  t.same((await attachSignatures(path, [`${dir}/list.json`])).keyids, [A.keyid, B.keyid]);
  t.equal(await verified(path), 'ok');
  const other = signed.text.replace(/"manifest":"../, '"manifest":"00');
  writeFileSync(`${dir}/other.json`, other);
  t.equal(
    await outcome(() => attachSignatures(path, [`${dir}/other.json`])),
    'bundle.invalid_input',
    'for another manifest',
  );
  writeFileSync(`${dir}/manifest.json`, '{"format":1}');
  const invalid = await outcome(() => signManifestFile(`${dir}/manifest.json`, [A]));
  t.equal(invalid, 'bundle.invalid_manifest', 'nothing is signed that nobody could read');
});

await t.test('signatures of ssh-keygen and minisign are attached', async (t) => {
  const dir = t.testdir({});
  const path = await unsigned(dir);
  const manifest = readFileSync(`${dir}/manifest.json`);
  const [ssh, mini] = [testKey(), testKey()] as const;
  const files = {
    'ssh.pub': `${foreign.sshPublic(ssh)} signer@example\n`,
    'ssh.sig': foreign.sshArmor(foreign.sshBlob(manifest, ssh)),
    'mini.pub': `untrusted comment: key\n${foreign.minisignPublic(mini)}\n`,
    'mini.sig': foreign.minisigFile(foreign.minisignBlob(manifest, mini), mini),
    'bad.sig': foreign.minisigFile(foreign.minisignBlob(Buffer.from('x'), mini), mini),
    'none.sig': 'no signature',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(`${dir}/${name}`, text);
  const rootPath = `${dir}/root.json`;
  const needed = await outcome(() => rootKeyFromFile(`${dir}/ssh.pub`, 'ssh', undefined));
  t.equal(needed, 'usage.invalid', 'an SSH key needs a namespace');
  const sshKey = await rootKeyFromFile(`${dir}/ssh.pub`, 'ssh', 'update@example');
  await writeRoot(rootPath, await planRoot(rootPath, sshKey, undefined));
  const miniKey = await rootKeyFromFile(`${dir}/mini.pub`, 'mini', undefined);
  await writeRoot(rootPath, await planRoot(rootPath, miniKey, 2));
  const root = await loadTrustRoot(rootPath);
  t.equal(root.version, 2);
  const attach = (name: string, trust = true) =>
    outcome(() => attachSignatures(path, [`${dir}/${name}`], ...(trust ? [root] : [])));
  t.equal(await attach('none.sig'), 'bundle.invalid_input');
  t.equal(await attach('bad.sig'), 'trust.untrusted');
  t.equal(await attach('mini.sig', false), 'bundle.invalid_input', 'names no key without a root');
  t.equal(await attach('ssh.sig', false), 'ok');
  t.equal(await verified(path, root), 'trust.untrusted');
  t.equal(await attach('mini.sig'), 'ok');
  t.equal(await verified(path, root), 'ok');
  t.same(await keyids(path), [ssh.keyid, mini.keyid]);
});

await t.test('a signature of the real ssh-keygen', async (t) => {
  const dir = t.testdir({});
  const path = await unsigned(dir);
  const keygen = ['-q', '-t', 'ed25519', '-N', '', '-C', 'signer', '-f', 'key'];
  if (run('ssh-keygen', keygen, dir) === undefined) {
    t.comment('ssh-keygen is not installed');
    return;
  }
  run(
    'ssh-keygen',
    ['-q', '-Y', 'sign', '-n', 'update@example', '-f', 'key', 'manifest.json'],
    dir,
  );
  const rootPath = `${dir}/root.json`;
  const key = await rootKeyFromFile(`${dir}/key.pub`, 'ssh', 'update@example');
  await writeRoot(rootPath, await planRoot(rootPath, key, undefined));
  const root = await loadTrustRoot(rootPath);
  await attachSignatures(path, [`${dir}/manifest.json.sig`], root);
  t.equal(await verified(path, root), 'ok');
  const [trusted] = root.keys.values();
  const elsewhere = {
    ...root,
    keys: new Map([[trusted!.keyid, { ...trusted!, namespace: 'git' }]]),
  };
  t.equal(await verified(path, elsewhere), 'trust.untrusted', 'another namespace');
});

await t.test('key files', async (t) => {
  const dir = t.testdir({ pem: 'no key' });
  const { key, keyPath, publicPath } = await writeSigningKey(`${dir}/keys`, 'release');
  t.equal(statSync(keyPath).mode & 0o777, 0o600);
  t.equal((await loadSigningKey(keyPath)).keyid, key.keyid);
  t.equal((await rootKeyFromFile(publicPath, 'x', undefined)).keyid, key.keyid);
  const again = await failure(() => writeSigningKey(`${dir}/keys`, 'release'));
  t.match(again, { code: 'usage.invalid', message: /not replaced/ });
  t.equal((await loadSigningKey(keyPath)).keyid, key.keyid, 'and it is still there');
  t.equal(await outcome(() => writeSigningKey(dir, '../x')), 'usage.invalid');
  t.equal(await outcome(() => loadSigningKey(`${dir}/pem`)), 'usage.invalid');
  t.equal(await outcome(() => loadSigningKey(publicPath)), 'usage.invalid');
  t.equal(await outcome(() => loadSigningKey(`${dir}/none`)), 'file.not_found');
  t.equal(await outcome(() => rootKeyFromFile(keyPath, 'x', undefined)), 'usage.invalid');
});

await t.test('a root is extended, never made unusable', async (t) => {
  const path = `${t.testdir({})}/root.json`;
  t.equal(await outcome(() => planRoot(path, rootKeyOf(A, 'a'), 2)), 'usage.invalid');
  await writeRoot(path, await planRoot(path, rootKeyOf(A, 'a'), undefined));
  t.equal(await outcome(() => planRoot(path, rootKeyOf(A, 'a'), 1)), 'usage.invalid', 'twice');
  const second = await planRoot(path, rootKeyOf(B, 'b'), 2);
  t.match(second, { version: 2, threshold: 2, keys: [{ keyid: A.keyid }, { keyid: B.keyid }] });
  writeFileSync(path, '{}');
  t.equal(await outcome(() => planRoot(path, rootKeyOf(B, 'b'), 1)), 'trust.no_root');
});
