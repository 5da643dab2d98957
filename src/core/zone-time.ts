/**
 * Clocks on the wall in the time zones of IANA, and moments. Always holds: a local time is always
 * one certain moment, namely the first one at which a clock there shows this time or a later one;
 * so an hour that is skipped in spring is where it was skipped, an hour that is repeated in autumn
 * is the first of the two, and a later local time is never an earlier moment. The rules of the
 * zones are those that the program was built with. Pure; imports only core.
 */
import { calendarOf, millisecondsOf } from './dates.ts';

/** Milliseconds of a minute. */
export const MINUTE_MS = 60_000;
/** Milliseconds of a day of the calendar. */
export const DAY_MS = 86_400_000;

/** No zone is, or has been since 1970, further from UTC than this. */
const EAST_MS = 15 * 3_600_000;
const WEST_MS = 13 * 3_600_000;
/** No zone has changed its offset twice within this time. */
const STEP_MS = 4 * 3_600_000;
/** Zones whose formatter is kept; a daemon uses two or three. */
const KEPT_MAX = 16;

const formatters = new Map<string, Intl.DateTimeFormat>();

/** Whether this is the name of a zone that this program knows, as `Europe/Berlin` or `UTC`. */
export function isZone(name: string): boolean {
  if (name === 'UTC') return true;
  // An offset is no zone: it knows nothing of summer time.
  if (!/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/.test(name)) return false;
  try {
    formatterOf(name);
    return true;
  } catch {
    return false;
  }
}

function formatterOf(zone: string): Intl.DateTimeFormat {
  const kept = formatters.get(zone);
  if (kept !== undefined) return kept;
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  if (formatters.size >= KEPT_MAX) formatters.clear();
  formatters.set(zone, made);
  return made;
}

/**
 * What a clock in the zone shows at this moment, as the milliseconds at which a clock in UTC shows
 * the same; whole seconds. For moments since 1970.
 */
export function wallAt(ms: number, zone: string): number {
  const found: Record<string, number> = {};
  for (const { type, value } of formatterOf(zone).formatToParts(ms)) found[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = found;
  return millisecondsOf([year, month, day], [hour, minute, second]);
}

/** How far the zone's clocks are ahead of UTC at this moment, in milliseconds. */
export function offsetAt(ms: number, zone: string): number {
  const whole = Math.floor(ms / 1000) * 1000;
  return wallAt(whole, zone) - whole;
}

/** The first moment at which a clock in the zone shows this wall time or a later one. */
export function momentOf(wallMs: number, zone: string): number {
  const end = wallMs + WEST_MS;
  let from = wallMs - EAST_MS;
  let offset = offsetAt(from, zone);
  while (from < end) {
    const next = from + STEP_MS;
    const later = offsetAt(next, zone);
    const change = later === offset ? next : changeBetween(from, next, offset, zone);
    const moment = Math.max(from, wallMs - offset);
    if (moment < change) return moment;
    if (later !== offset) {
      const after = Math.max(change, wallMs - later);
      if (after < next) return after;
    }
    [from, offset] = [next, later];
  }
  return wallMs - offset;
}

/** The first second of a new offset between two moments of which only the first has `offset`. */
function changeBetween(from: number, to: number, offset: number, zone: string): number {
  let [low, high] = [Math.floor(from / 1000), Math.ceil(to / 1000)];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(middle * 1000, zone) === offset) low = middle;
    else high = middle;
  }
  return high * 1000;
}

const two = (value: number): string => String(value).padStart(2, '0');

/** A moment as people in the zone write it: `2026-11-28 02:00`. */
export function wallText(ms: number, zone: string): string {
  const { year, month, day, hour, minute } = calendarOf(wallAt(ms, zone));
  return `${year}-${two(month)}-${two(day)} ${two(hour)}:${two(minute)}`;
}

/** The same with its zone. */
export function zonedText(ms: number, zone: string): string {
  return `${wallText(ms, zone)} ${zone}`;
}
