/**
 * Deltas on their way into a slot: applied, begun and finished with the full bundle, and every base
 * that is not the right one. May import tap, node: and src.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { link, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { KIND } from '../../src/bundle/index-codec.ts';
import { openBundle, type OpenImage } from '../../src/bundle/reader.ts';
import { openFileSource } from '../../src/bundle/source.ts';
import { loadTrustRoot } from '../../src/bundle/trust.ts';
import type { UpdateError } from '../../src/core/errors.ts';
import { parseSha256 } from '../../src/core/model.ts';
import { explainBase } from '../../src/install/base-slot.ts';
import { Board } from '../../src/install/board.ts';
import { ChunkWork, type SlotJob } from '../../src/install/chunk-work.ts';
import { Hints } from '../../src/install/hint.ts';
import { installImages, type InstallRequest } from '../../src/install/pipeline.ts';
import type { InstallResult } from '../../src/install/protocol.ts';
import { CHUNK, imageOf, makeDeltaSample, makeReleases, noise } from './delta-sample.ts';
import type { DeltaSample } from './delta-sample.ts';
import { ENTRY, flipBit } from './sample.ts';

const RELEASES = await makeReleases(t.testdir());

async function install(
  request: InstallRequest,
  options: { readonly entry?: string | null } = {},
): Promise<InstallResult> {
  return await installImages(request, {
    entry: options.entry ?? null,
    signal: new AbortController().signal,
    onProgress: () => undefined,
  });
}

async function holds(sample: DeltaSample): Promise<boolean> {
  const { raw } = sample;
  const [system, storage] = [await sample.slot('system'), await sample.slot('storage')];
  return system.equals(raw.system) && storage.equals(raw.storage);
}

const blank = (sample: DeltaSample): void =>
  writeFileSync(join(sample.dir, 'progress'), Buffer.alloc(8192));

/** Fills the slots B with a pattern, so that every write to them shows. */
function pattern({ slots }: DeltaSample): void {
  for (const cls of ['system', 'storage'] as const) {
    const { path, sizeBytes } = slots.device(cls, 'B');
    writeFileSync(path, Buffer.alloc(sizeBytes, 0xee));
  }
}

/** True when no byte of the slots B was written. */
function untouched({ slots }: DeltaSample): boolean {
  return (['system', 'storage'] as const).every((cls) =>
    readFileSync(slots.device(cls, 'B').path).every((byte) => byte === 0xee),
  );
}

for (const [name, entry, readBack] of [
  ['one thread', null, true],
  ['two threads', ENTRY, true],
  ['no read-back', null, false],
] as const) {
  t.test(`a delta gives the new images: ${name}`, async (t) => {
    const sample = await makeDeltaSample(t.testdir(), RELEASES);
    const before = await readFile(sample.slots.device('system', 'A').path);
    const done = await install(sample.request(sample.paths.delta, { readBack }), { entry });
    t.ok(await holds(sample));
    t.same(
      done.images.map((image) => [image.class, image.imageId, image.writtenBytes]),
      (['system', 'storage'] as const).map((cls) => [
        cls,
        imageOf(sample.made.full, cls).imageId,
        sample.raw[cls].length,
      ]),
      'the image is the one of the full bundle',
    );
    t.ok(before.equals(await readFile(sample.slots.device('system', 'A').path)), 'A is as it was');
  });
}

t.test('a full bundle does not mind that a base is offered', async (t) => {
  const sample = await makeDeltaSample(t.testdir(), RELEASES);
  await install(sample.request(sample.paths.full));
  t.ok(await holds(sample));
});

