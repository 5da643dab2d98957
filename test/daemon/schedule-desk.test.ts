/**
 * Two desks of scheduled updates, with jobs that are only names: a run happens once, whichever node
 * serves and whatever dies in between; deferrals, windows, files, wrong clocks. Time is the test's.
 * Imports the daemon.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import { readWindow } from '../../src/core/window.ts';
import { ANNA, HOUR, Pair, REQUEST, START } from './schedule-pair.ts';

t.test('at its time it runs once, and both nodes know how it ended', async (t) => {
  const pair = new Pair();
  const { id, text } = await pair.desks.B.add(REQUEST, ANNA);
  t.equal(text, 'Update 2.0.0 scheduled (2026-11-20 14:00 UTC)');
  await pair.pass(2 * HOUR - 1000);
  t.strictSame(pair.starts, []);
  await pair.pass(1000);
  t.strictSame(pair.starts, [`update-${id}-1`]);
  for (let count = 0; count < 5; count++) await pair.pass(60_000);
  pair.end(`update-${id}-1`, { state: 'done', exit: 0, message: 'both nodes run 2.0.0' });
  await pair.pass(1000);
  for (const node of ['A', 'B'] as const) {
    t.match(pair.view(node), { state: 'ended', last: { word: 'successful', run: 1 } });
    t.strictSame(pair.desks[node].bundles(), [], 'the depot need not keep it any more');
  }
  t.equal(pair.starts.length, 1);
  t.strictSame(pair.unknown, []);
});

t.test('what is not there, or not known to the peer, is refused', async (t) => {
  const pair = new Pair();
  const other = { source: { bundle: 'b'.repeat(64) } };
  await t.rejects(pair.desks.A.add(other, ANNA), { code: 'pair.not_replicated' });
  await t.rejects(pair.desks.A.add({ ...REQUEST, at: 'soon' }, ANNA), { code: 'usage.invalid' });
  await t.rejects(pair.desks.A.add({ ...REQUEST, zone: 'X/Y' }, ANNA), { code: 'usage.invalid' });
  pair.linked = false;
  await t.rejects(pair.desks.A.add(REQUEST, ANNA), { code: 'pair.peer_unreachable' });
  t.strictSame(pair.desks.A.view().schedules, []);
  await t.rejects(pair.desks.A.answer('none', { answer: 'now' }, ANNA), {
    code: 'schedule.unknown',
  });
  pair.linked = true;
  for (let count = 0; count < 22; count++) await pair.desks.A.add(REQUEST, ANNA);
  await t.rejects(pair.desks.A.add(REQUEST, ANNA), { code: 'schedule.full' });
});

t.test('people are told, put it off as often as they may, and then it begins', async (t) => {
  const pair = new Pair();
  const { id } = await pair.desks.A.add({ ...REQUEST, inform: 300 }, ANNA);
  await pair.pass(2 * HOUR);
  t.match(pair.told.at(-1), /A schedule schedule.informing: .*begins in 300 s; answer with/);
  t.equal(pair.view('B').state, 'informing', 'the other node shows it too');
  for (let count = 0; count < 2; count++) {
    await pair.desks.B.answer(id, { answer: 'defer' }, ANNA);
    t.match(pair.view(), { state: 'waiting', last: { word: 'deferred' } });
    await pair.pass(HOUR);
    t.equal(pair.view().state, 'informing', 'told anew');
  }
  await t.rejects(pair.desks.A.answer(id, { answer: 'defer' }, ANNA), {
    code: 'schedule.not_allowed',
  });
  await pair.pass(299_000);
  t.strictSame(pair.starts, []);
  await pair.pass(1000);
  t.strictSame(pair.starts, [`update-${id}-1`]);
});

t.test('0 seconds wait for an answer; a restart tells again', async (t) => {
  const pair = new Pair();
  const { id } = await pair.desks.A.add({ ...REQUEST, inform: 0 }, ANNA);
  await pair.pass(2 * HOUR);
  const told = (): number => pair.told.filter((one) => one.includes('informing')).length;
  t.equal(told(), 1);
  pair.restart('A');
  await pair.pass(20 * HOUR);
  t.equal(told(), 2);
  t.strictSame(pair.starts, []);
  await pair.desks.A.answer(id, { answer: 'now' }, ANNA);
  await pair.pass(1000);
  t.equal(pair.starts.length, 1);
});

t.test('a shutdown of both nodes while it is put off', async (t) => {
  const pair = new Pair();
  const { id } = await pair.desks.A.add({ ...REQUEST, inform: 0 }, ANNA);
  await pair.pass(2 * HOUR);
  await pair.desks.A.answer(id, { answer: 'defer', minutes: 240 }, ANNA);
  pair.ms += HOUR;
  pair.restart('A');
  pair.restart('B');
  await pair.pass(1000);
  t.match(pair.view(), { state: 'waiting', deferrals: 1 });
  await pair.pass(4 * HOUR);
  t.equal(pair.view().state, 'informing');
  pair.restart('A');
  pair.restart('B');
  await pair.desks.B.answer(id, { answer: 'cancel' }, ANNA);
  await pair.pass(HOUR);
  t.match(pair.view(), { state: 'ended', last: { code: 'job.cancelled' } });
  t.strictSame(pair.starts, []);
});

t.test('a window and a file hold it up, and it says so; then it is not missed', async (t) => {
  const pair = new Pair();
  pair.windows.push(readWindow('Sun 01:00-05:00', 'UTC')!);
  await pair.desks.A.add(REQUEST, ANNA);
  await pair.pass(2 * HOUR);
  t.match(pair.view().text, /^Update 2.0.0 waits \(no maintenance window is open/);
  await pair.pass(60_000);
  t.equal(pair.view('B').hold?.code, 'window.closed', 'the other node shows it too');
  pair.file = '/x/backup stops updates';
  await pair.pass(35 * HOUR);
  t.match(pair.view().text, /waits \(\/x\/backup stops updates\)/);
  pair.file = null;
  await pair.pass(1000);
  t.strictSame(pair.starts, [], 'the peer may still see a file');
  await pair.pass(60_000);
  t.equal(pair.starts.length, 1, 'in the window of Sunday, more than a day late');
});

t.test('a refusal that passes is asked again; one that does not is its result', async (t) => {
  const pair = new Pair();
  const { id } = await pair.desks.A.add(REQUEST, ANNA);
  pair.refusal = new UpdateError('pair.not_healthy', 'the storage syncs');
  await pair.pass(2 * HOUR);
  t.match(pair.view(), { state: 'claimed', hold: { code: 'pair.not_healthy' } });
  pair.refusal = new UpdateError('version.same_or_newer', 'both nodes run 2.0.0');
  await pair.pass(30_000);
  t.match(pair.view(), { state: 'ended', last: { word: 'not necessary' } });
  const again = await pair.desks.A.add({ source: { path: '/u.bin' }, every: 'daily 13:00' }, ANNA);
  await pair.pass(24 * HOUR);
  const found = pair.desks.A.view().schedules.find((one) => one.id === again.id);
  t.match(found, { state: 'waiting', run: 2, last: { word: 'not necessary', run: 1 } });
  t.not(again.id, id);
});

t.test('nothing begins by a clock that is wrong', async (t) => {
  const pair = new Pair();
  await pair.desks.A.add(REQUEST, ANNA);
  pair.askew.A = 400 * 24 * HOUR;
  await pair.pass(1000);
  t.match(pair.told.at(-1), /clock.wrong|the clock was set/);
  t.match(pair.view(), { state: 'waiting', hold: { code: 'clock.wrong' } });
  pair.askew.A = -START;
  await pair.pass(HOUR);
  t.match(pair.view().hold, { code: 'clock.wrong', message: /not set: it shows 1970/ });
  pair.askew.A = 0;
  await pair.pass(HOUR);
  t.equal(pair.starts.length, 1, 'the time has come');
});

t.test('missed: nothing ran at its time', async (t) => {
  const pair = new Pair();
  await pair.desks.A.add(REQUEST, ANNA);
  pair.ms += 48 * HOUR;
  await pair.pass(1000);
  t.match(pair.view(), { state: 'ended', last: { code: 'schedule.missed' } });
  t.strictSame(pair.starts, []);
});

/** What may happen to a pair between two looks. */
const anyFault = fc.constantFrom(
  'none',
  'failover',
  'cut',
  'heal',
  'restart A',
  'restart B',
  'off',
);

