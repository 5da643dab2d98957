/**
 * The picture of the pair: state word, sentence on high availability, slots, checklist and alarms,
 * one row per state; what is not known is shown as unknown. May import tap, core and the module
 * under test.
 */
import t from 'tap';
import type { RolloutRecord } from '../../src/core/records.ts';
import type { NodeState } from '../../src/core/state.ts';
import { STALE_AFTER_MS, type PairStatus } from '../../src/core/status.ts';
import { reportOf } from '../../src/updater/report.ts';
import { pairStatus, slotStatuses, unknownNode } from '../../src/updater/status.ts';
import {
  ARMED,
  nodeState,
  release,
  rolloutRecord,
  SEALS,
  sealOf,
  storeStatus,
  TRIAL,
  TRIAL_BOOT,
  updateOf,
  type StateChange,
} from '../core/states.ts';

const AT = '2026-01-01T00:01:00.000Z';
const NOW_MS = 11_000;
const NEW = { system: release('system', 2) };

function statusOf(s: NodeState, ageMs = 0): PairStatus {
  const { peer } = s.world;
  const last = peer === null ? null : { report: peer, atMs: NOW_MS - ageMs };
  return pairStatus(s, last, NOW_MS, AT);
}

const rollout = (phase: RolloutRecord['phase']): RolloutRecord => rolloutRecord({ phase });
const syncing = { doneBytes: 30, totalBytes: 40 };
const behind = storeStatus('primary', { peer: 'syncing', sync: syncing });
const ROLE = { epoch: 1, holder: 'A', peerMayTakeOver: false } as const;

const words: readonly [string, 'A' | 'B', StateChange, PairStatus['state'], string][] = [
  ['healthy, as the active sees it', 'A', {}, 'HEALTHY', 'highly available'],
  ['healthy, as the standby sees it', 'B', {}, 'HEALTHY', 'highly available'],
  ['two versions', 'A', { peer: NEW }, 'HEALTHY_MIXED', 'highly available'],
  ['after an update', 'A', { rollout: rollout('DONE') }, 'HEALTHY', 'highly available'],
  [
    'an update that has not begun to hurt',
    'A',
    { rollout: rollout('STAGE') },
    'UPDATING',
    'highly available',
  ],
  [
    'a node is down for its update',
    'A',
    { rollout: rolloutRecord({ phase: 'TRIAL1', first: 'B' }), peer: null, record: { role: ROLE } },
    'UPDATING',
    'no high availability now: node B is being updated; ' +
      'if node A fails, service stops until it restarts',
  ],
  [
    'the copies are being synced',
    'A',
    { world: { store: behind }, record: { role: ROLE }, peer: { admitted: false } },
    'SYNCING',
    'no high availability now: node B syncs its storage; ' +
      'if node A fails, service stops until it restarts',
  ],
  [
    'the standby is not admitted',
    'A',
    { record: { role: ROLE }, peer: { admitted: false } },
    'EXPOSED',
    'no high availability now: if node A fails, service stops until it restarts',
  ],
  ['nobody serves', 'A', { world: { serving: null } }, 'EXPOSED', 'no service now'],
  [
    'the peer is away, this node serves',
    'A',
    { peer: null },
    'ALONE',
    'no high availability now: node B does not answer; ' +
      'if node A fails, service stops until it restarts',
  ],
  [
    'the peer is away, whether it serves is not known',
    'B',
    { peer: null },
    'ALONE',
    'not known: this node does not serve, node A does not answer; ' +
      'policy manual: this node never takes over by itself',
  ],
  [
    'the same with a fencer',
    'B',
    { peer: null, world: { takeover: 'fence', run: 'r', peerKnows: { run: 'r', turn: 0 } } },
    'ALONE',
    'not known: this node does not serve, node A does not answer; ' +
      'this node takes over once that one is off for sure',
  ],
  [
    'the same before the peer has heard of it',
    'B',
    { peer: null, world: { takeover: 'fence' } },
    'ALONE',
    'not known: this node does not serve, node A does not answer; ' +
      'that one may not know of the fencer: no takeover by itself',
  ],
  [
    'the same in a trial',
    'B',
    { peer: null, world: { boot: TRIAL_BOOT, bootState: ARMED } },
    'ALONE',
    'not known: this node does not serve, node A does not answer; ' +
      'a version on trial never takes over',
  ],
  [
    'the same after a promise',
    'B',
    { peer: null, record: { standDown: { rollout: 'update-1', epoch: 1 } } },
    'ALONE',
    'not known: this node does not serve, node A does not answer; ' +
      'this node promised it not to take over',
  ],
  [
    'the same before it was admitted',
    'B',
    { peer: null, world: { admitted: false } },
    'ALONE',
    'not known: this node does not serve, node A does not answer; ' +
      'this node was not admitted, so it waits',
  ],
  [
    'the holder itself, before it met its peer',
    'A',
    { peer: null, world: { serving: null } },
    'ALONE',
    'not known: this node does not serve, node B does not answer',
  ],
  [
    'an operator keeps the standby down',
    'A',
    { peerRecord: { standDown: { rollout: 'operator', epoch: 1 } }, peer: { admitted: false } },
    'EXPOSED',
    'no high availability now: node B has stood down; ' +
      'if node A fails, service stops until it restarts',
  ],
  [
    'both copies were written alone',
    'A',
    { world: { store: storeStatus('primary', { splitBrain: true }), serving: null } },
    'EXPOSED',
    'no service: both copies of the storage were written alone',
  ],
];

