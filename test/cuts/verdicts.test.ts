/**
 * Every verdict that the checker can give, each on facts that differ from good ones in one thing;
 * the rules are one table, and a code without a row here does not pass. Imports the checker and the
 * disk of the tests.
 */
import t from 'tap';
import type { DataFacts } from '../../scripts/cuts/data.ts';
import type { DiskFacts, SlotFacts } from '../../scripts/cuts/facts.ts';
import { judge, NO_FLOOR, PROBLEMS, raise, type Floor } from '../../scripts/cuts/judge.ts';
import type { ProblemCode } from '../../scripts/cuts/judge.ts';
import type { BootState } from '../../src/core/boot.ts';
import { nodeRecord, rolloutRecord, updateOf } from '../core/states.ts';
import { DiskBench, IMAGES, sealOf, wordsOf } from './disk-bench.ts';

const HASH = 'ab'.repeat(32);
const good = new DiskBench().facts({ count: 0, torn: 0, fate: 'keep' });
const node = nodeRecord('A', { releaseFloor: 1 });
const data: DataFacts = {
  problem: null,
  journal: { seq: 7, torn: false, node, rollout: rolloutRecord(), problem: null },
  store: { epoch: 3, objects: new Map([['k', { hash: HASH, version: 4 }]]), problem: null },
};
const GOOD: DiskFacts = { ...good, data };
const FLOOR: Floor = raise(NO_FLOOR, GOOD);
const WRITES = new Map([['k', HASH]]);

const image = (cls: 'system' | 'storage', version: string) =>
  IMAGES.find((one) => one.class === cls && one.version === version) ?? null;
const NEW: SlotFacts = {
  mark: null,
  seal: sealOf('system', '2.0.0', null),
  image: image('system', '2.0.0'),
};
const withState = (change: Partial<BootState>, facts = GOOD): DiskFacts => {
  const state = { ...(GOOD.state as BootState), seq: 9, ...change };
  return { ...facts, state, copies: [state, null] };
};
const withSystem = (slot: 'A' | 'B', change: Partial<SlotFacts>, facts = GOOD): DiskFacts => {
  const system = { ...facts.slots.system, [slot]: { ...facts.slots.system[slot], ...change } };
  return { ...facts, slots: { ...facts.slots, system } };
};
const withJournal = (change: Partial<DataFacts['journal']>, facts = GOOD): DiskFacts => {
  return { ...facts, data: { ...facts.data, journal: { ...facts.data.journal, ...change } } };
};
const withStore = (change: Partial<DataFacts['store']>): DiskFacts => {
  return { ...GOOD, data: { ...data, store: { ...data.store, ...change } } };
};
const inState = (state: Parameters<typeof updateOf>[0], facts = GOOD): DiskFacts =>
  withJournal({ node: { ...node, update: updateOf(state), lastTrialId: 1 } }, facts);
const storageB: SlotFacts = {
  mark: null,
  seal: sealOf('storage', '2.0.0', null),
  image: image('storage', '2.0.0'),
};
/** Both images of the update are there. */
const INSTALLED: DiskFacts = (() => {
  const facts = withSystem('B', NEW);
  const { slots } = facts;
  return { ...facts, slots: { ...slots, storage: { ...slots.storage, B: storageB } } };
})();
const ARMED: Partial<BootState> = { trial: 'B', trialId: 1, tries: 2 };
const COMMITTED: Partial<BootState> = { ...ARMED, default: 'B', trial: null, otherOk: true };

const codesOf = async (facts: DiskFacts): Promise<readonly string[]> => {
  const { problems } = await judge(facts, FLOOR, WRITES);
  return [...new Set(problems.map(({ code }) => code))].toSorted();
};

t.test('good disks', async (t) => {
  const trial = inState('rebooting', withState(ARMED, INSTALLED));
  const committed = inState('committing', withState(COMMITTED, INSTALLED));
  const rows: readonly (readonly [string, DiskFacts, string, string, string])[] = [
    ['as before', GOOD, 'A default 0', '1.0.0', '1.0.0'],
    ['being installed', inState('installing'), 'A default 0', '1.0.0', '1.0.0'],
    ['installed', inState('installed', INSTALLED), 'A default 0', '1.0.0', '1.0.0'],
    ['not armed yet', inState('arming', INSTALLED), 'A default 0', '1.0.0', '1.0.0'],
    ['armed', trial, 'B trial 1', '2.0.0', '1.0.0'],
    ['counted', { ...trial, counter: { trialId: 1, used: 1 } }, 'B trial 2', '2.0.0', '1.0.0'],
    [
      'attempts used',
      { ...trial, counter: { trialId: 1, used: 2 } },
      'A attempts-used 0',
      '1.0.0',
      '1.0.0',
    ],
    ['committed', committed, 'B default 0', '2.0.0', '2.0.0'],
    ['marked', withSystem('B', { mark: 1 }, committed), 'B default 0', '2.0.0', '2.0.0'],
  ];
  for (const [name, facts, boots, version, back] of rows) {
    const verdict = await judge(facts, FLOOR, WRITES);
    t.strictSame(verdict.problems, [], name);
    const found = [wordsOf(verdict.boots), verdict.version, verdict.committed];
    t.strictSame(found, [boots, version, back], name);
  }
});

