/**
 * Updates that happen later, on the command line, before a daemon in memory: requests, answers,
 * waits and their exit statuses.
 */
import t from 'tap';
import { dueWords } from '../../src/cli/render-schedule.ts';
import { EXIT } from '../../src/core/codes.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { ScheduleView } from '../../src/core/schedule-read.ts';
import { openBench } from '../control/harness.ts';
import { jobStatus } from '../memory/backend.ts';
import { run } from './harness.ts';

function view(change: Partial<ScheduleView> = {}): ScheduleView {
  return {
    id: 's1',
    state: 'waiting',
    text: 'Update 2.0.0 scheduled (2026-11-28 02:00 UTC)',
    source: { bundle: 'a'.repeat(64) },
    version: '2.0.0',
    options: {},
    every: null,
    zone: 'UTC',
    dueAt: '2026-11-28T02:00:00.000Z',
    run: 1,
    job: 'update-s1-1',
    informS: 60,
    choicesMin: [90, 240, 1440],
    deferrals: 0,
    deferralsMax: 3,
    mayCancel: true,
    hold: null,
    last: null,
    asked: { by: 'anna', at: '2026-11-21T11:35:48.000Z', reason: null },
    ...change,
  };
}

const automated = (...schedules: readonly ScheduleView[]) => ({
  schedules,
  window: { open: false, until: '2026-11-29T00:00:00.000Z' },
  inhibited: '/x/backup stops updates',
  clock: null,
});

