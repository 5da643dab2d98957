/**
 * Policy by table: a row per check and per place where it must not fire. A row changes one thing of
 * a pair at release 1 and a bundle of release 2. Imports core.
 */
import t from 'tap';
import { CODES, type Code } from '../../src/core/codes.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import {
  DEPOT_MARGIN_BYTES,
  judgeBundle,
  type NodeView,
  type PolicyView,
} from '../../src/core/policy.ts';
import { DIGEST, image, MANIFEST, nodeView, release, VIEW } from './policy-cases.ts';

interface Row {
  readonly name: string;
  readonly manifest?: Partial<Manifest>;
  readonly view?: Partial<PolicyView>;
  readonly a?: NodeView;
  readonly b?: NodeView;
  /** Code, name of the deciding check, and what the sentence says. */
  readonly code: Code | null;
  readonly check?: string;
  readonly says?: RegExp;
  readonly lagging?: readonly string[];
}

const ALL = ['A/system', 'A/storage', 'B/system', 'B/storage'];

const ROWS: readonly Row[] = [
  { name: 'a good bundle', code: null, lagging: ALL, says: /^2\.0\.0 can be installed on A\/sys/ },
  {
    name: 'an unknown format, whatever else it says',
    manifest: { format: 2, product: 'other', requires: ['x'] },
    code: 'bundle.unknown_format',
    check: 'format',
    says: /format 2, this program reads 1/,
    lagging: [],
  },
  {
    name: 'an unknown feature',
    manifest: { requires: ['quantum'] },
    view: { requiresKnown: ['zeros'] },
    code: 'bundle.unknown_format',
    check: 'requires',
    says: /requires quantum; this program knows zeros/,
  },
  {
    name: 'a delta bundle by name',
    manifest: { requires: ['delta'] },
    code: 'bundle.delta_unsupported',
    check: 'requires',
  },
  {
    name: 'a delta bundle that requires more',
    manifest: { requires: ['delta', 'quantum'] },
    code: 'bundle.unknown_format',
  },
  {
    name: 'a known feature',
    manifest: { requires: ['zeros'] },
    view: { requiresKnown: ['zeros'] },
    code: null,
  },
  {
    name: 'no system image',
    manifest: { images: [image('storage', 2)] },
    code: 'bundle.invalid_manifest',
    check: 'images',
  },
  {
    name: 'two images of a class',
    manifest: { images: [image('system', 2), image('system', 2)] },
    code: 'bundle.invalid_manifest',
    check: 'images',
    says: /system and system; expected one for system/,
  },
  {
    name: 'another product',
    manifest: { product: 'store-2' },
    code: 'product.other',
    check: 'product',
    says: /for store-2, this appliance is store-1/,
  },
  {
    name: 'another hardware',
    view: { hardware: 'board-9' },
    code: 'hardware.other',
    check: 'hardware',
    says: /for board-1, board-2, this appliance is board-9/,
  },
  {
    name: 'an old updater',
    manifest: { minUpdater: '0.2.0' },
    code: 'updater.too_old',
    check: 'updater',
    says: /node A is 0\.1\.0, needed is 0\.2\.0/,
  },
  {
    name: 'an old updater on the peer only',
    manifest: { minUpdater: '0.2.0' },
    view: { updaterVersion: '0.2.0' },
    b: nodeView(1, 1, { updater: '0.1.9' }),
    code: 'updater.too_old',
    says: /node B is 0\.1\.9/,
  },
  {
    name: 'a peer that does not answer',
    b: nodeView(1, 1, { reachable: false, system: null, storage: null }),
    code: 'pair.peer_unreachable',
    check: 'installed',
    says: /node B does not answer/,
    lagging: ['A/system', 'A/storage'],
  },
  {
    name: 'a peer that does not answer now, whatever it said before',
    b: nodeView(2, 2, { reachable: false }),
    code: 'pair.peer_unreachable',
  },
  {
    name: 'a storage version that is not known',
    a: nodeView(1, 1, { storage: null }),
    code: 'pair.not_healthy',
    check: 'installed',
    says: /storage version of node A is not known/,
  },
  {
    name: 'a storage version that is not known and not needed',
    manifest: { images: [image('system', 2)] },
    a: nodeView(1, 1, { storage: null }),
    code: null,
    lagging: ['A/system', 'B/system'],
  },
  {
    name: 'the same version everywhere',
    a: nodeView(2, 2),
    b: nodeView(2, 2),
    code: 'version.same_or_newer',
    check: 'newer',
    says: /A\/system is 2\.0\.0 \(release 2\).*the bundle has system 2\.0\.0, storage 2\.0\.0/,
    lagging: [],
  },
  {
    name: 'a newer version everywhere',
    a: nodeView(3, 2),
    b: nodeView(3, 3),
    code: 'version.same_or_newer',
    lagging: [],
  },
  {
    name: 'the counter decides, not the version word',
    a: nodeView(2, 2, { system: release('system', 2, '1.0.0') }),
    b: nodeView(2, 2),
    code: 'version.same_or_newer',
  },
  { name: 'one node lags', a: nodeView(2, 2), code: null, lagging: ['B/system', 'B/storage'] },
  {
    name: 'one component of one node lags',
    a: nodeView(2, 2),
    b: nodeView(2, 1),
    code: null,
    lagging: ['B/storage'],
  },
  {
    name: 'the new storage was kept on the node that fell back',
    a: nodeView(1, 2),
    code: null,
    lagging: ['A/system', 'B/system', 'B/storage'],
  },
  {
    name: 'one node would go down while the other lags',
    a: nodeView(3, 2),
    code: 'version.downgrade',
    check: 'no-downgrade',
    says: /A\/system is 3\.0\.0 \(release 3\) and the bundle has 2\.0\.0 \(release 2\)/,
    lagging: ['B/system', 'B/storage'],
  },
  {
    name: 'storage would go down while the system lags',
    a: nodeView(1, 3),
    b: nodeView(1, 3),
    code: 'version.downgrade',
    says: /A\/storage is 3\.0\.0/,
  },
  {
    name: 'no path from the version of one node',
    a: nodeView(2, 2),
    manifest: { from: '>=1.1.0' },
    code: 'version.no_path',
    check: 'path',
    says: /node B has 1\.0\.0; the bundle updates from >=1\.1\.0/,
  },
  {
    name: 'no path is needed where the system is there already',
    a: nodeView(2, 1),
    b: nodeView(2, 2),
    manifest: { from: '1.0.0' },
    code: null,
    lagging: ['A/storage'],
  },
  {
    name: 'a prerelease is ordered plainly',
    a: nodeView(1, 1, { system: release('system', 1, '2.0.0-rc.1') }),
    manifest: { from: '>=1.0.0 <2.0.0' },
    code: null,
  },
  {
    name: 'a blocked version',
    manifest: { blocked: ['0.9.0', '1.0.0'] },
    code: 'version.blocked',
    check: 'blocked',
    says: /node A has 1\.0\.0; blocked are 0\.9\.0, 1\.0\.0/,
  },
  { name: 'another version is blocked', manifest: { blocked: ['1.0.1'] }, code: null },
  {
    name: 'the old system may not run beside the new one',
    manifest: { pair: { protocol: [1, 1], sideBySide: '>=1.5.0' } },
    code: 'version.incompatible',
    check: 'side-by-side',
    says: /node A has 1\.0\.0; 2\.0\.0 runs beside >=1\.5\.0/,
  },
  {
    name: 'no common pair protocol',
    manifest: { pair: { protocol: [2, 3], sideBySide: '*' } },
    code: 'version.incompatible',
    says: /node A speaks pair protocol 1-1; 2\.0\.0 speaks 2-3/,
  },
  {
    name: 'no common pair protocol with the peer, which stays behind',
    manifest: { pair: { protocol: [2, 3], sideBySide: '*' } },
    view: { protocol: [1, 2] },
    b: nodeView(1, 1, { protocol: [1, 1] }),
    code: 'version.incompatible',
    says: /node B speaks/,
  },
  {
    name: 'protocols that only touch',
    manifest: { pair: { protocol: [2, 3], sideBySide: '*' } },
    view: { protocol: [1, 2] },
    code: null,
  },
  {
    name: 'new storage that the new system refuses',
    manifest: { images: [image('system', 2, { runsWith: '<2.0.0' }), image('storage', 2)] },
    code: 'version.incompatible',
    check: 'combination',
    says: /system 2\.0\.0 \(with storage <2\.0\.0\) and storage 2\.0\.0 .*on node A/,
  },
  {
    name: 'new storage that refuses the new system',
    manifest: { images: [image('system', 2), image('storage', 2, { runsWith: '<2.0.0' })] },
    code: 'version.incompatible',
    check: 'combination',
  },
  {
    name: 'storage software that cannot read what the store was raised to',
    manifest: { images: [image('system', 2), image('storage', 2, { formatLevel: 1 })] },
    b: nodeView(1, 1, { storeFormat: 2 }),
    code: 'version.incompatible',
    check: 'combination',
    says: /the store of node B has format 2; the bundle reads up to 1/,
  },
  {
    name: 'a program that cannot read the records that the pair writes by now',
    manifest: { pair: { protocol: [1, 2], sideBySide: '*' } },
    view: { protocol: [1, 3] },
    a: nodeView(1, 1, { featureLevel: 3 }),
    code: 'version.incompatible',
    check: 'combination',
    says: /node A writes at level 3; the bundle reads up to 2/,
  },
  {
    name: 'storage software that reads more than the store needs',
    manifest: { images: [image('system', 2), image('storage', 2, { formatLevel: 2 })] },
    a: nodeView(1, 1, { storeFormat: 2 }),
    code: null,
  },
  {
    name: 'storage that is there already and refuses the new system',
    manifest: { images: [image('system', 2), image('storage', 2, { runsWith: '<2.0.0' })] },
    a: nodeView(1, 2),
    b: nodeView(1, 2),
    code: 'version.incompatible',
  },
  {
    name: 'new storage that only refuses the old system',
    manifest: { images: [image('system', 2), image('storage', 2, { runsWith: '>=2.0.0' })] },
    code: null,
  },
  {
    name: 'a new system that refuses the storage which stays',
    manifest: { images: [image('system', 2, { runsWith: '>=2.0.0' })] },
    code: 'version.incompatible',
    says: /storage 1\.0\.0 \(under system \*\)/,
  },
  {
    name: 'below the release floor of one node',
    b: nodeView(1, 1, { floor: 3 }),
    code: 'version.downgrade',
    check: 'floor',
    says: /release 2, the lowest allowed is 3/,
  },
  {
    name: 'newer storage software alone, below the release floor',
    b: nodeView(2, 1, { floor: 3 }),
    code: 'version.downgrade',
    check: 'floor',
  },
  { name: 'at the release floor', b: nodeView(1, 1, { floor: 2 }), code: null },
  {
    name: 'an image larger than the slot',
    b: nodeView(1, 1, { slotBytes: { system: 1000, storage: 999 } }),
    code: 'space.slot',
    check: 'slots',
    says: /the storage image has 1000 bytes, the slots of node B have 999/,
  },
  {
    name: 'an image that is not written may be larger than the slot',
    b: nodeView(2, 2, { slotBytes: { system: 1, storage: 1 } }),
    code: null,
  },
  {
    name: 'no space for the bundle',
    a: nodeView(1, 1, { freeBytes: 500 + DEPOT_MARGIN_BYTES - 7 }),
    code: 'space.depot',
    check: 'depot',
    says: /^7 bytes are missing on node A/,
  },
  {
    name: 'exactly the space for the bundle',
    a: nodeView(1, 1, { freeBytes: 500 + DEPOT_MARGIN_BYTES }),
    code: null,
  },
  {
    name: 'a size that is not judged',
    view: { bundleBytes: null },
    a: nodeView(1, 1, { freeBytes: 0 }),
    code: null,
  },
  {
    name: 'an unreadable range is a refusal and no crash',
    manifest: { from: '^1.0.0' },
    code: 'bundle.invalid_manifest',
    check: 'path',
    says: /unknown operator \^/,
  },
];

