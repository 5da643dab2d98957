/**
 * The update of one node as tables: what each ask and each event means in each state, and the
 * effect that is due. May import tap and core.
 */
import t from 'tap';
import {
  onAsk,
  onNodeEvent,
  onStorageEnded,
  atRest,
  finalized,
  nodeEffect,
  type Ask,
} from '../../src/core/node.ts';
import type { Job, NodeRecord, NodeUpdate } from '../../src/core/records.ts';
import type { Event, NodeState } from '../../src/core/state.ts';
import {
  ARMED,
  JOB,
  nodeState,
  release,
  rolloutRecord,
  SEALS,
  sealOf,
  targetOf,
  TRIAL,
  TRIAL_BOOT,
  updateOf,
  type StateChange,
} from './states.ts';

type State = NodeUpdate['state'];
const STATES: readonly State[] = [
  'idle',
  'installing',
  'installed',
  'arming',
  'rebooting',
  'trial',
  'healthy',
  'committing',
  'committed',
  'reverting',
  'reverted',
  'failed',
];

const rollout = rolloutRecord();
const inState = (state: State, change: StateChange = {}): NodeState =>
  nodeState('A', { rollout, ...change, record: { update: updateOf(state), ...change.record } });

/** The state after, or `-` when nothing changes. */
const word = (record: NodeRecord | undefined): string => {
  if (record === undefined) return '-';
  const { update } = record;
  return 'attempt' in update ? `${update.state} ${update.attempt}` : update.state;
};

const install = (attempt: number): Ask => ({ do: 'install', attempt, mode: 'install' });
const activate = (attempt: number): Ask => ({ do: 'activate', attempt, mode: 'install' });
const BEGIN = 'installing 2';

/** What each ask leads to: another job, the same job again, commit, revert. */
const asks: Readonly<Record<State, readonly [string, string, string, string, string]>> = {
  //           install 2  activate 1     activate 2  commit          revert
  idle: [BEGIN, 'installing 1', BEGIN, '-', '-'],
  installing: [BEGIN, '-', BEGIN, '-', 'failed 1'],
  installed: [BEGIN, 'arming 1', BEGIN, '-', '-'],
  arming: ['-', '-', '-', '-', '-'],
  rebooting: ['-', '-', '-', '-', 'reverting 1'],
  trial: ['-', '-', '-', '-', 'reverting 1'],
  healthy: ['-', '-', '-', 'committing 1', 'reverting 1'],
  committing: ['-', '-', '-', '-', '-'],
  committed: [BEGIN, '-', BEGIN, '-', '-'],
  reverting: ['-', '-', '-', '-', '-'],
  reverted: [BEGIN, '-', BEGIN, '-', '-'],
  failed: [BEGIN, '-', BEGIN, '-', '-'],
};

for (const state of STATES) {
  t.test(`asks in ${state}`, async (t) => {
    const s = inState(state);
    const found = [
      install(2),
      activate(1),
      activate(2),
      { do: 'commit' } as const,
      { do: 'revert' } as const,
    ];
    t.strictSame(
      found.map((ask) => word(onAsk(s, ask, rollout))),
      asks[state],
    );
    const same = word(onAsk(s, install(1), rollout));
    t.equal(same, state === 'idle' ? 'installing 1' : '-', 'the same job again changes nothing');
    t.equal(word(onAsk(s, { do: 'finalize' }, rollout)), '-');
    const others = rolloutRecord({ id: 'update-2' });
    t.equal(word(onAsk(s, { do: 'revert' }, others)), '-', 'of another rollout: no revert');
  });
}

const HEALTH = { type: 'health', trialId: 1, reason: null } as const;
const BAD = { ...HEALTH, reason: { code: 'health.check', message: 'no' } } as const;
const INSTALLED = { type: 'installed', job: JOB } as const;
const FAILED = { type: 'install-failed', job: JOB, reason: BAD.reason } as const;
const PROVEN = { type: 'storage-proven', trialId: 1 } as const;

