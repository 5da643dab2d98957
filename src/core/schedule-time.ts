/**
 * When something happens again and again, and what people type for a time: days of the week or of
 * the month with a time, in a time zone. Always holds: what is typed is one certain thing or is
 * refused with what is accepted; an occurrence follows from the rule, the zone and the moment
 * before it alone, so both nodes of a pair find the same. Pure; imports only core.
 */
import { calendarOf, millisecondsOf } from './dates.ts';
import { UpdateError } from './errors.ts';
import { DAY_MS, isZone, MINUTE_MS, momentOf, wallAt, zonedText } from './zone-time.ts';

/** Which days: those of the week (0 = Sunday), one weekday of each month, or one day of it. */
export type Days =
  | { readonly kind: 'week'; readonly days: readonly number[] }
  | { readonly kind: 'nth'; readonly nth: 1 | 2 | 3 | 4 | -1; readonly weekday: number }
  /** From 1 to 28; -1 is the last day of the month. */
  | { readonly kind: 'day'; readonly day: number };

/** A time of certain days, in minutes since midnight. */
export interface Every {
  readonly days: Days;
  readonly minute: number;
}

const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const NTH = { first: 1, second: 2, third: 3, fourth: 4, last: -1 } as const;
const ALL_DAYS = [0, 1, 2, 3, 4, 5, 6] as const;
/** Highest day that every month has. */
const MONTH_DAY_MAX = 28;
/** Days to look at for the next occurrence: every rule has one in each month. */
const LOOK_DAYS = 70;

/** What is accepted for days, for messages. */
export const DAYS_WORDS =
  '`daily`, weekdays as `Sun` or `Mon,Thu` or `Mon-Fri`, `first Sun` to `fourth Sun`, ' +
  '`last Sun`, `day 1` to `day 28`, `last day`';
/** What is accepted for a repetition. */
export const EVERY_WORDS = `days and a time, as \`Sun 02:00\`; days are ${DAYS_WORDS}`;
/** What is accepted for one time. */
export const AT_WORDS =
  '`now`, `window`, `+90m`, `+2h`, `+1d`, `02:00`, `2026-11-28 02:00`, ' +
  'or a time with its offset as `2026-11-28T02:00Z` or `2026-11-28T02:00+01:00`';

/** The days that the words name, or null. */
export function readDays(words: string): Days | null {
  const text = words.trim().toLowerCase();
  if (text === 'daily') return { kind: 'week', days: ALL_DAYS };
  if (text === 'last day') return { kind: 'day', day: -1 };
  const day = /^day (\d{1,2})$/.exec(text);
  if (day !== null) {
    const number = Number(day[1]);
    return number >= 1 && number <= MONTH_DAY_MAX ? { kind: 'day', day: number } : null;
  }
  const nth = /^(first|second|third|fourth|last) ([a-z]{3})$/.exec(text);
  if (nth !== null) {
    const weekday = weekdayOf(nth[2]!);
    return weekday < 0 ? null : { kind: 'nth', nth: NTH[nth[1] as keyof typeof NTH], weekday };
  }
  const found = new Set<number>();
  for (const part of text.split(',')) {
    const [from = '', to = from, more] = part.split('-');
    const [first, last] = [weekdayOf(from), weekdayOf(to)];
    if (first < 0 || last < 0 || more !== undefined) return null;
    for (let one = first; ; one = (one + 1) % 7) {
      found.add(one);
      if (one === last) break;
    }
  }
  return { kind: 'week', days: [...found].toSorted((a, b) => a - b) };
}

const weekdayOf = (word: string): number => (WEEKDAYS as readonly string[]).indexOf(word.trim());

/** Minutes since midnight of `HH:MM`, or null; `24:00` only where it is the end of something. */
export function readMinute(text: string, end = false): number | null {
  const found = /^(\d{2}):(\d{2})$/.exec(text);
  if (found === null) return null;
  const minute = Number(found[1]) * 60 + Number(found[2]);
  const good = Number(found[2]) < 60 && (minute < 1440 || (end && minute === 1440));
  return good ? minute : null;
}

/** A time span as people type it. */
export const MINUTES_PATTERN = '^[1-9]\\d{0,3}[mhd]$';
const SPAN_MINUTES = { m: 1, h: 60, d: 1440 } as const;

/** Minutes of `90m`, `4h` or `1d`; null for anything else. */
export function readMinutes(text: string): number | null {
  if (!new RegExp(MINUTES_PATTERN).test(text)) return null;
  return Number(text.slice(0, -1)) * SPAN_MINUTES[text.slice(-1) as keyof typeof SPAN_MINUTES];
}

/** The repetition that the text names; throws `usage.invalid` with what is accepted. */
export function readEvery(text: string): Every {
  const [, words = '', time = ''] = /^(.*\S)\s+(\S+)$/.exec(text.trim()) ?? [];
  const days = readDays(words);
  const minute = readMinute(time);
  if (days !== null && minute !== null) return { days, minute };
  throw new UpdateError('usage.invalid', `--every is "${text}"; accepted: ${EVERY_WORDS}`);
}

