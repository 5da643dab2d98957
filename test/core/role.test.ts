/**
 * Who serves, as tables: may a node serve, what it promises, what it counts on, the handover, and
 * the effect of its role. May import tap and core.
 */
import t from 'tap';
import {
  admits,
  canServe,
  handoverReady,
  nextRole,
  nextWorld,
  onStandDown,
  roleEffect,
  serves,
} from '../../src/core/role.ts';
import type { NodeRecord, RolloutRecord } from '../../src/core/records.ts';
import type { NodeId } from '../../src/core/model.ts';
import {
  ARMED,
  nodeState,
  release,
  rolloutRecord,
  storeStatus,
  TRIAL_BOOT,
  type StateChange,
} from './states.ts';

const ALONE = { epoch: 1, holder: 'A', peerMayTakeOver: false } as const;
const HIGHER = { epoch: 2, holder: 'B', peerMayTakeOver: true } as const;
const PROMISE = { rollout: 'update-1', epoch: 1 };
const TRIAL = { boot: TRIAL_BOOT, bootState: ARMED };
const silent = { world: { serving: null } };

t.test('may a node serve (R1, I8)?', async (t) => {
  const rows: readonly [string, NodeId, StateChange, boolean][] = [
    ['the holder of a healthy pair', 'A', {}, true],
    ['the other one', 'B', {}, false],
    [
      'alone, the peer cannot take over',
      'A',
      { peer: null, record: { role: ALONE }, ...silent },
      true,
    ],
    [
      'alone, and it was not waited for the peer yet',
      'A',
      { peer: null, record: { role: ALONE }, world: { serving: null, met: false } },
      false,
    ],
    [
      'serving alone, whatever was heard of the peer',
      'A',
      { peer: null, record: { role: ALONE }, world: { met: false } },
      true,
    ],
    ['alone, the peer may take over', 'A', { peer: null, ...silent }, false],
    ['the peer knows a higher epoch', 'A', { peerRecord: { role: HIGHER } }, false],
    ['the peer serves', 'A', { peer: { serving: true } }, false],
    ['on trial', 'A', { world: TRIAL }, false],
    ['handing over', 'A', { world: { draining: true } }, false],
    ['the store is not known', 'A', { world: { store: storeStatus('unknown') } }, false],
    ['split brain', 'A', { world: { store: storeStatus('primary', { splitBrain: true }) } }, false],
    ['known to lack writes', 'A', { record: { knownStale: true } }, false],
    [
      'found to lack writes',
      'A',
      { world: { store: storeStatus('secondary', { local: 'stale' }) } },
      false,
    ],
    ['no storage software', 'A', { world: { storage: null } }, false],
    [
      'another storage software',
      'A',
      { world: { storage: { slot: 'B', release: release('storage', 2) } } },
      false,
    ],
  ];
  for (const [name, node, change, want] of rows) {
    const s = nodeState(node, change);
    t.equal(canServe(s), want, name);
    if (!want) t.notOk(serves(s), `${name}: nor drive`);
  }
  t.ok(serves(nodeState('A')));
  t.notOk(serves(nodeState('A', silent)), 'who does not serve yet does not drive');
  t.notOk(serves(nodeState('A', { world: { serving: 0 } })), 'nor who serves an older epoch');
});

t.test("the holder's word on its peer (R6)", async (t) => {
  const rows: readonly [string, NodeId, StateChange, boolean][] = [
    ['healthy', 'A', {}, true],
    ['from the standby', 'B', {}, false],
    ['nobody to vouch for', 'A', { peer: null }, false],
    ['it cannot take over', 'A', { record: { role: ALONE } }, false],
    ['it has promised to stay down', 'A', { peerRecord: { standDown: PROMISE } }, false],
    ['another epoch', 'A', { peerRecord: { role: { ...ALONE, epoch: 0 } } }, false],
    ['not in sync', 'A', { world: { store: storeStatus('primary', { peer: 'syncing' }) } }, false],
    ['it lacks writes', 'A', { peerRecord: { knownStale: true } }, false],
    ['not serving', 'A', silent, false],
    ['handing over to it', 'A', { world: { serving: null, draining: true } }, true],
  ];
  for (const [name, node, change, want] of rows) {
    const word = admits(nodeState(node, change));
    t.strictSame(word, want ? { bootId: 'B1', epoch: 1, promises: 0 } : null, name);
  }
  t.match(admits(nodeState('A', { peerRecord: { promises: 3 } })), { promises: 3 });
});

const rollout = (phase: RolloutRecord['phase'], first: NodeId = 'A'): RolloutRecord =>
  rolloutRecord({ phase, first });
