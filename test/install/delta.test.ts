/**
 * Deltas on their way into a slot: applied, begun and finished with the full bundle, and every base
 * that is not the right one. May import tap, node: and src.
 */
import { readFile } from 'node:fs/promises';
import t from 'tap';
import type { Progress } from '../../src/core/model.ts';
import { installImages, type InstallRequest } from '../../src/install/pipeline.ts';
import type { InstallResult } from '../../src/install/protocol.ts';
import { imageOf, makeDeltaSample, type DeltaSample } from './delta-sample.ts';
import { ENTRY } from './sample.ts';

async function install(
  request: InstallRequest,
  options: {
    entry?: string | null;
    onProgress?: (p: Progress) => void;
    signal?: AbortSignal;
  } = {},
): Promise<InstallResult> {
  return await installImages(request, {
    entry: options.entry ?? null,
    signal: options.signal ?? new AbortController().signal,
    onProgress: options.onProgress ?? (() => undefined),
  });
}

async function holds(sample: DeltaSample): Promise<boolean> {
  const { raw } = sample;
  const [system, storage] = [await sample.slot('system'), await sample.slot('storage')];
  return system.equals(raw.system) && storage.equals(raw.storage);
}

for (const [name, entry, readBack] of [
  ['one thread', null, true],
  ['two threads', ENTRY, true],
  ['no read-back', null, false],
] as const) {
  t.test(`a delta gives the new images: ${name}`, async (t) => {
    const sample = await makeDeltaSample(t.testdir());
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
