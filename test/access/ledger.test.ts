/**
 * What access remembers over a restart: failures and the time that recovery codes have left,
 * counted without a wall clock. May import tap and the room of access.
 */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Ledger, SAVE_MS } from '../../src/access/ledger.ts';
import type { Clock } from './bench.ts';

const S = 1000;
const DIGEST = 'ab'.repeat(32);

interface Desk {
  readonly clock: Clock;
  readonly path: string;
  readonly lines: string[];
  readonly open: () => Promise<Ledger>;
}

function desk(t: Test): Desk {
  const path = join(t.testdir(), 'access.json');
  const clock: Clock = { ms: 500 * S };
  const lines: string[] = [];
  const open = (): Promise<Ledger> =>
    Ledger.open(
      path,
      () => clock.ms,
      (line) => void lines.push(line),
    );
  return { clock, path, lines, open };
}

async function fail(ledger: Ledger, name: string | null, times: number): Promise<number> {
  let wait = 0;
  for (let n = 0; n < times; n++) wait = await ledger.fail(name);
  return wait;
}

t.test('a wait survives a restart in full, whatever the clock says', async (t) => {
  const { clock, open } = desk(t);
  const first = await open();
  t.equal(await fail(first, 'anna', 4), 0);
  t.equal(await fail(first, 'anna', 2), 10 * S);
  t.equal(first.waitMs('ben'), 0, 'it is her own');
  clock.ms += 9 * S;
  t.equal(first.waitMs('anna'), 1 * S);
  // The monotonic clock begins anew with the boot.
  clock.ms = 3 * S;
  const second = await open();
  t.equal(second.waitMs('anna'), 10 * S);
  t.equal(second.count('anna'), 6);
  await second.reset('anna');
  t.equal((await open()).count('anna'), 0);
});

t.test('names of nobody share one count and are not written down', async (t) => {
  const { path, open } = desk(t);
  const ledger = await open();
  await fail(ledger, null, 5);
  t.equal(ledger.waitMs(null), 5 * S);
  t.strictSame(JSON.parse(readFileSync(path, 'utf8')), {
    schema: 1,
    failures: {},
    unknown: 5,
    codes: {},
  });
  t.equal((await open()).waitMs(null), 5 * S);
});

t.test('a code is valid while the daemon runs, and a start costs it a minute', async (t) => {
  const { clock, open } = desk(t);
  const first = await open();
  await first.open(DIGEST, 600 * S);
  clock.ms += 200 * S;
  await first.tick();
  t.equal(first.leftMs(DIGEST), 400 * S);
  t.equal(first.leftMs(undefined), 0);
  clock.ms = 0;
  const second = await open();
  t.equal(second.leftMs(DIGEST), 400 * S - SAVE_MS);
  clock.ms += 340 * S;
  t.equal(second.leftMs(DIGEST), 0);
});

t.test('restarts one after the other use a code up', async (t) => {
  const { open } = desk(t);
  await (await open()).open(DIGEST, 300 * S);
  const left: number[] = [];
  // None of them ends in order.
  for (let n = 0; n < 5; n++) left.push((await open()).leftMs(DIGEST));
  t.strictSame(left, [240 * S, 180 * S, 120 * S, 60 * S, 0]);
});

t.test('a code that was used stays used', async (t) => {
  const { open } = desk(t);
  const first = await open();
  await first.open(DIGEST, 600 * S);
  await first.close(DIGEST);
  t.equal(first.leftMs(DIGEST), 0);
  t.equal((await open()).leftMs(DIGEST), 0);
});

const ODD: readonly string[] = [
  '',
  '{',
  '[]',
  '{"schema":1,"failures":[5],"unknown":"x","codes":null}',
  '{"failures":{"anna":-5},"codes":{"a":"b"}}',
  '{"failures":{"anna":1e400}}',
  'null',
];

t.test('a damaged file closes every code and opens nothing', async (t) => {
  for (const text of ODD) {
    const { path, open } = desk(t);
    writeFileSync(path, text, { mode: 0o600 });
    const ledger = await open();
    t.equal(ledger.leftMs(DIGEST), 0, text);
    t.equal(ledger.waitMs('anna'), 0);
    t.equal(await fail(ledger, 'anna', 5), 5 * S, 'and goes on from there');
  }
});

t.test('a file that others could write is not believed', async (t) => {
  const { path, lines, open } = desk(t);
  await (await open()).open(DIGEST, 600 * S);
  chmodSync(path, 0o666);
  const ledger = await open();
  t.equal(ledger.leftMs(DIGEST), 0);
  t.match(lines, [/mode 0666; accepted: 0600: no recovery code is valid/]);
});

t.test('a ledger that cannot be written still counts, and gives no code', async (t) => {
  const lines: string[] = [];
  const path = join(t.testdir(), 'none', 'access.json');
  const ledger = await Ledger.open(
    path,
    () => 0,
    (line) => void lines.push(line),
  );
  t.equal(await fail(ledger, 'anna', 5), 5 * S);
  t.equal(lines.length, 5);
  await t.rejects(ledger.open(DIGEST, 600 * S), { code: 'state.io' });
  t.equal(ledger.leftMs(DIGEST), 0);
});