t.test('events of the update itself', async (t) => {
  const rows: Partial<Record<State, Partial<Record<string, string>>>> = {
    installing: { installed: 'installed 1', failed: 'failed 1' },
    trial: { good: 'healthy 1', bad: 'reverting 1' },
    healthy: { good: 'healthy 1', bad: 'reverting 1' },
  };
  for (const state of STATES) {
    const s = inState(state);
    const found = { installed: INSTALLED, failed: FAILED, good: HEALTH, bad: BAD };
    for (const [name, event] of Object.entries(found)) {
      t.equal(word(onNodeEvent(s, event)), rows[state]?.[name] ?? '-', `${state}: ${name}`);
    }
    t.equal(word(onNodeEvent(s, PROVEN)), '-', `${state}: no storage on trial`);
    t.equal(onNodeEvent(s, { type: 'tick' }), undefined);
  }
  const other: Job = { ...JOB, attempt: 2 };
  const late: readonly Event[] = [
    { type: 'installed', job: other },
    { type: 'install-failed', job: other, reason: BAD.reason },
    { type: 'installed', job: { ...JOB, rollout: 'update-2' } },
  ];
  for (const event of late) t.equal(onNodeEvent(inState('installing'), event), undefined);
  t.equal(onNodeEvent(inState('trial'), { ...HEALTH, trialId: 2 }), undefined, 'of another trial');
});

t.test('storage that was proven is noted once, by its trial', async (t) => {
  const trial = { trialId: 1, systemSlot: 'B', old: 'A', new: 'B' } as const;
  const storage = {
    ...nodeState('A').record.storage,
    trial: { ...trial, newRunsUnderOld: true, proven: false },
  };
  const s = inState('trial', { record: { storage } });
  const next = onNodeEvent(s, PROVEN);
  t.equal(next?.storage.trial?.proven, true);
  t.equal(next?.update.state, 'trial');
  t.equal(onNodeEvent(s, { ...PROVEN, trialId: 2 }), undefined);
  const proven = { ...storage, trial: { ...storage.trial, proven: true } };
  t.equal(onNodeEvent(inState('trial', { record: { storage: proven } }), PROVEN), undefined);
});

t.test('storage that failed after it was proven is not kept', async (t) => {
  const trial = { trialId: 1, systemSlot: 'B', old: 'A', new: 'B', newRunsUnderOld: true } as const;
  const storage = { ...nodeState('A').record.storage, trial: { ...trial, proven: true } };
  for (const state of ['trial', 'healthy'] as const) {
    const s = inState(state, { record: { storage } });
    const failed = { ...HEALTH, reason: { code: 'health.storage', message: 'no' } } as const;
    t.match(onNodeEvent(s, failed), { update: { state: 'reverting' } });
    t.equal(onNodeEvent(s, failed)?.storage.trial?.proven, false, `${state}: storage`);
    t.equal(onNodeEvent(s, BAD)?.storage.trial?.proven, true, `${state}: the system`);
  }
  for (const state of STATES) {
    const s = inState(state, { world: { boot: TRIAL_BOOT, bootState: ARMED } });
    const fails = state === 'trial' || state === 'healthy';
    const next = onStorageEnded(s, 'was killed');
    t.equal(word(next), fails ? 'reverting 1' : '-', `storage ended in ${state}`);
    if (fails) t.match(next?.update, { reason: { code: 'health.storage', message: /killed/ } });
    t.equal(onStorageEnded(inState(state), 'x'), undefined, `${state}, not in the slot of a trial`);
  }
  const calm = inState('healthy');
  t.equal(onNodeEvent(calm, HEALTH), calm.record, 'no change');
});

const effects: Readonly<Record<State, string | undefined>> = {
  idle: undefined,
  installing: 'install',
  installed: undefined,
  arming: 'arm',
  rebooting: 'reboot',
  trial: 'check-health',
  healthy: 'check-health',
  committing: 'commit',
  committed: undefined,
  reverting: 'revert',
  reverted: undefined,
  failed: undefined,
};

