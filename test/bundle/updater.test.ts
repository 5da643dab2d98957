/**
 * Bundles that bring an updater: where it is, what the signed manifest says of it, that every bit
 * of it is covered, and what a program says that does not know of it. May import tap and the bundle
 * room.
 */
import { hash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { makeBundle } from '../../src/bundle/builder.ts';
import { KNOWN_FEATURES, parseManifest } from '../../src/bundle/manifest.ts';
import { inspectBundle, openBundle, readUpdater } from '../../src/bundle/reader.ts';
import { generateSigningKey } from '../../src/bundle/keys.ts';
import { parseTrustRoot } from '../../src/bundle/trust.ts';
import { verifyBundle } from '../../src/bundle/verify.ts';
import { run } from '../cli/harness.ts';
import { memorySource, outcome } from './kit.ts';
import { sampleSpec } from './made.ts';

const PROGRAM = Buffer.from("console.log('9.1.0');\n".repeat(40));
const SPEC = sampleSpec({
  releaseCounter: 2,
  images: [{ name: 'system', class: 'system', version: '2.0.0', counter: 2, runsWith: '*' }],
});

async function makeAll(dir: string) {
  await mkdir(dir, { recursive: true });
  const file = (name: string): string => join(dir, name);
  await writeFile(file('system.img'), Buffer.alloc(70_000, 'system '));
  await writeFile(file('new.mjs'), PROGRAM.subarray(0, 22));
  const key = generateSigningKey();
  const keys = [{ keyid: key.keyid, scheme: 'ed25519', public: key.public }];
  const trusted = JSON.stringify({ schema: 1, version: 1, threshold: 1, keys });
  const root = parseTrustRoot(Buffer.from(trusted));
  const options = { keys: [key], updater: { version: '9.1.0', bytes: PROGRAM } };
  const images = { system: file('system.img') };
  const bundle = await makeBundle(SPEC, images, file('update.bin'), options);
  return { file, bundle, root, bytes: await readFile(file('update.bin')) };
}

t.test('a bundle with an updater', async (t) => {
  const { file, bundle, root, bytes } = await makeAll(t.testdir());
  const sha256 = hash('sha256', PROGRAM, 'hex');
  const brings = { version: '9.1.0', sizeBytes: PROGRAM.length, sha256 };
  t.match(bundle.manifest, { requires: ['updater'], updater: brings });
  const found = await verifyBundle(memorySource(bytes), root);
  const read = await readUpdater(memorySource(bytes), found);
  t.ok(Buffer.from(read ?? []).equals(PROGRAM), 'the exact bytes');
  const shown = await inspectBundle(memorySource(bytes));
  t.equal(shown.layout.updater?.name, 'updater.mjs');

  await t.test('every byte of it is covered', async (t) => {
    const { dataOffset, endOffset, headerOffset } = shown.layout.updater!;
    for (let at = headerOffset; at < endOffset; at += 97) {
      const bad = Buffer.from(bytes);
      bad[at]! ^= 0x10;
      t.equal(await outcome(() => openBundle(memorySource(bad), root)), 'bundle.damaged', `${at}`);
      const late = outcome(() => readUpdater(memorySource(bad), found));
      if (at >= dataOffset) t.equal(await late, 'bundle.damaged', 'when it is taken out, too');
    }
    const cut = bytes.subarray(0, dataOffset + 10);
    t.equal(await outcome(() => openBundle(memorySource(cut), root)), 'bundle.truncated');
  });

  await t.test('what is said and what is there must agree', async (t) => {
    t.ok(KNOWN_FEATURES.includes('updater'));
    const manifest = JSON.parse(Buffer.from(shown.manifestBytes).toString()) as object;
    const parsed = (change: object) => (): unknown =>
      parseManifest(Buffer.from(JSON.stringify({ ...manifest, ...change })));
    const cases: readonly (readonly [string, object])[] = [
      ['requires it and has none', { updater: undefined }],
      ['has one without requiring it', { requires: [] }],
      ['no version', { updater: { ...brings, version: 'new' } }],
      ['too large', { updater: { ...brings, sizeBytes: 17 * 1024 * 1024 } }],
      ['no digest', { updater: { ...brings, sha256: '' } }],
      ['more than is known', { updater: { ...brings, run: true } }],
    ];
    for (const [name, change] of cases) {
      t.equal(await outcome(parsed(change)), 'bundle.invalid_manifest', name);
    }
    t.equal(await outcome(parsed({ requires: ['updater', 'later'] })), 'bundle.unknown_format');
  });

  await t.test('a bundle without one', async (t) => {
    const images = { system: file('system.img') };
    const plain = await makeBundle(SPEC, images, file('plain.bin'));
    t.strictSame(plain.manifest.requires, []);
    t.notOk('updater' in plain.manifest);
  });

  await t.test('the command line takes the version from the program itself', async (t) => {
    await writeFile(file('spec.json'), JSON.stringify(SPEC));
    const image = `system=${file('system.img')}`;
    const make = ['bundle', 'make', file('spec.json'), '--image', image, '--json'];
    const good = await run([...make, '--out', file('b.bin'), '--updater', file('new.mjs')]);
    t.match(good.json(), { manifest: { updater: { version: '9.1.0', sizeBytes: 22 } } });
    await writeFile(file('bad.mjs'), 'process.exit(3);');
    const bad = await run([...make, '--out', file('c.bin'), '--updater', file('bad.mjs')]);
    t.match(bad.json(), { error: { code: 'bundle.invalid_input' } });
  });
});
