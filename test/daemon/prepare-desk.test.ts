/**
 * The desk of prepared updates: every fault in every stage on every node, the end of a daemon and
 * the change of the active in the middle of each, words of people. May import tap, core and the
 * bench.
 */
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import { NODES, peerOf, type NodeId } from '../../src/core/model.ts';
import { PREPARE_STAGES, type PrepareStage } from '../../src/core/prepare.ts';
import { prepareOrder, WORD } from '../core/prepare-cases.ts';
import { rolloutRecord } from '../core/states.ts';
import { DeskBench, type Fault } from './prepare-bench.ts';

/** Each stage on each node. */
const PLACES = NODES.flatMap((node) => PREPARE_STAGES.map((stage) => ({ node, stage })));

async function begun(faults: readonly [NodeId, PrepareStage, ...Fault[]][] = []) {
  const bench = new DeskBench();
  for (const [node, stage, ...list] of faults) bench.nodes[node].work.faults.set(stage, list);
  const order = prepareOrder({ plan: null, writer: { epoch: 0, seq: 0 } });
  await bench.nodes.B.desk!.ask({ do: 'begin', order });
  return bench;
}

const stateOf = (bench: DeskBench, node: NodeId, stage: PrepareStage) =>
  bench.of(node)?.nodes[node].stages[stage];

/** How often each stage of a node was begun. */
function runsOf(bench: DeskBench, node: NodeId): Record<PrepareStage, number> {
  const { runs } = bench.nodes[node].work;
  const count = (stage: PrepareStage): number => runs.filter((one) => one === stage).length;
  return Object.fromEntries(PREPARE_STAGES.map((stage) => [stage, count(stage)])) as never;
}

const ONCE = { checks: 1, replicate: 1, updater: 1, plan: 1, finalize: 1 };

t.test('without a fault every stage runs once on each node', async (t) => {
  await using bench = await begun();
  await bench.until(() => bench.ready());
  for (const node of NODES) t.strictSame(runsOf(bench, node), ONCE);
  t.strictSame(bench.nodes.A.disk.found, bench.nodes.B.disk.found);
  t.strictSame(bench.nodes.A.ended, ['prepare true'], 'told once, by the node that serves');
  t.strictSame(bench.nodes.B.ended, []);
  const { writes } = bench.nodes.A.disk;
  await bench.pass(3600);
  t.equal(bench.nodes.A.disk.writes, writes, 'then it rests');
});

t.test('a stage that fails: only it runs again, after a pause that grows', async (t) => {
  for (const { node, stage } of PLACES) {
    for (const fault of ['throws', 'bug'] as const) {
      await using bench = await begun([[node, stage, fault, fault]]);
      const failed = (): boolean => stateOf(bench, node, stage)?.state === 'failed';
      await bench.until(failed);
      const code = fault === 'bug' ? 'internal.bug' : 'space.depot';
      t.match(stateOf(bench, node, stage), { code, tries: 1 }, `${node} ${stage} ${fault}`);
      await bench.pass(59);
      t.equal(runsOf(bench, node)[stage], 1, 'not before a minute has passed');
      t.equal(bench.nodes[node].desk!.retryInS(), 1);
      await bench.pass(1);
      await bench.until(failed);
      await bench.pass(119);
      t.equal(runsOf(bench, node)[stage], 2, 'then two');
      await bench.pass(1);
      await bench.until(() => bench.ready());
      t.strictSame(runsOf(bench, node), { ...ONCE, [stage]: 3 }, 'what is done stays');
      t.strictSame(runsOf(bench, peerOf(node)), ONCE);
    }
  }
});

t.test('retry: failed stages run again at once, and nothing else does', async (t) => {
  for (const { node, stage } of PLACES) {
    await using bench = await begun([[node, stage, 'throws']]);
    await bench.until(() => stateOf(bench, node, stage)?.state === 'failed');
    await bench.nodes[peerOf(node)].desk!.ask({ do: 'retry', word: WORD });
    await bench.until(() => bench.ready());
    t.strictSame(runsOf(bench, node), { ...ONCE, [stage]: 2 }, `${node} ${stage}`);
    t.equal(bench.nowMs, 0);
  }
});

t.test('ignore: the other node is enough, and the ignored one is left alone', async (t) => {
  for (const { node, stage } of PLACES) {
    // What B waits for is A's copy of the bundle.
    if (node === 'A' && ['checks', 'replicate'].includes(stage)) continue;
    await using bench = await begun([[node, stage, ...Array<Fault>(9).fill('throws')]]);
    await bench.until(() => stateOf(bench, node, stage)?.state === 'failed');
    await bench.nodes.A.desk!.ask({ do: 'ignore', node, word: WORD });
    await bench.until(() => bench.of('B')?.order.readyAt !== null);
    const before = runsOf(bench, node);
    await bench.pass(3600);
    t.strictSame(runsOf(bench, node), before, `${node} ${stage}: not tried any more`);
    bench.nodes[node].work.faults.clear();
    await bench.nodes.B.desk!.ask({ do: 'heed', node, word: WORD });
    await bench.pass(900);
    await bench.until(() => bench.ready());
    t.pass('and it counts again');
  }
});

