/**
 * Targets as the installer is told of them: which slot a delta is applied against, and when there
 * is none. Slots are in memory. May import tap, core and the module under test.
 */
import t from 'tap';
import type { Manifest, ManifestBase } from '../../src/core/manifest.ts';
import type { SlotClass } from '../../src/core/model.ts';
import { installTargets } from '../../src/updater/targets.ts';
import { JOB, manifestOf, sealOf } from '../core/states.ts';
import { makeSlotsDisk, memorySlots } from '../memory/slots.ts';

const SIZES = { system: 1000, storage: 500 };

function baseOf(cls: SlotClass, counter: number): ManifestBase {
  const { imageId, rawBytes, rawSha256, release } = sealOf(cls, counter);
  return { imageId, rawBytes, rawSha256, version: release.version, counter };
}

/** A manifest whose system image is a delta of this release; its storage image is complete. */
function delta(counter: number): Manifest {
  const manifest = manifestOf();
  const images = manifest.images.map((image) =>
    image.class === 'system' ? { ...image, base: baseOf('system', counter) } : image,
  );
  return { ...manifest, requires: ['delta'], images };
}

function slotsWith(seals: readonly SlotClass[]) {
  const disk = makeSlotsDisk(SIZES);
  for (const cls of seals) disk.seals.set(`memory:${cls}-A`, sealOf(cls, 1));
  return memorySlots(disk);
}

t.test('an image that is complete is told without a base', async (t) => {
  const targets = await installTargets(slotsWith([]), JOB.targets, manifestOf());
  t.strictSame(targets, [
    { image: 'system', class: 'system', slot: 'B', device: 'memory:system-B', sizeBytes: 1000 },
    { image: 'storage', class: 'storage', slot: 'B', device: 'memory:storage-B', sizeBytes: 500 },
  ]);
});

t.test('a delta is applied against the other slot, as its seal says', async (t) => {
  const targets = await installTargets(slotsWith(['system']), JOB.targets, delta(1));
  const { imageId } = sealOf('system', 1);
  t.strictSame(
    targets.map(({ base }) => base),
    [{ device: 'memory:system-A', sizeBytes: 1000, imageId }, undefined],
  );
});

t.test('another image there, or none that counts: refused by name', async (t) => {
  const other = installTargets(slotsWith(['system']), JOB.targets, delta(2));
  const message = 'slot system-A holds 1.0.0, the delta is made from 2.0.0';
  await t.rejects(other, { code: 'bundle.wrong_base', message });
  const none = installTargets(slotsWith(['storage']), JOB.targets, delta(1));
  const words = 'slot system-A is not sealed, the delta is made from 1.0.0';
  await t.rejects(none, { code: 'bundle.wrong_base', message: words });
});
