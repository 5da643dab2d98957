/**
 * Keys of a node: files and their modes, certificates and their validity, the record of a pairing
 * and its damage, the pin. May import tap, node:, esbuild and the driver under test.
 */
import { execFile } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import t from 'tap';
import {
  assertPinned,
  createKeys,
  loadKeys,
  readNodeKeys,
  readPairRecord,
  tlsOptions,
  writePairRecord,
  type PairRecord,
} from '../../src/drivers/keys.ts';

const RECORD: PairRecord = {
  schema: 1,
  node: 'A',
  pair: '0123456789abcdef0123456789abcdef',
  peer: { node: 'B', spkiSha256: 'cd'.repeat(32) },
};
/** The two questions that are asked of a connection, with their answers. */
const socket = (certPem: string | undefined, reused = false): TLSSocket =>
  ({
    isSessionReused: () => reused,
    getPeerX509Certificate: () => certPem && new X509Certificate(certPem),
  }) as unknown as TLSSocket;
const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

await t.test('files and modes, whatever the umask and the directory were', async (t) => {
  const dir = t.testdir({ keys: {} });
  const keysDir = join(dir, 'keys');
  await chmod(keysDir, 0o755);
  const umask = process.umask(0);
  t.teardown(() => process.umask(umask));
  await createKeys(keysDir, 'A');
  await writePairRecord(keysDir, RECORD);
  t.equal(await modeOf(keysDir), 0o700);
  t.equal(await modeOf(join(keysDir, 'node.key')), 0o600);
  t.equal(await modeOf(join(keysDir, 'node.crt')), 0o644);
  t.equal(await modeOf(join(keysDir, 'pair.json')), 0o600);
  t.same((await readdir(keysDir)).toSorted(), ['node.crt', 'node.key', 'pair.json']);
});

await t.test('the certificate: P-256, self-signed, valid from 1970 to 9999', async (t) => {
  const keys = await createKeys(join(t.testdir(), 'keys'), 'B');
  const certificate = new X509Certificate(keys.certPem);
  t.equal(certificate.validFromDate.toISOString(), '1970-01-01T00:00:00.000Z');
  t.equal(certificate.validToDate.toISOString(), '9999-12-31T23:59:59.000Z');
  t.equal(certificate.subject, 'CN=tandem node B');
  t.ok(certificate.verify(certificate.publicKey));
  t.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
  t.equal(certificate.ca, false);
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  t.equal(keys.spkiSha256, createHash('sha256').update(spki).digest('hex'));
  t.match(keys.keyPem, /^-----BEGIN PRIVATE KEY-----\n(.{1,64}\n)+-----END PRIVATE KEY-----\n$/);
});

await t.test('keys are made once; half-made ones are made anew', async (t) => {
  const keysDir = join(t.testdir(), 'keys');
  t.equal(await readNodeKeys(keysDir), null);
  const first = await createKeys(keysDir, 'A');
  t.same(await createKeys(keysDir, 'A'), first);
  await rm(join(keysDir, 'node.crt'));
  const second = await createKeys(keysDir, 'A');
  t.not(second.spkiSha256, first.spkiSha256);
  await writeFile(join(keysDir, 'node.key'), first.keyPem);
  t.equal(await readNodeKeys(keysDir), null, 'a key and a certificate of two sets');
  const third = await createKeys(keysDir, 'A');
  t.same(await readNodeKeys(keysDir), third);
});

await t.test('a paired node never loses its key without a word', async (t) => {
  const keysDir = join(t.testdir(), 'keys');
  await t.rejects(loadKeys(keysDir), { code: 'pair.not_paired' });
  const own = await createKeys(keysDir, 'A');
  await t.rejects(loadKeys(keysDir), { code: 'pair.not_paired' });
  await writePairRecord(keysDir, RECORD);
  t.same(await loadKeys(keysDir), {
    ...own,
    node: 'A',
    pair: RECORD.pair,
    peerSpkiSha256: RECORD.peer.spkiSha256,
  });
  await truncate(join(keysDir, 'node.key'), 20);
  await t.rejects(loadKeys(keysDir), { code: 'pair.keys_damaged' });
  await t.rejects(createKeys(keysDir, 'A'), { code: 'pair.keys_damaged' });
});

