/**
 * Updates of a whole pair on the real runner: either node struck before a durable operation, the
 * link lost for a while or for longer than a trial waits. A seeded sample; every operation of both
 * nodes with CRASH_ALL=1. May import tap and the bench.
 */
import t from 'tap';
import { NODES, type NodeId } from '../../src/core/model.ts';
import { randomOf } from '../memory/disk.ts';
import type { Cut } from './bench-node.ts';
import { Bench } from './bench.ts';

const SEED = Number(process.env['SEED'] ?? 20261121);
const ALL = process.env['CRASH_ALL'] === '1';
const SAMPLE = 20;

t.setTimeout(ALL ? 0 : 600_000);

/** Runs an update to its rest; `during` acts on the pair once the update has begun. */
async function play(during: (bench: Bench) => Promise<void> | void): Promise<Bench> {
  const bench = new Bench({ seed: SEED });
  await bench.open();
  await during(bench);
  await bench.rest();
  return bench;
}

t.test('either node loses its power or its daemon in an update of both', async (t) => {
  t.setTimeout(0);
  const ends = new Map<string, number>();
  let happened = 0;
  const strike = async (node: NodeId, cut: Cut): Promise<boolean> => {
    const bench = await play(async (pair) => {
      pair.arm(node, [cut]);
      await pair.start();
    });
    const name = `${node} ${JSON.stringify(cut)} SEED=${SEED}`;
    const problems = await bench.problems();
    if (problems.length > 0) t.fail(`${name}: ${problems.join('; ')}`);
    const end = bench.end();
    ends.set(end, (ends.get(end) ?? 0) + 1);
    // A cut while the first node serves in the soak sends the pair back; before the first record is
    // durable there is no update.
    if (!/^(DONE 2\/2 2\/2|ROLLED_BACK 1\/1 1\/1|NONE 1\/1 1\/1)$/.test(end))
      t.fail(`${name}: ${end}`);
    happened += bench.cuts;
    return bench.cuts > 0;
  };
  const random = randomOf(SEED);
  const ways = (op: number): readonly Cut[] => [
    { op, kind: 'power', seed: SEED + op },
    { op, kind: 'kill' },
  ];
  if (ALL) {
    for (const node of NODES) {
      for (const way of [0, 1] as const) {
        for (let op = 1; await strike(node, ways(op)[way]!); op++);
      }
    }
  } else {
    for (let count = 0; count < SAMPLE; count++) {
      const op = 1 + Math.floor(random() * 105);
      await strike(count % 2 === 0 ? 'A' : 'B', ways(op)[Math.floor(random() * 2)]!);
    }
  }
  t.comment(`SEED=${SEED}: ${happened} struck, ends ${JSON.stringify([...ends])}`);
  t.ok(happened >= SAMPLE - 2, 'they were struck');
});

t.test('the link is lost for some seconds at any time: the update ends well', async (t) => {
  const random = randomOf(SEED);
  for (let count = 0; count < 8; count++) {
    const [atMs, lostMs] = [random() * 10_000, 200 + random() * 5000];
    const what = ['link', 'store', 'both'][count % 3];
    const bench = await play(async (pair) => {
      await pair.start();
      await pair.pass(atMs);
      if (what !== 'store') pair.world.wire.cut();
      if (what !== 'link') pair.world.store.setLink(false);
      await pair.pass(lostMs);
      pair.world.wire.heal();
      pair.world.store.setLink(true);
    });
    const name = `${what} lost at ${Math.round(atMs)} for ${Math.round(lostMs)} ms, SEED=${SEED}`;
    t.equal(bench.end(), 'DONE 2/2 2/2', name);
    t.strictSame(await bench.problems(), [], name);
  }
});

t.test('the driver is silent for longer than a trial waits: it reverts by itself', async (t) => {
  const bench = await play(async (pair) => {
    await pair.start();
    await pair.until(() => pair.nodes.A.state?.record.update.state === 'trial');
    pair.world.wire.cut();
    pair.world.store.setLink(false);
    await pair.pass(590_000);
    t.equal(pair.nodes.A.state?.record.update.state, 'trial', 'a silent peer is no failed check');
    await pair.pass(60_000);
    t.equal(pair.nodes.A.boot?.slot, 'A', 'back in its old slot, with nobody to ask');
    t.equal(pair.world.network.server(), 'B', 'the other node served on');
    pair.world.wire.heal();
    pair.world.store.setLink(true);
  });
  t.match(bench.end(), /^FAILED 1\/\d 1\/1$/);
  t.match(bench.nodes.B.state?.rollout?.result, { code: 'active.failed', message: /600 s/ });
  t.strictSame(await bench.problems(), []);
});
