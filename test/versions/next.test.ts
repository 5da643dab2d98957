/**
 * Rule R11 from the other end: a pair of this tree's program gets a release with a higher schema,
 * feature level and protocol. Until `tandem commit` that one writes what this one reads, so that
 * the way back is open. Only with VERSIONS_ALL=1.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { NODES } from '../../src/core/model.ts';
import { Bench, READY_MS } from '../pair/harness.ts';
import { expectEnd, expectFromSlot } from '../pair/judge.ts';
import { expectMixed, schemasOf, VERSIONS } from './judge.ts';
import { openNext } from './next.ts';
import { releaseOf, TwoReleases } from './workshop.ts';

t.setTimeout(230_000);

const NOW = releaseOf('1.0.0', 1, 'present');
const NEXT = releaseOf('2.0.0', 2, 'other', 1, 2);

t.test('a release of a higher level, and back', VERSIONS, async (t) => {
  // Not below the tree, whose own checks would read it.
  const tree = await mkdtemp(join(tmpdir(), 'tandem-next-'));
  t.teardown(() => rm(tree, { recursive: true, force: true }));
  const workshop = await TwoReleases.open(t.testdir(), await openNext(tree));
  const bench = await Bench.open(t, { workshop, first: NOW, fencePolicy: 'fence' });
  const file = await bench.bundle(NEXT);
  await bench.running.waitAvailable(READY_MS, bench.signal);

  bench.startClient();
  const update = bench.update('A', file, '--json');
  await expectMixed(t, bench, update, { A: NEXT, B: NOW });
  const done = await update.done;
  t.equal(done.exit, 0, done.stdout + done.stderr);
  await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
  for (const node of NODES) {
    t.strictSame(await schemasOf(bench, node), { last: 1, newerSchema: null }, 'the old schema');
  }

  bench.startClient();
  const back = await bench.cli('B', 'rollback', '--wait', '--yes', '--json', '--timeout', '150');
  t.match(back, { exit: 0, json: [{ kind: 'rollback', state: 'done' }] });
  await expectEnd(t, bench, { A: '1.0.0', B: '1.0.0', phase: 'DONE' });
  await expectFromSlot(t, bench, 'A', NOW);
});
