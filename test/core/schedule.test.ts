/**
 * Scheduled updates as pure rules: what is due, deferrals, which of two copies counts, clocks that
 * are wrong. Imports core.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { isoOf } from '../../src/core/dates.ts';
import { readSchedules, scheduleView } from '../../src/core/schedule-read.ts';
import { afterRun, answered, choicesOf, clockTrouble, dueNow } from '../../src/core/schedule.ts';
import { jobOfRun, merged, newerOf, type Moment } from '../../src/core/schedule.ts';
import type { Schedule } from '../../src/core/schedule.ts';

const at = (text: string): number => Date.parse(text);
const DUE = at('2026-11-28T02:00Z');
const HOUR = 3_600_000;

function schedule(change: Partial<Schedule> = {}): Schedule {
  return {
    id: 's1',
    rev: 1,
    by: 'A',
    state: 'waiting',
    source: { bundle: 'a'.repeat(64) },
    version: '2.0.0',
    options: {},
    every: null,
    zone: 'UTC',
    dueAt: isoOf(DUE),
    held: false,
    run: 1,
    inform: null,
    agreed: false,
    deferralsMax: 2,
    deferrals: 0,
    choicesMin: [60, 240],
    mayCancel: true,
    last: null,
    asked: { by: 'anna', at: isoOf(DUE - HOUR), reason: null },
    ...change,
  };
}

const moment = (change: Partial<Moment> = {}): Moment => ({
  nowMs: DUE,
  clock: null,
  blocked: null,
  informedMs: null,
  catchUpMs: 24 * HOUR,
  ...change,
});

t.test('what is due', async (t) => {
  const blocked = { code: 'window.closed', message: 'closed' } as const;
  const informing = schedule({ state: 'informing', inform: { seconds: 60 } });
  const asking = schedule({ state: 'informing', inform: { seconds: 0 } });
  const cases: readonly (readonly [string, Schedule, Moment, string])[] = [
    ['before its time', schedule(), moment({ nowMs: DUE - 1 }), 'rest'],
    ['at its time', schedule(), moment(), 'claim'],
    ['blocked', schedule(), moment({ blocked }), 'hold'],
    ['a clock that is wrong', schedule(), moment({ clock: 'wrong' }), 'hold'],
    ['late, and nothing ran', schedule(), moment({ nowMs: DUE + 25 * HOUR }), 'missed'],
    ['late within the limit', schedule(), moment({ nowMs: DUE + 23 * HOUR }), 'claim'],
    ['held up', schedule({ held: true }), moment({ nowMs: DUE + 25 * HOUR }), 'claim'],
    ['people are told first', schedule({ inform: { seconds: 60 } }), moment(), 'inform'],
    ['told, by a daemon before', informing, moment(), 'inform'],
    ['told just now', informing, moment({ informedMs: 59_999 }), 'hold'],
    ['told long enough', informing, moment({ informedMs: 60_000 }), 'claim'],
    ['told, and blocked now', informing, moment({ informedMs: 60_000, blocked }), 'hold'],
    ['an answer is waited for', asking, moment({ informedMs: 99 * HOUR }), 'hold'],
    ['an answer came', { ...asking, agreed: true }, moment(), 'claim'],
    ['claimed', schedule({ state: 'claimed' }), moment({ clock: 'wrong', blocked }), 'run'],
    ['over', schedule({ state: 'ended' }), moment(), 'rest'],
  ];
  for (const [name, one, when, expected] of cases) t.equal(dueNow(one, when).do, expected, name);
});

t.test('deferrals: so often, and only the choices', async (t) => {
  const defer = (one: Schedule, minutes?: number): Schedule => {
    const answer = minutes === undefined ? {} : { minutes };
    return answered(one, 'B', { answer: 'defer', ...answer }, 'anna', DUE + 1000);
  };
  const once = defer(schedule({ state: 'informing' }));
  t.match(once, { rev: 2, by: 'B', state: 'waiting', deferrals: 1, held: false });
  t.equal(once.dueAt, isoOf(DUE + 1000 + HOUR), 'the first choice, from now on');
  t.match(once.last, { word: 'deferred', code: 'schedule.deferred', message: /anna.*1 of 2/ });
  const twice = defer(once, 240);
  t.equal(twice.dueAt, isoOf(DUE + 1000 + 5 * HOUR), 'from the time at which it is due');
  t.strictSame(choicesOf(twice), []);
  t.throws(() => defer(twice), { code: 'schedule.not_allowed', message: /2 of 2 times/ });
  t.throws(() => defer(schedule(), 90), { code: 'usage.invalid', message: /60, 240/ });
  t.throws(() => defer(schedule({ state: 'claimed' })), { code: 'job.not_cancellable' });
  t.match(scheduleView(once, null).text, /^Update 2.0.0 deferred \(until 2026-11-28 03:00 UTC, 1/);
});

t.test('now and cancel', async (t) => {
  const now = answered(schedule(), 'A', { answer: 'now' }, 'anna', DUE - HOUR);
  t.equal(dueNow(now, moment({ nowMs: DUE - HOUR })).do, 'claim');
  const late = answered(schedule(), 'A', { answer: 'now' }, 'anna', DUE + 99 * HOUR);
  t.equal(dueNow(late, moment({ nowMs: DUE + 99 * HOUR })).do, 'claim', 'it is not missed');
  const gone = answered(schedule(), 'A', { answer: 'cancel' }, 'anna', DUE);
  t.match(gone, { state: 'ended', last: { word: 'not successful', code: 'job.cancelled' } });
  const kept = schedule({ mayCancel: false });
  const refused = { code: 'schedule.not_allowed' };
  t.throws(() => answered(kept, 'A', { answer: 'cancel' }, 'anna', DUE), refused);
});

t.test('after a run: the end, or the next time; never one that was', async (t) => {
  const result = { word: 'successful', at: isoOf(DUE), code: null, message: 'done' } as const;
  t.match(afterRun(schedule({ state: 'claimed' }), 'A', result, DUE), { state: 'ended' });
  const weekly = schedule({ state: 'claimed', every: 'Sat 02:00', deferrals: 2, agreed: true });
  const next = afterRun(weekly, 'A', result, DUE + 5 * HOUR);
  t.match(next, { state: 'waiting', run: 2, deferrals: 0, agreed: false, last: { run: 1 } });
  t.equal(next.dueAt, '2026-12-05T02:00:00.000Z');
  t.not(jobOfRun(next), jobOfRun(weekly));
  const back = afterRun(weekly, 'A', result, DUE - 500 * HOUR);
  t.equal(back.dueAt, '2026-12-05T02:00:00.000Z', 'a clock that was set back');
});

const anySchedule = fc
  .record({
    id: fc.constantFrom('s1', 's2', 's3'),
    rev: fc.integer({ min: 1, max: 4 }),
    by: fc.constantFrom<'A' | 'B'>('A', 'B'),
    state: fc.constantFrom<Schedule['state']>('waiting', 'informing', 'claimed', 'ended'),
  })
  .map((one) => schedule(one));
/** One node's list: each id once. */
const anyList = fc.array(anySchedule, { maxLength: 6 }).map((all) => merged(all, []));

