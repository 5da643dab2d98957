/**
 * The install pipeline in this process, with and without the worker thread: what reaches a slot and
 * what must not. May import tap, node: and src.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import { openFileSource } from '../../src/bundle/source.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { parseSha256, type Progress } from '../../src/core/model.ts';
import { lockState } from '../../src/drivers/state-lock.ts';
import { Board } from '../../src/install/board.ts';
import { ChunkWork, type SlotJob } from '../../src/install/chunk-work.ts';
import { installImages, type InstallRequest } from '../../src/install/pipeline.ts';
import type { InstallResult } from '../../src/install/protocol.ts';
import { ENTRY, flipBit, makeSample, MIB, type Sample } from './sample.ts';

interface Done {
  readonly result: InstallResult;
  readonly told: readonly Progress[];
}

/** Installs in this process; `entry` null = one thread. */
async function install(
  request: InstallRequest,
  options: { entry?: string | null; onProgress?: (p: Progress) => void; signal?: AbortSignal } = {},
): Promise<Done> {
  const told: Progress[] = [];
  const result = await installImages(request, {
    entry: options.entry ?? null,
    signal: options.signal ?? new AbortController().signal,
    onProgress: (progress) => {
      told.push(progress);
      options.onProgress?.(progress);
    },
  });
  return { result, told };
}

const written = ({ result }: Done): number[] => result.images.map((image) => image.writtenBytes);

/** True when slot B of both classes begins with the image. */
async function holds(sample: Sample): Promise<boolean> {
  const [system, storage] = [await sample.slot('system'), await sample.slot('storage')];
  const { raw } = sample;
  return (
    system.subarray(0, raw.system.length).equals(raw.system) &&
    storage.subarray(0, raw.storage.length).equals(raw.storage)
  );
}

for (const [name, entry] of [
  ['one thread', null],
  ['two threads', ENTRY],
] as const) {
  t.test(`both images with ${name}`, async (t) => {
    const sample = await makeSample(t.testdir());
    const done = await install(sample.request(), { entry });
    t.ok(await holds(sample));
    const [system, storage] = done.result.images;
    t.match(system, {
      class: 'system',
      slot: 'B',
      rawBytes: sample.raw.system.length,
      imageId: sample.made.manifest.images[0]?.imageId,
      rawSha256: sample.made.manifest.images[0]?.rawSha256,
      release: { product: 'tandem-appliance', class: 'system', version: '2.0.0', counter: 7 },
      runsWith: '>=1.0.0',
      writtenBytes: sample.raw.system.length,
      skippedBytes: 0,
      resumedBytes: 0,
    });
    t.match(storage, { class: 'storage', release: { counter: 5, formatLevel: 2 } });
    const total = 2 * (sample.raw.system.length + sample.raw.storage.length);
    t.match(done.told.at(-1), { doneBytes: total, totalBytes: total });
    t.same(
      done.told.map((p) => p.doneBytes),
      done.told.map((p) => p.doneBytes).toSorted((a, b) => a - b),
    );

    const again = await install(sample.request(), { entry });
    t.same(written(again), [0, 0], 'what the slot holds is not written again');
    t.same(
      again.result.images.map((image) => image.skippedBytes),
      [sample.raw.system.length, sample.raw.storage.length],
    );
  });
}

t.test('without read-back the raw digest is checked before the write', async (t) => {
  const sample = await makeSample(t.testdir());
  const done = await install(sample.request({ readBack: false }));
  t.ok(await holds(sample));
  t.equal(done.told.at(-1)?.totalBytes, sample.raw.system.length + sample.raw.storage.length);
});

t.test('a chunk that is as signed but not what the index calls raw', async (t) => {
  const sample = await makeSample(t.testdir());
  await using source = await openFileSource(sample.bundlePath);
  const opened = (await sample.open()).images[0];
  const { path: device, sizeBytes } = sample.slots.device('system', 'B');
  const records = (opened?.records ?? []).map((record) => ({
    ...record,
    rawSha256: parseSha256('0'.repeat(64)),
  }));
  const job = (readBack: boolean): SlotJob => ({
    board: Board.create(records.length).memory,
    device,
    sizeBytes,
    bundleFd: source.handle.fd,
    dataOffset: opened?.dataOffset ?? 0,
    records,
    hintedChunks: 0,
    readBack,
    base: null,
  });
  {
    using work = new ChunkWork(job(false), { claim: true });
    t.throws(() => work.make(1, 0), { code: 'bundle.damaged' });
  }
  t.ok(
    (await sample.slot('system')).every((byte) => byte === 0),
    'nothing is written',
  );
  using work = new ChunkWork(job(true), { claim: true });
  work.make(1, 0);
  await work.store(1, 0);
  await work.load(1, 1);
  t.notOk(work.agrees(1, 1));
  t.throws(() => work.check(1, 1), { code: 'slot.readback' });
});

