/**
 * The failure tables of docs/ARCHITECTURE.md for the ways back of an update, and for a fencer that
 * fails when it is needed, cell by cell, in both orders.
 */
import t from 'tap';
import { peerOf } from '../../src/core/model.ts';
import { PHASES } from '../../src/core/records.ts';
import { tableAfter, type Row, type Word } from './cells.ts';
import { ALL, checkCell, strikes, type Story } from './check.ts';
import { FAULTS, type Variant } from './faults.ts';

const firstOf = (order: string): 'A' | 'B' => (order === 'active-first' ? 'A' : 'B');

/** The new version is never healthy on these nodes; what follows is the policy's. */
const ill = (
  name: string,
  on: 'first' | 'second',
  onSecondFailure: 'hold' | 'rollback',
): Story => ({
  name,
  options: (order) => {
    const first = firstOf(order);
    const unhealthyOn = on === 'first' ? first : peerOf(first);
    return {
      faults: { unhealthy: '2.0.0', unhealthyOn },
      policy: { onSecondFailure, retries: 0 },
    };
  },
});

/** How an update comes to the phases of a row. */
const STORIES: Readonly<Record<string, Story>> = {
  BACK1: ill('first', 'first', 'hold'),
  BACK2: ill('second', 'second', 'hold'),
  RB_HAND: ill('back', 'second', 'rollback'),
};
const storyOf = (row: Row): Story | undefined => STORIES[row.phases[0] ?? ''] ?? STORIES['RB_HAND'];

const ORDERS = ['active-first', 'standby-first'] as const;
const plain = (name: string): readonly Variant[] => (FAULTS[name] ?? []).slice(0, 1);

const back = tableAfter('### Failure table of the ways back');
t.strictSame(
  back.flatMap((row) => row.phases),
  PHASES.filter((phase) => /^(BACK|RB_)/.test(phase)),
);

for (const takeover of ['fence', 'manual'] as const) {
  for (const row of back) {
    t.test(`the way back in ${row.name}, policy ${takeover}`, async (t) => {
      for (const [name, cell] of row.cells) {
        const story = storyOf(row);
        const outcomes = ORDERS.flatMap((order) =>
          strikes(plain(name), [row], { takeover, order, ...(story && { story }) }),
        );
        t.comment(`${name}: ${outcomes.length} runs`);
        const word = (one: Word): Word => (takeover === 'manual' && one === 'T' ? 'W' : one);
        const words = cell === null ? [] : [...new Set(cell.words.map(word))];
        checkCell(t, cell && { ...cell, words }, outcomes, !ALL || takeover === 'manual');
      }
    });
  }
}

const frozen = tableAfter('### Failure table for a fence that fails');
const FAILED: Story = { name: 'no fence', options: () => ({ fence: 'failed' }) };
for (const name of frozen[0]?.cells.keys() ?? []) {
  t.test(`${name}, and the fence fails`, async (t) => {
    const faults = plain(name);
    t.equal(faults.length, 1);
    const outcomes = ORDERS.flatMap((order) =>
      strikes(faults, frozen, { takeover: 'fence', order, story: FAILED }),
    );
    t.comment(`${outcomes.length} runs`);
    for (const row of frozen) {
      const here = outcomes.filter(({ moment }) => row.phases.includes(moment.phase));
      checkCell(t, row.cells.get(name) ?? null, here, !ALL);
    }
  });
}