t.test('the daemon ends in the middle of a stage: it goes on, what is done stays', async (t) => {
  for (const { node, stage } of PLACES) {
    await using bench = await begun([[node, stage, 'hangs']]);
    await bench.until(() => bench.nodes[node].work.runs.includes(stage));
    await bench.down(node);
    await bench.pass(5);
    t.equal(bench.nodes[node].disk.found?.nodes[node].stages[stage].state, 'running');
    bench.up(node);
    t.match(stateOf(bench, node, stage), { state: 'failed', code: 'job.interrupted' });
    await bench.until(() => bench.ready());
    t.strictSame(runsOf(bench, node), { ...ONCE, [stage]: 2 }, `${node} ${stage}`);
    t.strictSame(runsOf(bench, peerOf(node)), ONCE);
  }
});

t.test('the active is lost in the middle of a stage: the other one goes on', async (t) => {
  for (const { node, stage } of PLACES) {
    await using bench = await begun([[node, stage, 'hangs']]);
    await bench.until(() => bench.nodes[node].work.runs.includes(stage));
    await bench.pass();
    bench.linked = false;
    await bench.down('A');
    bench.serve('B', 2);
    await bench.pass(30);
    const change = await bench.nodes.B.desk!.ask({ do: 'authorize', word: WORD });
    t.match(change.preparation.order.writer, { epoch: 2 }, `${node} ${stage}`);
    bench.linked = true;
    bench.up('A');
    bench.serve('B', 2);
    bench.nodes.B.work.free();
    await bench.until(() => bench.of('A')?.order.authorized !== null);
    for (const pause of [60, 120, 240]) await bench.pass(pause);
    await bench.until(() => bench.ready());
    t.strictSame(bench.of('A'), bench.of('B'), 'both know the same');
    t.ok(runsOf(bench, node)[stage] >= (node === 'A' ? 2 : 1));
  }
});

t.test('a disk that takes no record: nothing begins, and no end is lost', async (t) => {
  const fault = new UpdateError('state.io', 'the disk is full');
  for (const { node, stage } of PLACES) {
    await using bench = await begun();
    const { disk, work } = bench.nodes[node];
    work.onRun = (begins) => {
      if (begins !== stage) return;
      disk.fault = fault;
      work.onRun = () => {};
    };
    await bench.until(() => work.runs.includes(stage));
    for (let count = 0; count < 5; count += 1) await bench.pass();
    t.equal(disk.found?.nodes[node].stages[stage].state, 'running', `${node} ${stage}`);
    const begins = work.runs.length;
    await bench.pass(30);
    t.equal(work.runs.length, begins, 'the next one does not begin');
    disk.fault = null;
    for (const pause of [60, 120]) await bench.pass(pause);
    await bench.until(() => bench.ready());
    // A plan is kept by both nodes before it counts, so that stage alone may fail of the disk.
    const expected = stage === 'plan' ? { ...ONCE, plan: runsOf(bench, node).plan } : ONCE;
    t.strictSame(runsOf(bench, node), expected, 'and the one that ended is not repeated');
  }
});

t.test('what is lost afterwards is done again, and all behind it', async (t) => {
  for (const { node, stage } of PLACES) {
    await using bench = await begun();
    await bench.until(() => bench.ready());
    bench.nodes[node].work.gone = stage;
    await bench.pass(60);
    await bench.until(() => bench.ready());
    const index = PREPARE_STAGES.indexOf(stage);
    const expected = PREPARE_STAGES.map((one, own) => [one, own < index ? 1 : 2]);
    t.strictSame(runsOf(bench, node), Object.fromEntries(expected), `${node} ${stage}`);
    t.strictSame(runsOf(bench, peerOf(node)), ONCE);
  }
});

t.test('a change of the pair comes first: a stage gives way and goes on after it', async (t) => {
  for (const { node, stage } of PLACES) {
    await using bench = await begun([[node, stage, 'hangs']]);
    await bench.until(() => bench.nodes[node].work.runs.includes(stage));
    const { state } = bench.nodes[node];
    const quiet = bench.nodes[node];
    quiet.state = { ...state, rollout: rolloutRecord({ phase: 'INSTALL1' }) };
    await bench.until(() => stateOf(bench, node, stage)?.state === 'failed');
    t.match(stateOf(bench, node, stage), { code: 'job.busy' }, `${node} ${stage}`);
    await bench.pass(3600);
    t.equal(runsOf(bench, node)[stage], 1);
    quiet.state = { ...state, rollout: rolloutRecord({ phase: 'DONE' }) };
    await bench.pass(60);
    await bench.until(() => bench.ready());
    t.strictSame(runsOf(bench, node), { ...ONCE, [stage]: 2 });
  }
});