const shown = (record: NodeRecord | undefined): string => {
  if (record === undefined) return '-';
  const { role, standDown, knownStale } = record;
  const down = standDown === null ? '' : ` down:${standDown.rollout}`;
  const may = role.peerMayTakeOver ? 'may' : 'may not';
  return `${role.epoch}${role.holder} ${may}${down}${knownStale ? ' stale' : ''}`;
};

t.test('promises are counted', async (t) => {
  const peer = { serving: true };
  const update = nodeState('B', { rollout: rollout('DOWN1', 'B'), peer });
  t.match(nextRole(update), { standDown: PROMISE, promises: 1 });
  const asked = nodeState('B', { peer: { ...peer, wantsDown: true }, record: { promises: 1 } });
  t.match(nextRole(asked), { standDown: { rollout: 'frozen' }, promises: 2 });
  const told = onStandDown(nodeState('B', { record: { promises: 2 } }), true);
  t.match(told, { standDown: { rollout: 'operator' }, promises: 3 });
});

t.test('what becomes durable of roles, one change at a time', async (t) => {
  const down = { rollout: rollout('DOWN1') };
  const letGo = { serving: null, draining: true, store: storeStatus('secondary') } as const;
  const frozen = {
    store: storeStatus('primary', { connected: false, frozen: true, peer: 'unknown' }),
  };
  const stale = { store: storeStatus('secondary', { local: 'stale' }) };
  const counted = { serving: true };
  const rows: readonly [string, NodeId, StateChange, string][] = [
    ['healthy', 'A', {}, '-'],
    ['healthy, the standby', 'B', {}, '-'],
    ['a higher epoch counts', 'A', { peerRecord: { role: HIGHER } }, '2B may'],
    ['a lower one does not', 'A', { peerRecord: { role: { ...HIGHER, epoch: 0 } } }, '-'],
    ['the copy lacks writes', 'B', { world: stale }, '1A may stale'],
    ['let go, handed over (R2)', 'A', { world: letGo }, '2B may'],
    [
      'the store is still primary',
      'A',
      { world: { ...letGo, store: storeStatus('primary') } },
      '-',
    ],
    ['the peer is gone', 'A', { world: letGo, peer: null }, '-'],
    ['not asked to let go', 'A', { world: { ...letGo, draining: false } }, '-'],
    [
      'a promise, as the driver wants (R5)',
      'B',
      { rollout: rollout('DOWN1', 'B'), peer: counted },
      '1A may down:update-1',
    ],
    [
      'the same promise again',
      'B',
      { rollout: rollout('DOWN1', 'B'), peer: counted, record: { standDown: PROMISE } },
      '-',
    ],
    [
      'the driver has another record',
      'B',
      { rollout: rollout('DOWN1', 'B'), peer: { rollout: null } },
      '-',
    ],
    ['the holder never promises', 'A', down, '-'],
    [
      'promised: it cannot take over',
      'A',
      { rollout: rollout('DOWN1', 'B'), peerRecord: { standDown: PROMISE } },
      '1A may not',
    ],
    [
      'a promise for another rollout',
      'A',
      { rollout: rollout('DOWN1', 'B'), peerRecord: { standDown: { ...PROMISE, rollout: 'x' } } },
      '-',
    ],
    ['lost: it cannot take over (R4)', 'A', { peer: null }, '1A may not'],
    [
      'lost, with a fencer',
      'A',
      { peer: null, world: { takeover: 'fence', peerTakeover: 'fence' } },
      '-',
    ],
    ['frozen', 'A', { world: frozen }, '1A may not'],
    ['back and in sync (R6)', 'A', { record: { role: ALONE } }, '1A may'],
    [
      'back, not in sync',
      'A',
      { record: { role: ALONE }, world: { store: storeStatus('primary', { peer: 'stale' }) } },
      '-',
    ],
    ['back, on trial', 'A', { record: { role: ALONE }, peer: { boot: TRIAL_BOOT } }, '-'],
    [
      'back, still to be down',
      'A',
      { record: { role: ALONE }, rollout: rollout('TRIAL1', 'B') },
      '-',
    ],
    [
      'the holder counts on it again',
      'B',
      { record: { standDown: PROMISE }, peer: counted },
      '1A may',
    ],
    [
      'it does not yet',
      'B',
      { record: { standDown: PROMISE }, peer: counted, peerRecord: { role: ALONE } },
      '-',
    ],
    ['it does not serve', 'B', { record: { standDown: PROMISE }, peer: { serving: false } }, '-'],
    ['on trial', 'B', { record: { standDown: PROMISE }, peer: counted, world: TRIAL }, '-'],
  ];
  for (const [name, node, change, want] of rows) {
    t.equal(shown(nextRole(nodeState(node, change))), want, name);
  }
});

