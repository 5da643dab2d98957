/**
 * What every driver of the port Fencer that has a switch must hold. May import tap, core and ports.
 */
import type { Test } from 'tap';
import type { Fencer, FenceOrder } from '../../src/ports.ts';

/** A fencer, and its peer as the world sees it. */
export interface FencerHarness {
  readonly fencer: Fencer;
  /** A good order for it. */
  readonly order: FenceOrder;
  /** True while anything of the peer lives. */
  readonly isAlive: () => Promise<boolean>;
  /** Returns when the peer lives. */
  readonly untilAlive: () => Promise<void>;
  /** From now on the power controller cannot be reached. */
  readonly lose: () => Promise<void>;
}

/** Runs the suite as one subtest of `t`; the peer of a harness lives when it is made. */
export async function fencerContract(
  t: Test,
  name: string,
  make: (t: Test, afterFence: 'on' | 'stay-off') => Promise<FencerHarness>,
): Promise<void> {
  const { signal } = new AbortController();
  await t.test(`contract of Fencer: ${name}`, async (t) => {
    await t.test('it tests itself without harm, cuts, and gives the power back', async (t) => {
      const { fencer, order, isAlive, untilAlive } = await make(t, 'on');
      await fencer.selfTest(signal);
      t.equal(await fencer.power(signal), 'on');
      t.equal(await isAlive(), true, 'the test did no harm');
      t.equal(await fencer.fence(order, signal), 'off');
      t.equal(await isAlive(), false);
      t.equal(await fencer.power(signal), 'off');
      t.equal(await fencer.fence(order, signal), 'off', 'again, with the same end');
      await fencer.selfTest(signal);
      t.equal(await isAlive(), false, 'nor did it switch anything on');
      await fencer.restore(order, signal);
      await fencer.restore(order, signal);
      await untilAlive();
      t.equal(await fencer.power(signal), 'on');
      t.equal(await fencer.fence({ ...order, epoch: order.epoch + 1 }, signal), 'off');
      t.equal(await isAlive(), false, 'a later fence cuts again');
    });

    await t.test('a peer that is to stay off stays off', async (t) => {
      const { fencer, order, isAlive } = await make(t, 'stay-off');
      t.equal(await fencer.fence(order, signal), 'off');
      await fencer.restore(order, signal);
      t.equal(await fencer.power(signal), 'off');
      t.equal(await isAlive(), false);
    });

    await t.test('what was not asked for or not allowed is not done', async (t) => {
      const { fencer, order, isAlive } = await make(t, 'on');
      const other = order.peer === 'A' ? 'B' : 'A';
      t.equal(await fencer.fence({ ...order, peer: other }, signal), 'failed');
      const reason = new Error('not any more');
      const aborted = AbortSignal.abort(reason);
      t.equal(await fencer.fence(order, aborted), 'unknown');
      t.equal(await fencer.power(aborted), 'unknown');
      await t.rejects(fencer.selfTest(aborted), reason);
      await t.rejects(fencer.restore(order, aborted), reason);
      t.equal(await isAlive(), true);
    });

    await t.test('without its controller it knows nothing', async (t) => {
      const { fencer, order, lose } = await make(t, 'on');
      await lose();
      t.equal(await fencer.fence(order, signal), 'unknown');
      t.equal(await fencer.power(signal), 'unknown');
      await t.rejects(fencer.selfTest(signal), { code: 'fence.self_test' });
      await t.rejects(fencer.restore(order, signal), { code: 'fence.failed' });
    });
  });
}
