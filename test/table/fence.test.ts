/**
 * The failure table of docs/ARCHITECTURE.md for a pair with a fencer, cell by cell. Every fault
 * strikes at every durable write, event and tick of the phases of its row, in both orders.
 */
import t from 'tap';
import { tableAfter } from './cells.ts';
import { checkCell, optionsOf, strikes } from './check.ts';
import { FAULTS } from './faults.ts';
import { play } from './play.ts';
import { momentsOf } from './struck.ts';

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

t.test('what fails in a long sync is found before the commit', async (t) => {
  const options = {
    ...optionsOf({ takeover: 'fence', order: 'active-first' }),
    storageRunsWith: '>=1.0.0',
    syncTicks: 160,
  };
  const sync = momentsOf(options).filter(({ at, phase }) => at === 'tick' && phase === 'SYNC1');
  t.ok(sync.length > 120, `${sync.length} ticks`);
  const ends = (name: string): readonly (string | undefined)[] => {
    const fault = FAULTS[name]?.[0];
    if (fault === undefined) throw new Error(`no fault is called ${name}`);
    return sync
      .slice(0, 40)
      .flatMap((one, i) => (i % 8 === 0 ? [play(options, fault, one)] : []))
      .map((one) => `${one?.end} ${one?.versions}`);
  };
  t.strictSame([...new Set(ends('system unhealthy'))], ['FAILED 1/2 1/1'], 'proven storage stays');
  t.strictSame([...new Set(ends('storage fails'))], ['FAILED 1/1 1/1'], 'both are reverted');
});