/** Whether the day that begins at this wall time is one of them. */
export function isDay(days: Days, dayMs: number): boolean {
  const { weekday, day } = calendarOf(dayMs);
  switch (days.kind) {
    case 'week':
      return days.days.includes(weekday);
    case 'day':
      return days.day > 0 ? day === days.day : isLast(dayMs, 1);
    case 'nth':
      if (weekday !== days.weekday) return false;
      return days.nth > 0 ? Math.ceil(day / 7) === days.nth : isLast(dayMs, 7);
  }
}

/** So many days later it is another month. */
function isLast(dayMs: number, days: number): boolean {
  return calendarOf(dayMs).month !== calendarOf(dayMs + days * DAY_MS).month;
}

/** The wall time at which the day of a moment began in the zone. */
export function dayOf(ms: number, zone: string): number {
  return Math.floor(wallAt(ms, zone) / DAY_MS) * DAY_MS;
}

/** The first occurrence after a moment. */
export function nextAfter({ days, minute }: Every, zone: string, afterMs: number): number {
  const first = dayOf(afterMs, zone) - DAY_MS;
  for (let count = 0; count <= LOOK_DAYS; count++) {
    const dayMs = first + count * DAY_MS;
    if (!isDay(days, dayMs)) continue;
    const moment = momentOf(dayMs + minute * MINUTE_MS, zone);
    if (moment > afterMs) return moment;
  }
  throw new UpdateError('internal.bug', `no occurrence in ${zone} after ${afterMs}`);
}

const UNITS = { m: MINUTE_MS, h: 60 * MINUTE_MS, d: DAY_MS } as const;
/** How far ahead something can be scheduled: two years. */
const AHEAD_MAX_MS = 731 * DAY_MS;
/** A time that a person has just read off a clock may be past by this much. */
const LATE_MS = MINUTE_MS;

/**
 * The moment that a person means by the text, at this time, in this zone; `window` is not one of
 * them, it is for who knows the windows. Throws `usage.invalid` with what is accepted, and for a
 * time that is past or further ahead than two years.
 */
export function readAt(text: string, zone: string, nowMs: number): number {
  const ms = momentMeant(text.trim(), zone, nowMs);
  if (ms === null) throw noTime(text);
  const shown = zonedText(ms, zone);
  if (ms < nowMs - LATE_MS) {
    const message = `--at is ${shown}, and it is ${zonedText(nowMs, zone)}: that is past`;
    throw new UpdateError('usage.invalid', message);
  }
  if (ms > nowMs + AHEAD_MAX_MS) {
    throw new UpdateError('usage.invalid', `--at is ${shown}; at most two years ahead`);
  }
  return Math.max(ms, nowMs);
}

/** When something shall be, as a person types it. */
export interface TimesGiven {
  readonly at?: string | undefined;
  readonly every?: string | undefined;
  readonly zone?: string | undefined;
}

/**
 * Throws `usage.invalid` for what is a time nowhere and never, before anything is done for it. What
 * a time means now is for who has the clock, the zone and the windows.
 */
export function checkTimes({ at, every, zone }: TimesGiven): void {
  if (zone !== undefined) checkedZone(zone);
  if (every !== undefined) readEvery(every);
  if (at === undefined || at === 'window') return;
  if (momentMeant(at.trim(), 'UTC', 0) === null) throw noTime(at);
}

function noTime(text: string): UpdateError {
  return new UpdateError('usage.invalid', `--at is "${text}"; accepted: ${AT_WORDS}`);
}

function momentMeant(text: string, zone: string, nowMs: number): number | null {
  if (text === 'now') return nowMs;
  const ahead = /^\+(\d{1,4})([mhd])$/.exec(text);
  if (ahead !== null) return nowMs + Number(ahead[1]) * UNITS[ahead[2] as keyof typeof UNITS];
  const minute = readMinute(text);
  if (minute !== null) {
    return nextAfter({ days: { kind: 'week', days: ALL_DAYS }, minute }, zone, nowMs - 1);
  }
  return dated(text, zone);
}

const DATED = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d:\d\d)(?::(\d\d))?(Z|[+-]\d\d:\d\d)?$/;

function dated(text: string, zone: string): number | null {
  const found = DATED.exec(text);
  if (found === null) return null;
  const [, year, month, day, time, second = '00', offset] = found;
  const minute = readMinute(time!);
  const dayMs = millisecondsOf([Number(year), Number(month), Number(day)]);
  // A day that no month has would be one of the next month.
  const isDate = calendarOf(dayMs).day === Number(day) && Number(month) <= 12;
  if (minute === null || !isDate || Number(second) > 59) return null;
  const wallMs = dayMs + minute * MINUTE_MS + Number(second) * 1000;
  if (offset === undefined) return momentOf(wallMs, zone);
  if (offset === 'Z') return wallMs;
  const aside = readMinute(offset.slice(1));
  if (aside === null) return null;
  return wallMs - (offset.startsWith('-') ? -1 : 1) * aside * MINUTE_MS;
}

/** The zone, when it is one; throws `usage.invalid`. */
export function checkedZone(name: string): string {
  if (isZone(name)) return name;
  const message = `the time zone is "${name}"; accepted: a name of IANA as Europe/Berlin, or UTC`;
  throw new UpdateError('usage.invalid', message);
}
