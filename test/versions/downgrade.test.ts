/**
 * The other way: a pair that runs this tree's program gets a higher release whose program is that
 * of the release before, and returns. Whatever the newer program wrote until then must be readable
 * by the older one, because nothing was made permanent. Only with VERSIONS_ALL=1.
 */
import t from 'tap';
import { Bench, READY_MS } from '../pair/harness.ts';
import { expectEnd, expectFromSlot } from '../pair/judge.ts';
import { expectMixed, expectSameStory, VERSIONS } from './judge.ts';
import { releaseOf, TwoReleases } from './workshop.ts';

t.setTimeout(230_000);

const NOW = releaseOf('1.0.0', 1, 'present');
const BEFORE = releaseOf('2.0.0', 2, 'other');

t.test('a higher release with the previous program, and back', VERSIONS, async (t) => {
  const workshop = await TwoReleases.open(t.testdir());
  const bench = await Bench.open(t, { workshop, first: NOW, fencePolicy: 'fence' });
  const file = await bench.bundle(BEFORE);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  bench.startClient();
  const update = bench.update('B', file, '--json');
  await expectMixed(t, bench, update, { A: BEFORE, B: NOW });
  const done = await update.done;
  t.equal(done.exit, 0, done.stdout + done.stderr);
  await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
  await expectFromSlot(t, bench, 'A', BEFORE);
  await expectFromSlot(t, bench, 'B', BEFORE);
  await expectSameStory(t, bench);

  bench.startClient();
  const back = await bench.cli('A', 'rollback', '--wait', '--yes', '--json', '--timeout', '150');
  t.match(back, { exit: 0, json: [{ kind: 'rollback', state: 'done' }] });
  await expectEnd(t, bench, { A: '1.0.0', B: '1.0.0', phase: 'DONE' });
  await expectFromSlot(t, bench, 'A', NOW);
  await expectSameStory(t, bench);
});