const install = (job: string) => ({ do: 'install', job, by: 'anna', at: WORD.at }) as const;

t.test(
  'an install: its end is noted by whoever serves then; one that never began too',
  async (t) => {
    await using bench = await begun();
    await bench.until(() => bench.ready());
    const { desk } = bench.nodes.A;
    await desk!.ask({ do: 'authorize', word: WORD });
    await desk!.ask({ do: 'configure', word: WORD, options: {} });
    await desk!.ask(install('update-1'));
    await bench.pass(60);
    await bench.pass(120);
    t.match(bench.of('B')?.order.install, { result: { good: false, code: 'job.lost' } });
    await desk!.ask({ do: 'authorize', word: WORD });
    await desk!.ask(install('update-2'));
    bench.rollouts.push(rolloutRecord({ id: 'update-2', phase: 'TRIAL1' }));
    await bench.pass(600);
    t.equal(bench.of('A')?.order.install?.result, null);
    bench.serve('B', 2);
    bench.rollouts[0] = rolloutRecord({ id: 'update-2', phase: 'DONE' });
    await bench.pass();
    await bench.until(() => bench.of('A')?.order.ended?.why === 'installed');
    t.strictSame(bench.nodes.A.ended, ['prepare true', 'prepare install false']);
    t.strictSame(bench.nodes.B.ended, ['prepare install true']);
  },
);

t.test('a node that lost its disk gets the record from its peer', async (t) => {
  await using bench = await begun();
  await bench.until(() => bench.ready());
  await bench.down('B');
  bench.nodes.B.disk.record = null;
  bench.up('B');
  bench.nodes.A.state = { ...bench.nodes.A.state, world: { ...bench.nodes.A.state.world } };
  const { world } = bench.nodes.A.state;
  const peer = { ...world.peer!, run: 'B2' };
  bench.nodes.A.state = { ...bench.nodes.A.state, world: { ...world, peer } };
  bench.nodes.B.work.gone = 'replicate';
  await bench.until(() => bench.of('B') !== null);
  await bench.pass(60);
  await bench.until(() => bench.ready());
  t.strictSame(bench.of('A'), bench.of('B'));
});

t.test('a peer of an older program is told of once, and can be left out', async (t) => {
  await using bench = new DeskBench();
  bench.older = true;
  await bench.down('B');
  const order = prepareOrder({ plan: null, writer: { epoch: 0, seq: 0 } });
  const { desk, told } = bench.nodes.A;
  await desk!.ask({ do: 'begin', order });
  for (let count = 0; count < 5; count += 1) await bench.pass(30);
  const said = told.filter((line) => /node B runs Tandem .*cannot prepare updates/.test(line));
  t.equal(said.length, 1);
  t.equal(bench.of('A')?.order.readyAt, null);
  await desk!.ask({ do: 'ignore', node: 'B', word: WORD });
  await bench.until(() => bench.of('A')?.order.readyAt !== null);
});

t.test('outdated: found at once by whoever serves, told once, known to both', async (t) => {
  await using bench = await begun([['B', 'finalize', 'throws', 'throws']]);
  const failed = (): boolean => stateOf(bench, 'B', 'finalize')?.state === 'failed';
  await bench.until(failed);
  const [a, b] = [bench.nodes.A.work, bench.nodes.B.work];
  const said = (node: NodeId): number =>
    bench.nodes[node].told.filter((line) => line.includes('is outdated: other')).length;
  a.unfit = b.unfit = undefined;
  await bench.pass(30);
  t.equal(bench.of('A')?.order.outdated ?? null, null, 'not known is no news');
  a.unfit = b.unfit = 'other software runs';
  await bench.until(() => bench.of('B')?.order.outdated?.message === 'other software runs');
  await bench.pass(3600);
  t.strictSame([said('A'), said('B')], [1, 0]);
  t.equal(runsOf(bench, 'B').finalize, 1, 'nothing is tried in vain');
  bench.serve('B', 2);
  b.unfit = 'other storage runs';
  await bench.until(() => bench.of('A')?.order.outdated?.message === 'other storage runs');
  b.unfit = null;
  await bench.pass();
  t.equal(bench.of('A')?.order.outdated ?? null, null);
  await bench.pass(3600);
  t.equal(runsOf(bench, 'B').finalize > 1, true, 'and it goes on');
});
