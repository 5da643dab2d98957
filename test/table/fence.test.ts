/**
 * The failure table of docs/ARCHITECTURE.md for a pair with a fencer, cell by cell. Every fault
 * strikes at every durable write, event and tick of the phases of its row, in both orders.
 */
import t from 'tap';
import { tableAfter } from './cells.ts';
import { checkCell, strikes } from './check.ts';
import { FAULTS } from './faults.ts';

const rows = tableAfter('### Failure table\n');

t.test('the table is whole', async (t) => {
  t.equal(rows.length, 12);
  for (const row of rows) t.strictSame([...row.cells.keys()], Object.keys(FAULTS), row.name);
});

for (const [name, faults] of Object.entries(FAULTS)) {
  t.test(name, async (t) => {
    const outcomes = (['active-first', 'standby-first'] as const).flatMap((order) =>
      strikes(faults, rows, { takeover: 'fence', order }),
    );
    t.comment(`${outcomes.length} runs`);
    for (const row of rows) {
      const cell = row.cells.get(name) ?? null;
      t.test(`${name} in ${row.name}: ${cell?.text ?? '-'}`, async (t) => {
        const here = outcomes.filter(({ moment }) => row.phases.includes(moment.phase));
        checkCell(t, cell, here);
      });
    }
  });
}
