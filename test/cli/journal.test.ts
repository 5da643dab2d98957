/**
 * The verbs `journal show` and `journal repair` as a technician and a script use them. May import
 * tap, node:, the command line and the drivers of journal and lock.
 */
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openJournal } from '../../src/drivers/journal-file.ts';
import { lockState } from '../../src/drivers/state-lock.ts';
import { nodeRecord, rolloutRecord } from '../contracts/journal.ts';
import { run } from './harness.ts';

/** A state directory with a journal of one rollout record and `count` node records. */
async function stateDir(t: Test, count: number): Promise<string> {
  const dir = t.testdir();
  const journal = await openJournal(dir, { fileBytes: 32 * 1024 });
  await journal.append(rolloutRecord(1));
  for (let n = 1; n <= count; n += 1) await journal.append(nodeRecord(n));
  await journal[Symbol.asyncDispose]();
  return dir;
}

/** Flips a bit in the fourth record. */
async function damage(dir: string): Promise<void> {
  await using file = await open(join(dir, 'journal.1'), 'r+');
  const at = 7 * 512 + 64;
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
  buffer[0]! ^= 0x20;
  await file.write(buffer, 0, 1, at);
}

t.test('show: the last records and a summary, for people and for scripts', async (t) => {
  const dir = await stateDir(t, 9);
  const shown = await run(['journal', 'show', '--state-dir', dir, '--limit', '2']);
  t.equal(shown.exit, 0);
  t.match(shown.out, /^ +9 {2}node .*\n +10 {2}node +node A idle: booted A, default A, epoch 9/);
  t.match(shown.out, /\n10 records in .*, generation 1 of the journal\n$/);
  const json = await run(['journal', 'show', '--state-dir', dir, '--json']);
  t.equal(json.exit, 0);
  t.match(json.json(), {
    good: 10,
    torn: false,
    damage: null,
    newerSchema: null,
    records: [{ seq: 1, kind: 'rollout', record: { phase: 'VALIDATE' } }],
  });
});

t.test('show: damage is told with its place, the exit status says so too', async (t) => {
  const dir = await stateDir(t, 9);
  await damage(dir);
  const before = await readFile(join(dir, 'journal.1'));
  const shown = await run(['journal', 'show', '--state-dir', dir]);
  t.equal(shown.exit, 1);
  t.match(shown.out, /DAMAGED: .* in journal\.1 at byte \d+\..*tandem journal repair/);
  const json = await run(['journal', 'show', '--state-dir', dir, '--json']);
  t.equal(json.exit, 1);
  t.match(json.json(), { damage: { file: 1, offset: Number, found: String } });
  t.same(await readFile(join(dir, 'journal.1')), before, 'looking changes nothing');
});

t.test('repair: good records stay, and a second one changes nothing', async (t) => {
  const dir = await stateDir(t, 9);
  await damage(dir);
  const repaired = await run(['journal', 'repair', '--state-dir', dir, '--json']);
  t.equal(repaired.exit, 0);
  t.match(repaired.json(), { damaged: true, kept: 3, droppedBytes: 7 * 1024 });
  t.equal((await run(['journal', 'show', '--state-dir', dir])).exit, 0);
  const again = await run(['journal', 'repair', '--state-dir', dir]);
  t.equal(again.exit, 0);
  t.match(again.out, /not damaged \(3 records\); nothing was changed/);
});

t.test('repair refuses while a daemon holds the state directory', async (t) => {
  const dir = await stateDir(t, 9);
  await damage(dir);
  const before = await readFile(join(dir, 'journal.0'));
  await using held = new AsyncDisposableStack();
  held.use(await lockState(dir));
  const refused = await run(['journal', 'repair', '--state-dir', dir, '--json']);
  t.equal(refused.exit, 2);
  t.match(refused.json(), { error: { code: 'state.locked', detail: { pid: process.pid } } });
  t.same(await readFile(join(dir, 'journal.0')), before);
  t.equal((await run(['journal', 'show', '--state-dir', dir])).exit, 1, 'show needs no lock');
});

t.test('no journal, no directory, no configuration', async (t) => {
  const dir = t.testdir({ empty: {} });
  for (const verb of ['show', 'repair']) {
    for (const where of [join(dir, 'empty'), join(dir, 'none')]) {
      const ran = await run(['journal', verb, '--state-dir', where, '--json']);
      t.equal(ran.exit, 2, `${verb} ${where}`);
      t.match(ran.json(), { error: { code: 'file.not_found' } });
    }
    const config = join(dir, 'bad.jsonc');
    await writeFile(config, '{}');
    t.match((await run(['journal', verb, '--config', config, '--json'])).json(), {
      error: { code: 'config.invalid' },
    });
  }
  t.same((await run(['journal', 'show', '--limit', '0'])).exit, 2);
});