function build(row: Row): { manifest: Manifest; view: PolicyView } {
  const nodes = { A: row.a ?? VIEW.nodes.A, B: row.b ?? VIEW.nodes.B };
  return { manifest: { ...MANIFEST, ...row.manifest }, view: { ...VIEW, ...row.view, nodes } };
}

for (const row of ROWS) {
  t.test(row.name, async (t) => {
    const { manifest, view } = build(row);
    const report = judgeBundle(manifest, view);
    t.equal(report.code, row.code, report.message);
    t.equal(report.ok, row.code === null);
    if (row.check !== undefined) {
      t.equal(report.checks.find((check) => !check.ok)?.name, row.check);
    }
    t.equal(report.next, row.code === null ? null : CODES[row.code].next);
    t.equal(report.bundle, DIGEST);
    if (row.says !== undefined) t.match(report.message, row.says);
    if (row.lagging !== undefined) t.strictSame(report.lagging, row.lagging);
  });
}

t.test('every check has a row in which it decides', async (t) => {
  const names = judgeBundle(MANIFEST, VIEW).checks.map((check) => check.name);
  const decided = new Set(ROWS.map((row) => row.check));
  t.equal(names.length, 16);
  t.strictSame(
    names.filter((name) => !decided.has(name)),
    [],
  );
});

t.test('in a manifest of an unknown format nothing else is read', async (t) => {
  const report = judgeBundle({ ...MANIFEST, format: 2 }, VIEW);
  t.strictSame(
    report.checks.map((check) => check.name),
    ['format'],
  );
  t.equal(report.version, null);
  t.equal(report.product, null);
});

t.test('the first failed check decides, the later ones are still reported', async (t) => {
  const row: Row = { name: '', code: null, manifest: { product: 'x', from: '9.0.0' } };
  const { manifest, view } = build({ ...row, view: { hardware: 'y' } });
  const report = judgeBundle(manifest, view);
  t.equal(report.code, 'product.other');
  t.strictSame(
    report.checks.filter((check) => !check.ok).map((check) => check.name),
    ['product', 'hardware', 'path'],
  );
});
