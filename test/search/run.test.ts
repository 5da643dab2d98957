/**
 * `npm run search` as a program: it prints a line for each search, keeps what it found, goes on
 * where it was killed, and fails when a search was not whole.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Result } from './results.ts';
import { everything } from './settings.ts';

const RUN = fileURLToPath(new URL('./run.ts', import.meta.url));
const NAME = 'operators active-first manual strict';

/** Runs it for the searches with this in their name. */
function run(only: string, ...args: readonly string[]): { status: number | null; lines: string[] } {
  const told = [RUN, '--faults', '1', '--only', only, ...args];
  const { status, stdout } = spawnSync(process.execPath, told, { encoding: 'utf8' });
  return { status, lines: stdout.trimEnd().split('\n') };
}

t.test('a search is done once, and its result counts from then on', async (t) => {
  const file = join(t.testdir(), 'results.ndjson');
  const first = run(NAME, '--file', file);
  t.equal(first.status, 0);
  t.match(first.lines[0], '1 searches, 0 of them done before');
  t.match(first.lines[1], /^operators active-first manual strict: ok; \d+ states \(3 \+ \d+\), /);
  t.match(first.lines.at(-1), /^1 searches: \d+ states, .* 0 not well$/);
  appendFileSync(file, '{"name":"torn');
  const second = run(NAME, '--file', file);
  t.equal(second.status, 0);
  t.match(second.lines[0], '1 searches, 1 of them done before');
  const [line = ''] = readFileSync(file, 'utf8').split('\n');
  const result = JSON.parse(line) as Result;
  writeFileSync(file, `${JSON.stringify({ ...result, code: 'another' })}\n`);
  t.match(run(NAME, '--file', file).lines[0], '0 of them done before', 'the code has changed');
  writeFileSync(file, `${JSON.stringify({ ...result, whole: false })}\n`);
  const cut = run(NAME, '--file', file);
  t.equal(cut.status, 1);
  t.match(cut.lines.at(-1), '1 not well');
});

t.test('what is asked for', async (t) => {
  t.equal(run('no such search').status, 1, 'nothing searched is not well');
  t.equal(run('', '--jobs', 'many').status, 2);
  const names = run('', '--list').lines;
  t.equal(new Set(names).size, names.length, 'names are unique');
  t.strictSame(
    names,
    everything(1, false).map(({ name }) => name),
  );
});
