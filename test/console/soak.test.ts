/**
 * The long runs of the console in a short form; `npm run bench:console` (test/console/bench.ts)
 * does them in full length.
 */
import t from 'tap';
import { later } from './bench-daemon.ts';
import { LineBench } from './bench-line.ts';
import { soakDialogs, soakNoise } from './soak.ts';
import { WORLDS } from './worlds.ts';

t.test('dialogs leave nothing behind', async (t) => {
  const grown = soakDialogs(400);
  t.ok(grown < 1_000_000, `${grown} bytes after 360 dialogs`);
});

t.test('noise changes nothing', async (t) => {
  const { changes, keys } = soakNoise(300);
  t.equal(changes, 0);
  t.ok(keys > 2000, `${keys} keys were in it`);
});

t.test('the line of the bench carries every byte, and no faster than it can', async (t) => {
  const command = ['/bin/sh', '-c', 'yes 0123456789 | head -n 40; sleep 60'];
  await using line = new LineBench({ command, baud: 115_200 });
  await line.until(({ bytes }) => bytes === 480);
  t.equal(line.glass.lines()[22], '0123456789');
  t.ok(line.memory().residentMiB > 0);
  const one = later(WORLDS.installing, 1);
  t.not(JSON.stringify(one), JSON.stringify(later(WORLDS.installing, 2)), 'each second is another');
});