for (const [begun, finished] of [
  ['delta', 'full'],
  ['full', 'delta'],
] as const) {
  t.test(`begun with the ${begun} bundle, finished with the ${finished} one`, async (t) => {
    const sample = await makeDeltaSample(t.testdir(), RELEASES);
    const { dir, paths, raw } = sample;
    const targets = [sample.target('system')];
    await install(sample.request(paths[begun], { targets }));
    const doneBytes = 5 * CHUNK;
    const { path: device } = sample.slots.device('system', 'B');
    {
      await using hints = await Hints.open(join(dir, 'progress'));
      const hint = hints.of('system', 'B');
      t.match(hint, { imageId: imageOf(sample.made[finished], 'system').imageId, complete: true });
      // As it is after a power cut: durable up to a chunk, anything behind it.
      await hints.set({ ...hint!, doneBytes, complete: false });
      writeFileSync(device, readFileSync(device).fill(0xee, doneBytes));
    }
    const done = await install(sample.request(paths[finished], { targets }));
    t.match(done.images, [
      { resumedBytes: doneBytes, writtenBytes: raw.system.length - doneBytes },
    ]);
    t.ok((await sample.slot('system')).equals(raw.system));
  });
}

t.test('another base, or none: refused before the first write to any slot', async (t) => {
  const sample = await makeDeltaSample(t.testdir(), RELEASES);
  pattern(sample);
  const { delta } = sample.paths;
  const other = imageOf(sample.made.full, 'system').imageId;
  const offered = sample.target('system').base!;
  const { base: _base, ...without } = sample.target('storage');
  const attempts = [
    [sample.target('storage'), sample.target('system', { base: { ...offered, imageId: other } })],
    [sample.target('system'), without],
  ];
  for (const targets of attempts) {
    const error = await install(sample.request(delta, { targets })).catch((e: unknown) => e);
    t.match(error, {
      code: 'bundle.wrong_base',
      message: /is a delta of (system|storage) 1\.0\.0/,
    });
    t.ok(untouched(sample));
  }
  const small = [sample.target('system', { base: { ...offered, sizeBytes: 4096 } })];
  await t.rejects(install(sample.request(delta, { targets: small })), { code: 'slot.io' });
  const gone = [sample.target('system', { base: { ...offered, device: '/nowhere' } })];
  await t.rejects(install(sample.request(delta, { targets: gone })), { code: 'slot.io' });
  t.ok(untouched(sample));
});

t.test('the slot that is written is never the base, whatever it is called', async (t) => {
  const sample = await makeDeltaSample(t.testdir(), RELEASES);
  pattern(sample);
  const { path: device } = sample.slots.device('system', 'B');
  const [soft, hard] = [join(sample.dir, 'soft'), join(sample.dir, 'hard')];
  await symlink(device, soft);
  await link(device, hard);
  for (const name of [device, soft, hard]) {
    const base = { ...sample.target('system').base!, device: name };
    const targets = [sample.target('system', { base })];
    const run = install(sample.request(sample.paths.delta, { targets }));
    await t.rejects(run, { code: 'boot.conflict' }, name);
    t.ok(untouched(sample));
  }
});

t.test('a base of the same size with other content, under the right seal', async (t) => {
  const sample = await makeDeltaSample(t.testdir(), RELEASES);
  pattern(sample);
  const { path } = sample.slots.device('system', 'A');
  writeFileSync(path, noise('foreign', readFileSync(path).length));
  for (const entry of [null, ENTRY]) {
    const run = install(sample.request(sample.paths.delta), { entry });
    const error = await run.catch((e: unknown) => e);
    t.match(error, { code: 'slot.base_damaged', message: /does not hold 1\.0\.0 any more/ });
    t.match((error as UpdateError).report().next, /full bundle of the same release/);
    blank(sample);
  }
  t.ok(untouched(sample), 'not one byte was written');
});

t.test('one rotten bit in the base: refused before the first write to any slot', async (t) => {
  const sample = await makeDeltaSample(t.testdir(), RELEASES);
  const sizes = { system: sample.old.system.length, storage: sample.old.storage.length };
  for (const cls of ['system', 'storage'] as const) {
    const base = sample.slots.device(cls, 'A').path;
    const intact = readFileSync(base);
    for (const at of [0, 3 * CHUNK + 5, sizes[cls] - 1].filter((one) => one < sizes[cls])) {
      writeFileSync(base, intact);
      await flipBit(base, at);
      pattern(sample);
      blank(sample);
      const request = sample.request(sample.paths.delta, { readBack: at === 0 });
      const error = await install(request).catch((e: unknown) => e);
      t.match(error, { code: 'slot.base_damaged' }, `${cls}, byte ${at}`);
      t.match((error as UpdateError).report().next, /full bundle of the same release/);
      t.ok(untouched(sample), `${cls}, byte ${at}: no write`);
    }
    writeFileSync(base, intact);
    await flipBit(base, Math.ceil(sizes[cls] / 4096) * 4096);
  }
  await install(sample.request(sample.paths.delta));
  t.ok(await holds(sample), 'what lies behind the base is not part of it');
});

