/**
 * Views of scheduled updates. Always holds: times stand as in the zone of the schedule; text from
 * outside is made harmless. Pure; imports core and the pieces in render.ts.
 */
import { parseIso } from '../core/dates.ts';
import type { AutomationView, ScheduleView } from '../core/schedule-read.ts';
import { isZone, zonedText } from '../core/zone-time.ts';
import { listing, plain, wrap } from './render.ts';
import type { RenderOptions } from './render.ts';

/** One schedule: its sentence, and what people may say to it. */
export function renderSchedule(view: ScheduleView, options: RenderOptions): string[] {
  const { columns } = options;
  const lines = wrap(`${plain(view.text, options)}, schedule ${view.id}`, columns);
  const words = answersTo(view);
  if (words.length > 0) lines.push(...wrap(`Answers: ${words.join('; ')}`, columns, '  '));
  return lines;
}

/** What people may type. */
function answersTo({ id, state, choicesMin, mayCancel }: ScheduleView): readonly string[] {
  const open = state === 'waiting' || state === 'informing';
  const words = open ? [`\`tandem schedule now ${id}\``] : [];
  if (choicesMin.length > 0) {
    const choices = choicesMin.map(minutesText).join(', ');
    words.push(`\`tandem schedule defer ${id} --for TIME\` (${choices})`);
  }
  if (mayCancel) words.push(`\`tandem schedule cancel ${id}\``);
  return words;
}

/** When it is due, as in its zone; in UTC where this program has no table of that zone. */
export function dueWords({ dueAt, zone }: Pick<ScheduleView, 'dueAt' | 'zone'>): string {
  const dueMs = parseIso(dueAt);
  if (Number.isNaN(dueMs)) return dueAt;
  return zonedText(dueMs, isZone(zone) ? zone : 'UTC');
}

/** 90 minutes as `90m`, 240 as `4h`. */
export function minutesText(minutes: number): string {
  if (minutes % 1440 === 0) return `${minutes / 1440}d`;
  return minutes % 60 === 0 ? `${minutes / 60}h` : `${minutes}m`;
}

/** `tandem schedule list`: what holds updates up, then all of them. */
export function renderAutomation(view: AutomationView, options: RenderOptions): string[] {
  const { schedules } = view;
  const rows = schedules.map((one) => [
    one.id,
    one.state,
    plain(dueWords(one), options),
    plain(one.every ?? 'once', options),
    plain(one.text, options),
  ]);
  const listed =
    rows.length === 0
      ? ['There are no scheduled updates.']
      : listing([['SCHEDULE', 'STATE', 'DUE', 'EVERY', ''], ...rows], options);
  return [...heldLines(view, options), ...listed];
}

/** Lines for what holds updates up, and for what is scheduled; none when there is nothing. */
export function automationLines(view: AutomationView, options: RenderOptions): string[] {
  const open = view.schedules.filter(({ state }) => state !== 'ended');
  // What is kept as a schedule is shown as one.
  const kept = new Set(open.map(({ job }) => job));
  const others = (view.waiting ?? []).filter(({ job }) => !kept.has(job));
  const waiting = others.flatMap(({ job, message }) => {
    return wrap(`Waits: ${plain(message, options)}, job ${job}`, options.columns);
  });
  const listed = open.flatMap((one) => renderSchedule(one, options));
  return [...heldLines(view, options), ...waiting, ...listed];
}

/** What holds updates up now, and how it stands with the windows; no lines where nothing does. */
export function heldLines(
  { window, inhibited, clock }: AutomationView,
  options: RenderOptions,
): string[] {
  const { columns } = options;
  const lines: string[] = [];
  if (inhibited !== null)
    lines.push(...wrap(`Updates stopped: ${plain(inhibited, options)}`, columns));
  if (clock !== null) lines.push(...wrap(`Clock: ${plain(clock, options)}`, columns));
  if (window !== null) {
    const until = window.until === null ? '' : ` until ${window.until.slice(0, 16)}Z`;
    const word = window.open ? 'open' : 'closed';
    lines.push(...wrap(`Maintenance window: ${word}${until.replace('T', ' ')}`, columns));
  }
  return lines;
}