t.test('one flipped bit in a chunk: nothing of that chunk is written', async (t) => {
  const sample = await makeSample(t.testdir(), { systemBytes: 12 * 64 * 1024 });
  const { images } = await sample.open();
  const system = images[0];
  const whole = await readFile(sample.bundlePath);
  let stopped = 0;
  for (const record of system?.records ?? []) {
    if (record.kind === 0) continue;
    writeFileSync(sample.slots.device('system', 'B').path, Buffer.alloc(4 * MIB, 0xee));
    writeFileSync(sample.bundlePath, whole);
    const at = (system?.dataOffset ?? 0) + record.offset + Math.floor(record.compressedBytes / 2);
    await flipBit(sample.bundlePath, at);
    const entry = stopped === 0 ? ENTRY : null;
    writeFileSync(join(sample.dir, 'progress'), Buffer.alloc(8192));
    await t.rejects(install(sample.request(), { entry }), { code: 'bundle.damaged' });
    const slot = await sample.slot('system');
    const chunk = slot.subarray(record.rawOffset, record.rawOffset + record.rawBytes);
    t.ok(
      chunk.every((byte) => byte === 0xee),
      `chunk ${record.chunk}`,
    );
    stopped += 1;
  }
  t.equal(stopped, 8, 'every chunk that is not zeros');
});

t.test('a damaged head or a foreign signature: nothing is written at all', async (t) => {
  const dir = t.testdir();
  const sample = await makeSample(join(dir, 'one'));
  const other = await makeSample(join(dir, 'two'));
  const before = await sample.slot('system');
  const trustRoot = other.rootPath;
  await t.rejects(install(sample.request({ trustRoot })), { code: 'trust.untrusted' });
  await t.rejects(install(sample.request({ trustRoot: '/none' })), { code: 'trust.no_root' });
  await flipBit(sample.bundlePath, 700);
  await t.rejects(install(sample.request()), { code: /^(trust|bundle)\./ });
  t.ok((await sample.slot('system')).equals(before));
});

t.test('an image larger than its slot: refused before the first write to any slot', async (t) => {
  const sample = await makeSample(t.testdir(), { slotBytes: 2 * MIB });
  const before = [await sample.slot('system'), await sample.slot('storage')];
  const targets = sample.request().targets.toReversed();
  const error = await install(sample.request({ targets })).catch((e: unknown) => e);
  t.match(error, { code: 'space.slot', detail: { slotBytes: 2 * MIB, missingBytes: 12_345 } });
  for (const [i, cls] of (['system', 'storage'] as const).entries()) {
    t.ok(before[i]?.equals(await sample.slot(cls)), `${cls} is as it was`);
  }
});

t.test('the read-back finds a bit that flips in the slot, wherever it is', async (t) => {
  const sample = await makeSample(t.testdir(), { systemBytes: 6 * 64 * 1024 });
  const targets = sample.request().targets.slice(0, 1);
  const device = targets[0]?.device ?? '';
  for (const [i, at] of [0, 64 * 1024 - 1, 100_000, 3 * 64 * 1024, 6 * 64 * 1024 - 1].entries()) {
    writeFileSync(join(sample.dir, 'progress'), Buffer.alloc(8192));
    let flipped = 0;
    const onProgress = ({ doneBytes, totalBytes }: Progress): void => {
      if (doneBytes !== totalBytes / 2 || flipped > 0) return;
      flipped += 1;
      const bytes = readFileSync(device);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(device, bytes);
    };
    const entry = i === 0 ? ENTRY : null;
    const run = install(sample.request({ targets }), { entry, onProgress });
    const error = await run.catch((e: unknown) => e);
    const chunk = Math.floor(at / (64 * 1024));
    t.match(error, { code: 'slot.readback', detail: { chunk, image: 'system' } }, `byte ${at}`);
    t.equal(flipped, 1);
  }
  const done = await install(sample.request({ targets }));
  t.equal(written(done)[0], 64 * 1024, 'the next run mends the one chunk');
});

