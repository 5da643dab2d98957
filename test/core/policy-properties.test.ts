/**
 * Policy by properties, over generated pairs and bundles: what an accepted bundle does and does not
 * do, and that no verdict depends on which node is called A. Imports core.
 */
import * as fc from 'fast-check';
import t from 'tap';
import type { Manifest } from '../../src/core/manifest.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import { judgeBundle, planRollout, type NodeView, type PolicyView } from '../../src/core/policy.ts';
import { image, MANIFEST, nodeView, release, versionOf, VIEW } from './policy-cases.ts';

const installed = fc.integer({ min: 1, max: 3 });
const offered = fc.integer({ min: 1, max: 4 });
const mostly = fc.integer({ min: 0, max: 9 }).map((n) => n > 0);
const anyNode = fc
  .tuple(installed, installed, mostly, fc.integer({ min: 0, max: 2 }), mostly)
  .map(([system, storage, known, floor, reachable]) => ({
    ...nodeView(system, storage, { floor, reachable }),
    ...(known ? {} : { storage: null }),
  }));
const anyBundle = fc
  .record({
    system: offered,
    storage: fc.option(offered),
    from: fc.constantFrom('*', '*', '>=1.0.0 <3.0.0', '>=2.0.0', 'x'),
    runsWith: fc.constantFrom('*', '<3.0.0', '>=2.0.0'),
    sideBySide: fc.constantFrom('*', '>=2.0.0'),
  })
  .map(({ system, storage, from, runsWith, sideBySide }) => ({
    ...MANIFEST,
    version: versionOf(system),
    releaseCounter: system,
    from,
    pair: { ...MANIFEST.pair, sideBySide },
    images: [
      image('system', system),
      ...(storage === null ? [] : [image('storage', storage, { runsWith })]),
    ],
  }));
const anyCase = fc.record({ manifest: anyBundle, A: anyNode, B: anyNode }).map((one) => ({
  manifest: one.manifest,
  view: { ...VIEW, nodes: { A: one.A, B: one.B } },
}));
/** Seeded: the counts that guard against an empty proof are the same in every run. */
const RUNS = { numRuns: 400, seed: 1 };

/** The codes of an assertion over generated cases, so that a property cannot hold for nothing. */
function seen(check: (one: { manifest: Manifest; view: PolicyView }) => boolean): Set<string> {
  const codes = new Set<string>();
  fc.assert(
    fc.property(anyCase, (one) => {
      codes.add(judgeBundle(one.manifest, one.view).code ?? 'ok');
      return check(one);
    }),
    RUNS,
  );
  return codes;
}

t.test('a verdict agrees with its checks and with the plan', async (t) => {
  const codes = seen(({ manifest, view }) => {
    const report = judgeBundle(manifest, view);
    const plan = planRollout(manifest, view);
    const first = report.checks.find((check) => !check.ok);
    if (report.code !== (first?.code ?? null) || report.ok !== (first === undefined)) return false;
    if (!report.ok) return true;
    const planned = NODES.flatMap((node) => plan[node].lagging.map((cls) => `${node}/${cls}`));
    // What is accepted changes something, never makes anything older, and never touches the rest.
    const older = NODES.some((node) =>
      plan[node].targets.some((one) => (view.nodes[node][one.class]?.counter ?? 0) > one.counter),
    );
    const idle = NODES.filter((node) => plan[node].skip).every((n) => plan[n].targets.length === 0);
    return planned.length > 0 && planned.join() === report.lagging.join() && !older && idle;
  });
  for (const code of ['ok', 'version.same_or_newer', 'version.downgrade', 'version.no_path']) {
    t.ok(codes.has(code), `${code} was generated`);
  }
});

t.test('the two nodes are judged alike', async (t) => {
  const codes = seen(({ manifest, view }) => {
    const swapped = { ...view, nodes: { A: view.nodes.B, B: view.nodes.A } };
    return judgeBundle(manifest, view).code === judgeBundle(manifest, swapped).code;
  });
  t.ok(codes.size > 4);
});

t.test('a higher counter never makes an accepted bundle "same or newer"', async (t) => {
  let accepted = 0;
  const codes = seen(({ manifest, view }) => {
    if (!judgeBundle(manifest, view).ok) return true;
    accepted += 1;
    const images = manifest.images.map((one) => ({ ...one, counter: one.counter + 1 }));
    const raised = { ...manifest, releaseCounter: manifest.releaseCounter + 1, images };
    return judgeBundle(raised, view).code !== 'version.same_or_newer';
  });
  t.ok(accepted > 10, 'accepted bundles were common');
  t.ok(codes.has('ok'));
});

t.test('after the plan is carried out the same bundle is "same or newer"', async (t) => {
  const codes = seen(({ manifest, view }) => {
    if (!judgeBundle(manifest, view).ok) return true;
    const plan = planRollout(manifest, view);
    const after = (node: NodeId): NodeView =>
      plan[node].targets.reduce<NodeView>(
        (now, one) => ({ ...now, [one.class]: release(one.class, one.counter) }),
        view.nodes[node],
      );
    const done = { ...view, nodes: { A: after('A'), B: after('B') } };
    return judgeBundle(manifest, done).code === 'version.same_or_newer';
  });
  t.ok(codes.has('ok'));
});

t.test('an accepted bundle is accepted again when only one node took it', async (t) => {
  const codes = seen(({ manifest, view }) => {
    if (!judgeBundle(manifest, view).ok || planRollout(manifest, view).B.skip) return true;
    const A = { ...view.nodes.A };
    for (const one of manifest.images)
      Object.assign(A, { [one.class]: release(one.class, one.counter) });
    return judgeBundle(manifest, { ...view, nodes: { ...view.nodes, A } }).ok;
  });
  t.ok(codes.has('ok'));
});