t.test('whatever dies: each run is begun once, and by one node', async (t) => {
  let began = 0;
  const property = fc.asyncProperty(
    fc.array(anyFault, { minLength: 12, maxLength: 30 }),
    async (faults) => {
      const pair = new Pair();
      await pair.desks.A.add({ source: { path: '/u.bin' }, every: 'daily 13:00' }, ANNA);
      for (const fault of faults) {
        if (fault === 'failover') pair.serving = pair.serving === 'A' ? 'B' : 'A';
        if (fault === 'cut' || fault === 'heal') pair.linked = fault === 'heal';
        if (fault === 'restart A') pair.restart('A');
        if (fault === 'restart B') pair.restart('B');
        if (fault === 'off') pair.serving = null;
        if (pair.serving === null && fault !== 'off') pair.serving = 'B';
        await pair.pass(5 * HOUR);
        const running = [...pair.rollouts.values()].find(({ state }) => state === 'running');
        // What runs ends some time, seen by whoever serves then.
        if (running !== undefined && fault === 'none') pair.end(running.id, { state: 'done' });
      }
      began += pair.starts.length;
      const runs = pair.starts.map((id) => Number(id.split('-').at(-1)));
      return (
        pair.unknown.length === 0 &&
        runs.every((run, index) => index === 0 || run > runs[index - 1]!)
      );
    },
  );
  await fc.assert(property, { numRuns: 40, seed: 9 });
  t.ok(began > 20, `${began} runs`);
});
