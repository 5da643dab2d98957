/**
 * Repetitions and single times as people type them, and their occurrences over zones and years.
 * Imports core.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { isDay, nextAfter, readAt, readDays, readEvery } from '../../src/core/schedule-time.ts';
import { DAY_MS, MINUTE_MS, wallAt, wallText } from '../../src/core/zone-time.ts';

const at = (text: string): number => Date.parse(text);
const iso = (ms: number): string => new Date(ms).toISOString().slice(0, 16);
const BERLIN = 'Europe/Berlin';

const week = (...days: number[]) => ({ kind: 'week', days });

t.test('days', async (t) => {
  t.strictSame(readDays('daily'), week(0, 1, 2, 3, 4, 5, 6));
  t.strictSame(readDays('Sun'), week(0));
  t.strictSame(readDays('Mon,Thu'), week(1, 4));
  t.strictSame(readDays('fri-mon'), week(0, 1, 5, 6));
  t.strictSame(readDays('first Sun'), { kind: 'nth', nth: 1, weekday: 0 });
  t.strictSame(readDays('last sat'), { kind: 'nth', nth: -1, weekday: 6 });
  t.strictSame(readDays('day 28'), { kind: 'day', day: 28 });
  t.strictSame(readDays('last day'), { kind: 'day', day: -1 });
  for (const bad of [
    '',
    'Sunday',
    'day 29',
    'day 0',
    'fifth Sun',
    'Mon-',
    'Mon-Tue-Wed',
    'x,Mon',
  ]) {
    t.equal(readDays(bad), null, bad);
  }
});

/** So many occurrences after a moment, as clocks there show them. */
const some = (text: string, zone: string, from: string, count: number): readonly string[] => {
  const every = readEvery(text);
  const found: number[] = [];
  for (let ms = at(from); found.length < count;) {
    ms = nextAfter(every, zone, ms);
    found.push(ms);
  }
  return found.map((one) => wallText(one, zone));
};

t.test('occurrences one after the other', async (t) => {
  // 02:30 does not exist on the 29th, and exists twice on the 25th: once each.
  t.strictSame(some('daily 02:30', BERLIN, '2026-03-27T12:00Z', 3), [
    '2026-03-28 02:30',
    '2026-03-29 03:00',
    '2026-03-30 02:30',
  ]);
  t.strictSame(some('daily 02:30', BERLIN, '2026-10-24T12:00Z', 2), [
    '2026-10-25 02:30',
    '2026-10-26 02:30',
  ]);
  t.strictSame(some('last Sun 02:00', 'UTC', '2026-02-01T00:00Z', 3), [
    '2026-02-22 02:00',
    '2026-03-29 02:00',
    '2026-04-26 02:00',
  ]);
  t.strictSame(some('last day 23:59', 'UTC', '2028-02-01T00:00Z', 2), [
    '2028-02-29 23:59',
    '2028-03-31 23:59',
  ]);
  t.strictSame(some('third Wed 00:00', 'UTC', '2026-12-16T00:00Z', 1), ['2027-01-20 00:00']);
});

const anyEvery = fc.constantFrom(
  'daily 02:30',
  'Sun 02:00',
  'Mon-Fri 00:00',
  'first Sun 01:30',
  'last Sun 02:59',
  'day 28 23:59',
  'last day 00:30',
);
const moments = fc.integer({ min: at('1971-01-01Z'), max: at('2060-12-31Z') });

t.test('over zones and years: nothing is left out, and nothing comes twice', async (t) => {
  const zones = fc.constantFrom(...Intl.supportedValuesOf('timeZone'));
  const property = fc.property(anyEvery, zones, moments, (text, zone, from) => {
    const every = readEvery(text);
    const next = nextAfter(every, zone, from);
    if (next <= from || next > from + 33 * DAY_MS) return false;
    // Between the two there is none: it follows from every moment before it.
    const middle = from + Math.floor((next - from) / 2);
    if (nextAfter(every, zone, middle) !== next || nextAfter(every, zone, next - 1) !== next) {
      return false;
    }
    const after = nextAfter(every, zone, next);
    if (after <= next) return false;
    // It is the day and the time, unless that time did not exist there.
    const wall = wallAt(next, zone);
    const dayMs = Math.floor(wall / DAY_MS) * DAY_MS;
    const exact = isDay(every.days, dayMs) && wall === dayMs + every.minute * MINUTE_MS;
    return exact || wall - wallAt(next - 1000, zone) > 1000;
  });
  fc.assert(property, { numRuns: 250, seed: 6 });
  t.pass();
});

t.test('a repetition that is none is refused with what is accepted', async (t) => {
  for (const bad of ['', '02:00', 'Sun', 'Sun 24:00', 'Sun 2:00', 'Sun 02:60', 'never 02:00']) {
    t.throws(() => readEvery(bad), { code: 'usage.invalid', message: /accepted: days and a time/ });
  }
});

t.test('one time', async (t) => {
  const now = at('2026-11-21T11:35:48Z');
  const read = (text: string): string => iso(readAt(text, BERLIN, now));
  t.equal(read('now'), '2026-11-21T11:35');
  t.equal(read('+90m'), '2026-11-21T13:05');
  t.equal(read('+2h'), '2026-11-21T13:35');
  t.equal(read('+1d'), '2026-11-22T11:35');
  t.equal(read('13:00'), '2026-11-21T12:00', 'later on this day');
  t.equal(read('02:00'), '2026-11-22T01:00', 'the next day');
  t.equal(read('2026-11-28 02:00'), '2026-11-28T01:00');
  t.equal(read('2026-11-28T02:00Z'), '2026-11-28T02:00');
  t.equal(read('2026-11-28T02:00-05:30'), '2026-11-28T07:30');
  t.equal(read('2027-03-28 02:30'), '2027-03-28T01:00', 'an hour that does not exist');
  t.equal(read('2026-11-21 12:35'), '2026-11-21T11:35', 'the minute that is just over is now');
});

t.test('one time that cannot be meant', async (t) => {
  const now = at('2026-11-21T11:35:48Z');
  const refused = (text: string, message: RegExp): void => {
    t.throws(() => readAt(text, BERLIN, now), { code: 'usage.invalid', message }, text);
  };
  for (const bad of ['', 'soon', '25:00', '2026-02-29 02:00', '2026-13-01 02:00', '+99999m']) {
    refused(bad, /accepted/);
  }
  refused('2026-11-28T02:00+25:00', /accepted/);
  refused('2026-11-21 12:00', /that is past/);
  refused('2029-01-01 02:00', /two years/);
});
