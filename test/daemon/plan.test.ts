/**
 * From a judged bundle, or from what the other slots hold, to the first record of a rollout. May
 * import tap, core and the daemon's rooms.
 */
import t from 'tap';
import type { NodeState } from '../../src/core/state.ts';
import { isRolloutRecord } from '../../src/core/message-shape.ts';
import { commitRecord, policyView, rollbackRecord, updateRecord } from '../../src/daemon/plan.ts';
import type { Identity } from '../../src/daemon/plan.ts';
import { BUNDLE, manifestOf, nodeState, POLICY, release } from '../core/states.ts';
import { rolloutRecord, sealOf, type StateChange } from '../core/states.ts';

const IDENTITY: Identity = {
  product: 'appliance',
  hardware: 'bench',
  program: '0.1.0',
  slotBytes: { system: 1000, storage: 900 },
};
const DRAFT = { id: 'update-7', at: '2026-01-01T00:00:00.000Z', policy: POLICY, estimateS: 300 };
const bundle = { digest: BUNDLE, bytes: 1000 };

t.test('what policy is told: both nodes as they report themselves', async (t) => {
  const peer = { system: release('system', 2), program: '0.2.0', protocol: [1, 2] } as const;
  const change = { peer, peerRecord: { releaseFloor: 3 } };
  const view = policyView(nodeState('A', change), IDENTITY, bundle);
  t.match(view.nodes.A, { system: { counter: 1 }, floor: 0, reachable: true, updater: '0.1.0' });
  t.match(view.nodes.B, { system: { counter: 2 }, floor: 3, updater: '0.2.0', protocol: [1, 2] });
  t.match(view, { bundle: BUNDLE, bundleBytes: 1000, product: 'appliance', hardware: 'bench' });
  const alone = policyView(nodeState('B', { peer: null }), IDENTITY, null);
  t.match(alone.nodes.A, { system: null, storage: null, reachable: false });
  t.match(alone, { bundle: null, bundleBytes: null });
});

const update = (s: NodeState, manifest = manifestOf(), policy = POLICY) =>
  updateRecord(s, manifest, policyView(s, IDENTITY, bundle), { ...DRAFT, policy });

t.test('an update: first node, what is skipped, what the bundle brings', async (t) => {
  const record = update(nodeState('A'));
  t.ok(isRolloutRecord(record), 'as a peer would take it');
  t.match(record, { id: 'update-7', kind: 'update', phase: 'STAGE', first: 'A', estimateS: 300 });
  t.match(record.to, { bundle: BUNDLE, bytes: 1000, version: '2.0.0', counter: 2 });
  t.strictSame(
    record.to.images.map((image) => `${image.name} ${image.release.version} ${image.runsWith}`),
    ['system 2.0.0 >=1.0.0', 'storage 2.0.0 >=1.0.0'],
  );
  t.match(record.nodes.A, { skip: false, attempts: 0, from: { system: { counter: 1 } } });
  const standby = { ...POLICY, order: 'standby-first' } as const;
  t.equal(update(nodeState('A'), manifestOf(), standby).first, 'B');
  t.equal(update(nodeState('B')).first, 'A', 'the holder, whoever is asked');
  const ahead = { system: release('system', 2), storage: release('storage', 2) };
  const lagging = update(nodeState('A', { peer: ahead }));
  t.match(lagging.nodes, {
    A: { skip: false },
    B: { skip: true, log: [{ text: /nothing to do/ }] },
  });
  const soaking = { ...manifestOf(), health: { soakS: 77 } };
  t.equal(update(nodeState('A'), soaking).policy.soakS, 77, 'the bundle may ask for more');
  const s = nodeState('A');
  const none = { ...policyView(s, IDENTITY, null) };
  t.throws(() => updateRecord(s, manifestOf(), none, DRAFT), { code: 'internal.bug' });
});

const OLD_SEALS = {
  system: { A: sealOf('system', 1), B: sealOf('system', 2) },
  storage: { A: sealOf('storage', 1), B: sealOf('storage', 2) },
};
const RUNS_NEW = { system: release('system', 2), seals: OLD_SEALS };

