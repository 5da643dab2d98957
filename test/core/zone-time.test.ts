/**
 * Local times as moments, over all zones that this program knows and many years, compared with a
 * clock that is looked at minute by minute. Imports core.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { DAY_MS, isZone, MINUTE_MS, momentOf, offsetAt } from '../../src/core/zone-time.ts';
import { wallAt, wallText, zonedText } from '../../src/core/zone-time.ts';

const HOUR_MS = 60 * MINUTE_MS;
const ZONES = Intl.supportedValuesOf('timeZone');
/** Zones whose clocks do what others do not: half hours, a lost day, a break of summer time. */
const ODD = [
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Africa/Casablanca',
  'America/St_Johns',
  'Asia/Kathmandu',
  'Antarctica/Troll',
  'America/Sao_Paulo',
];
const at = (text: string): number => Date.parse(text);

/** What the definition says, found by looking at the clock of every minute. */
function looked(wallMs: number, zone: string): number {
  for (let ms = wallMs - 15 * HOUR_MS; ; ms += MINUTE_MS) if (wallAt(ms, zone) >= wallMs) return ms;
}

/** The moments of a year at which the zone changes its offset, to the minute. */
function changes(zone: string, year: number): readonly number[] {
  const found: number[] = [];
  const end = Date.UTC(year + 1, 0, 1);
  for (let ms = Date.UTC(year, 0, 1); ms < end; ms += 10 * DAY_MS) {
    let [low, high] = [ms, ms + 10 * DAY_MS];
    if (offsetAt(low, zone) === offsetAt(high, zone)) continue;
    while (high - low > MINUTE_MS) {
      const middle = low + Math.floor((high - low) / 2 / MINUTE_MS) * MINUTE_MS;
      if (offsetAt(middle, zone) === offsetAt(low, zone)) low = middle;
      else high = middle;
    }
    found.push(high);
  }
  return found;
}

t.test('skipped and repeated hours, and days', async (t) => {
  const cases: readonly (readonly [zone: string, wall: string, moment: string])[] = [
    ['Europe/Berlin', '2026-03-29T01:59Z', '2026-03-29T00:59Z'],
    // From 02:00 to 03:00 there is no time: it is the moment at which 03:00 is shown.
    ['Europe/Berlin', '2026-03-29T02:00Z', '2026-03-29T01:00Z'],
    ['Europe/Berlin', '2026-03-29T02:30Z', '2026-03-29T01:00Z'],
    ['Europe/Berlin', '2026-03-29T03:00Z', '2026-03-29T01:00Z'],
    ['Europe/Berlin', '2026-03-29T03:01Z', '2026-03-29T01:01Z'],
    // From 02:00 to 03:00 is there twice: it is the first one.
    ['Europe/Berlin', '2026-10-25T02:00Z', '2026-10-25T00:00Z'],
    ['Europe/Berlin', '2026-10-25T02:59Z', '2026-10-25T00:59Z'],
    ['Europe/Berlin', '2026-10-25T03:00Z', '2026-10-25T02:00Z'],
    ['Australia/Lord_Howe', '2026-10-04T02:15Z', '2026-10-03T15:30Z'],
    ['Australia/Lord_Howe', '2026-04-05T01:45Z', '2026-04-04T14:45Z'],
    // This day was left out.
    ['Pacific/Apia', '2011-12-30T12:00Z', '2011-12-30T10:00Z'],
    ['Pacific/Apia', '2011-12-31T00:00Z', '2011-12-30T10:00Z'],
    // Midnight does not exist.
    ['America/Sao_Paulo', '2018-11-04T00:00Z', '2018-11-04T03:00Z'],
    ['UTC', '1970-01-02T00:00Z', '1970-01-02T00:00Z'],
  ];
  for (const [zone, wall, moment] of cases) {
    const found = new Date(momentOf(at(wall), zone)).toISOString();
    t.equal(found, new Date(at(moment)).toISOString(), `${wall} in ${zone}`);
  }
});

t.test('around the changes of all zones it is what a clock shows', async (t) => {
  let [skipped, repeated] = [0, 0];
  const years = fc.integer({ min: 1971, max: 2037 });
  const minutes = fc.array(fc.integer({ min: -200, max: 200 }), { minLength: 2, maxLength: 2 });
  const zones = fc.oneof(fc.constantFrom(...ODD), fc.constantFrom(...ZONES));
  const property = fc.property(zones, years, minutes, (zone, year, aside) => {
    return changes(zone, year).every((change) => {
      const before = offsetAt(change - MINUTE_MS, zone);
      const after = offsetAt(change, zone);
      if (after > before) skipped++;
      else repeated++;
      const walls = aside.map((one) => change + before + one * MINUTE_MS);
      return walls.every((wall) => momentOf(wall, zone) === looked(wall, zone));
    });
  });
  fc.assert(property, { numRuns: 60, seed: 4 });
  t.ok(skipped > 15 && repeated > 15, `${skipped} skipped, ${repeated} repeated`);
});

t.test(
  'anywhere: it shows that time or is the end of a gap, and later is never earlier',
  async (t) => {
    const walls = fc.integer({ min: at('1971-01-01Z'), max: at('2099-12-31Z') });
    const property = fc.property(
      fc.constantFrom(...ZONES),
      walls,
      fc.integer({ min: 0, max: 5 * DAY_MS }),
      (zone, wall, aside) => {
        const moment = momentOf(wall, zone);
        const shown = wallAt(moment, zone);
        const exact = Math.abs(shown - wall) < 1000;
        const gap = wallAt(moment - 1000, zone) < wall && shown > wall;
        return (exact || gap) && momentOf(wall + aside, zone) >= moment;
      },
    );
    fc.assert(property, { numRuns: 250, seed: 5 });
    t.pass();
  },
);

t.test('zones by their names', async (t) => {
  for (const zone of ['UTC', 'Europe/Berlin', 'America/Argentina/Ushuaia'])
    t.ok(isZone(zone), zone);
  for (const zone of ['', '+01:00', 'Berlin', 'Europe/Berlin; x', 'x'.repeat(100)]) {
    t.notOk(isZone(zone), zone);
  }
  t.throws(() => wallAt(0, 'Europe/Nowhere'));
});

t.test('as people write it', async (t) => {
  const ms = at('2026-03-29T01:00Z');
  t.equal(wallText(ms, 'Europe/Berlin'), '2026-03-29 03:00');
  t.equal(zonedText(ms, 'UTC'), '2026-03-29 01:00 UTC');
});