for (const [name, node, change, word, text] of words) {
  t.test(`state word: ${name}`, async (t) => {
    const status = statusOf(nodeState(node, change));
    t.equal(status.state, word);
    t.equal(status.ha.text, text);
    t.equal(status.ha.ok, text === 'highly available');
    t.equal(status.self, node);
  });
}

t.test('a peer that was not heard for three seconds is unknown, with its age', async (t) => {
  const s = nodeState('A');
  t.match(statusOf(s, STALE_AFTER_MS).nodes.B, { known: true, ageMs: STALE_AFTER_MS });
  const stale = statusOf(s, STALE_AFTER_MS + 1);
  const heardAt = '2026-01-01T00:00:56.999Z';
  t.strictSame(stale.nodes.B, { ...unknownNode('B', STALE_AFTER_MS + 1), heardAt });
  t.strictSame(
    stale.reform.map((item) => `${item.name} ${item.state} ${item.ageMs}`),
    [
      'link waiting 3001',
      'versions unknown 3001',
      'epoch unknown 3001',
      'storage unknown 3001',
      'service ok undefined',
      'admitted unknown 3001',
    ],
    'every fact about the peer is unknown, with its age; what this node does itself is known',
  );
  t.match(stale.ha.text, 'node B does not answer; if node A fails');
  t.match(stale.reforming, { elapsedS: 3 }, 'reforming since it was heard last');
  t.equal(stale.state, 'ALONE');
  t.notOk(stale.ha.ok, 'what is not known is not available');
  t.match(stale.alarms, [{ code: 'pair.peer_unreachable', node: 'B' }]);
  const down = { ...s, world: { ...s.world, linkUp: false } };
  t.match(statusOf(down, 100).nodes.B, { known: false, ageMs: 100, role: 'unknown' });
  const again = { ...s, world: { ...s.world, peer: null } };
  const before = { report: s.world.peer!, atMs: NOW_MS - 100 };
  const silent = pairStatus(again, before, NOW_MS, AT);
  t.match(silent.nodes.B, { known: false }, 'the link is back, the peer has said nothing yet');
  const never = pairStatus(nodeState('A', { peer: null }), null, NOW_MS, AT);
  t.strictSame(never.nodes.B, { ...unknownNode('B', null), heardAt: null });
});

