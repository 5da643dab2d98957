/**
 * Making a bundle: what comes out opens and is what went in, the same input gives the same bytes,
 * everyday tools read it, and what would be refused is not made.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { makeBundle, signBundle, type BundleSpec } from '../../src/bundle/builder.ts';
import { generateSigningKey } from '../../src/bundle/keys.ts';
import { openFileSource } from '../../src/bundle/source.ts';
import { loadSpec } from '../../src/bundle/spec.ts';
import { verifyBundle } from '../../src/bundle/verify.ts';
import type { Progress } from '../../src/core/model.ts';
import { sampleImages } from './craft.ts';
import { failure, outcome } from './kit.ts';
import { run, sampleSpec, trusting } from './made.ts';

const KEY = generateSigningKey();
const IMAGES = sampleImages();

/** A folder with the sample images, and a function that makes bundles in it. */
function workshop(dir: string) {
  const paths = { system: `${dir}/system.img`, storage: `${dir}/storage.img` };
  writeFileSync(paths.system, IMAGES['system']!);
  writeFileSync(paths.storage, IMAGES['storage']!);
  const out = `${dir}/update.bin`;
  return {
    paths,
    out,
    make: (spec = sampleSpec()) => makeBundle(spec, paths, out, { keys: [KEY] }),
  };
}

await t.test('what is made opens, and holds what went in', async (t) => {
  const { paths, out } = workshop(t.testdir({}));
  const seen: Progress[] = [];
  const options = { keys: [KEY], onProgress: (progress: Progress) => seen.push(progress) };
  const made = await makeBundle(sampleSpec(), paths, out, options);
  await using source = await openFileSource(out);
  const open = await verifyBundle(source, trusting([KEY]));
  t.equal(open.bundle, made.bundle);
  t.equal(open.sizeBytes, made.sizeBytes);
  t.same(open.manifest, made.manifest);
  t.same(
    open.images.map(({ records }) => records.map(({ kind }) => kind)),
    [[1, 0, 2, 2], [1]],
  );
  const total = IMAGES['system']!.length + IMAGES['storage']!.length;
  t.match(seen.at(-1), { doneBytes: total, totalBytes: total });
  t.ok(seen.every(({ doneBytes }, i) => doneBytes >= (seen[i - 1]?.doneBytes ?? 0)));
});

await t.test('the same input gives the same bytes', async (t) => {
  const first = workshop(t.testdir({ a: {}, b: {} }) + '/a');
  const second = workshop(`${t.testdirName}/b`);
  const spec = sampleSpec({ notes: 'n', created: '2026-11-21' });
  await first.make(spec);
  // Other order of fields, same meaning.
  await second.make(Object.fromEntries(Object.entries(spec).toReversed()) as never);
  t.ok(readFileSync(first.out).equals(readFileSync(second.out)));
  t.same(readdirSync(`${t.testdirName}/a`).toSorted(), ['storage.img', 'system.img', 'update.bin']);
});

await t.test('tar and zstd read it, and GNU tar makes the same bytes', async (t) => {
  const dir = t.testdir({ x: {} });
  const { make, out } = workshop(dir);
  await make();
  const names = run('tar', ['tf', out], dir)?.toString().trim().split('\n');
  if (names === undefined) {
    t.comment('tar is not installed');
    return;
  }
  const indexes = ['index/system.idx', 'index/storage.idx'];
  const images = ['image/system.zst', 'image/storage.zst'];
  t.same(names, ['manifest.json', 'manifest.sig', ...indexes, ...images]);
  run('tar', ['xf', out, '-C', 'x'], dir);
  for (const [name, raw] of Object.entries(IMAGES)) {
    const back = run('zstd', ['-dc', `x/image/${name}.zst`], dir);
    if (back !== undefined) t.ok(back.equals(raw), `zstd -d gives ${name}`);
  }
  if (run('tar', ['--version'], dir)?.includes('GNU') !== true) return;
  const flags = '--format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=0644 -b1';
  run('tar', [...flags.split(' '), '-C', 'x', '-cf', 'again.bin', ...names], dir);
  t.ok(readFileSync(`${dir}/again.bin`).equals(readFileSync(out)), 'B2.5');
});

const broken: [string, Partial<BundleSpec> | ((spec: BundleSpec) => object)][] = [
  ['a version against its system', { version: '1.9.0' }],
  ['a counter against its system', { releaseCounter: 19 }],
  ['no image', { images: [] }],
  ['chunks that are no power of two', { chunkBytes: 100_000 }],
  ['a range outside the grammar', { from: '~1.0.0' }],
  ['an unknown field', { extra: 1 } as never],
  ['two systems', (spec) => ({ images: [spec.images[0], { ...spec.images[0], name: 'b' }] })],
  ['only storage', (spec) => ({ images: [spec.images[1]] })],
  ['a path as a name', (spec) => ({ images: [{ ...spec.images[0], name: '../x' }] })],
  ['a computed field', (spec) => ({ images: [{ ...spec.images[0], rawBytes: 1 }] })],
];

