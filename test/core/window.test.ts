/**
 * Maintenance windows over daylight saving, midnights, zones and years. Imports core.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { closedWindow, readWindow, windowsAt, type Window } from '../../src/core/window.ts';
import { MINUTE_MS, wallAt } from '../../src/core/zone-time.ts';

const at = (text: string): number => Date.parse(text);
const BERLIN = 'Europe/Berlin';
const window = (text: string, zone = BERLIN): Window => {
  const found = readWindow(text, zone);
  if (found === null) throw new Error(text);
  return found;
};
const shown = (windows: readonly Window[], when: string): string => {
  const state = windowsAt(windows, at(when));
  const ms = state.open ? state.untilMs : state.nextMs;
  return `${state.open ? 'until' : 'from'} ${ms === null ? '-' : new Date(ms).toISOString()}`;
};

t.test('open, closed, over midnight, none, several', async (t) => {
  const sunday = [window('Sun 01:00-05:00')];
  t.equal(shown(sunday, '2026-11-22T00:00Z'), 'until 2026-11-22T04:00:00.000Z');
  t.equal(shown(sunday, '2026-11-22T03:59Z'), 'until 2026-11-22T04:00:00.000Z');
  t.equal(shown(sunday, '2026-11-22T04:00Z'), 'from 2026-11-29T00:00:00.000Z');
  t.equal(shown(sunday, '2026-11-21T23:59Z'), 'from 2026-11-22T00:00:00.000Z');
  const night = [window('Fri 23:00-03:00')];
  t.equal(shown(night, '2026-11-21T01:00Z'), 'until 2026-11-21T02:00:00.000Z');
  t.equal(shown(night, '2026-11-21T02:00Z'), 'from 2026-11-27T22:00:00.000Z');
  t.equal(shown([], '2026-11-21T02:00Z'), 'until -');
  const joined = [window('Sat 20:00-24:00'), window('Sun 00:00-02:00'), window('Tue 09:00-10:00')];
  t.equal(shown(joined, '2026-11-21T20:00Z'), 'until 2026-11-22T01:00:00.000Z');
  t.equal(shown(joined, '2026-11-22T01:00Z'), 'from 2026-11-24T08:00:00.000Z');
  t.equal(shown([window('daily 00:00-24:00')], '2026-11-22T01:00Z'), 'until -');
  const abroad = [window('Sun 01:00-02:00 America/New_York')];
  t.equal(shown(abroad, '2026-11-22T06:30Z'), 'until 2026-11-22T07:00:00.000Z');
});

t.test('skipped and repeated hours', async (t) => {
  // In the night of 29 March the hour from 02:00 on does not exist.
  t.equal(shown([window('Sun 02:30-04:00')], '2026-03-29T00:59Z'), 'from 2026-03-29T01:00:00.000Z');
  t.equal(
    shown([window('Sun 01:00-02:30')], '2026-03-29T00:30Z'),
    'until 2026-03-29T01:00:00.000Z',
  );
  t.equal(shown([window('Sun 02:10-02:50')], '2026-03-28T12:00Z'), 'from 2026-04-05T00:10:00.000Z');
  // In the night of 25 October it comes twice: a window is the first of the two.
  t.equal(
    shown([window('Sun 02:10-02:50')], '2026-10-25T00:20Z'),
    'until 2026-10-25T00:50:00.000Z',
  );
  t.equal(shown([window('Sun 02:10-02:50')], '2026-10-25T01:20Z'), 'from 2026-11-01T01:10:00.000Z');
  t.equal(
    shown([window('Sun 01:00-03:30')], '2026-10-25T01:20Z'),
    'until 2026-10-25T02:30:00.000Z',
  );
});

const TEXTS = [
  'Sun 01:00-05:00',
  'daily 22:00-02:30',
  'Mon-Fri 02:00-03:00',
  'last Sun 02:30-02:45',
  'day 1 00:00-24:00',
  'last day 23:00-01:00',
];

t.test('over zones and years', async (t) => {
  let [open, closed] = [0, 0];
  const property = fc.property(
    fc.constantFrom(...TEXTS),
    fc.constantFrom(...Intl.supportedValuesOf('timeZone')),
    fc.integer({ min: at('1971-01-01Z'), max: at('2060-12-31Z') }),
    (text, zone, near) => {
      const windows = [window(text, zone)];
      const first = windowsAt(windows, near);
      // Half of the moments are moved into the window that comes next.
      const ms = !first.open && near % 2 === 0 ? first.nextMs! : near;
      const state = windowsAt(windows, ms);
      if (state.open) {
        open++;
        const until = state.untilMs!;
        // Never longer than it says but for a repeated hour, and closed at its end.
        const spanMs = (windows[0]!.toMinute - windows[0]!.fromMinute) * MINUTE_MS;
        const fits = until > ms && until - ms <= 2 * spanMs + 180 * MINUTE_MS;
        return fits && windowsAt(windows, until - 1).open && !windowsAt(windows, until).open;
      }
      closed++;
      const next = state.nextMs!;
      const middle = ms + Math.floor((next - ms) / 2);
      const wall = new Date(wallAt(next, zone));
      const minute = wall.getUTCHours() * 60 + wall.getUTCMinutes();
      const jumps = wallAt(next, zone) - wallAt(next - 1000, zone) > 1000;
      return (
        !windowsAt(windows, middle).open &&
        !windowsAt(windows, next - 1).open &&
        windowsAt(windows, next).open &&
        (minute === windows[0]!.fromMinute || jumps)
      );
    },
  );
  fc.assert(property, { numRuns: 200, seed: 7 });
  t.ok(open > 50 && closed > 50, `${open} open, ${closed} closed`);
});

t.test('what is no window', async (t) => {
  for (const bad of [
    '',
    'Sun',
    'Sun 01:00',
    'Sun 05:00-05:00',
    'Sun 01:00-25:00',
    'x 01:00-02:00',
  ]) {
    t.equal(readWindow(bad, 'UTC'), null, bad);
  }
  t.equal(readWindow('Sun 01:00-05:00 Nowhere/At', 'UTC'), null);
  t.equal(closedWindow([window('Sun 01:00-05:00')], at('2026-11-22T01:00Z')), null);
  t.match(
    closedWindow([window('Sun 01:00-05:00')], at('2026-11-23T01:00Z')),
    /opens 2026-11-29 01:00 Europe\/Berlin$/,
  );
});
