/**
 * What the observed boot means for an update: verdicts of the boot chooser, boots of the trial,
 * fallbacks, storage that goes with it, the dead-man timer. May import tap and core.
 */
import t from 'tap';
import { settle } from '../../src/core/machine.ts';
import type { BootInfo, BootState } from '../../src/core/boot.ts';
import type { NodeRecord, NodeUpdate, StorageTrial } from '../../src/core/records.ts';
import { storageSlot } from '../../src/core/state.ts';
import { deadman, observeTrial } from '../../src/core/trial.ts';
import { ARMED, BOOT, BOOT_STATE, nodeState, TRIAL, TRIAL_BOOT, updateOf } from './states.ts';

type State = NodeUpdate['state'];
const OPEN: readonly State[] = [
  'arming',
  'rebooting',
  'trial',
  'healthy',
  'committing',
  'reverting',
];
const RESTING: readonly State[] = [
  'idle',
  'installing',
  'installed',
  'committed',
  'reverted',
  'failed',
];

const COMMITTED: BootState = { ...ARMED, default: 'B', trial: null, otherOk: true };
const REVERTED: BootState = { ...ARMED, trial: null, tries: 0 };
const LATER: BootState = { ...ARMED, trialId: 2 };
const USED: BootInfo = { ...BOOT, bootId: 'A3', reason: 'attempts-used' };
const FELL: BootInfo = { ...BOOT, bootId: 'A3', reason: 'fallback' };
const AGAIN: BootInfo = { ...TRIAL_BOOT, bootId: 'A3', attempt: 2 };

function observe(state: State, boot: BootInfo, bootState: BootState): NodeRecord | undefined {
  const record = {
    update: updateOf(state),
    slots: { ...nodeState('A').record.slots, trial: TRIAL },
  };
  return observeTrial(nodeState('A', { record, world: { boot, bootState } }));
}

const word = (record: NodeRecord | undefined): string => {
  if (record === undefined) return '-';
  const { update } = record;
  const reason = 'reason' in update ? ` ${update.reason.code}` : '';
  return `${update.state}${'bootId' in update ? ` ${update.bootId}` : ''}${reason}`;
};

const GONE = 'reverting trial.attempts_used';
const OVER = 'reverted trial.attempts_used';

/** One row per boot and boot state: the next state from each open one, in the order of `OPEN`. */
const rows: readonly [string, BootInfo, BootState, readonly string[]][] = [
  [
    'not armed yet',
    BOOT,
    BOOT_STATE,
    ['-', 'arming', 'arming', 'arming', 'arming', 'reverted health.check'],
  ],
  ['armed, before its boot', BOOT, ARMED, ['rebooting A1', '-', '-', '-', '-', '-']],
  ['its boot', TRIAL_BOOT, ARMED, ['trial A2', 'trial A2', '-', '-', '-', '-']],
  [
    'another of its boots',
    AGAIN,
    ARMED,
    ['trial A3', 'trial A3', 'trial A3', 'trial A3', 'committing A3', '-'],
  ],
  ['attempts are used up', USED, ARMED, [GONE, GONE, GONE, GONE, GONE, '-']],
  ['the loader fell back', FELL, ARMED, [GONE, GONE, GONE, GONE, GONE, '-']],
  ['committed', TRIAL_BOOT, COMMITTED, Array.from(OPEN, () => 'committed')],
  ['reverted', BOOT, REVERTED, [OVER, OVER, OVER, OVER, OVER, 'reverted health.check']],
  ['a later trial', BOOT, LATER, [OVER, OVER, OVER, OVER, OVER, 'reverted health.check']],
];

for (const [name, boot, bootState, want] of rows) {
  t.test(`observed: ${name}`, async (t) => {
    t.strictSame(
      OPEN.map((state) => word(observe(state, boot, bootState))),
      want,
    );
    const rest = RESTING.map((state) => word(observe(state, boot, bootState)));
    t.strictSame(
      rest,
      RESTING.map(() => '-'),
      'where no trial is open nothing changes',
    );
  });
}

t.test('a trial armed in a boot that was itself a fallback is not judged by that', async (t) => {
  const fell = { ...BOOT, reason: 'fallback' } as const;
  t.equal(word(observe('arming', fell, ARMED)), 'rebooting A1');
  t.equal(word(observe('rebooting', fell, ARMED)), '-');
});

