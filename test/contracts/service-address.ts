/**
 * What every driver of the port ServiceAddress must hold. Imports tap's Test type, core and ports.
 */
import type { Test } from 'tap';
import type { NodeId } from '../../src/core/model.ts';
import type { ServiceAddress } from '../../src/ports.ts';
import { codeOf } from './store.ts';

/** Two nodes and the one address that they share. */
export interface ServiceHarness {
  address(node: NodeId): ServiceAddress;
  /** Which node answers on the address now, as a client finds out. */
  whoServes(): Promise<NodeId | null>;
  /** From now on the self-test of this node finds something wrong. */
  breakSelfTest(node: NodeId): Promise<void>;
}

const signal = (): AbortSignal => AbortSignal.timeout(20_000);

/** Runs the suite as one subtest of `t`. */
export async function serviceAddressContract(
  t: Test,
  name: string,
  make: (t: Test) => Promise<ServiceHarness>,
): Promise<void> {
  await t.test(`contract of ServiceAddress: ${name}`, async (t) => {
    await t.test('nobody serves before it was told to', async (t) => {
      const h = await make(t);
      t.equal(h.address('A').held(), false);
      t.equal(await h.whoServes(), null);
      await h.address('A').release();
      t.equal(h.address('A').held(), false);
    });

    await t.test('acquire and release, both as often as one likes', async (t) => {
      const h = await make(t);
      await h.address('A').acquire(1, signal());
      await h.address('A').acquire(1, signal());
      t.equal(h.address('A').held(), true);
      t.equal(await h.whoServes(), 'A');
      await h.address('A').acquire(3, signal());
      t.equal(await h.whoServes(), 'A');
      await h.address('A').release();
      await h.address('A').release();
      t.equal(h.address('A').held(), false);
      t.equal(await h.whoServes(), null);
    });

    await t.test('a switchover, there and back', async (t) => {
      const h = await make(t);
      await h.address('A').acquire(1, signal());
      await h.address('A').release();
      await h.address('B').acquire(2, signal());
      t.equal(await h.whoServes(), 'B');
      await h.address('B').release();
      await h.address('A').acquire(3, signal());
      t.equal(await h.whoServes(), 'A');
      t.same([h.address('A').held(), h.address('B').held()], [true, false]);
    });

    await t.test('the self-test runs without the address, and says what is wrong', async (t) => {
      const h = await make(t);
      await h.address('A').selfTest(signal());
      t.equal(await h.whoServes(), null);
      await h.address('A').acquire(1, signal());
      await h.address('A').release();
      await h.address('A').selfTest(signal());
      await h.breakSelfTest('A');
      t.equal(await codeOf(h.address('A').selfTest(signal())), 'health.check');
      await h.address('B').selfTest(signal());
    });

    await t.test('what is disposed of serves no more', async (t) => {
      const h = await make(t);
      await h.address('A').acquire(1, signal());
      await h.address('A')[Symbol.asyncDispose]();
      t.equal(h.address('A').held(), false);
      t.equal(await h.whoServes(), null);
    });
  });
}
