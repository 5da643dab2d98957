/**
 * Power cuts while the two nodes run different releases: the older standby and the newer one both
 * take over from the other, the cut node returns into the mixed pair, and the operator calls the
 * update off. Only with VERSIONS_ALL=1.
 */
import t from 'tap';
import { peerOf, type NodeId } from '../../src/core/model.ts';
import { Bench, READY_MS } from '../pair/harness.ts';
import { expectEnd, versionsOf } from '../pair/judge.ts';
import { holdMixed, VERSIONS } from './judge.ts';
import { releaseOf, TwoReleases } from './workshop.ts';

t.setTimeout(400_000);

const OLD = releaseOf('1.0.0', 1, 'previous');
const NEW = releaseOf('2.0.0', 2, 'present');

t.test('each release takes over from the other', VERSIONS, async (t) => {
  const workshop = await TwoReleases.open(t.testdir());
  const bench = await Bench.open(t, { workshop, first: OLD, fencePolicy: 'fence' });
  const file = await bench.bundle(NEW);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  bench.startClient();
  const update = bench.update('A', file, '--json');
  await holdMixed(t, bench, update);

  const cut = async (node: NodeId): Promise<void> => {
    const other = peerOf(node);
    const taken = bench.watch.until(`node ${other} has taken over`, (look) => {
      return look.node === other && look.status.nodes[other].serving;
    });
    await bench.power(node, 'reset');
    await taken;
    await bench.watch.until('the mixed pair is whole again', ({ status }) => {
      const { A, B } = status.nodes;
      return status.ha.ok && A.known && B.known && status.nodes[other].serving;
    });
    for (const one of ['A', 'B'] as const) {
      const status = await bench.running.status(one, bench.signal);
      t.strictSame(versionsOf(status).systems, { A: '2.0.0', B: '1.0.0' }, `says node ${one}`);
    }
  };
  const { nodes } = await bench.running.status('A', bench.signal);
  const serving: NodeId = nodes.A.serving ? 'A' : 'B';
  await cut(serving);
  await cut(peerOf(serving));

  const words = ['--reason', 'enough was seen', '--yes', '--json'];
  const cancelled = await bench.cli('B', 'job', 'cancel', ...words);
  t.equal(cancelled.exit, 0, cancelled.stdout + cancelled.stderr);
  const ended = await update.done;
  t.equal(ended.exit, 41, ended.stdout + ended.stderr);
  await expectEnd(t, bench, { A: '1.0.0', B: '1.0.0', phase: 'ROLLED_BACK' });
});