const storage = (change: Partial<StorageTrial> = {}) => {
  const trial = { trialId: 1, systemSlot: 'B', old: 'A', new: 'B', newRunsUnderOld: true } as const;
  return { ...nodeState('A').record.storage, trial: { ...trial, proven: false, ...change } };
};

/** The record once the boot chooser has given its verdict on a trial with new storage software. */
const judged = (boot: BootInfo, bootState: BootState, change?: Partial<StorageTrial>) =>
  observeTrial(
    nodeState('A', {
      record: { update: updateOf('committing'), storage: storage(change) },
      world: { boot, bootState },
    }),
  );

const slot = (booted: 'A' | 'B', change?: Partial<StorageTrial>): string =>
  storageSlot({ ...nodeState('A').record, storage: storage(change) }, booted);

t.test('the verdict takes storage and slots with it', async (t) => {
  t.match(judged(TRIAL_BOOT, COMMITTED), {
    canRollBack: true,
    slots: { default: 'B', trial: null, outcome: 'committed', reason: null },
    storage: { current: 'B', previous: 'A', trial: null, outcome: 'committed' },
  });
  const old = { current: 'A', previous: null, trial: null, outcome: 'reverted' };
  const kept = { current: 'B', previous: 'A', trial: null, outcome: 'committed', reason: null };
  t.match(judged(BOOT, REVERTED)?.storage, old);
  t.match(judged(BOOT, REVERTED, { proven: true })?.storage, kept, 'proven, and allowed');
  t.match(judged(BOOT, REVERTED, { proven: true, newRunsUnderOld: false })?.storage, old);
  t.match(judged(BOOT, REVERTED), {
    slots: { trial: null, outcome: 'reverted' },
    canRollBack: false,
  });
});

t.test(
  'a return that was reverted can be tried again with the same storage software',
  async (t) => {
    const back = { ...updateOf('reverting'), mode: 'return' } as NodeUpdate;
    const after = (change?: Partial<StorageTrial>) =>
      observeTrial(
        nodeState('A', {
          record: { update: back, storage: storage(change) },
          world: { boot: BOOT, bootState: REVERTED },
        }),
      )?.storage;
    t.match(after(), { current: 'A', previous: 'B', trial: null, outcome: 'reverted' });
    const kept = { current: 'B', previous: null, trial: null, outcome: 'committed' };
    t.match(after({ proven: true }), kept, 'what was kept is not exchanged for the newer one');
  },
);

t.test('which storage software has to run (rule I7)', async (t) => {
  t.equal(slot('B'), 'B', 'the new one on trial');
  t.equal(slot('A'), 'A', 'the old one after a fallback');
  t.equal(slot('A', { proven: true }), 'B', 'unless it was proven and is allowed');
  t.equal(slot('A', { proven: true, newRunsUnderOld: false }), 'A');
  t.equal(storageSlot(nodeState('A').record, 'B'), 'A', 'without a trial the current one');
});

t.test('the dead-man timer counts silence of the driver, in trial and healthy alone', async (t) => {
  for (const state of [...OPEN, ...RESTING]) {
    const at = (ms: number): string =>
      word(
        deadman(
          nodeState('A', {
            record: { update: updateOf(state) },
            world: { clock: { ms, at: '' }, driverHeardMs: 1000 },
          }),
        ),
      );
    const counts = state === 'trial' || state === 'healthy';
    t.equal(at(1000 + 599_999), '-', state);
    t.equal(at(1000 + 600_000), counts ? 'reverting trial.deadline' : '-', state);
  }
});

t.test('the record names its boot, and the machine comes to rest', async (t) => {
  const s = nodeState('A', { world: { boot: { ...BOOT, bootId: 'A9' } } });
  const next = settle(s);
  t.match(next?.record, { bootId: 'A9', slots: { booted: 'A', default: 'A' } });
  t.equal(next === undefined ? null : settle(next), undefined);
  const other = settle(nodeState('A', { world: { bootState: COMMITTED } }));
  t.match(other?.record.slots, { booted: 'A', default: 'B' });
});
