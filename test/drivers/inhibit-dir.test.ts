/**
 * The inhibit directory: which files count, what they say, and what cannot be looked into. Imports
 * the driver.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { InhibitDirectory } from '../../src/drivers/inhibit-dir.ts';

t.test('nothing stops updates', async (t) => {
  const folder = t.testdir({ d: { '.placeholder': '', 'backup~': 'x', sub: { file: 'x' } } });
  t.equal(await new InhibitDirectory(join(folder, 'none')).inhibited(), null);
  t.equal(await new InhibitDirectory(join(folder, 'd')).inhibited(), null);
});

t.test('a file stops them, with its first line', async (t) => {
  const folder = t.testdir({ backup: 'nightly \u001b[1mbackup runs\nmore', 'a-2': '', 'z z': 'x' });
  const one = (await new InhibitDirectory(folder).inhibited()) ?? '';
  t.equal(one, `${join(folder, 'a-2')} (and 2 more) stops updates`);
  const words = t.testdir({ backup: 'nightly \u001b[1mbackup runs\nmore' });
  const told = (await new InhibitDirectory(words).inhibited()) ?? '';
  t.equal(told, `${join(words, 'backup')} stops updates: nightly  [1mbackup runs`);
  const long = t.testdir({ x: 'y'.repeat(1000) });
  t.ok(((await new InhibitDirectory(long).inhibited()) ?? '').length < long.length + 200);
});

t.test('a pipe that nobody writes to counts and holds nothing up', async (t) => {
  const folder = t.testdir();
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  t.equal(await new InhibitDirectory(folder).inhibited(), `${join(folder, 'pipe')} stops updates`);
});

t.test('what cannot be looked into stops them', async (t) => {
  const folder = t.testdir({ file: 'x' });
  const told = await new InhibitDirectory(join(folder, 'file')).inhibited();
  t.match(told, /cannot be looked into, which stops updates/);
});
