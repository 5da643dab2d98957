/**
 * What every driver of the port BootChooser must hold. May import tap, core and ports.
 */
import type { Test } from 'tap';
import { verdictOf, type BootCounter } from '../../src/core/boot.ts';
import type { BootChooser } from '../../src/ports.ts';

/** The boot chooser of a new appliance: default slot A, the other one not good, no trial yet. */
export interface BootChooserHarness {
  readonly chooser: BootChooser;
  /** What the boot loader does: saves its counter. */
  readonly saveCounter: (counter: BootCounter) => Promise<void>;
  /** The same boot chooser as after a restart. */
  readonly reopen: () => Promise<BootChooser>;
}

type Make = (t: Test) => Promise<BootChooserHarness>;

const TRIAL = { id: 7, slot: 'B', tries: 2 } as const;
const CONFLICT = { code: 'boot.conflict' };

/** Runs the suite as one subtest of `t`. */
export async function bootChooserContract(t: Test, name: string, make: Make): Promise<void> {
  await t.test(`contract of BootChooser: ${name}`, async (t) => {
    await testVerdicts(t, make);
    await testConflicts(t, make);
    await testWrites(t, make);
  });
}

async function testVerdicts(t: Test, make: Make): Promise<void> {
  await t.test(
    'arm and commit: the trial becomes the default, the old slot stays good',
    async (t) => {
      const { chooser, reopen } = await make(t);
      await chooser.arm(TRIAL);
      const armed = (await (await reopen()).read()).state;
      t.match(armed, { default: 'A', trial: 'B', trialId: 7, tries: 2, otherOk: false });
      t.equal(verdictOf(armed, TRIAL), 'armed');
      await chooser.commit(7);
      const done = (await (await reopen()).read()).state;
      t.match(done, { default: 'B', trial: null, trialId: 7, otherOk: true });
      t.equal(verdictOf(done, TRIAL), 'committed');
      t.ok(done.seq > armed.seq, 'every write has a higher number');
    },
  );

  await t.test('arm and revert: the default stays, the other slot is not good', async (t) => {
    const { chooser, reopen } = await make(t);
    await chooser.setOtherOk(true);
    await chooser.arm(TRIAL);
    await chooser.revert(7);
    const { state } = await (await reopen()).read();
    t.match(state, { default: 'A', trial: null, trialId: 7, otherOk: false });
    t.equal(verdictOf(state, TRIAL), 'reverted');
  });

  await t.test('a trial back to A after a committed one', async (t) => {
    const { chooser } = await make(t);
    await chooser.arm(TRIAL);
    await chooser.commit(7);
    await chooser.arm({ id: 8, slot: 'A', tries: 1 });
    await chooser.commit(8);
    const { state } = await chooser.read();
    t.equal(state.default, 'A');
    t.equal(verdictOf(state, TRIAL), 'reverted', 'a later trial ended the earlier one');
  });
}

async function testConflicts(t: Test, make: Make): Promise<void> {
  await t.test('a verdict is given once', async (t) => {
    const { chooser } = await make(t);
    await chooser.arm(TRIAL);
    await chooser.revert(7);
    await t.rejects(chooser.commit(7), CONFLICT, 'no commit after a revert');
    await chooser.arm({ ...TRIAL, id: 8 });
    await t.rejects(chooser.commit(7), CONFLICT, 'no commit of an earlier trial');
    await t.rejects(chooser.revert(7), CONFLICT, 'no revert of an earlier trial');
    await t.rejects(chooser.commit(9), CONFLICT, 'no commit of a trial that never was');
    await chooser.commit(8);
    await t.rejects(chooser.revert(8), CONFLICT, 'no revert after a commit');
    t.match((await chooser.read()).state, { default: 'B', trial: null, trialId: 8 });
  });

  await t.test('what cannot be armed', async (t) => {
    const { chooser } = await make(t);
    const before = await chooser.read();
    await t.rejects(chooser.arm({ ...TRIAL, slot: 'A' }), CONFLICT, 'the default slot');
    await t.rejects(chooser.arm({ ...TRIAL, id: 0 }), { code: 'internal.bug' }, 'no id');
    await t.rejects(chooser.arm({ ...TRIAL, tries: 0 }), { code: 'internal.bug' }, 'no tries');
    await t.rejects(chooser.commit(0), CONFLICT, 'no verdict before the first trial');
    t.same(await chooser.read(), before, 'nothing was written');
    await chooser.arm(TRIAL);
    await t.rejects(chooser.arm({ ...TRIAL, id: 8 }), CONFLICT, 'while another one is armed');
    await t.rejects(chooser.arm({ ...TRIAL, slot: 'A' }), CONFLICT, 'the same id, another slot');
    await chooser.revert(7);
    await t.rejects(chooser.arm(TRIAL), CONFLICT, 'an id that was used');
    await t.rejects(chooser.arm({ ...TRIAL, id: 6 }), CONFLICT, 'an id below');
  });
}

async function testWrites(t: Test, make: Make): Promise<void> {
  await t.test('the same order again changes nothing', async (t) => {
    const { chooser } = await make(t);
    for (const order of [
      () => chooser.setOtherOk(true),
      () => chooser.arm(TRIAL),
      () => chooser.commit(7),
      () => chooser.arm({ id: 8, slot: 'A', tries: 1 }),
      () => chooser.revert(8),
      () => chooser.setOtherOk(false),
    ]) {
      await order();
      const { state } = await chooser.read();
      await order();
      t.same((await chooser.read()).state, state);
    }
  });

  await t.test("the counter is the boot loader's, whatever the system writes", async (t) => {
    const { chooser, saveCounter } = await make(t);
    t.match((await chooser.read()).counter, { used: 0 });
    await chooser.arm(TRIAL);
    await saveCounter({ trialId: 7, used: 1 });
    t.same((await chooser.read()).counter, { trialId: 7, used: 1 });
    await chooser.commit(7);
    t.same((await chooser.read()).counter, { trialId: 7, used: 1 });
    await chooser.arm({ id: 8, slot: 'A', tries: 2 });
    t.same((await chooser.read()).counter, { trialId: 7, used: 1 }, 'a stale one means nothing');
  });
}