t.test('a rotten base does not matter to whoever needs nothing of it', async (t) => {
  const sample = await makeDeltaSample(t.testdir(), RELEASES);
  const { delta, full } = sample.paths;
  await install(sample.request(delta));
  await flipBit(sample.slots.device('system', 'A').path, 3 * CHUNK + 5);
  const again = await install(sample.request(delta));
  t.same(
    again.images.map(({ writtenBytes }) => writtenBytes),
    [0, 0],
    'the slots hold the images already',
  );
  // They do not: one chunk has to be made again, and before it is written the base is hashed.
  const { path } = sample.slots.device('system', 'B');
  await flipBit(path, CHUNK + 3);
  const before = readFileSync(path);
  await t.rejects(install(sample.request(delta)), { code: 'slot.base_damaged' });
  t.ok(readFileSync(path).equals(before), 'no write');
  await install(sample.request(full));
  t.ok(await holds(sample), 'the full bundle always helps');
});

t.test('a base that changes between check and use', async (t) => {
  const sample = await makeDeltaSample(t.testdir(), RELEASES);
  const opened = await openedSystem(sample);
  const job = jobOf(sample, opened);
  await using source = await openFileSource(sample.paths.delta);
  using work = new ChunkWork({ ...job, bundleFd: source.handle.fd }, { claim: true });
  const deltas = opened.records.filter(({ kind }) => kind === KIND.delta);
  work.make(deltas[0]!.chunk, 0);
  await work.store(deltas[0]!.chunk, 0);
  const { path } = sample.slots.device('system', 'A');
  pattern(sample);
  writeFileSync(path, noise('meanwhile', readFileSync(path).length));
  for (const { chunk } of deltas) {
    t.throws(() => work.make(chunk, 0), { code: 'bundle.wrong_base' });
  }
  t.ok(untouched(sample));
});

t.test(
  'a delta whose index says something else than it gives is the fault of the bundle',
  async (t) => {
    const sample = await makeDeltaSample(t.testdir(), RELEASES);
    const opened = await openedSystem(sample);
    const records = opened.records.map((record) => ({
      ...record,
      rawSha256: parseSha256('0'.repeat(64)),
    }));
    await using source = await openFileSource(sample.paths.delta);
    const job = { ...jobOf(sample, { ...opened, records }), bundleFd: source.handle.fd };
    using work = new ChunkWork(job, { claim: true });
    const chunk = records.findIndex(({ kind }) => kind === KIND.delta);
    const failure = t.throws(() => work.make(chunk, 0), { code: 'bundle.wrong_base' });
    const { base } = opened.image;
    const { signal } = new AbortController();
    const why = await explainBase(failure as UpdateError, base!, job.base!, signal);
    t.match(why, { code: 'bundle.invalid_manifest', message: /holds 1\.0\.0 unchanged/ });
  },
);

async function openedSystem({ paths, rootPath }: DeltaSample): Promise<OpenImage> {
  await using source = await openFileSource(paths.delta);
  return (await openBundle(source, await loadTrustRoot(rootPath))).images[0]!;
}

function jobOf(sample: DeltaSample, { records, dataOffset }: OpenImage): SlotJob {
  const { path: device, sizeBytes } = sample.slots.device('system', 'B');
  return {
    board: Board.create(records.length).memory,
    device,
    sizeBytes,
    bundleFd: -1,
    dataOffset,
    records,
    hintedChunks: 0,
    readBack: true,
    base: {
      device: sample.slots.device('system', 'A').path,
      rawBytes: sample.old.system.length,
      rawSha256: imageOf(sample.made.old, 'system').rawSha256,
    },
  };
}