async function open(...schedules: readonly ScheduleView[]) {
  const bench = await openBench();
  bench.backend.automated = automated(...schedules);
  const tandem = (...words: readonly string[]) => run([...words, '--socket', bench.socketPath]);
  return { bench, tandem, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

t.test('what is asked for', async (t) => {
  await using opened = await open(view());
  const { bench, tandem } = opened;
  const later = ['--at', '2026-11-28 02:00', '--zone', 'UTC', '--inform', '60', '--reason', 'new'];
  const manner = ['--choices', '90m,4h,1d', '--deferrals', '3', '--no-cancel', '--format-target'];
  const { exit, out } = await tandem('update', '/u.bin', ...later, ...manner);
  t.equal(exit, EXIT.done);
  t.match(out, /^Update 2.0.0 scheduled \(2026-11-28 02:00 UTC\), schedule s1\n {2}Answers: /);
  t.match(out, /`tandem schedule defer s1 --for TIME` \(90m,\s+4h, 1d\)/);
  t.strictSame(bench.backend.asked.at(-1)?.value, {
    source: { path: '/u.bin' },
    at: '2026-11-28 02:00',
    zone: 'UTC',
    inform: 60,
    deferrals: 3,
    choices: [90, 240, 1440],
    mayCancel: false,
    formatTarget: true,
    reason: 'new',
  });
  t.equal((await tandem('update', '/u.bin', '--every', 'Sun 02:00', '--detach')).out, 's1\n');
  await tandem('update', '/u.bin', '--ignore-window', '--format-target');
  t.match(bench.backend.asked.at(-1)?.value, { ignoreWindow: true, formatTarget: true });
  await tandem('update', '/u.bin', '--at', 'window', '--zone', 'UTC', '--dry-run');
  const options = { at: 'window', zone: 'UTC' };
  t.match(bench.backend.asked.at(-1), { what: 'precheck', options }, 'its time is judged, too');
});

t.test('what cannot be meant is refused before anything is asked', async (t) => {
  await using opened = await open();
  const { bench, tandem } = opened;
  const id = 'a'.repeat(64);
  for (const words of [
    ['/u.bin', '--inform', 'x'],
    ['/u.bin', '--choices', '1w'],
    ['/u.bin', '--at', 'now', '--deferrals', '101'],
    [id, '--every', 'Sun 02:00'],
    ['/u.bin', '--at', 'yesterday'],
    ['/u.bin', '--at', '2026-02-30 02:00', '--dry-run'],
    ['/u.bin', '--every', 'nonsense'],
    ['/u.bin', '--every', 'Sun', '--dry-run'],
    ['/u.bin', '--at', '02:00', '--zone', 'Mars/Phobos'],
    ['/u.bin', '--zone', 'UTC'],
    ['/u.bin', '--deferrals', '3'],
    ['/u.bin', '--choices', '1h', '--estimate'],
    ['/u.bin', '--no-cancel'],
    ['prepare-1', '--order', 'active-first', '--dry-run'],
    ['/u.bin', '--wait', '--since-seq', '5'],
  ]) {
    t.equal((await tandem('update', ...words)).exit, EXIT.usage, words.join(' '));
  }
  t.equal((await tandem('schedule', 'defer', 's1', '--for', 'long')).exit, EXIT.usage);
  t.strictSame(bench.backend.asked, []);
});

t.test('list and answers', async (t) => {
  const over = view({ id: 's0', state: 'ended', text: 'Update 1.9.0: successful (x)' });
  await using opened = await open(view(), over);
  const { bench, tandem } = opened;
  const { out } = await tandem('schedule', 'list');
  t.match(out, /^Updates stopped: \/x\/backup stops updates$/m);
  t.match(out, /^Maintenance window: closed until 2026-11-29 00:00Z$/m);
  t.match(out, /^s1 +waiting +2026-11-28 02:00 UTC +once/m);
  t.match((await tandem('schedule', 'list', '--json')).json(), { schedules: [{ id: 's1' }, {}] });
  await tandem('schedule', 'now', 's1', '--reason', 'all agree');
  await tandem('schedule', 'defer', 's1', '--for', '4h');
  await tandem('schedule', 'defer', 's1');
  await tandem('schedule', 'cancel', 's1');
  t.strictSame(
    bench.backend.asked.map(({ value }) => value),
    [
      { id: 's1', answer: 'now', reason: 'all agree' },
      { id: 's1', answer: 'defer', minutes: 240 },
      { id: 's1', answer: 'defer' },
      { id: 's1', answer: 'cancel' },
    ],
  );
  bench.backend.refusal = new UpdateError('schedule.not_allowed', 'put off 3 of 3 times');
  t.equal((await tandem('schedule', 'defer', 's1')).exit, EXIT.notAuthorised);
  bench.backend.refusal = null;
  t.equal((await tandem('schedule', 'now', 'none')).exit, EXIT.usage);
  const { out: status } = await tandem('status');
  t.match(status, /Update 2.0.0 scheduled|HEALTHY/);
});

t.test('a wait: the exit status of the run, or 21 when somebody put it off', async (t) => {
  const result = { run: 1, at: '2026-11-28T02:00:00.000Z', message: 'x' };
  for (const [last, options, exit] of [
    [{ ...result, word: 'deferred', code: 'schedule.deferred' }, [], EXIT.deferred],
    [{ ...result, word: 'not necessary', code: 'version.same_or_newer' }, [], EXIT.sameOrNewer],
    [
      { ...result, word: 'not necessary', code: 'version.same_or_newer' },
      ['--detailed-exitcode'],
      EXIT.nothingToDo,
    ],
    [{ ...result, word: 'not successful', code: 'job.cancelled' }, [], EXIT.cancelled],
    [{ ...result, word: 'successful', code: null }, [], EXIT.done],
  ] as const) {
    await using opened = await open(view());
    const { bench, tandem } = opened;
    const waiting = tandem('update', '/u.bin', '--at', 'now', '--wait', ...options);
    while (bench.backend.asked.length === 0) await new Promise(setImmediate);
    bench.backend.automated = automated(view({ state: 'ended', last }));
    t.equal((await waiting).exit, exit, `${last.word} ${options.join(' ')}`);
  }
});

t.test('a wait goes on with the job of the run, and --timeout counts for both', async (t) => {
  await using opened = await open(view({ state: 'claimed' }));
  const { bench, tandem } = opened;
  const late = await tandem('update', '/u.bin', '--at', 'now', '--wait', '--timeout', '1');
  t.equal(late.exit, EXIT.waitTimedOut);
  t.match(late.err, /schedule s1 still waits after 1 s; see `tandem schedule list`, .*update-s1-1/);
  const change = { id: 'update-s1-1', kind: 'update', state: 'done', exit: 0 } as const;
  bench.backend.jobTable.set(change.id, jobStatus({ ...change, result: 'successful' }));
  const { exit, out } = await tandem('update', '/u.bin', '--at', 'now', '--wait');
  t.equal(exit, EXIT.done);
  t.match(out, /^Update successful \(/);
});

t.test('what waits before it begins, and what is prepared, is in the status once', async (t) => {
  const hold = { code: 'hook.later', message: 'hook check.d/10 asks to be asked later' } as const;
  const text = `Update 2.0.0 waits (${hold.message})`;
  const waits = view({ state: 'claimed', hold, text, choicesMin: [], job: 'update-7' });
  await using opened = await open();
  const { bench, tandem } = opened;
  const prepared = { id: 'prepare-1', version: '2.1.0', state: 'stuck', nodes: {} } as never;
  bench.backend.pair = {
    ...bench.backend.pair,
    automation: {
      ...automated(waits),
      waiting: [
        { job: 'update-7', message: hold.message },
        { job: 'stage-8', message: 'another one' },
      ],
    },
    prepared: { ...(prepared as object), text: 'Update 2.1.0 cannot be prepared (why)' } as never,
  };
  const { out } = await tandem('status');
  t.equal(out.match(/hook check\.d/g)?.length, 1);
  t.match(out, /^ {2}Answers: `tandem schedule cancel s1`$/m);
  t.match(out, /^Waits: another one, job stage-8$/m);
  const far = dueWords({ dueAt: '2026-11-28T02:00:00.000Z', zone: 'Mars/Base' });
  t.equal(far, '2026-11-28 02:00 UTC', 'a zone that this program does not know');
  t.match(out, /^Update 2.1.0 cannot be prepared \(why\),\s+see\s+`tandem prepare status`$/m);
});
