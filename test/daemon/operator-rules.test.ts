/**
 * What an operator may say when: one row per refusal with its code, as pure functions over states;
 * and that the machine refuses the same. May import tap, core and the module under test.
 */
import t from 'tap';
import { step } from '../../src/core/machine.ts';
import { restPoint } from '../../src/core/pause.ts';
import { PHASES, type Phase } from '../../src/core/records.ts';
import type { Event, NodeState } from '../../src/core/state.ts';
import type { UpdateError } from '../../src/core/errors.ts';
import {
  pauseRefusal,
  standDownRefusal,
  switchoverRefusal,
  takeoverNeedless,
  takeoverRefusal,
} from '../../src/daemon/operator-rules.ts';
import { ARMED, nodeState, rolloutRecord, storeStatus, TRIAL_BOOT } from '../core/states.ts';
import type { StateChange } from '../core/states.ts';

type Row = readonly [name: string, node: 'A' | 'B', change: StateChange, code: string | null];

const CLOCK = { ms: 11_000, at: '2026-01-01T00:00:11.000Z' };
const ROLLOUT = rolloutRecord({ phase: 'INSTALL1' });
const REFUSED = 'switchover.refused';
const BY_OPERATOR = { rollout: 'operator', epoch: 1 } as const;
const ALONE = { epoch: 1, holder: 'A', peerMayTakeOver: false } as const;

function check(
  rows: readonly Row[],
  event: Event,
  refusal: (s: NodeState) => UpdateError | null,
): void {
  for (const [name, node, change, code] of rows) {
    t.test(`${event.type}: ${name}`, async (t) => {
      const s = nodeState(node, change);
      t.equal(refusal(s)?.code ?? null, code);
      const taken = step(s, event, CLOCK) !== undefined;
      if (code === null) t.ok(taken, 'the machine takes what is not refused');
    });
  }
}

const lagging = storeStatus('primary', { peer: 'syncing' });
const splitPrimary = storeStatus('primary', { splitBrain: true });

check(
  [
    ['a healthy pair', 'A', {}, null],
    ['during an update', 'A', { rollout: ROLLOUT }, 'job.busy'],
    ['without a peer', 'A', { peer: null }, 'pair.peer_unreachable'],
    [
      'a peer that was told to stand down',
      'A',
      { peerRecord: { standDown: BY_OPERATOR } },
      REFUSED,
    ],
    ['a peer that lags', 'A', { world: { store: lagging } }, REFUSED],
    ['a split brain', 'A', { world: { store: splitPrimary } }, REFUSED],
    ['a peer that is not admitted', 'A', { peer: { admitted: false } }, REFUSED],
    ['a peer that may not take over', 'A', { record: { role: ALONE } }, REFUSED],
  ],
  { type: 'switchover' },
  switchoverRefusal,
);

const onTrial = { boot: TRIAL_BOOT, bootState: ARMED };
const stale = storeStatus('secondary', { local: 'stale' });
const silent = storeStatus('secondary', { local: 'unknown' });
const split = storeStatus('secondary', { splitBrain: true });

check(
  [
    ['a standby that was left', 'B', { peer: null }, null],
    ['a standby that stood down', 'B', { peer: null, record: { standDown: BY_OPERATOR } }, null],
    ['a holder that waits', 'A', { peer: null, world: { serving: null } }, null],
    ['the peer answers', 'B', {}, 'takeover.connected'],
    ['the peer answers the active', 'A', {}, 'takeover.connected'],
    ['on trial', 'B', { peer: null, world: onTrial }, 'takeover.trial'],
    ['known to lag', 'B', { peer: null, record: { knownStale: true } }, 'takeover.stale'],
    ['a copy that lags', 'B', { peer: null, world: { store: stale } }, 'takeover.stale'],
    [
      'a copy of which nothing is known',
      'B',
      { peer: null, world: { store: silent } },
      'takeover.stale',
    ],
    ['a holder that lags', 'A', { peer: null, record: { knownStale: true } }, 'takeover.stale'],
    ['no storage software', 'B', { peer: null, world: { storage: null } }, 'takeover.stale'],
    ['a split brain', 'B', { peer: null, world: { store: split } }, 'store.split_brain'],
    ['a split brain, seen by both', 'B', { world: { store: split } }, 'store.split_brain'],
  ],
  { type: 'peer-off', word: 'operator' },
  takeoverRefusal,
);

