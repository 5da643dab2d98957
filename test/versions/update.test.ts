/**
 * A pair that runs the previous release is updated to this tree's program, returned, updated again
 * and made permanent, while a client works: in mixed versions each node is looked at through the
 * command lines of both releases. Only with VERSIONS_ALL=1 (`npm run test:versions`), because it
 * builds the commit that package.json pins.
 */
import t from 'tap';
import { Bench, READY_MS } from '../pair/harness.ts';
import { expectEnd, expectFromSlot } from '../pair/judge.ts';
import { expectMixed, expectSameStory, VERSIONS } from './judge.ts';
import { releaseOf, TwoReleases } from './workshop.ts';

t.setTimeout(230_000);

const OLD = releaseOf('1.0.0', 1, 'other');
const NEW = releaseOf('2.0.0', 2, 'present', 2);

t.test('the previous release, this one, and back', VERSIONS, async (t) => {
  const workshop = await TwoReleases.open(t.testdir());
  const bench = await Bench.open(t, { workshop, first: OLD, fencePolicy: 'fence' });
  const file = await bench.bundle(NEW);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  await expectFromSlot(t, bench, 'A', OLD);
  await expectFromSlot(t, bench, 'B', OLD);

  await t.test('is highly available in mixed versions, and updates', async (t) => {
    bench.startClient();
    const update = bench.update('A', file, '--json');
    await expectMixed(t, bench, update, { A: NEW, B: OLD });
    const done = await update.done;
    t.equal(done.exit, 0, done.stdout + done.stderr);
    await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
    await expectFromSlot(t, bench, 'B', NEW);
    await expectSameStory(t, bench);
  });

  await t.test('the previous program reads all that was written', async (t) => {
    bench.startClient();
    const back = await bench.cli('B', 'rollback', '--wait', '--yes', '--json', '--timeout', '150');
    t.match(back, { exit: 0, json: [{ kind: 'rollback', state: 'done' }] });
    await expectEnd(t, bench, { A: '1.0.0', B: '1.0.0', phase: 'DONE' });
    await expectFromSlot(t, bench, 'A', OLD);
    await expectFromSlot(t, bench, 'B', OLD);
    await expectSameStory(t, bench);
  });
});