t.test('the effect that is due in each state', async (t) => {
  for (const state of STATES) t.equal(nodeEffect(inState(state))?.do, effects[state], state);
  const ended = { boot: TRIAL_BOOT, bootState: { ...ARMED, trial: null, tries: 0 } };
  const reverted = nodeEffect(inState('reverted', { world: ended }));
  t.match(reverted, { do: 'reboot', reason: /trial 1 was reverted: health\.check/ });
  const fallback = { ...ended, boot: { ...TRIAL_BOOT, reason: 'fallback', attempt: 0 } } as const;
  t.equal(nodeEffect(inState('failed', { world: fallback })), undefined, 'no endless reboots');
});

t.test('a trial that only the boot chooser knows is taken back', async (t) => {
  const resting = STATES.filter((state) => effects[state] === undefined);
  for (const state of [...resting, 'installing' as const]) {
    const armed = nodeEffect(inState(state, { world: { bootState: { ...ARMED, trialId: 7 } } }));
    t.match(armed, { do: 'revert', trial: { id: 7, slot: 'B' } }, state);
    const gone = { boot: TRIAL_BOOT, bootState: { ...ARMED, trial: null, tries: 0 } };
    t.match(
      nodeEffect(inState(state, { world: gone })),
      { do: 'reboot' },
      `${state}, still booted`,
    );
  }
  const armed = { bootState: { ...ARMED, trialId: 7 } };
  t.equal(
    onAsk(inState('installed', { world: armed }), activate(1), rollout),
    undefined,
    'first that',
  );
});

t.test('a new job: targets, and what is forgotten', async (t) => {
  const begun = onAsk(inState('idle', { record: { canRollBack: true } }), install(1), rollout);
  t.match(begun, { canRollBack: false, slots: { trial: null, outcome: 'none', reason: null } });
  const targets = (s: NodeState, ask: Ask = install(1), record = rollout): string => {
    const update = onAsk(s, ask, record)?.update;
    if (update === undefined || !('targets' in update)) return '-';
    const list = update.targets.map((one) => `${one.class}-${one.slot} ${one.release.version}`);
    return `${list.join(', ')}; under old ${update.storageRunsUnderOld}`;
  };
  const idle = (change: StateChange = {}) => inState('idle', change);
  const both = 'system-B 2.0.0, storage-B 2.0.0; under old true';
  t.equal(targets(idle()), both);
  const newer = { slot: 'A', release: release('storage', 2) } as const;
  t.equal(targets(idle({ world: { storage: newer } })), 'system-B 2.0.0; under old false');
  t.equal(targets(idle({ world: { storage: null } })), both, 'what runs is not known: write it');
  const onB = { ...nodeState('A').record.storage, current: 'B' } as const;
  const inB = {
    bootState: { ...ARMED, default: 'B', trial: null },
    boot: { ...TRIAL_BOOT, reason: 'default', attempt: 0 },
  } as const;
  t.equal(
    targets(idle({ record: { storage: onB }, world: inB })),
    'system-A 2.0.0, storage-A 2.0.0; under old true',
  );
  const needsNew = rolloutRecord({ to: targetOf('>=2.0.0') });
  t.equal(
    targets(idle(), install(1), needsNew),
    'system-B 2.0.0, storage-B 2.0.0; under old false',
  );
  t.equal(targets(idle({ world: inB })), 'system-A 2.0.0, storage-B 2.0.0; under old true');
  const onTrial = { boot: TRIAL_BOOT, bootState: ARMED };
  t.equal(targets(idle({ world: onTrial })), '-', 'nothing begins on a trial');
});

