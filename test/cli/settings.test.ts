/**
 * The verbs of settings and the list of staged bundles, before a daemon in memory; and dates in
 * every order.
 */
import t from 'tap';
import { stamp } from '../../src/cli/render.ts';
import { EXIT } from '../../src/core/codes.ts';
import { openBench } from '../control/harness.ts';
import { settingsView } from '../memory/backend.ts';
import { run } from './harness.ts';

t.test('settings are shown and set', async (t) => {
  await using bench = await openBench();
  const socket = ['--socket', bench.socketPath];
  const { out } = await run(['settings', 'show', ...socket]);
  t.match(out, /^Settings of node A:\n/);
  t.match(out, /^idleMin +10 +default +minutes without a key/m);
  t.match(out, /^eth0 +192\.0\.2\.7\/24$/m);
  const words = ['settings', 'set', 'idleMin', '15', '--reason', 'long watch', ...socket];
  t.match(await run(words), { exit: 0, out: 'idleMin is 15 now\nIt counts at once.\n' });
  t.match(bench.backend.asked, [
    { what: 'set', value: { key: 'idleMin', value: '15', reason: 'long watch' } },
  ]);
  t.match((await run(['settings', 'show', '--json', ...socket])).json(), {
    settings: { idleMin: 15 },
  });
});

t.test('a problem with the file is told', async (t) => {
  await using bench = await openBench();
  bench.backend.settled = settingsView({ problem: 'settings.json is not JSON' });
  const { out } = await run(['settings', 'show', '--socket', bench.socketPath]);
  t.match(out, /^settings\.json is not JSON$/m);
});

t.test('an unknown setting names the nearest one', async (t) => {
  await using bench = await openBench();
  const { exit, err } = await run([
    'settings',
    'set',
    'idlemin',
    '5',
    '--socket',
    bench.socketPath,
  ]);
  t.equal(exit, EXIT.usage);
  t.match(err, 'did you mean idleMin?');
  t.strictSame(bench.backend.asked, []);
});

t.test('staged bundles are listed', async (t) => {
  await using bench = await openBench();
  const words = ['stage', '--list', '--socket', bench.socketPath];
  t.equal((await run(words)).out, 'No bundle is staged.\n');
  const none = { product: null, version: null, bytes: null };
  bench.backend.staged = [
    { bundle: 'a'.repeat(64), product: 'x', version: '2.0.0', bytes: 1024, nodes: ['A', 'B'] },
    { bundle: 'b'.repeat(64), ...none, nodes: ['B'] },
  ];
  const { out } = await run(words);
  t.match(out, /^2\.0\.0 +x +1\.0 KiB +node A, node B\n +a{64}$/m);
  t.match(out, /^unknown +unknown +- +node B\n +b{64}$/m);
  t.match((await run([...words, '--json'])).json(), { bundles: [{ version: '2.0.0' }, {}] });
  for (const wrong of [['stage'], ['stage', 'x.bin', '--list']]) {
    t.equal((await run([...wrong, '--socket', bench.socketPath])).exit, EXIT.usage);
  }
});

t.test('dates in every order', async (t) => {
  process.env['TZ'] = 'Europe/Berlin';
  const at = '2026-11-01T23:05:09.500Z';
  const told = (dateOrder: 'iso' | 'day-first' | 'month-first', timeZone: 'local' | 'utc') =>
    stamp(at, { dates: { dateOrder, timeZone } });
  t.equal(stamp(at), '2026-11-02 00:05:09');
  t.equal(told('iso', 'utc'), '2026-11-01 23:05:09Z');
  t.equal(told('day-first', 'local'), '02.11.2026 00:05:09');
  t.equal(told('month-first', 'utc'), '11/01/2026 23:05:09Z');
  t.equal(stamp('soon'), 'soon');
  t.equal(stamp('+275760-09-13T00:00:00.000Z'), '+275760-09-13T00:00:00.000Z');
});
