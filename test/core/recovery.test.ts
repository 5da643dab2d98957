/**
 * What to do when: every code, state of the pair, end of a rollout and exit status has an entry
 * that says something, no entry is about a word that the program does not have, and what the daemon
 * shows by itself is told as an alarm. May import tap and core.
 */
import { readdirSync, readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { CODES, EXIT, type Code } from '../../src/core/codes.ts';
import { END_PHASES } from '../../src/core/records.ts';
import { isAlarm, isStateWord, recoveryOf, recoveryOfStatus } from '../../src/core/recovery.ts';
import { STATE_WORDS, type Recovery } from '../../src/core/recovery.ts';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');
const codes = Object.keys(CODES) as Code[];

/** Sources of the program without the tables themselves. */
function sources(): string {
  const rooms = ['src', 'console', 'images', 'scripts'];
  const files = rooms.flatMap((room) =>
    readdirSync(new URL(room, ROOT), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !/core\/(codes|recovery)/.test(name))
      .map((name) => read(`${room}/${name}`)),
  );
  return files.join('\n');
}

/** State words as the type of `tandem status` has them, since a type cannot be listed. */
function pairStates(): readonly string[] {
  const type = /readonly state:((?:\s*\| '[A-Z_]+')+);/.exec(read('src/core/status.ts'))?.[1] ?? '';
  return [...type.matchAll(/'([A-Z_]+)'/g)].map((match) => match[1] ?? '');
}

function complete(t: Test, name: string, found: Recovery | null): void {
  t.ok(found, name);
  const texts = [found?.means, found?.works, found?.costs, ...(found?.todo ?? [])];
  t.ok(texts.length > 3, `${name}: there is something to do, if only "Nothing."`);
  for (const text of texts) t.match(text, /^[A-Z0-9].*[.!]$/s, `${name}: a sentence`);
  for (const text of texts) t.notMatch(text, /[^\x20-\x7e]/, `${name}: plain characters`);
}

t.test('every word has an entry, and every entry is about a word', async (t) => {
  for (const code of codes) complete(t, code, recoveryOf(code));
  for (const status of Object.values(EXIT)) complete(t, `${status}`, recoveryOfStatus(status));
  t.equal(recoveryOfStatus(99), null);
  for (const [word, entry] of Object.entries(STATE_WORDS)) complete(t, word, entry);
  t.equal(pairStates().length, 8);
  t.strictSame(Object.keys(STATE_WORDS).toSorted(), [...pairStates(), ...END_PHASES].toSorted());
  t.notOk(isStateWord('toString'));
});

t.test('no code is dead: each is said somewhere in the program', async (t) => {
  const text = sources();
  const dead = codes.filter((code) => !text.includes(`'${code}'`));
  t.strictSame(dead, []);
});

t.test('what the daemon shows by itself is told as an alarm', async (t) => {
  const files = ['lost-boot', 'safe-mode', 'trust-keeper'].map((name) => `src/daemon/${name}.ts`);
  const text = ['src/updater/alarms.ts', ...files].map(read).join('\n');
  const shown = [...text.matchAll(/'([a-z]+\.[a-z_]+)'/g)].map((match) => match[1] as Code);
  const found = codes.filter((code) => shown.includes(code));
  t.ok(found.length >= 7, found.join(' '));
  t.strictSame(
    found.filter((code) => !isAlarm(code)),
    [],
  );
  t.notOk(isAlarm('usage.invalid'));
});

t.test('a return that failed may leave a healthy pair in two versions: no node is named', (t) => {
  t.match(recoveryOf('revert.failed').todo[0], /^See what both nodes run: `tandem status`/);
  const { todo = [] } = recoveryOfStatus(33) ?? {};
  t.match(todo[0], /^See what both nodes run: `tandem status`/);
  t.match(todo[1], /^If a node does not answer there, .*console/);
  t.end();
});