t.test('a return takes what the other slots hold', async (t) => {
  const back: Ask = { do: 'activate', attempt: 2, mode: 'return' };
  const full = {
    system: { A: sealOf('system', 2), B: sealOf('system', 1) },
    storage: { A: sealOf('storage', 2), B: sealOf('storage', 1) },
  };
  const storage = { ...nodeState('A').record.storage, previous: 'B' } as const;
  const targets = (change: StateChange) => {
    const update = onAsk(inState('committed', change), back, rollout)?.update;
    return update !== undefined && 'targets' in update
      ? `${update.state} ${update.targets.map((one) => `${one.class}-${one.slot}`).join()}`
      : '-';
  };
  t.equal(
    targets({ world: { seals: full }, record: { storage } }),
    'installing system-B,storage-B',
  );
  t.equal(targets({ world: { seals: full } }), 'installing system-B', 'storage was not switched');
  const newer = { A: { ...sealOf('storage', 2), runsWith: '>=2.0.0' }, B: full.storage.B };
  const apart = { world: { seals: { ...full, storage: newer } } };
  t.equal(targets(apart), 'failed system-B', 'the storage software does not run under that system');
  t.equal(targets({ ...apart, record: { storage } }), 'installing system-B,storage-B');
  t.equal(targets({ world: { seals: SEALS } }), 'failed ', 'nothing to go back to');
  const failed = onAsk(inState('committed', { world: { seals: SEALS } }), back, rollout);
  t.match(failed?.update, { reason: { code: 'rollback.unavailable' } });
  t.equal(failed?.canRollBack, false);
});

t.test('arming is not taken back while it may be under way, only once it failed', async (t) => {
  const rollout = rolloutRecord({ phase: 'BACK1' });
  const s = inState('arming');
  t.equal(onAsk(s, { do: 'revert' }, rollout), undefined);
  const troubles = { arm: { code: 'boot.io', message: 'no space' } } as const;
  const failed = { ...s, world: { ...s.world, troubles } };
  t.match(onAsk(failed, { do: 'revert' }, rollout)?.update, { state: 'reverting' });
});

t.test('arming: a number that was never used, and the storage that goes with it', async (t) => {
  const arm = (change: StateChange) => onAsk(inState('installed', change), activate(1), rollout);
  const first = arm({});
  t.match(first, { lastTrialId: 1, slots: { trial: { id: 1, slot: 'B', tries: 2 } } });
  const want = { trialId: 1, systemSlot: 'B', old: 'A', new: 'B', newRunsUnderOld: true };
  t.match(first?.storage.trial, { ...want, proven: false });
  t.equal(arm({ record: { lastTrialId: 5 } })?.lastTrialId, 6);
  const ended = { ...ARMED, trial: null, trialId: 9 };
  t.equal(arm({ record: { lastTrialId: 5 }, world: { bootState: ended } })?.lastTrialId, 10);
  const alone = { ...JOB, targets: JOB.targets.slice(0, 1), state: 'installed' } as const;
  const without = onAsk(inState('installed', { record: { update: alone } }), activate(1), rollout);
  t.equal(without?.storage.trial, null, 'no new storage software');
  const nothing = { ...alone, targets: [] };
  t.equal(
    onAsk(inState('installed', { record: { update: nothing } }), activate(1), rollout),
    undefined,
  );
});

t.test('finalize: after the other slot is closed, once', async (t) => {
  const open = inState('committed', {
    record: { canRollBack: true },
    world: { bootState: { ...ARMED, trial: null, otherOk: true } },
  });
  t.equal(finalized(open, rollout), undefined);
  const closed = inState('committed', { record: { canRollBack: true } });
  t.match(finalized(closed, rollout), { canRollBack: false, releaseFloor: 2 });
  const done = inState('committed', { record: { releaseFloor: 2 } });
  t.equal(finalized(done, rollout), undefined);
  const higher = inState('committed', { record: { releaseFloor: 9, canRollBack: true } });
  t.match(finalized(higher, rollout), { releaseFloor: 9 }, 'a floor never falls');
});

t.test('at rest: nothing is armed, nothing is being decided', async (t) => {
  const resting = STATES.filter((state) => atRest(inState(state).record, false));
  t.strictSame(resting, ['idle', 'installed', 'committed', 'reverted', 'failed']);
  t.strictSame(
    STATES.filter((state) => atRest(inState(state).record, true)),
    [],
  );
  t.equal(TRIAL.id, 1);
});
