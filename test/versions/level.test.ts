/**
 * A pair whose levels `tandem commit` has raised above what this tree's program reads: there is no
 * way back to it, its bundles are refused, and one whose manifest claims more than its program can
 * do ends in a trial that falls back by itself. Only with VERSIONS_ALL=1.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { NODES } from '../../src/core/model.ts';
import { Bench, READY_MS } from '../pair/harness.ts';
import { expectEnd } from '../pair/judge.ts';
import { agreedOf, cliOf, schemasOf, VERSIONS } from './judge.ts';
import { openNext } from './next.ts';
import { releaseOf, TwoReleases } from './workshop.ts';

t.setTimeout(230_000);

const NOW = releaseOf('1.0.0', 1, 'present');
const NEXT = releaseOf('2.0.0', 2, 'other', 1, 2);
/** The newest by its number, with a program that reads level 1. */
const OLDER = releaseOf('3.0.0', 3, 'present');
/** The same, but the manifest says that it reads level 2. */
const LIAR = releaseOf('3.0.0', 3, 'present', 1, 2);

t.test('a release of a higher level, for good', VERSIONS, async (t) => {
  // Not below the tree, whose own checks would read it.
  const tree = await mkdtemp(join(tmpdir(), 'tandem-next-'));
  t.teardown(() => rm(tree, { recursive: true, force: true }));
  const workshop = await TwoReleases.open(t.testdir(), await openNext(tree));
  const bench = await Bench.open(t, { workshop, first: NOW });
  const file = await bench.bundle(NEXT);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  const words = ['--wait', '--yes', '--json', '--timeout', '150'];

  await t.test('commit raises both nodes', async (t) => {
    bench.startClient();
    const done = await bench.update('B', file, '--json').done;
    t.equal(done.exit, 0, done.stdout + done.stderr);
    t.match(await bench.cli('A', 'commit', ...words), { exit: 0, json: [{ state: 'done' }] });
    await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
    for (const node of NODES) {
      t.strictSame(await schemasOf(bench, node), { last: 2, newerSchema: 2 }, 'the new schema');
      const status = await bench.running.status(node, bench.signal);
      t.strictSame(agreedOf(status), { protocol: 2, featureLevel: 2 }, 'the new levels');
    }
  });

  await t.test('what reads less is refused', async (t) => {
    t.match(await bench.cli('A', 'rollback', ...words), {
      exit: 12,
      json: [{ error: { code: 'rollback.unavailable' } }],
    });
    const older = await bench.bundle(OLDER);
    t.match(await cliOf(bench, 'other', 'B', 'validate', older, '--json'), {
      exit: 12,
      json: [{ code: 'version.incompatible', message: /at level 2; the bundle reads up to 1/ }],
    });
  });

  await t.test('a trial that cannot read the records falls back', async (t) => {
    bench.startClient();
    // Asked on node B, because node A answers nothing but its status meanwhile.
    const failed = await bench.update('B', await bench.bundle(LIAR), '--json').done;
    t.match(failed, { exit: 30, json: [{ state: 'failed', code: 'active.failed' }] });
    await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'FAILED' });
  });
});
