/**
 * Power cuts while the two nodes run different releases: the newer standby and then the older one
 * take over from the other. A new release that restarts while it is watched is not trusted, so the
 * pair returns to the old one by itself. Only with VERSIONS_ALL=1.
 */
import t from 'tap';
import { peerOf, type NodeId } from '../../src/core/model.ts';
import { Bench, READY_MS } from '../pair/harness.ts';
import { expectEnd, versionsOf } from '../pair/judge.ts';
import { holdMixed, VERSIONS } from './judge.ts';
import { releaseOf, TwoReleases } from './workshop.ts';

t.setTimeout(230_000);

const OLD = releaseOf('1.0.0', 1, 'other');
const NEW = releaseOf('2.0.0', 2, 'present');

/** Cuts the power of the node that serves; resolves when the other one serves. */
async function cut(bench: Bench, node: NodeId): Promise<void> {
  const other = peerOf(node);
  const taken = bench.watch.until(`node ${other} has taken over`, (look) => {
    return look.node === other && look.status.nodes[other].serving;
  });
  await bench.power(node, 'reset');
  await taken;
}

t.test('each release takes over from the other', VERSIONS, async (t) => {
  const workshop = await TwoReleases.open(t.testdir());
  const bench = await Bench.open(t, { workshop, first: OLD, fencePolicy: 'fence' });
  const file = await bench.bundle(NEW);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  bench.startClient();
  const update = bench.update('A', file, '--json');
  await holdMixed(t, bench, update);

  await cut(bench, 'B');
  await bench.watch.until('the mixed pair is whole again', ({ status }) => {
    const { A, B } = status.nodes;
    return status.ha.ok && A.known && B.known && A.serving;
  });
  for (const node of ['A', 'B'] as const) {
    const { systems } = versionsOf(await bench.running.status(node, bench.signal));
    t.strictSame(systems, { A: '2.0.0', B: '1.0.0' }, `mixed, says node ${node}`);
  }
  await cut(bench, 'A');
  const ended = await update.done;
  t.match(ended, { exit: 30, json: [{ state: 'failed', code: 'active.failed' }] });
  await expectEnd(t, bench, { A: '1.0.0', B: '1.0.0', phase: 'ROLLED_BACK' });
});
