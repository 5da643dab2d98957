/**
 * What a rollout would do on each node, and which combinations may run. Imports core.
 */
import t from 'tap';
import { NODES, type NodeId } from '../../src/core/model.ts';
import {
  planRollout,
  runsTogether,
  type NodeView,
  type RolloutPlan,
} from '../../src/core/policy.ts';
import { image, MANIFEST, nodeView, VIEW } from './policy-cases.ts';

t.test('a plan names what each node gets', async (t) => {
  const cases: readonly (readonly [NodeView, NodeView, string, string])[] = [
    [nodeView(1, 1), nodeView(1, 1), 'system storage', 'system storage'],
    [nodeView(2, 2), nodeView(1, 1), '', 'system storage'],
    [nodeView(1, 2), nodeView(2, 2), 'system', ''],
    // New storage software is proven in a trial, and a trial boots the other system slot.
    [nodeView(2, 1), nodeView(2, 2), 'system storage', ''],
  ];
  for (const [a, b, onA, onB] of cases) {
    const plan = planRollout(MANIFEST, { ...VIEW, nodes: { A: a, B: b } });
    const words = (node: NodeId): string => plan[node].targets.map((one) => one.class).join(' ');
    t.strictSame([words('A'), words('B')], [onA, onB]);
    for (const node of NODES) t.equal(plan[node].skip, words(node) === '');
  }
});

function planWith(storageRunsWith: string, systemRunsWith = '*'): RolloutPlan {
  const system = image('system', 2, { runsWith: systemRunsWith });
  const images = [system, image('storage', 2, { runsWith: storageRunsWith })];
  const nodes = { A: nodeView(1, 1), B: nodeView(1, 2) };
  return planRollout({ ...MANIFEST, images }, { ...VIEW, nodes });
}

t.test('a plan says whether the new storage may stay under the old system', async (t) => {
  t.equal(planWith('>=1.0.0').A.storageRunsUnderOld, true);
  t.equal(planWith('>=2.0.0').A.storageRunsUnderOld, false);
  t.equal(
    planWith('>=1.0.0', '>=2.0.0').A.storageRunsUnderOld,
    true,
    'the new system does not matter',
  );
  t.equal(planWith('>=1.0.0').B.storageRunsUnderOld, false, 'no new storage on B');
});

t.test('both sides of a combination may refuse it', async (t) => {
  const any = { version: '1.0.0', runsWith: null };
  const two = { version: '2.0.0', runsWith: '>=2.0.0' };
  t.equal(runsTogether(any, any), true);
  t.equal(runsTogether(any, two), false);
  t.equal(runsTogether(two, any), false);
  t.equal(runsTogether(two, two), true);
});
