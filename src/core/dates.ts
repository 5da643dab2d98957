/**
 * Days and times of the calendar as numbers, and moments as text. Always holds: it computes and
 * never asks a clock, so that the same input gives the same answer. Pure; imports nothing.
 */
/* oxlint-disable no-restricted-globals -- arithmetic of the calendar; nothing here asks for now */

/** A time of the calendar; month and day from 1, weekday 0 = Sunday. */
export interface CalendarTime {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly weekday: number;
  readonly hour: number;
  readonly minute: number;
}

/** What the calendar shows in UTC at these milliseconds. */
export function calendarOf(ms: number): CalendarTime {
  const date = new Date(ms);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    weekday: date.getUTCDay(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
  };
}

/** The milliseconds at which the calendar shows this in UTC; a month or day from 1. */
export function millisecondsOf(
  [year, month, day]: readonly [year: number, month: number, day: number],
  [hour, minute, second]: readonly [hour: number, minute: number, second: number] = [0, 0, 0],
): number {
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** A moment as records carry it: `2026-11-28T01:00:00.000Z`. */
export const isoOf = (ms: number): string => new Date(ms).toISOString();

/** Milliseconds of such a text; NaN when it is none. */
export const parseIso = (text: string): number => Date.parse(text);
