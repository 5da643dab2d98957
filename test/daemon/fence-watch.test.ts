/**
 * When a node may fence: after a self-test that passed, and until two in a row failed. Imports the
 * watch.
 */
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import type { Event } from '../../src/core/state.ts';
import { FenceWatch } from '../../src/daemon/fence-watch.ts';
import type { Fencer } from '../../src/ports.ts';

/** A watch of a fencer whose self-tests end like this, one after the other; what it did. */
async function watched(ends: readonly ('pass' | 'fail')[]): Promise<readonly string[]> {
  const seen: string[] = [];
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  const left = [...ends];
  const fencer = {
    selfTest: async () => {
      const next = left.shift();
      if (next === 'fail') throw new UpdateError('fence.self_test', 'it does not answer');
    },
  } as unknown as Fencer;
  const dispatch = async (event: Event): Promise<boolean> => {
    seen.push(event.type === 'takeover-policy' ? event.takeover : event.type);
    return true;
  };
  const pause = async (ms: number, signal: AbortSignal): Promise<void> => {
    seen.push(String(ms));
    if (left.length > 0) return;
    end();
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve());
    });
  };
  await using watch = new FenceWatch(fencer, dispatch, () => undefined, pause);
  watch.start('fence');
  await over;
  return [...seen, watch.trouble?.code ?? 'fine'];
}

t.test('permission after a pass, none after a failure at the start', async (t) => {
  t.same(await watched(['pass']), ['fence', '60000', 'fine']);
  t.same(await watched(['fail']), ['5000', 'fence.self_test']);
  t.same(await watched(['fail', 'pass']), ['5000', 'fence', '60000', 'fine']);
});

t.test('one failure between passes takes nothing back, two in a row do', async (t) => {
  const once = ['fence', '60000', '1000', '60000', 'fine'];
  t.same(await watched(['pass', 'fail', 'pass']), once);
  const twice = ['fence', '60000', '1000', 'manual', '5000', 'fence.self_test'];
  t.same(await watched(['pass', 'fail', 'fail']), twice);
  const back = [...twice.slice(0, -1), 'fence', '60000', 'fine'];
  t.same(await watched(['pass', 'fail', 'fail', 'pass']), back);
});

t.test('nothing is tested with policy manual', async (t) => {
  await using watch = new FenceWatch(
    {} as Fencer,
    async () => true,
    () => undefined,
  );
  watch.start('manual');
  t.equal(watch.trouble, null);
});