await t.test('a spec that cannot become a bundle', async (t) => {
  const dir = t.testdir({});
  const { make } = workshop(dir);
  for (const [name, change] of broken) {
    const spec = sampleSpec();
    const bent = { ...spec, ...(typeof change === 'function' ? change(spec) : change) };
    t.equal(await outcome(() => make(bent)), 'bundle.invalid_input', name);
  }
  t.same(readdirSync(dir).toSorted(), ['storage.img', 'system.img'], 'nothing is left');
});

await t.test('images that cannot become a bundle', async (t) => {
  const dir = t.testdir({ empty: '', folder: {} });
  const { paths, out } = workshop(dir);
  const attempt = (images: Record<string, string>) =>
    outcome(() => makeBundle(sampleSpec(), { ...paths, ...images }, out));
  t.equal(await attempt({ system: `${dir}/empty` }), 'bundle.invalid_input');
  t.equal(await attempt({ system: `${dir}/folder` }), 'bundle.invalid_input');
  t.equal(await attempt({ system: `${dir}/missing` }), 'file.not_found');
  t.equal(await attempt({ other: paths.system }), 'bundle.invalid_input');
  t.equal(await attempt({ system: out }), 'bundle.invalid_input', 'would be replaced');
  const one = { system: paths.system };
  t.equal(await outcome(() => makeBundle(sampleSpec(), one, out)), 'bundle.invalid_input');
  const level = { level: 23 };
  t.equal(await outcome(() => makeBundle(sampleSpec(), paths, out, level)), 'bundle.invalid_input');
  const nowhere = `${dir}/none/update.bin`;
  t.equal(await outcome(() => makeBundle(sampleSpec(), paths, nowhere)), 'file.not_found');
  t.equal(
    await outcome(() => makeBundle(sampleSpec(), paths, `${dir}/folder`)),
    'bundle.not_a_file',
  );
  t.same(readdirSync(dir).toSorted(), ['empty', 'folder', 'storage.img', 'system.img']);
});

await t.test('versions and counters grow together from release to release', async (t) => {
  const dir = t.testdir({});
  const { paths, out, make } = workshop(dir);
  const { manifest } = await make();
  const next = (version: string, releaseCounter: number, storage = '1.5.0', counter = 15) => {
    const [system, other] = sampleSpec().images;
    const images = [
      { ...system!, version, counter: releaseCounter },
      { ...other!, version: storage, counter },
    ];
    const spec = sampleSpec({ version, releaseCounter, images });
    return outcome(() => makeBundle(spec, paths, out, { after: [manifest] }));
  };
  t.equal(await next('2.1.0', 21), 'ok');
  t.equal(await next('2.1.0', 21, '1.4.0', 14), 'ok', 'the storage software stays');
  t.equal(await next('1.9.0', 21), 'bundle.invalid_input');
  t.equal(await next('2.1.0', 19), 'bundle.invalid_input');
  t.equal(await next('2.1.0', 20), 'bundle.invalid_input');
  t.equal(await next('2.1.0', 21, '1.3.0', 15), 'bundle.invalid_input', 'in a component');
  const product = sampleSpec({ product: 'another' });
  const options = { after: [manifest] };
  t.equal(
    await outcome(() => makeBundle(product, paths, out, options)),
    'bundle.invalid_input',
    'of another product',
  );
});

await t.test('a failure keeps the old bundle', async (t) => {
  const dir = t.testdir({});
  const { paths, out, make } = workshop(dir);
  await make();
  const before = readFileSync(out);
  const stop = new AbortController();
  const reason = new Error('stop');
  const options = { signal: stop.signal, onProgress: () => stop.abort(reason) };
  await t.rejects(makeBundle(sampleSpec({ notes: 'n' }), paths, out, options), reason);
  t.ok(readFileSync(out).equals(before));
  t.same(readdirSync(dir).toSorted(), ['storage.img', 'system.img', 'update.bin']);
});

await t.test('an unsigned bundle is whole, and not trusted', async (t) => {
  const dir = t.testdir({});
  const { paths, out } = workshop(dir);
  const made = await makeBundle(sampleSpec(), paths, out);
  const open = async () => {
    await using source = await openFileSource(out);
    return await verifyBundle(source, trusting([KEY]));
  };
  t.equal(await outcome(open), 'trust.untrusted');
  await signBundle(out, [KEY]);
  t.equal((await open()).bundle, made.bundle);
});

await t.test('a spec file with comments; errors name the line', async (t) => {
  const text = JSON.stringify(sampleSpec(), undefined, 1);
  const dir = t.testdir({
    good: text.replace('{', '{ // comment\n'),
    comma: text.replace(/\n}$/, ',\n}'),
    bad: text.replace('"version"', 'version"'),
    field: text.replace('"from"', '"form"'),
  });
  mkdirSync(`${dir}/folder`);
  t.same(await loadSpec(`${dir}/good`), sampleSpec());
  t.same(await loadSpec(`${dir}/comma`), sampleSpec());
  const bad = await failure(() => loadSpec(`${dir}/bad`));
  t.match(bad, { code: 'bundle.invalid_input', message: /line 6/ });
  const field = await failure(() => loadSpec(`${dir}/field`));
  t.match(field, { code: 'bundle.invalid_input', message: /from/ });
  t.equal(await outcome(() => loadSpec(`${dir}/missing`)), 'file.not_found');
});