t.test('a node as its report describes it', async (t) => {
  const troubles = { 'run-storage': { code: 'slot.unpack', message: 'no' } } as const;
  const { A, B } = statusOf(nodeState('A', { world: { store: behind, troubles } })).nodes;
  t.match(A, { role: 'active', serving: true, admitted: true, update: 'idle', epoch: 1 });
  t.match(A.activity, { name: 'syncing', progress: syncing });
  t.match(A.boot, { id: 'A1', reason: 'default', attempt: 0 });
  t.match(A.store, { role: 'primary', copy: 'current', connected: true, sync: syncing });
  t.match(B, { role: 'standby', serving: false, admitted: true, standDown: false, known: true });
  const reason = { code: 'health.check', message: 'it is bad' };
  const failed = statusOf(nodeState('A', { record: { update: updateOf('reverted') } }));
  t.match(failed.nodes.A, { update: 'reverted', reason });
});

const slotsOf = (change: StateChange): string =>
  slotStatuses(reportOf(nodeState('A', change), 0))
    .map((one) => `${one.class[1]}${one.slot}:${one.state}${one.default ? '*' : ''}`)
    .join(' ');

t.test('slots: what runs, what is good, what is not', async (t) => {
  const { slots, storage } = nodeState('A').record;
  const full = {
    system: { A: sealOf('system', 1), B: sealOf('system', 2) },
    storage: { A: sealOf('storage', 1), B: sealOf('storage', 2) },
  };
  const trial = { trialId: 1, systemSlot: 'B', old: 'A', new: 'B' } as const;
  const tried = { ...storage, trial: { ...trial, newRunsUnderOld: true, proven: false } };
  const world = { seals: full };
  const onTrial = { ...world, boot: TRIAL_BOOT, bootState: ARMED };
  const rows: readonly [string, StateChange, string][] = [
    ['a new appliance', {}, 'yA:booted* yB:invalid tA:running* tB:invalid'],
    [
      'installed',
      { record: { update: updateOf('installed') }, world },
      'yA:booted* yB:good tA:running* tB:good',
    ],
    [
      'about to restart',
      { record: { update: updateOf('rebooting') }, world },
      'yA:booted* yB:good tA:running* tB:good',
    ],
    [
      'on trial',
      {
        record: { update: updateOf('trial'), slots: { ...slots, trial: TRIAL }, storage: tried },
        world: onTrial,
      },
      'yA:good* yB:trial tA:good* tB:running',
    ],
    [
      'proven storage under the old system',
      {
        record: {
          update: updateOf('reverting'),
          storage: { ...tried, trial: { ...tried.trial, proven: true } },
        },
        world,
      },
      'yA:booted* yB:unusable tA:good* tB:running',
    ],
    [
      'committed',
      {
        record: {
          update: updateOf('committed'),
          canRollBack: true,
          slots: { ...slots, default: 'B' },
          storage: { ...storage, current: 'B', previous: 'A' },
        },
        world: { ...world, boot: TRIAL_BOOT },
      },
      'yA:good yB:booted* tA:good tB:running*',
    ],
    [
      'reverted',
      { record: { update: updateOf('reverted') }, world },
      'yA:booted* yB:unusable tA:running* tB:unusable',
    ],
    [
      'storage does not run',
      { world: { ...world, storage: null } },
      'yA:booted* yB:unusable tA:good* tB:unusable',
    ],
  ];
  for (const [name, change, want] of rows) t.equal(slotsOf(change), want, name);
  t.equal(SEALS.system.B, null);
});

const at = (seconds: number): string =>
  new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString();

