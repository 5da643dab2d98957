/**
 * What every driver of the port Slots must hold. `make` gives fresh slots and a way to open the
 * same ones again as after a restart. May import tap, core and ports.
 */
import type { Test } from 'tap';
import { parseSha256, type SlotSeal } from '../../src/core/model.ts';
import type { Slots } from '../../src/ports.ts';

/** Fresh, empty slots of `sizes`, and `reopen` that stands for a restart of the node. */
export interface SlotsHarness {
  readonly slots: Slots;
  reopen(): Promise<Slots>;
}

export const SLOT_SIZES = { system: 8 * 1024 * 1024, storage: 64 * 1024 } as const;

/** A seal that differs from the others by `version`. */
export function sealOf(version: string): SlotSeal {
  return {
    imageId: parseSha256('a'.repeat(64)),
    rawBytes: 12_345,
    rawSha256: parseSha256('b'.repeat(64)),
    release: { product: 'tandem-appliance', class: 'system', version, counter: 7 },
    runsWith: '>=1.0.0',
    committed: 3,
  };
}

/** Runs the suite as one subtest of `t`. */
export async function slotsContract(
  t: Test,
  make: (t: Test) => Promise<SlotsHarness>,
): Promise<void> {
  await t.test('contract of Slots', async (t) => {
    await t.test('fresh slots hold nothing and tell their size', async (t) => {
      const { slots } = await make(t);
      for (const cls of ['system', 'storage'] as const) {
        for (const slot of ['A', 'B'] as const) {
          const info = await slots.info(cls, slot);
          t.same(info, { class: cls, slot, sizeBytes: SLOT_SIZES[cls], seal: null });
          t.equal(slots.device(cls, slot).sizeBytes, SLOT_SIZES[cls]);
        }
      }
      const paths = new Set(['A', 'B'].map((slot) => slots.device('system', slot as 'A').path));
      t.equal(paths.size, 2, 'each slot is a device of its own');
    });

    await t.test('a seal stays over a restart and concerns one slot', async (t) => {
      const harness = await make(t);
      await harness.slots.seal('system', 'B', sealOf('1.0.0'));
      const slots = await harness.reopen();
      t.same((await slots.info('system', 'B')).seal, sealOf('1.0.0'));
      t.equal((await slots.info('system', 'A')).seal, null);
      t.equal((await slots.info('storage', 'B')).seal, null);
    });

    await t.test('invalidate takes the seal away, twice as well', async (t) => {
      const harness = await make(t);
      await harness.slots.seal('system', 'A', sealOf('1.0.0'));
      await harness.slots.invalidate('system', 'A');
      await harness.slots.invalidate('system', 'A');
      t.equal((await harness.slots.info('system', 'A')).seal, null);
      t.equal((await (await harness.reopen()).info('system', 'A')).seal, null);
    });

    await t.test('the newest of several seals counts, in call order', async (t) => {
      const harness = await make(t);
      await Promise.all([
        harness.slots.seal('system', 'A', sealOf('1.0.0')),
        harness.slots.invalidate('system', 'A'),
        harness.slots.seal('system', 'A', sealOf('2.0.0')),
        harness.slots.seal('storage', 'A', sealOf('3.0.0')),
      ]);
      const slots = await harness.reopen();
      t.equal((await slots.info('system', 'A')).seal?.release.version, '2.0.0');
      t.equal((await slots.info('storage', 'A')).seal?.release.version, '3.0.0');
    });
  });
}