/** What of a list both nodes have to agree on. */
const ids = (all: readonly Schedule[]): string =>
  JSON.stringify(all.map(({ id, rev, by, state }) => [id, rev, by, state === 'ended']));

t.test('two lists become one, on both nodes the same, in whatever order', async (t) => {
  const property = fc.property(anyList, anyList, anyList, (a, b, c) => {
    const there = merged(a, b);
    const twice = merged(there, b);
    const ended = [...a, ...b].filter(({ state }) => state === 'ended').map(({ id }) => id);
    return (
      ids(there) === ids(merged(b, a)) &&
      ids(twice) === ids(there) &&
      ids(merged(there, c)) === ids(merged(a, merged(b, c))) &&
      there.every(({ id, state }) => !ended.includes(id) || state === 'ended')
    );
  });
  fc.assert(property, { numRuns: 300, seed: 8 });
  const [older, newer] = [schedule({ rev: 2, state: 'ended' }), schedule({ rev: 9 })];
  t.equal(newerOf(older, newer), older, 'what has ended stays ended');
});

t.test('clocks', async (t) => {
  const now = at('2026-11-28T02:00Z');
  const none = null;
  t.equal(clockTrouble(now, now, now + 299_000), none);
  t.equal(clockTrouble(now, 0, none), none);
  t.match(clockTrouble(0, 0, none), /not set: it shows 1970-01-01 00:00 UTC/);
  t.match(clockTrouble(1000, 0, 1000), /not set/, 'both may have lost it');
  t.match(clockTrouble(now, 0, now + 301_000), /differ/);
  t.match(clockTrouble(now + 400 * 24 * HOUR, now, now), /differ/, 'one that jumped ahead');
  t.match(clockTrouble(now - HOUR, now, none), /went back/);
  t.equal(clockTrouble(now - HOUR, now, now - HOUR), none, 'the peer says the same');
});

t.test('what a file or a peer says is read whole or not at all', async (t) => {
  const good = schedule({ every: 'Sun 02:00', inform: { seconds: 0 } });
  t.strictSame(readSchedules(JSON.parse(JSON.stringify([good]))), [good]);
  const odd: readonly object[] = [
    { id: 7 },
    { id: '../x' },
    { rev: 1.5 },
    { by: 'C' },
    { state: 'dancing' },
    { source: {} },
    { every: 'whenever' },
    { zone: 'Nowhere/At' },
    { dueAt: 'soon' },
    { last: { word: 'perhaps' } },
    { choicesMin: ['60'] },
    { asked: null },
  ];
  for (const change of odd) {
    t.strictSame(readSchedules([{ ...good, ...change }]), [], JSON.stringify(change));
  }
  for (const none of [null, 7, {}, 'x', [null, 7, 'x', []]]) t.strictSame(readSchedules(none), []);
  t.equal(readSchedules(Array.from({ length: 50 }, () => good)).length, 32);
});
