/**
 * Rule R11 from the other end: a pair of this tree's program gets a release with a higher schema,
 * feature level and protocol. Until `tandem commit` that one writes what this one reads, so that
 * the way back is open; afterwards this program leaves its records alone. With VERSIONS_ALL=1.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { NODES } from '../../src/core/model.ts';
import { inspectJournal } from '../../src/drivers/journal-file.ts';
import { Bench, READY_MS } from '../pair/harness.ts';
import { expectEnd, expectFromSlot } from '../pair/judge.ts';
import { agreedOf, cliOf, expectMixed, VERSIONS } from './judge.ts';
import { openNext } from './next.ts';
import { releaseOf, TwoReleases } from './workshop.ts';

t.setTimeout(400_000);

const NOW = releaseOf('1.0.0', 1, 'present');
const NEXT = releaseOf('2.0.0', 2, 'other', 1, 2);

/** Schemas in a node's journal, and the one that this program finds too new. */
async function schemas(bench: Bench, node: 'A' | 'B') {
  const { entries, newerSchema } = await inspectJournal(bench.pair.nodes[node].stateDir);
  const last = entries.findLast((entry) => entry.kind === 'node');
  return { last: last?.record.schema, newerSchema };
}

t.test('a release of a higher level, back, and for good', VERSIONS, async (t) => {
  // Not below the tree, whose own checks would read it.
  const tree = await mkdtemp(join(tmpdir(), 'tandem-next-'));
  t.teardown(() => rm(tree, { recursive: true, force: true }));
  const workshop = await TwoReleases.open(t.testdir(), await openNext(tree));
  const bench = await Bench.open(t, { workshop, first: NOW, fencePolicy: 'fence' });
  const file = await bench.bundle(NEXT);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  const words = ['--wait', '--yes', '--json', '--timeout', '150'];

  bench.startClient();
  const update = bench.update('A', file, '--json');
  await expectMixed(t, bench, update, { A: NEXT, B: NOW });
  const done = await update.done;
  t.equal(done.exit, 0, done.stdout + done.stderr);
  await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
  for (const node of NODES) {
    t.strictSame(await schemas(bench, node), { last: 1, newerSchema: null }, 'the old schema');
  }
  bench.startClient();
  t.match(await bench.cli('B', 'rollback', ...words), { exit: 0, json: [{ state: 'done' }] });
  await expectEnd(t, bench, { A: '1.0.0', B: '1.0.0', phase: 'DONE' });
  await expectFromSlot(t, bench, 'A', NOW);

  bench.startClient();
  const again = await bench.update('B', file, '--json').done;
  t.equal(again.exit, 0, again.stdout + again.stderr);
  t.match(await bench.cli('A', 'commit', ...words), { exit: 0, json: [{ state: 'done' }] });
  await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
  for (const node of NODES) {
    t.strictSame(await schemas(bench, node), { last: 2, newerSchema: 2 }, 'the new schema');
    const status = await bench.running.status(node, bench.signal);
    t.strictSame(agreedOf(status), { protocol: 2, featureLevel: 2 }, 'the new levels');
  }
  t.match(await bench.cli('A', 'rollback', ...words), {
    exit: 12,
    json: [{ error: { code: 'rollback.unavailable' } }],
  });
  const older = await bench.bundle(releaseOf('3.0.0', 3, 'present'));
  t.match(await cliOf(bench, 'other', 'B', 'validate', older, '--json'), {
    exit: 12,
    json: [{ code: 'version.incompatible', message: /at level 2; the bundle reads up to 1/ }],
  });

  // Its manifest says that it reads level 2, and its program does not: only the trial finds out.
  // Asked on node B, because node A answers nothing but its status meanwhile.
  const liar = await bench.bundle(releaseOf('3.0.0', 3, 'present', 1, 2));
  const failed = await bench.update('B', liar, '--json').done;
  t.match(failed, { exit: 30, json: [{ state: 'failed', code: 'active.failed' }] });
  bench.startClient();
  await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'FAILED' });
});