check(
  [
    ['the standby', 'B', {}, null],
    ['the standby alone', 'B', { peer: null }, null],
    ['the active', 'A', {}, 'standdown.active'],
    ['during an update', 'B', { rollout: ROLLOUT }, 'job.busy'],
    [
      'down for a frozen peer',
      'B',
      { record: { standDown: { rollout: 'frozen', epoch: 1 } } },
      'standdown.refused',
    ],
    [
      'handed over, and not taken yet',
      'B',
      {
        record: { role: { epoch: 2, holder: 'A', peerMayTakeOver: true } },
        world: { admitted: false },
      },
      'standdown.refused',
    ],
    [
      'not met since the start',
      'B',
      { peer: null, world: { admitted: false } },
      'standdown.refused',
    ],
  ],
  { type: 'stand-down', on: true },
  (s) => standDownRefusal(s, true),
);

check(
  [
    ['the end of a promise', 'B', { record: { standDown: BY_OPERATOR } }, null],
    [
      'its end during an update',
      'B',
      { rollout: ROLLOUT, record: { standDown: BY_OPERATOR } },
      null,
    ],
  ],
  { type: 'stand-down', on: false },
  (s) => standDownRefusal(s, false),
);

const cancelled = rolloutRecord({ phase: 'INSTALL1', abort: { by: 'x', at: '', reason: 'y' } });
check(
  [
    ['an update', 'A', { rollout: ROLLOUT }, null],
    ['nothing runs', 'A', {}, 'job.not_pausable'],
    ['it has ended', 'A', { rollout: rolloutRecord({ phase: 'DONE' }) }, 'job.not_pausable'],
    [
      'past the last safe point',
      'A',
      { rollout: rolloutRecord({ phase: 'REFORM' }) },
      'job.not_pausable',
    ],
    ['it is cancelled', 'A', { rollout: cancelled }, 'job.not_pausable'],
  ],
  { type: 'pause', by: 'anna' },
  (s) => pauseRefusal(s, true),
);

t.test('a needless word, and a promise that is there already', async (t) => {
  const alone = nodeState('A', { peer: null, record: { role: ALONE } });
  t.ok(takeoverNeedless(alone));
  t.notOk(takeoverNeedless(nodeState('A', { peer: null })));
  const torn = { record: { role: ALONE }, world: { store: split, serving: null } };
  t.notOk(takeoverNeedless(nodeState('A', torn)), 'a split brain wants another word');
  t.notOk(takeoverNeedless(nodeState('B', { peer: null, record: { role: ALONE } })));
  const down = nodeState('B', { record: { standDown: BY_OPERATOR }, rollout: ROLLOUT });
  t.equal(standDownRefusal(down, true), null, 'nothing is to be done, so nothing is refused');
  t.equal(standDownRefusal(nodeState('A'), false), null);
  t.equal(pauseRefusal(nodeState('A', { rollout: cancelled }), false), null);
});

const rests = (phase: Phase): Phase | null => restPoint(rolloutRecord({ phase }));

t.test('the phase at whose end a pause rests', async (t) => {
  t.equal(rests('VALIDATE'), 'STAGE');
  t.equal(rests('STAGE'), 'STAGE');
  t.equal(rests('INSTALL1'), 'HAND1');
  t.equal(rests('HAND1'), 'HAND1');
  t.equal(rests('TRIAL2'), 'ADMIT2');
  t.equal(rests('BACK2'), 'ADMIT2', 'the second node may be tried again');
  const none = PHASES.filter((phase) => rests(phase) === null);
  t.strictSame(none.slice(0, 2), ['REFORM', 'BACK1']);
  t.equal(none.length, PHASES.length - PHASES.indexOf('REFORM') - 1);
});
