/**
 * An install into real block devices, past the page cache and up to the seal, and one into a device
 * that something else holds. Runs where there are loop devices.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { BlockFile } from '../../src/drivers/block-file.ts';
import { openBlockSlots } from '../../src/drivers/slots-block.ts';
import { installImages } from '../../src/install/pipeline.ts';
import { sealOf, SLOT_SIZES } from '../contracts/slots.ts';
import { loopReason, makeLoopSlots } from '../drivers/loop-devices.ts';
import { makeSample } from './sample.ts';

const none = await loopReason();
if (none !== null) t.comment(`without a real block device: ${none}`);

t.test('an install fills a device up to its seal', { skip: none ?? false }, async (t) => {
  const dir = t.testdir();
  // The system image takes all of its slot.
  const sample = await makeSample(join(dir, 'sample'), {
    systemBytes: SLOT_SIZES.system,
    storageBytes: 50_000,
  });
  const slots = await openBlockSlots(await makeLoopSlots(t, dir), { booted: 'A' });
  await slots.seal('storage', 'A', sealOf('1.0.0'));
  const targets = (['system', 'storage'] as const).map((name) => {
    const { path: device, sizeBytes } = slots.device(name, 'B');
    return { image: name, class: name, slot: 'B' as const, device, sizeBytes };
  });
  for (const { class: cls } of targets) await slots.invalidate(cls, 'B');
  const options = { signal: new AbortController().signal, onProgress: () => {}, entry: null };
  const result = await installImages(sample.request({ targets }), options);
  t.match(result.images, [{ writtenBytes: SLOT_SIZES.system }, { writtenBytes: 50_000 }]);
  for (const { class: cls } of targets) await slots.seal(cls, 'B', sealOf('2.0.0'));
  for (const { class: cls, device } of targets) {
    await using file = await open(device, 'r');
    const bytes = Buffer.alloc(sample.raw[cls].length);
    await file.read(bytes, 0, bytes.length, 0);
    t.ok(bytes.equals(sample.raw[cls]), `${cls} slot B`);
    t.equal((await slots.info(cls, 'B')).seal?.release.version, '2.0.0');
  }
  t.equal((await slots.info('storage', 'A')).seal?.release.version, '1.0.0', 'nobody else');

  const { path, sizeBytes } = slots.device('system', 'B');
  using _held = BlockFile.open(path, sizeBytes, { claim: true });
  const again = installImages(sample.request({ targets }), options);
  await t.rejects(again, { code: 'slot.io', message: /EBUSY/ });
});
