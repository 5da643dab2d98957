/**
 * What every driver of the port Hooks must hold. May import tap, core and ports.
 */
import type { Test } from 'tap';
import type { Hooks } from '../../src/ports.ts';

/** A hook to be made: how it answers, and whether it notes its input. */
export interface HookSpec {
  readonly point: string;
  readonly name: string;
  /** `veto` prints the line `no such luck`; `hang` never ends by itself. */
  readonly answer: 'good' | 'retry' | 'veto' | 'hang';
}

export interface HooksHarness {
  readonly hooks: Hooks;
  /** Hooks that started so far, as `point/name`, in order. */
  readonly started: () => Promise<readonly string[]>;
}

const never = new AbortController().signal;

/** Runs the suite as one subtest of `t`. */
export async function hooksContract(
  t: Test,
  name: string,
  make: (t: Test, specs: readonly HookSpec[]) => Promise<HooksHarness>,
): Promise<void> {
  await t.test(`contract of Hooks: ${name}`, async (t) => {
    await t.test('no hooks: nothing runs and nothing is refused', async (t) => {
      const { hooks } = await make(t, []);
      t.same(await hooks.run('check', {}, never), { ran: 0, retry: false });
    });

    await t.test('hooks of one point run in the order of their names', async (t) => {
      const { hooks, started } = await make(t, [
        { point: 'check', name: '20-second', answer: 'good' },
        { point: 'health', name: '10-other', answer: 'veto' },
        { point: 'check', name: '10-first', answer: 'good' },
        { point: 'check', name: 'Z-third', answer: 'good' },
      ]);
      t.same(await hooks.run('check', { version: '2.0.0' }, never), { ran: 3, retry: false });
      t.same(await started(), ['check/10-first', 'check/20-second', 'check/Z-third']);
    });

    await t.test('a veto names the hook, says why, and ends the run', async (t) => {
      const { hooks, started } = await make(t, [
        { point: 'check', name: '10-no', answer: 'veto' },
        { point: 'check', name: '20-later', answer: 'good' },
      ]);
      await t.rejects(hooks.run('check', {}, never), {
        code: 'hook.refused',
        message: /check\.d\/10-no[^]*no such luck/,
        detail: { hook: '10-no', point: 'check' },
      });
      t.same(await started(), ['check/10-no']);
    });

    await t.test('only a refusal before anything has begun is told as one', async (t) => {
      const before = ['check', 'pre-prepare'];
      const points = [...before, 'pre-switch', 'post-switch', 'health', 'pre-commit', 'on-fail'];
      const { hooks } = await make(
        t,
        points.map((point) => ({ point, name: '10-no', answer: 'veto' })),
      );
      for (const point of points) {
        const code = before.includes(point) ? 'hook.refused' : 'hook.veto';
        await t.rejects(hooks.run(point, {}, never), { code, detail: { point } }, point);
      }
    });

    await t.test('"later" ends the run and is told', async (t) => {
      const { hooks, started } = await make(t, [
        { point: 'check', name: '10-later', answer: 'retry' },
        { point: 'check', name: '20-no', answer: 'veto' },
      ]);
      const end = await hooks.run('check', {}, never);
      t.match(end, { ran: 1, retry: true, later: /^hook check\.d\/\S+ asks to be asked later/ });
      t.same(await started(), ['check/10-later']);
    });

    await t.test('hooks that are only told run all, whatever one of them says', async (t) => {
      const { hooks, started } = await make(t, [
        { point: 'notify', name: '10-no', answer: 'veto' },
        { point: 'notify', name: '20-yes', answer: 'good' },
      ]);
      await t.rejects(hooks.run('notify', {}, never), { code: 'hook.veto' });
      t.same(await started(), ['notify/10-no', 'notify/20-yes']);
    });

    await t.test('the signal ends a hook that hangs', async (t) => {
      const { hooks, started } = await make(t, [{ point: 'check', name: 'hang', answer: 'hang' }]);
      const abort = new AbortController();
      const reason = new Error('cancelled');
      const run = hooks.run('check', {}, abort.signal);
      while ((await started()).length === 0) await new Promise(setImmediate);
      abort.abort(reason);
      await t.rejects(run, reason);
      await t.rejects(hooks.run('check', {}, abort.signal), reason);
    });
  });
}
