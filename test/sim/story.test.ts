/**
 * Stories of whole updates over the simulated pair: the good way in both orders, every failure of
 * the table in docs/ARCHITECTURE.md, cancel, rollback, finalize.
 */
import t from 'tap';
import { Pair } from './pair.ts';

const versions = (pair: Pair): string =>
  (['A', 'B'] as const)
    .map((node) => {
      const world = pair.nodes[node].state?.world;
      return `${world?.system?.counter}/${world?.storage?.release.counter}`;
    })
    .join(' ');

const end = (pair: Pair): string => {
  const rollout = pair.nodes.A.state?.rollout;
  return `${rollout?.phase} ${rollout?.result?.code ?? '-'} ${versions(pair)}`;
};

function settled(options: ConstructorParameters<typeof Pair>[0]): Pair {
  const pair = new Pair(options);
  pair.run(60);
  return pair;
}

const rows = [
  { name: 'both nodes take the new version', options: {}, want: 'DONE - 2/2 2/2' },
  {
    name: 'standby first',
    options: { policy: { order: 'standby-first' } },
    want: 'DONE - 2/2 2/2',
  },
  {
    name: 'the first node never comes up',
    options: { faults: { crash: '2.0.0' } },
    want: 'FAILED active.failed 1/1 1/1',
  },
  {
    name: 'the first node is unhealthy, its proven storage software is kept',
    options: { faults: { unhealthy: '2.0.0' } },
    want: 'FAILED active.failed 1/2 1/1',
  },
  {
    name: 'the first node is unhealthy and storage does not run under the old system',
    options: { faults: { unhealthy: '2.0.0' }, storageRunsWith: '>=2.0.0' },
    want: 'FAILED active.failed 1/1 1/1',
  },
  {
    name: 'the storage software is unhealthy',
    options: { faults: { storageUnhealthy: '2.0.0' } },
    want: 'FAILED storage.failed 1/1 1/1',
  },
  {
    name: 'the second node fails and is held at its old version',
    options: { faults: { unhealthy: '2.0.0', unhealthyOn: 'B' }, storageRunsWith: '>=2.0.0' },
    want: 'HOLD_MIXED standby.failed_held 2/2 1/1',
  },
  {
    name: 'the second node fails and the pair is rolled back',
    options: {
      faults: { unhealthy: '2.0.0', unhealthyOn: 'B' },
      policy: { onSecondFailure: 'rollback' },
      storageRunsWith: '>=2.0.0',
    },
    want: 'ROLLED_BACK standby.failed_rolled_back 1/1 1/1',
  },
  {
    name: 'the first node cannot be installed',
    options: { faults: { installFails: 'A' } },
    want: 'CANCELLED slot.io 1/1 1/1',
  },
] as const;

for (const row of rows) {
  t.test(row.name, async (t) => {
    const pair = settled(row.options);
    pair.start();
    pair.run();
    t.equal(end(pair), row.want);
    t.ok(pair.highlyAvailable(), 'highly available at the end');
    t.equal(pair.serving() === null, false);
    const writes = pair.acknowledged;
    pair.tick();
    t.equal(pair.acknowledged, writes + 1, 'service goes on');
    t.strictSame(pair.nodes.A.unknownEvents, [], 'no event without meaning on A');
  });
}

t.test('rollback after DONE returns both nodes, finalize makes it impossible', async (t) => {
  const pair = settled({});
  pair.start();
  pair.run();
  pair.start('rollback');
  pair.run();
  t.equal(end(pair), 'DONE - 1/1 1/1');
  const again = settled({});
  again.start();
  again.run();
  again.send('A', { type: 'finalize' });
  again.run();
  t.equal(again.nodes.A.state?.rollout?.finalized, true);
  t.equal(again.nodes.B.state?.record.canRollBack, false);
  t.equal(again.nodes.B.disk.boot.otherOk, false);
});

t.test('a rollback that was turned back can be tried again', async (t) => {
  const pair = settled({});
  pair.start();
  pair.run();
  pair.start('rollback');
  for (let i = 0; i < 3000 && (pair.nodes.A.state?.rollout?.soak ?? null) === null; i++) {
    pair.tick();
  }
  pair.nodes.A.state = null;
  pair.run();
  t.equal(end(pair), 'ROLLED_BACK active.failed 2/2 2/2', 'the first node restarted in its soak');
  for (const node of ['A', 'B'] as const) {
    t.equal(pair.nodes[node].state?.record.canRollBack, true, `node ${node}`);
  }
  pair.start('rollback');
  pair.run();
  t.equal(end(pair), 'DONE - 1/1 1/1');
});

t.test('a rollback whose trial failed can be tried again, storage software too', async (t) => {
  const pair = settled({ storageRunsWith: '>=2.0.0' });
  pair.start();
  pair.run();
  pair.strikes = (fault) => fault === 'health';
  pair.start('rollback');
  pair.run();
  t.equal(end(pair), 'FAILED revert.failed 2/1 2/2', 'proven storage software stays');
  pair.strikes = () => false;
  pair.start('rollback');
  pair.run();
  t.equal(end(pair), 'DONE - 1/1 1/1');
});

for (const phase of ['INSTALL1', 'DOWN1', 'TRIAL1', 'HAND1', 'INSTALL2', 'TRIAL2'] as const) {
  t.test(`cancel in ${phase}`, async (t) => {
    // Storage software that was healthy in a trial would else be kept.
    const pair = settled({ storageRunsWith: '>=2.0.0' });
    pair.start();
    for (let i = 0; i < 3000; i++) {
      const holder = pair.serving();
      const state = holder === null ? null : pair.nodes[holder].state;
      if (holder !== null && state?.rollout?.phase === phase && state.world.serving !== null) {
        pair.send(holder, { type: 'cancel', by: 'test', reason: 'test' });
        if (pair.nodes[holder].state?.rollout?.abort !== null) break;
      }
      pair.tick();
    }
    pair.run();
    const rollout = pair.nodes.A.state?.rollout;
    t.not(rollout?.abort, null, 'the cancel was taken');
    t.equal(rollout?.result?.code, 'job.cancelled');
    t.equal(versions(pair), '1/1 1/1');
  });
}
