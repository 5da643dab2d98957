/**
 * The failure table of docs/ARCHITECTURE.md for a pair without a fencer (policy `manual`), cell by
 * cell; the columns that its table leaves out are those of the one with a fencer.
 */
import t from 'tap';
import { tableAfter } from './cells.ts';
import { checkCell, strikes } from './check.ts';
import { FAULTS } from './faults.ts';

const rows = tableAfter('### Failure table without a fencer');
const fenced = tableAfter('### Failure table\n');

const takeover = 'manual';
t.test('the table is whole', async (t) => {
  t.strictSame(
    rows.map((row) => row.name),
    fenced.map((row) => row.name),
  );
  const columns = Object.keys(FAULTS).slice(0, 4);
  for (const row of rows) t.strictSame([...row.cells.keys()], columns, row.name);
});

for (const [name, faults] of Object.entries(FAULTS)) {
  t.test(name, async (t) => {
    const own = rows[0]?.cells.has(name) === true;
    const first = { takeover, order: 'active-first' } as const;
    const outcomes = own
      ? [
          ...strikes(faults, rows, first),
          ...strikes(faults, rows, { takeover, order: 'standby-first', at: 'tick' }),
        ]
      : strikes(faults, rows, { ...first, at: 'event' });
    t.comment(`${outcomes.length} runs`);
    for (const row of own ? rows : fenced) {
      const cell = row.cells.get(name) ?? null;
      t.test(`${name} in ${row.name}: ${cell?.text ?? '-'}`, async (t) => {
        const here = outcomes.filter(({ moment }) => row.phases.includes(moment.phase));
        checkCell(t, cell, here, !own);
      });
    }
  });
}
