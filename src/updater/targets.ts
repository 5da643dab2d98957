/**
 * The slots of one install, as the installer process is told of them. Always holds: what a delta is
 * applied against is the slot of the same class that is not written, and what is said of it comes
 * from its seal. Imports core, ports and the installer's protocol; never drivers.
 */
import { UpdateError } from '../core/errors.ts';
import type { Manifest } from '../core/manifest.ts';
import { otherSlot } from '../core/model.ts';
import type { Target } from '../core/records.ts';
import type { InstallTarget } from '../install/protocol.ts';
import type { Slots } from '../ports.ts';

/**
 * Targets of a request. Throws `bundle.wrong_base` when an image is a delta and the slot that runs
 * is not sealed with what it is made from; `slot.io`.
 */
export async function installTargets(
  slots: Slots,
  targets: readonly Target[],
  manifest: Manifest,
): Promise<readonly InstallTarget[]> {
  return await Promise.all(
    targets.map(async (target): Promise<InstallTarget> => {
      const { image, class: cls, slot } = target;
      const { path, sizeBytes } = slots.device(cls, slot);
      const plain = { image, class: cls, slot, device: path, sizeBytes };
      const needed = manifest.images.find(({ name }) => name === image)?.base;
      if (needed === undefined) return plain;
      const from = otherSlot(slot);
      const { seal } = await slots.info(cls, from);
      if (seal?.imageId !== needed.imageId) {
        const found = seal === null ? 'is not sealed' : `holds ${seal.release.version}`;
        const message = `slot ${cls}-${from} ${found}, the delta is made from ${needed.version}`;
        const ids = { found: seal?.imageId ?? 'none', expected: needed.imageId };
        throw new UpdateError('bundle.wrong_base', message, { detail: ids });
      }
      const old = slots.device(cls, from);
      const base = { device: old.path, sizeBytes: old.sizeBytes, imageId: seal.imageId };
      return { ...plain, base };
    }),
  );
}