await t.test('a damaged or newer record', async (t) => {
  const keysDir = join(t.testdir(), 'keys');
  await createKeys(keysDir, 'A');
  const path = join(keysDir, 'pair.json');
  const wrong = [
    '',
    '{',
    'null',
    '[]',
    '{"schema":1}',
    JSON.stringify({ ...RECORD, schema: 0 }),
    JSON.stringify({ ...RECORD, node: 'C' }),
    JSON.stringify({ ...RECORD, pair: 'x' }),
    JSON.stringify({ ...RECORD, pair: [RECORD.pair] }),
    JSON.stringify({ ...RECORD, peer: { ...RECORD.peer, node: 'A' } }),
    JSON.stringify({ ...RECORD, peer: { ...RECORD.peer, spkiSha256: 'CD'.repeat(32) } }),
  ];
  for (const text of wrong) {
    await writeFile(path, text);
    await t.rejects(loadKeys(keysDir), { code: 'pair.keys_damaged' }, text);
  }
  await writeFile(path, JSON.stringify({ ...RECORD, schema: 2 }));
  await t.rejects(loadKeys(keysDir), { code: 'state.newer_schema' });
  await writeFile(path, ' '.repeat(70_000));
  await t.rejects(loadKeys(keysDir), { code: 'file.unreadable' }, 'longer than any record');
  await rm(path);
  await mkdir(path);
  await t.rejects(loadKeys(keysDir), { code: 'file.unreadable' }, 'a directory');
  await rm(path, { recursive: true });
  await writeFile(path, JSON.stringify({ ...RECORD, later: 'field' }));
  t.match(await readPairRecord(keysDir), RECORD, 'unknown fields do no harm');
});

await t.test('the directory cannot be made', async (t) => {
  const dir = t.testdir({ file: '' });
  await t.rejects(createKeys(join(dir, 'file', 'keys'), 'A'), { code: 'state.io' });
});

await t.test('only the pinned key of a fresh handshake passes', async (t) => {
  const keys = await createKeys(join(t.testdir(), 'keys'), 'A');
  assertPinned(socket(keys.certPem), { peerSpkiSha256: keys.spkiSha256 });
  const wrong = { code: 'pair.wrong_peer' };
  const pin = { peerSpkiSha256: keys.spkiSha256 };
  t.throws(() => assertPinned(socket(keys.certPem, true), pin), wrong, 'resumed');
  t.throws(() => assertPinned(socket(undefined), pin), wrong, 'no certificate');
  const other = { peerSpkiSha256: 'ab'.repeat(32) };
  t.throws(() => assertPinned(socket(keys.certPem), other), wrong, 'another key');
  t.match(tlsOptions(keys), {
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    requestCert: true,
  });
});

await t.test('the program in one file makes keys, and loads that code only then', async (t) => {
  const dir = t.testdir({
    'entry.ts': `import { createKeys } from ${JSON.stringify(
      join(import.meta.dirname, '../../src/drivers/keys.ts'),
    )};
      console.log((await createKeys(process.argv[2], 'A')).spkiSha256);`,
  });
  const outfile = join(dir, 'program.mjs');
  const { metafile } = await build({
    entryPoints: [join(dir, 'entry.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    outfile,
    metafile: true,
    logLevel: 'silent',
  });
  const keysDir = join(dir, 'keys');
  const { stdout } = await promisify(execFile)(process.execPath, [outfile, keysDir]);
  t.equal(stdout.trim(), (await readNodeKeys(keysDir))?.spkiSha256);
  const importers = Object.entries(metafile.inputs).filter(([path]) => path.startsWith('src/'));
  const heavy = importers.flatMap(([, input]) =>
    input.imports.filter((i) => /peculiar|reflect-metadata/.test(i.path)).map((i) => i.kind),
  );
  t.same(heavy, ['dynamic-import', 'dynamic-import']);
  t.match(await readFile(join(keysDir, 'node.crt'), 'utf8'), /^-----BEGIN CERTIFICATE-----\n/);
});
