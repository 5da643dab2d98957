/**
 * A node whose newest records were lost: its journal was damaged during an update and repaired. The
 * boot chooser and the peer know more than the node does now, and everything must still come to
 * rest: no trial stays armed, the pair is highly available. May import tap and the bench.
 */
import t from 'tap';
import { rolloutRecord } from '../core/states.ts';
import { Bench } from './bench.ts';

/** Records that a repair drops. */
const LOST = [1, 3, 7] as const;

t.test('records are lost at every third moment of an update', async (t) => {
  const ends = new Map<string, number>();
  const { nodes } = rolloutRecord();
  for (let op = 2, turn = 0; op <= 80; op += 3, turn++) {
    const lost = LOST[turn % LOST.length] ?? 1;
    const bench = new Bench();
    await bench.open();
    const { A } = bench.nodes;
    bench.arm('A', [{ op, kind: 'power' }]);
    A.whileOff = () => A.loseRecords(lost);
    await bench.start({ nodes: { A: nodes.A, B: { ...nodes.B, skip: true } } });
    await bench.rest().catch((error: unknown) => t.fail(`${lost} lost at ${op}: ${String(error)}`));
    t.strictSame(await bench.problems(), [], `${lost} records lost at operation ${op}`);
    ends.set(bench.end(), (ends.get(bench.end()) ?? 0) + 1);
  }
  t.comment(`ends ${JSON.stringify([...ends])}`);
});