/** After an update: the nodes run slot B, and those named may go back. */
function updated(able: readonly ('A' | 'B')[], change: StateChange = {}): NodeState {
  const { slots } = nodeState('A').record;
  const record = { slots: { ...slots, default: 'B' } } as const;
  return nodeState('A', {
    rollout: rolloutRecord({ phase: 'DONE' }),
    record: { ...record, canRollBack: able.includes('A') },
    world: RUNS_NEW,
    peerRecord: { ...record, canRollBack: able.includes('B') },
    peer: RUNS_NEW,
    ...change,
  });
}

t.test('a rollback: to what the other slots hold', async (t) => {
  const record = rollbackRecord(updated(['A', 'B']), DRAFT);
  t.ok(isRolloutRecord(record));
  t.match(record, { kind: 'rollback', phase: 'STAGE', to: { version: '1.0.0', counter: 1 } });
  t.strictSame(record.to.images, []);
  t.match(record.nodes, { A: { skip: false }, B: { skip: false } });
  const held = updated(['A'], { peer: { seals: OLD_SEALS, system: release('system', 1) } });
  const one = rollbackRecord(held, DRAFT);
  t.match(one.nodes, { A: { skip: false }, B: { skip: true } }, 'B runs the old version already');
});

t.test('a rollback to two different old versions names both', async (t) => {
  const older = { ...OLD_SEALS, system: { ...OLD_SEALS.system, A: sealOf('system', 0) } };
  const change = { peer: { ...RUNS_NEW, seals: older } };
  const record = rollbackRecord(updated(['A', 'B'], change), DRAFT);
  t.match(record.to, { version: '1.0.0 (A), 0.0.0 (B)', counter: 1 });
});

t.test('a commit takes up the update that was left open, and no other one', async (t) => {
  const back = rolloutRecord({ id: 'rollback-1', kind: 'rollback', phase: 'FAILED' });
  const done = rolloutRecord({ phase: 'DONE' });
  const s = updated(['A', 'B'], { rollout: back });
  t.match(commitRecord(s, [back, done], DRAFT.at), { id: done.id, phase: 'FINALIZE' });
  t.equal(commitRecord(s, [back], DRAFT.at), null, 'it is not known any more');
  t.equal(commitRecord(s, [back, { ...done, finalized: true }], DRAFT.at), null);
  const mixed = updated(['A', 'B'], { rollout: back, peer: { system: release('system', 1) } });
  t.equal(commitRecord(mixed, [back, done], DRAFT.at), null, 'one node went back');
  const held = { ...done, id: 'held', phase: 'HOLD_MIXED' } as const;
  t.match(commitRecord(s, [held], DRAFT.at), { id: 'held' }, 'the other node was replaced');
  t.equal(commitRecord(mixed, [held], DRAFT.at), null, 'it is held still');
  const other = held.to.images.map((image) => {
    return { ...image, release: { ...image.release, counter: image.release.counter + 1 } };
  });
  const left = { ...held, to: { ...held.to, images: other } };
  t.match(commitRecord(s, [left, done], DRAFT.at), { id: done.id }, 'the pair left it again');
  const alone = updated(['A', 'B'], { rollout: back, peer: null });
  t.equal(commitRecord(alone, [back, done], DRAFT.at), null, 'what the peer runs is not known');
});

t.test('no rollback where it would not return the pair', async (t) => {
  const refused: readonly [string, NodeState, RegExp][] = [
    ['never updated', nodeState('A'), /neither node has a version/],
    ['made permanent', updated([]), /neither node has a version/],
    [
      'the other node cannot',
      updated(['A']),
      /node B runs 2\.0\.0 and has no 1\.0\.0 to go back to/,
    ],
    ['this node cannot', updated(['B']), /node A runs 2\.0\.0 and has no 1\.0\.0 to go back to/],
    [
      'no image',
      updated(['A'], { world: { seals: { ...OLD_SEALS, system: { A: null, B: null } } } }),
      /no whole image/,
    ],
  ];
  for (const [name, s, message] of refused) {
    t.throws(() => rollbackRecord(s, DRAFT), { code: 'rollback.unavailable', message }, name);
  }
  const alone = { ...updated(['A', 'B'], { peer: null }) };
  t.throws(() => rollbackRecord(alone, DRAFT), { code: 'pair.peer_unreachable' });
});
