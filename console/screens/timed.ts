/**
 * What is going to happen by itself: scheduled updates with the answers that people may give, and
 * how far a prepared update is. Always holds: an answer is offered only while the daemon would take
 * it; a time that is left is told in steps that grow, so that nothing is sent while nothing
 * changes. Pure; imports core and the pieces of the views.
 */
import { clip, plain, wrap, type RenderOptions } from '../../src/cli/render.ts';
import { dueWords, heldLines } from '../../src/cli/render-schedule.ts';
import { NODES } from '../../src/core/model.ts';
import type { PreparedBrief } from '../../src/core/prepare-brief.ts';
import { whatOf, type ScheduleView } from '../../src/core/schedule-read.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { refusalOf } from '../actions.ts';
import { ageWords, freshStatus } from '../facts.ts';
import { lineOf, plainLine, plainLines, span, type Line, type Style } from '../picture.ts';
import type { Body, HotKey, Screen, State } from '../state.ts';
import { actionLines, UNKNOWN } from './words.ts';

/** Those that are not over; what is due next comes first. */
function openSchedules({ automation }: PairStatus): readonly ScheduleView[] {
  return (automation?.schedules ?? []).filter(({ state }) => state !== 'ended');
}

/** What it waits for, or when it begins and how long that is. */
function scheduleWords(one: ScheduleView, { at, automation }: PairStatus): string {
  if (one.state !== 'waiting' || one.hold !== null) return one.text;
  const { dueAt, every, deferrals, deferralsMax } = one;
  const leftMs = Date.parse(dueAt) - Date.parse(at);
  const left = ageWords(leftMs) === '' ? 'now' : `in ${ageWords(leftMs)}`;
  const window = automation?.window ?? null;
  const opens = window !== null && !window.open && window.until === dueAt;
  const words = [
    `Update ${whatOf(one)} at ${dueWords(one)} (${left})`,
    ...(opens ? ['when the window opens'] : []),
    ...(every === null ? [] : [`every ${every}`]),
    ...(deferrals === 0 ? [] : [`put off ${deferrals} of ${deferralsMax} times`]),
  ];
  return words.join(', ');
}

/** What waits for a person stands out. */
const styleOf = ({ state, hold }: ScheduleView): Style =>
  state === 'informing' ? 'warn' : hold === null ? 'plain' : 'strong';

const PREPARED_STYLES: Readonly<Record<PreparedBrief['state'], Style>> = {
  preparing: 'plain',
  installing: 'plain',
  prepared: 'plain',
  outdated: 'warn',
  stuck: 'bad',
};

/** For the overview: one line of what is scheduled, one of what is prepared; none of nothing. */
export function timedLines(status: PairStatus, options: RenderOptions): readonly Line[] {
  const lines: Line[] = [];
  const tell = (text: string, style: Style): void => {
    const room = options.columns - ' [T]'.length;
    lines.push(lineOf(span(clip(plain(text, options), room), style), ' ', span('[T]', 'strong')));
  };
  const running = status.rollout?.ended === false ? status.rollout.id : null;
  const [next, ...more] = openSchedules(status).filter(({ job }) => job !== running);
  if (next !== undefined) {
    const question = next.state === 'informing' ? 'ANSWER: ' : '';
    const others = more.length === 0 ? '' : ` (${more.length} more)`;
    const text = `${question}${scheduleWords(next, status)}`;
    const room = options.columns - ' [T]'.length - others.length;
    tell(`${clip(plain(text, options), room)}${others}`, styleOf(next));
  }
  const { prepared } = status;
  if (prepared !== undefined && prepared.state !== 'installing') {
    tell(prepared.text, PREPARED_STYLES[prepared.state]);
  }
  return lines;
}

