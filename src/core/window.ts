/**
 * Maintenance windows: when an update may begin and may take the service away. Always holds: no
 * window at all means at any time; a window lasts from the first moment of its begin to the first
 * moment of its end as clocks of its zone show them, so one that lies wholly in a skipped hour does
 * not open on that day. Pure; imports only core.
 */
import { dayOf, DAYS_WORDS, isDay, readDays, readMinute, type Days } from './schedule-time.ts';
import { DAY_MS, isZone, MINUTE_MS, momentOf, zonedText } from './zone-time.ts';

/** A part of certain days; `toMinute` is above 1440 when it ends on the next day. */
export interface Window {
  readonly days: Days;
  readonly fromMinute: number;
  readonly toMinute: number;
  readonly zone: string;
}

/** How it stands with the windows at a moment. */
export type WindowState =
  /** `untilMs` null = without an end. */
  | { readonly open: true; readonly untilMs: number | null }
  /** `nextMs` null = none opens within the time that is looked at. */
  | { readonly open: false; readonly nextMs: number | null };

/** What is accepted for a window, for messages. */
export const WINDOW_WORDS =
  `days, begin and end, as \`Sun 01:00-05:00\` or \`Sun 01:00-05:00 Europe/Berlin\`; ` +
  `days are ${DAYS_WORDS}`;

/** Days to look ahead: every rule has a day in each month, and one may have no such hour. */
const LOOK_DAYS = 140;
/** Windows that follow each other without a gap count as one, up to so many. */
const JOINED_MAX = 50;

/** The window that the text names, in `zone` when it names none; null when it is none. */
export function readWindow(text: string, zone: string): Window | null {
  const found = /^(.*\S)\s+(\d\d:\d\d)-(\d\d:\d\d)(?:\s+(\S+))?$/.exec(text.trim());
  if (found === null) return null;
  const [, words = '', from = '', to = '', named = zone] = found;
  const days = readDays(words);
  const [fromMinute, end] = [readMinute(from), readMinute(to, true)];
  if (days === null || fromMinute === null || end === null || !isZone(named)) return null;
  if (fromMinute === end) return null;
  const toMinute = end > fromMinute ? end : end + 1440;
  return { days, fromMinute, toMinute, zone: named };
}

/** Whether one of them is open at this moment, until when, or when the next one opens. */
export function windowsAt(windows: readonly Window[], ms: number): WindowState {
  if (windows.length === 0) return { open: true, untilMs: null };
  let untilMs = endOfOpen(windows, ms);
  if (untilMs === null) {
    const opens = windows.map((one) => nextOpen(one, ms)).filter((one) => one !== null);
    return { open: false, nextMs: opens.length === 0 ? null : Math.min(...opens) };
  }
  for (let joined = 0; joined < JOINED_MAX; joined++) {
    const further = endOfOpen(windows, untilMs);
    if (further === null) return { open: true, untilMs };
    untilMs = further;
  }
  return { open: true, untilMs: null };
}

/** The latest end of those that are open at the moment, or null. */
function endOfOpen(windows: readonly Window[], ms: number): number | null {
  let latest: number | null = null;
  for (const window of windows) {
    const today = dayOf(ms, window.zone);
    for (const dayMs of [today - 2 * DAY_MS, today - DAY_MS, today]) {
      const span = spanOf(window, dayMs);
      if (span === null || ms < span.fromMs || ms >= span.toMs) continue;
      latest = Math.max(latest ?? 0, span.toMs);
    }
  }
  return latest;
}

function nextOpen(window: Window, ms: number): number | null {
  const today = dayOf(ms, window.zone);
  for (let count = -1; count <= LOOK_DAYS; count++) {
    const span = spanOf(window, today + count * DAY_MS);
    if (span !== null && span.fromMs > ms) return span.fromMs;
  }
  return null;
}

function spanOf(
  { days, fromMinute, toMinute, zone }: Window,
  dayMs: number,
): { readonly fromMs: number; readonly toMs: number } | null {
  if (!isDay(days, dayMs)) return null;
  const fromMs = momentOf(dayMs + fromMinute * MINUTE_MS, zone);
  const toMs = momentOf(dayMs + toMinute * MINUTE_MS, zone);
  return fromMs < toMs ? { fromMs, toMs } : null;
}

/** Why nothing may begin now, or null while a window is open. */
export function closedWindow(windows: readonly Window[], ms: number): string | null {
  const state = windowsAt(windows, ms);
  if (state.open) return null;
  const zone = windows[0]?.zone ?? 'UTC';
  const next =
    state.nextMs === null
      ? 'none opens soon'
      : `the next one opens ${zonedText(state.nextMs, zone)}`;
  return `no maintenance window is open; ${next}`;
}