/** What changes that is not durable: admitted, handing over. */
const world = (node: NodeId, change: StateChange): string => {
  const next = nextWorld(nodeState(node, change))?.world;
  return next === undefined ? '-' : `${next.admitted} ${next.draining}`;
};

t.test('admission and the begin and end of a handover', async (t) => {
  const admitsB1 = { serving: true, admits: { bootId: 'B1', epoch: 1 } };
  const lost = { serving: true, admits: null };
  t.equal(world('B', { peer: admitsB1 }), '-');
  t.equal(world('B', { peer: admitsB1, world: { admitted: false } }), 'true false');
  t.equal(world('B', { peer: lost }), 'false false');
  t.equal(
    world('B', { peer: { ...lost, admits: { bootId: 'B0', epoch: 1 } } }),
    'false false',
    'an older boot',
  );
  t.equal(world('B', { peer: { ...lost, admits: { bootId: 'B1', epoch: 2 } } }), 'false false');
  t.equal(world('B', { peer: admitsB1, record: { standDown: PROMISE } }), 'false false');
  t.equal(world('B', { peer: admitsB1, record: { knownStale: true } }), 'false false');
  const of = (promises: number) => ({ ...lost, admits: { bootId: 'B1', epoch: 1, promises } });
  const alone = { peer: null, record: { standDown: PROMISE } };
  t.equal(world('B', alone), 'false false', 'a promise to a peer that is not heard');
  const twice = { promises: 2 };
  t.equal(world('B', { peer: of(2), record: twice }), '-');
  t.equal(world('B', { peer: of(1), record: twice }), 'false false', 'before it promised again');
  t.equal(world('B', { peer: admitsB1, record: twice }), '-', 'a holder that does not count');
  t.equal(world('B', { peer: admitsB1, world: TRIAL }), 'false false');
  t.equal(world('B', { peer: null }), '-', 'a lost link takes no word back');
  const drain = { rollout: rollout('DRAIN1') };
  t.ok(handoverReady(nodeState('A', drain)));
  t.equal(world('A', drain), 'false true');
  const not: readonly StateChange[] = [
    { rollout: rollout('INSTALL1') },
    { ...drain, peer: { admitted: false } },
    { ...drain, peer: { rollout: null } },
    { ...drain, record: { role: ALONE } },
    { ...drain, world: { store: storeStatus('primary', { peer: 'syncing' }) } },
    { ...drain, world: { serving: null } },
  ];
  for (const change of not) t.equal(world('A', change), '-');
  t.equal(world('A', { world: { draining: true }, peer: null }), 'false false', 'pointless now');
  t.equal(world('A', { world: { draining: true }, record: { role: HIGHER } }), 'false false');
});

t.test('the effect of a role', async (t) => {
  const frozen = storeStatus('primary', { connected: false, frozen: true, peer: 'unknown' });
  const rows: readonly [string, NodeId, StateChange, string | undefined][] = [
    ['serving', 'A', {}, undefined],
    ['not yet', 'A', silent, 'serve'],
    ['an older epoch', 'A', { world: { serving: 0 } }, 'serve'],
    ['its store gave up', 'A', { world: { store: storeStatus('secondary') } }, 'serve'],
    [
      'alone and frozen',
      'A',
      { peer: null, record: { role: ALONE }, world: { store: frozen } },
      'go-alone',
    ],
    ['frozen, the peer may take over', 'A', { peer: null, world: { store: frozen } }, undefined],
    ['no longer holder', 'A', { record: { role: HIGHER } }, 'release'],
    ['handing over', 'A', { world: { draining: true } }, 'release'],
    [
      'a standby with a primary store',
      'B',
      { world: { store: storeStatus('primary') } },
      'release',
    ],
    ['a standby', 'B', {}, undefined],
  ];
  for (const [name, node, change, want] of rows) {
    t.equal(roleEffect(nodeState(node, change))?.do, want, name);
  }
});

t.test('a promise ends when the role is handed over to the node that gave it', async (t) => {
  const standDown = { rollout: 'frozen', epoch: 1 };
  const ours = { epoch: 2, holder: 'B', peerMayTakeOver: true } as const;
  const given = nodeState('B', { record: { standDown }, peerRecord: { role: ours } });
  t.match(nextRole(given), { role: ours, standDown: null });
  const theirs = { ...ours, holder: 'A' } as const;
  const kept = nodeState('B', { record: { standDown }, peerRecord: { role: theirs } });
  t.match(nextRole(kept), { role: theirs, standDown });
});
