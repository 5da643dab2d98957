/**
 * The verbs of prepared updates against a daemon in memory: what is sent, what is shown of each
 * stage, and the exit status that an install would have. May import tap, core and the command line.
 */
import t from 'tap';
import { join } from 'node:path';
import { columnAt, preparationOf, WORD } from '../core/prepare-cases.ts';
import { openBench, type Bench } from '../control/harness.ts';
import { run } from './harness.ts';

const started = (bench: Bench): readonly unknown[] =>
  bench.backend.asked.filter(({ what }) => what === 'start').map(({ value }) => value);

t.test('prepare: a file, or the id of a staged bundle', async (t) => {
  await using bench = await openBench();
  const at = ['--socket', bench.socketPath];
  const file = join(t.testdir({ 'update.bin': '' }), 'update.bin');
  const words = ['--order', 'standby-first', '--reason', 'friday', '--detach', ...at];
  t.equal((await run(['prepare', file, ...words])).exit, 0);
  t.equal((await run(['prepare', 'a'.repeat(64), ...at, '--json'])).exit, 0);
  t.match(started(bench), [
    { kind: 'prepare', source: { path: file }, order: 'standby-first', reason: 'friday' },
    { kind: 'prepare', source: { bundle: 'a'.repeat(64) } },
  ]);
  t.equal((await run(['prepare', ...at])).exit, 2);
  const update = await run(['update', 'prepare-1', '--yes', ...at]);
  t.equal(update.exit, 0);
  t.match(started(bench).at(-1), { kind: 'update', source: { prepared: 'prepare-1' } });
});

t.test('prepare status: each stage, what is waited for, and its exit status', async (t) => {
  await using bench = await openBench();
  const at = ['--socket', bench.socketPath];
  const none = await run(['prepare', 'status', ...at]);
  t.match(none, { exit: 0, out: /No update is prepared/ });
  t.equal((await run(['prepare', 'status', '--ready', ...at])).exit, 2);
  const stuck = { B: columnAt('replicate', 'failed') };
  const cases = [
    [preparationOf({}, stuck), 23, /found so \(space\.depot\), tried once/],
    [preparationOf(), 22, /not authorised; not settled/],
    [preparationOf({ authorized: WORD, configured: WORD }), 0, /tandem update prepare-1 --wait/],
    [preparationOf({ ended: { ...WORD, why: 'cancelled' } }), 2, /It was given up \(anna/],
  ] as const;
  for (const [preparation, exit, shows] of cases) {
    bench.backend.preparation = preparation;
    t.match(await run(['prepare', 'status', ...at]), { exit: 0, out: shows });
    const plain = await run(['prepare', 'status', '--json', ...at]);
    t.match([plain.exit, plain.json()], [0, { exit: 0 }], 'the exit status that it has');
    const ready = await run(['prepare', 'status', '--ready', '--json', ...at]);
    t.equal(ready.exit, exit);
    t.match(ready.json(), { exit, preparation: { order: { id: 'prepare-1' } } });
  }
});

t.test('words: what is sent, and what is refused before it is', async (t) => {
  await using bench = await openBench();
  const at = ['--socket', bench.socketPath];
  t.match(await run(['prepare', 'retry', ...at, '--json']), { exit: 2 });
  bench.backend.preparation = preparationOf();
  for (const words of [
    ['ignore', 'b', '--reason', 'disk'],
    ['heed', 'B'],
    ['retry'],
    ['authorize', 'prepare-1', '--reason', 'agreed'],
    ['configure', '--on-second-failure', 'rollback'],
    ['cancel'],
  ]) {
    t.equal((await run(['prepare', ...words, ...at])).exit, 0, words.join(' '));
  }
  t.strictSame(bench.backend.words, [
    { do: 'ignore', node: 'B', reason: 'disk' },
    { do: 'heed', node: 'B' },
    { do: 'retry' },
    { do: 'authorize', id: 'prepare-1', reason: 'agreed' },
    { do: 'configure', onSecondFailure: 'rollback' },
    { do: 'cancel' },
  ]);
  for (const words of [
    ['ignore', 'B'],
    ['ignore', 'C', '--reason', 'x'],
    ['configure', '--order', 'both'],
    ['ignore'],
  ]) {
    t.equal((await run(['prepare', ...words, ...at])).exit, 2, words.join(' '));
  }
});