const BAD: readonly (readonly [string, DiskFacts, readonly ProblemCode[]])[] = [
  [
    'both copies are torn',
    { ...GOOD, state: null, copies: [null, null] },
    ['state-back', 'state-lost'],
  ],
  ['an old state', withState({ seq: 1 }), ['state-back']],
  ['another state of the same number', withState({ seq: 2, otherOk: true }), ['state-back']],
  [
    'no slot is whole',
    withSystem('A', { image: null }),
    ['boots-nothing', 'default-lost', 'marks-astray', 'seal-lies'],
  ],
  [
    'a trial of a slot that is half-written',
    inState('rebooting', withSystem('B', { image: null }, withState(ARMED, INSTALLED))),
    ['half-written', 'installed-lost', 'seal-lies'],
  ],
  [
    'a trial of a slot without a seal',
    inState('rebooting', withSystem('B', { seal: null }, withState(ARMED, INSTALLED))),
    ['installed-lost', 'not-sealed'],
  ],
  [
    'the default has another image than its seal',
    withSystem('A', { image: image('system', '2.0.0') }),
    ['default-lost', 'marks-astray', 'seal-lies'],
  ],
  [
    'a mark before the commit',
    inState('healthy', withSystem('B', { mark: 1 }, withState(ARMED, INSTALLED))),
    ['mark-early'],
  ],
  ['a mark of nothing', withSystem('B', { mark: 5 }, INSTALLED), ['mark-early']],
  ['no mark anywhere', withSystem('A', { mark: null }), ['marks-astray']],
  [
    'the counter is torn',
    { ...inState('rebooting', withState(ARMED, INSTALLED)), counter: null },
    ['counter-lost'],
  ],
  [
    'the counter counts a trial to come',
    { ...inState('rebooting', withState(ARMED, INSTALLED)), counter: { trialId: 2, used: 0 } },
    ['counter-lost'],
  ],
  ['a bad file system', { ...GOOD, data: { ...data, problem: 'inode 5' } }, ['file-system']],
  ['a damaged journal', withJournal({ problem: 'a damaged head' }), ['journal-damaged']],
  ['a journal that is shorter', withJournal({ seq: 6 }), ['journal-back']],
  ['a rollout that is gone', withJournal({ rollout: null }), ['journal-back']],
  ['a floor that is lower', withJournal({ node: nodeRecord('A') }), ['floor-back']],
  ['an unknown trial is armed', withState(ARMED, INSTALLED), ['trial-unrecorded']],
  [
    'armed while it was being installed',
    inState('installing', withState(ARMED, INSTALLED)),
    ['trial-unrecorded'],
  ],
  ['rebooting into nothing', inState('rebooting', INSTALLED), ['trial-lost']],
  [
    'committed by nobody',
    inState('healthy', withState(COMMITTED, INSTALLED)),
    ['verdict-unrecorded'],
  ],
  [
    'disarmed by nobody',
    inState('healthy', withState({ ...ARMED, trial: null, tries: 0 }, INSTALLED)),
    ['verdict-unrecorded'],
  ],
  ['committed by the journal alone', inState('committed', INSTALLED), ['trial-lost']],
  ['installed, and not there', inState('installed'), ['installed-lost']],
  [
    'storage software that is not there',
    withJournal({ node: { ...node, storage: { ...node.storage, current: 'B' } } }),
    ['storage-lost'],
  ],
  ['a damaged store', withStore({ problem: 'damage' }), ['store-damaged']],
  ['a store of an older epoch', withStore({ epoch: 2 }), ['store-back']],
  ['a write is gone', withStore({ objects: new Map() }), ['write-lost']],
  [
    'a write is another',
    withStore({ objects: new Map([['k', { hash: 'cd'.repeat(32), version: 3 }]]) }),
    ['write-lost'],
  ],
];

t.test('bad disks', async (t) => {
  for (const [name, facts, codes] of BAD) t.strictSame(await codesOf(facts), codes, name);
  const covered = new Set(BAD.flatMap(([, , codes]) => codes));
  t.strictSame([...covered].toSorted(), Object.keys(PROBLEMS).toSorted(), 'every code has a row');
});

t.test('what is known to be durable only grows', async (t) => {
  t.strictSame(raise(FLOOR, good), FLOOR, 'an older disk takes nothing away');
  const later = withJournal({ seq: 8 }, withState({}));
  const raised = raise(FLOOR, later);
  t.equal(raised.journalSeq, 8);
  t.equal(raised.state?.seq, 9);
});