t.test('a kept chunk that is not what the hint says is written', async (t) => {
  const sample = await makeSample(t.testdir());
  await install(sample.request());
  await flipBit(sample.slots.device('system', 'B').path, 200_000);
  const done = await install(sample.request());
  t.same(written(done), [64 * 1024, 0]);
  t.ok(await holds(sample));
});

t.test('a hint of another image, a damaged one and none at all only cost time', async (t) => {
  const dir = t.testdir();
  const sample = await makeSample(join(dir, 'one'));
  const other = await makeSample(join(dir, 'two'));
  await install(sample.request());
  const { targets, progressFile } = sample.request();
  const next = await install(other.request({ targets, progressFile }));
  t.same(written(next), [other.raw.system.length, other.raw.storage.length]);
  for (const content of [Buffer.alloc(0), Buffer.from('garbage'), Buffer.alloc(8192, 0xff)]) {
    await writeFile(progressFile, content);
    const done = await install(sample.request());
    t.same(written(done), [sample.raw.system.length, sample.raw.storage.length]);
    t.ok(await holds(sample));
  }
});

t.test('format leaves nothing of before in the whole slot, and skips nothing', async (t) => {
  const sample = await makeSample(t.testdir());
  const device = sample.slots.device('system', 'B').path;
  await writeFile(device, Buffer.alloc(4 * MIB, 0xee));
  await install(sample.request());
  t.equal((await sample.slot('system')).at(-1), 0xee, 'without format the rest stays');
  const done = await install(sample.request({ format: true }), { entry: ENTRY });
  t.ok(await holds(sample));
  const rest = (await sample.slot('system')).subarray(sample.raw.system.length);
  t.ok(rest.every((byte) => byte === 0));
  t.equal(done.result.images[0]?.skippedBytes, 0);
  t.ok((done.result.images[0]?.writtenBytes ?? 0) >= sample.raw.system.length);
});

t.test('abort stops in the middle; the next run goes on', async (t) => {
  const sample = await makeSample(t.testdir(), { systemBytes: 3 * MIB });
  for (const entry of [null, ENTRY]) {
    const stop = new AbortController();
    const cancel = (): void => stop.abort(new UpdateError('job.cancelled', 'enough'));
    const run = install(sample.request(), { entry, signal: stop.signal, onProgress: cancel });
    await t.rejects(run, { code: 'job.cancelled' });
  }
  const early = AbortSignal.abort(new UpdateError('job.cancelled', 'enough'));
  await t.rejects(install(sample.request(), { signal: early }), { code: 'job.cancelled' });
  await install(sample.request());
  t.ok(await holds(sample));
});

t.test('what cannot be a slot', async (t) => {
  const sample = await makeSample(t.testdir());
  const [target] = sample.request().targets;
  const on = (device: string): InstallRequest =>
    sample.request({ targets: target ? [{ ...target, device }] : [] });
  await t.rejects(install(on(join(sample.dir, 'none'))), { code: 'slot.io' });
  await t.rejects(install(on(sample.dir)), { code: 'slot.io' });
  await truncate(target?.device ?? '', MIB);
  await t.rejects(install(sample.request()), { code: 'slot.io' });
  const wrong = target ? [{ ...target, image: 'storage' }] : [];
  await t.rejects(install(sample.request({ targets: wrong })), { code: 'internal.bug' });
});

t.test('one installer at a time on a slot; the next one waits for a dying one', async (t) => {
  const sample = await makeSample(t.testdir());
  const lock = await lockState(sample.slots.device('system', 'B').path);
  const stop = new AbortController();
  const told: Progress[] = [];
  const run = install(sample.request(), {
    signal: stop.signal,
    onProgress: (progress) => told.push(progress),
  });
  await setTimeout(50);
  t.equal(told.length, 0, 'it waits');
  await lock[Symbol.asyncDispose]();
  await run;
  t.ok(await holds(sample));
});
