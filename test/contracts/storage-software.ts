/**
 * What every driver of the port StorageSoftware must hold. Imports tap's Test type, core and ports.
 */
import type { Test } from 'tap';
import type { StorageSoftware } from '../../src/ports.ts';
import { codeOf } from './store.ts';

/**
 * Slot A holds release 1.0.0; slot B what the test asks for: release 2.0.0, one whose health check
 * fails with `bad on purpose`, one that ends at once, or nothing.
 */
export type SlotB = 'good' | 'unhealthy' | 'broken' | 'empty';

/** The software and a way to end it by force. */
export interface StorageSoftwareHarness {
  readonly software: StorageSoftware;
  /** It ends without having been asked to; returns when that has happened. */
  readonly crash: () => Promise<void>;
}

const signal = (): AbortSignal => AbortSignal.timeout(20_000);

/** Runs the suite as one subtest of `t`. */
export async function storageSoftwareContract(
  t: Test,
  name: string,
  make: (t: Test, slotB: SlotB) => Promise<StorageSoftwareHarness>,
): Promise<void> {
  await t.test(`contract of StorageSoftware: ${name}`, async (t) => {
    await t.test('it says what runs, from the content of the slot', async (t) => {
      const { software } = await make(t, 'good');
      t.equal(software.running(), null);
      await software.start('A', signal());
      t.match(software.running(), { slot: 'A', release: { version: '1.0.0', class: 'storage' } });
      await software.start('A', signal());
      await software.health(signal());
      await software.start('B', signal());
      t.match(software.running(), { slot: 'B', release: { version: '2.0.0' } });
      await software.health(signal());
      await software.stop();
      await software.stop();
      t.equal(software.running(), null);
      t.equal(await codeOf(software.health(signal())), 'health.storage');
    });

    await t.test('an image that fails its health check says why', async (t) => {
      const { software } = await make(t, 'unhealthy');
      await software.start('B', signal());
      await t.rejects(software.health(signal()), {
        code: 'health.storage',
        message: 'bad on purpose',
      });
      t.match(software.running(), { slot: 'B' });
    });

    await t.test('an image that does not start leaves nothing running', async (t) => {
      const { software } = await make(t, 'broken');
      await software.start('A', signal());
      await t.rejects(software.start('B', signal()), { code: 'health.storage', message: /broken/ });
      t.equal(software.running(), null);
      await software.start('A', signal());
      t.match(software.running(), { slot: 'A' });
    });

    await t.test('an empty slot is refused', async (t) => {
      const { software } = await make(t, 'empty');
      t.equal(await codeOf(software.start('B', signal())), 'slot.unpack');
      t.equal(software.running(), null);
    });

    await t.test('an end that was not asked for is told once, and only then', async (t) => {
      const { software, crash } = await make(t, 'good');
      const reasons: string[] = [];
      software.onExit((reason) => reasons.push(reason));
      await software.start('A', signal());
      await software.stop();
      t.same(reasons, []);
      await software.start('A', signal());
      await crash();
      t.equal(reasons.length, 1);
      t.equal(software.running(), null);
      await software.start('A', signal());
      await software.health(signal());
    });

    await t.test('a start that is not wanted any more does not begin', async (t) => {
      const { software } = await make(t, 'good');
      await t.rejects(software.start('A', AbortSignal.abort(new Error('not wanted'))));
      t.equal(software.running(), null);
    });
  });
}