/** A prepared update with the stage of each node; no lines where there is none. */
export function preparedLines({ prepared }: PairStatus, options: RenderOptions): readonly Line[] {
  if (prepared === undefined) return [];
  const told = (text: string, indent: string): readonly string[] =>
    wrap(plain(text, options), options.columns, indent);
  const [first = '', ...rest] = told(prepared.text, '  ');
  const nodes = NODES.flatMap((node) => {
    const [head = '', ...more] = told(prepared.nodes[node].text, ' '.repeat(10));
    return [`  node ${node}  ${head.trimStart()}`, ...more];
  });
  return [
    lineOf(span('Prepared', 'strong')),
    lineOf('  ', span(first.trimStart(), PREPARED_STYLES[prepared.state])),
    ...plainLines([...rest, ...nodes, '  Every stage: tandem prepare status']),
  ];
}

/** For [V] View details: all that is scheduled, and what is prepared. */
export function timedDetails(status: PairStatus, options: RenderOptions): readonly Line[] {
  const found = openSchedules(status).flatMap((one) =>
    plainLines(wrap(plain(scheduleWords(one, status), options), options.columns, '  ')),
  );
  const scheduled = found.length === 0 ? [] : [[], lineOf(span('Scheduled', 'strong')), ...found];
  const prepared = preparedLines(status, options);
  return prepared.length === 0 ? scheduled : [...scheduled, [], ...prepared];
}

function body(state: State, options: RenderOptions): Body {
  const status = freshStatus(state.facts);
  if (status === null) return { lines: [lineOf(span(UNKNOWN, 'warn'))] };
  const { automation } = status;
  const lines: Line[] = [
    ...plainLines(automation === undefined ? [] : heldLines(automation, options)),
    ...actionLines(keys(state), options),
    [],
  ];
  const open = openSchedules(status);
  const rows: number[] = [];
  for (const [index, one] of open.entries()) {
    rows.push(lines.length);
    const sign = index === state.chosen ? span('>', 'chosen') : ' ';
    const text = plain(`${scheduleWords(one, status)}, schedule ${one.id}`, options);
    const [first = '', ...more] = wrap(text, options.columns - 5);
    lines.push(lineOf(sign, ` ${index + 1}  `, span(first, styleOf(one))));
    lines.push(...more.map((rest) => plainLine(`     ${rest}`)));
  }
  if (open.length === 0) lines.push(plainLine('No update is scheduled: tandem update --at'));
  const prepared = preparedLines(status, options);
  if (prepared.length > 0) lines.push([], ...prepared);
  else lines.push(plainLine('No update is prepared: tandem prepare'));
  return rows.length === 0 ? { lines } : { lines, rows };
}

function keys({ facts, chosen }: State): readonly HotKey[] {
  const status = freshStatus(facts);
  const open = status === null ? [] : openSchedules(status);
  const one = open[chosen] ?? open[0];
  if (one === undefined)
    return [{ letter: 'L', label: 'Log', target: { go: 'log' }, refusal: null }];
  const { id, state, choicesMin, mayCancel, hold } = one;
  const what = whatOf(one);
  const waits = hold === null ? 'it has begun' : 'it begins by itself when it may';
  const begun = state === 'claimed' ? waits : null;
  const used = choicesMin.length === 0 ? 'it may not be put off any more' : null;
  return [
    {
      letter: 'N',
      label: 'Begin the chosen one now',
      target: { plan: { do: 'schedule-now', id, what } },
      refusal: refusalOf('schedule-now', facts) ?? begun,
    },
    {
      letter: 'D',
      label: 'Put the chosen one off',
      target: { open: { use: 'defer', id, what, choicesMin } },
      refusal: refusalOf('schedule-defer', facts) ?? begun ?? used,
    },
    {
      letter: 'X',
      label: 'Cancel the chosen one',
      target: { plan: { do: 'schedule-cancel', id, what } },
      refusal:
        refusalOf('schedule-cancel', facts) ??
        (mayCancel ? null : (begun ?? 'that is not allowed')),
    },
  ];
}

/** What is scheduled and prepared, and answers to it. */
export const timed: Screen = { title: 'Scheduled and prepared', body, keys };