t.test('the rollout: elapsed to its end, and not to a commit long after', async (t) => {
  const log = (phase: RolloutRecord['phase'], seconds: number) => [
    { at: at(seconds), phase, text: '' },
  ];
  const plain = rolloutRecord();
  const nodes = { ...plain.nodes, A: { ...plain.nodes.A, log: log('DONE', 50) } };
  const show = (change: Partial<RolloutRecord>) =>
    statusOf(nodeState('A', { rollout: rolloutRecord(change) })).rollout;
  t.match(show({ phase: 'INSTALL1' }), {
    elapsedS: 60,
    ended: false,
    driver: 'A',
    canCancel: true,
  });
  t.match(show({ phase: 'FAILED', phaseAt: at(45) }), { elapsedS: 45, ended: true });
  t.match(show({ phase: 'DONE', phaseAt: at(50), nodes }), { elapsedS: 50, canCancel: false });
  const committed = { phase: 'DONE', phaseAt: at(90_000), finalized: true, nodes } as const;
  t.match(show(committed), { elapsedS: 50, finalized: true });
  t.match(
    show({ startedAt: '2027-01-01T00:00:00.000Z' }),
    { elapsedS: 0 },
    'a clock that went back',
  );
  const skip = { ...nodes, B: { ...plain.nodes.B, skip: true } };
  t.strictSame(show({ nodes: skip })?.skipped, ['B']);
  t.equal(statusOf(nodeState('A')).rollout, null);
});

t.test(
  'frozen: the word, the remedy, the alarm, seen from the node itself and from its peer',
  async (t) => {
    const frozen = storeStatus('primary', { frozen: true, connected: false, peer: 'unknown' });
    const isolated = statusOf(nodeState('A', { world: { store: frozen }, peer: null }));
    const remedy = 'bring node B back; or switch it off and run `tandem takeover` on node A';
    t.match(isolated, { state: 'FROZEN', ha: { ok: false, remedy } });
    t.match(isolated.ha.text, /^node A acknowledges no write: node B is lost/);
    t.match(isolated.alarms, [
      { code: 'pair.frozen', node: 'A', message: /run `tandem takeover` on node A/ },
      { code: 'pair.peer_unreachable' },
    ]);
    const peer = { serving: true, store: frozen };
    t.match(statusOf(nodeState('B', { peer })), { state: 'FROZEN', ha: { remedy } });
    const updating = { world: { store: frozen }, rollout: rollout('HAND1'), peer: null };
    t.equal(statusOf(nodeState('A', updating)).state, 'FROZEN', 'it matters more than the update');
    const alone = { world: { store: frozen }, record: { role: ROLE }, peer: null };
    t.match(statusOf(nodeState('A', alone)), {
      state: 'ALONE',
      ha: { remedy: /bring node B back/ },
    });
  },
);

t.test('what an operator can do, where nothing happens by itself', async (t) => {
  const remedy = (node: 'A' | 'B', change: StateChange): string | null | undefined =>
    statusOf(nodeState(node, change)).ha.remedy;
  t.equal(remedy('A', {}), null);
  const left = 'bring node A back; or, if it is off for sure, run `tandem takeover` on node B';
  t.equal(remedy('B', { peer: null }), left);
  const lags = { peer: null, record: { knownStale: true } };
  t.equal(remedy('B', lags), 'bring node A back; node B may not serve without it');
  t.match(remedy('A', { peer: null, world: { serving: null } }), /run `tandem takeover` on node A/);
  const standDown = { rollout: 'operator', epoch: 1 };
  const change = { peerRecord: { standDown }, peer: { admitted: false } };
  t.match(statusOf(nodeState('A', change)), {
    ha: { remedy: 'run `tandem stand-down --end` on node B' },
    nodes: { B: { standDown: true, standDownFor: 'operator' } },
  });
});

t.test('a paused rollout', async (t) => {
  t.equal(statusOf(nodeState('A')).reforming, null);
  const paused = { by: 'anna', at: AT };
  const record = rolloutRecord({ phase: 'TRIAL1', paused });
  const shown = statusOf(nodeState('A', { rollout: record })).rollout?.paused;
  t.strictSame(shown, { ...paused, restsAfter: 'HAND1' });
});
