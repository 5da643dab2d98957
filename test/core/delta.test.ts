/**
 * The check `base` of a delta bundle: which nodes are asked, what is said of them, and that the
 * other checks keep their word. May import tap and core.
 */
import t from 'tap';
import { judgeDelta, runningImages, type RunningImages } from '../../src/core/delta.ts';
import type { Manifest, ManifestBase } from '../../src/core/manifest.ts';
import { parseSha256, type SlotClass } from '../../src/core/model.ts';
import { judgeBundle, type PolicyView } from '../../src/core/policy.ts';
import { image, MANIFEST, nodeView, VIEW } from './policy-cases.ts';
import { nodeState, sealOf } from './states.ts';
import { reportOf } from '../../src/updater/report.ts';

const OLD = parseSha256('1'.repeat(64));
const OTHER = parseSha256('2'.repeat(64));
const base = (version: string): ManifestBase => ({
  version,
  counter: 1,
  rawBytes: 1000,
  rawSha256: OLD,
  imageId: OLD,
});
const DELTA: Manifest = {
  ...MANIFEST,
  requires: ['delta'],
  images: [
    image('system', 2, { base: base('1.0.0') }),
    image('storage', 2, { base: base('1.0.0') }),
  ],
};
const KNOWN: PolicyView = { ...VIEW, requiresKnown: ['delta'] };
const runs = (system = OLD, storage = OLD): RunningImages => ({
  system: { version: '1.0.0', imageId: system },
  storage: { version: '1.0.0', imageId: storage },
});

function judge(
  a: RunningImages | null,
  b: RunningImages | null,
  view: PolicyView = KNOWN,
  manifest: Manifest = DELTA,
) {
  return judgeDelta(judgeBundle(manifest, view), manifest, view, { A: a, B: b });
}

const sealed = (cls: SlotClass) => ({ version: '1.0.0', imageId: sealOf(cls, 1).imageId });
const half = (node: 'A' | 'B'): PolicyView => ({
  ...KNOWN,
  nodes: { ...KNOWN.nodes, [node]: nodeView(2, 2) },
});

t.test('both nodes hold it', async (t) => {
  const report = judge(runs(), runs());
  t.match(report, { ok: true, code: null });
  const last = report.checks.at(-1);
  t.strictSame([last?.name, last?.ok], ['base', true]);
  t.match(last?.detail, /^a delta of system 1\.0\.0 and storage 1\.0\.0/);
});

t.test('a bundle that is complete in itself is not asked', async (t) => {
  const before = judgeBundle(MANIFEST, KNOWN);
  t.equal(judgeDelta(before, MANIFEST, KNOWN, { A: null, B: null }), before);
});

t.test('the node is named, with what it runs and what is needed', async (t) => {
  const rows: readonly (readonly [RunningImages, RunningImages, RegExp])[] = [
    [
      runs(OTHER),
      runs(),
      /^node A runs system 1\.0\.0 \(image 2{12}\), .* 1\.0\.0 \(image 1{12}\)$/,
    ],
    [runs(), runs(OTHER), /^node B runs system/],
    [runs(), runs(OLD, OTHER), /^node B runs storage/],
    [runs(), { ...runs(), system: null }, /^node B runs system no sealed image, the delta/],
  ];
  for (const [a, b, words] of rows) {
    const report = judge(a, b);
    t.match(report, { ok: false, code: 'bundle.wrong_base', message: words });
    t.match(report.next, /full bundle of the same release/);
    t.match(report.checks.at(-1), { name: 'base', ok: false });
  }
});

t.test('a node that has the release already need not hold the base', async (t) => {
  t.ok(judge(runs(OTHER, OTHER), runs(), half('A')).ok);
  t.ok(judge(runs(), runs(OTHER, OTHER), half('B')).ok);
  t.equal(judge(runs(OTHER, OTHER), runs(), half('B')).code, 'bundle.wrong_base');
});

t.test('storage that does not lag is not written, so its base does not matter', async (t) => {
  const nodes = { A: nodeView(1, 2), B: nodeView(1, 2) };
  t.ok(judge(runs(OLD, OTHER), runs(OLD, OTHER), { ...KNOWN, nodes }).ok);
});

t.test('what failed before decides; a node that does not answer is a refusal', async (t) => {
  const away = { ...nodeView(1, 1), reachable: false };
  const alone = { ...KNOWN, nodes: { A: nodeView(1, 1), B: away } };
  const report = judge(runs(), null, alone);
  t.equal(report.code, 'pair.peer_unreachable');
  t.match(report.checks.at(-1), { name: 'base', ok: false, code: 'pair.peer_unreachable' });
  t.equal(judge(runs(OTHER), runs(), { ...KNOWN, product: 'x' }).code, 'product.other');
  const later = { ...DELTA, format: 2 };
  t.equal(judge(runs(), runs(), KNOWN, later).checks.length, 1, 'nothing else is read');
});

t.test('a program that does not know deltas refuses them by name', async (t) => {
  t.equal(judge(runs(), runs(), VIEW).code, 'bundle.delta_unsupported');
});

t.test('what runs is read from the seals of the slots that run', async (t) => {
  const state = nodeState('A');
  const found = runningImages(reportOf(state, 0));
  t.strictSame(found, { system: sealed('system'), storage: sealed('storage') });
});
