/**
 * The picture of a rollout: an SVG time line with a row for the pair and for each node, a bar for
 * each phase, who served, and a list of the phases below. Always holds: it is well-formed XML 1.0
 * of bounded size, without a script, a link or anything from outside; every text is escaped; the
 * same record gives the same bytes; it can be read on light and on dark ground, and in black and
 * white, since each bar has its number. Format: SVG 1.1. Pure; imports
 * core.
 */
import { peerOf, type NodeId } from '../core/model.ts';
import { endedAt } from '../core/phases.ts';
import { phaseSpans, serviceSpans } from './picture-spans.ts';
import type { PhaseSpan, ServiceSpan } from './picture-spans.ts';
import type { RolloutRecord } from '../core/records.ts';
import type { TandemEvent } from '../core/status.ts';

const WIDTH = 960;
const LEFT = 112;
const RIGHT = 24;
const TITLE_Y = 28;
/** Between the lines below the title, and down to the times of the axis. */
const HEAD_LINE = 19;
const AXIS_BELOW = 9;
const ROW = 34;
const BAR = 24;
const LINE = 18;
/** Ticks of the time axis at most, and what half of the time at one takes. */
const TICKS_MAX = 10;
const TICK_HALF = 26;
const DAY_S = 86_400;
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, DAY_S];
/** Gaps in the service that are drawn wide enough to be seen. */
const GAP_WIDTH_MIN = 4;
/** Characters of a text in the list. */
const TEXT_MAX = 78;
/** Characters of a line above the time line. */
const HEAD_MAX = 130;
/** Characters of a version in the title, which ends with the phase. */
const VERSION_MAX = 32;
/** Phases in the list. */
const SPANS_MAX = 120;

const STYLE = `
.bg{fill:#fff}.t{fill:#1c1c1c}.m{fill:#565656}.g{stroke:#c9c9c9}
.bar{stroke:#1c1c1c;stroke-width:.75}
.work{fill:#bcd6f2}.down{fill:#f3d79b}.pair{fill:#dedede}.back{fill:#f0b8b0}
.serve{fill:#bfe0bf}.gap{fill:#c0221b;stroke:#c0221b}
text{font:12px "DejaVu Sans",Verdana,sans-serif}.h{font-size:16px;font-weight:bold}
.n{font-size:11px;fill:#1c1c1c}.c{text-anchor:middle}.e{text-anchor:end}
@media(prefers-color-scheme:dark){
.bg{fill:#161616}.t{fill:#eee}.m{fill:#b5b5b5}.g{stroke:#4a4a4a}.bar{stroke:#eee}
.work{fill:#1f4a78}.down{fill:#6d4e0c}.pair{fill:#444}.back{fill:#7a2a22}
.serve{fill:#225c2b}.gap{fill:#ff7a70;stroke:#ff7a70}.n{fill:#eee}
}
`;

const KINDS: readonly (readonly [kind: string, words: string])[] = [
  ['work', 'work on a node'],
  ['down', 'not highly available'],
  ['pair', 'both nodes'],
  ['back', 'turned back'],
  ['serve', 'serves'],
  ['gap', 'nobody serves'],
];

/** What XML 1.0 (2.2) allows, with its special characters as entities; other characters go away. */
export function xmlText(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
    .replaceAll(/\s+/g, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** Seconds and what is more of them, for people. */
function lengthText(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const s = Math.round(ms / 1000);
  if (s < 120) return `${s} s`;
  const [min, h] = [Math.floor(s / 60) % 60, Math.floor(s / 3600)];
  if (h >= 48) return `${Math.floor(h / 24)} d ${h % 24} h`;
  return h === 0 ? `${min} min ${s % 60} s` : `${h} h ${min} min`;
}

const two = (value: number): string => String(value).padStart(2, '0');

/** A time on the axis, whose steps are whole seconds. */
function tickText(s: number): string {
  if (s < 60) return s === 0 ? '0' : `${s} s`;
  const [min, h] = [Math.floor(s / 60), Math.floor(s / 3600)];
  if (h === 0) return s % 60 === 0 ? `${min} min` : `${min}:${two(s % 60)} min`;
  if (s % DAY_S === 0) return `${s / DAY_S} d`;
  return s % 3600 === 0 ? `${h} h` : `${h}:${two(min % 60)} h`;
}

const fixed = (value: number): string => String(Math.round(value * 100) / 100);

/** Where a moment lies on the axis. */
type Scale = (ms: number) => number;

function scaleOf(totalMs: number): Scale {
  const width = WIDTH - LEFT - RIGHT;
  return (ms) => LEFT + (width * Math.min(Math.max(ms, 0), totalMs)) / totalMs;
}

const words = (x: number, y: number, kind: string, content: string): string =>
  `<text x="${fixed(x)}" y="${fixed(y)}" class="${kind}">${xmlText(content)}</text>`;

function bar(fromX: number, toX: number, y: number, kind: string, title: string): string {
  const width = Math.max(toX - fromX, 0.5);
  const place = `x="${fixed(fromX)}" y="${fixed(y)}" width="${fixed(width)}" height="${BAR}"`;
  return `<rect ${place} class="bar ${kind}"><title>${xmlText(title)}</title></rect>`;
}

function axis(totalMs: number, x: Scale, y: number, bottom: number): readonly string[] {
  const leastS = totalMs / 1000 / TICKS_MAX;
  const stepS = STEPS_S.find((s) => s >= leastS) ?? Math.ceil(leastS / DAY_S) * DAY_S;
  const count = Math.floor(totalMs / (stepS * 1000));
  return Array.from({ length: count + 1 }, (_, at) => {
    const place = x(at * stepS * 1000);
    const ends = `x1="${fixed(place)}" y1="${y + 6}" x2="${fixed(place)}" y2="${bottom}"`;
    // A time that has no room on the right of its tick ends at the edge.
    const edge = place + TICK_HALF > WIDTH;
    const time = words(edge ? WIDTH - 4 : place, y, edge ? 'm e' : 'm c', tickText(at * stepS));
    return `<line ${ends} class="g"/>${time}`;
  });
}

interface Numbered extends PhaseSpan {
  readonly number: number;
}

function phaseBars(spans: readonly Numbered[], x: Scale, y: number): readonly string[] {
  return spans.flatMap(({ phase, kind, fromMs, toMs, text, number }) => {
    const [from, to] = [x(fromMs), x(toMs)];
    const why = text === '' ? '' : `: ${text}`;
    const title = `${number} ${phase}, ${lengthText(toMs - fromMs)}${why}`;
    const label = `${number}`;
    // A number that has no room stands in the list alone.
    const fits = to - from >= 7 * label.length + 4;
    return [bar(from, to, y, kind, title), ...(fits ? [words(from + 3, y + 16, 'n', label)] : [])];
  });
}

function serviceBars(spans: readonly ServiceSpan[], x: Scale, y: number): readonly string[] {
  return spans.flatMap(({ node, fromMs, toMs }) => {
    const [from, to] = [x(fromMs), x(toMs)];
    const took = lengthText(toMs - fromMs);
    if (node === null) {
      return [bar(from, Math.max(to, from + GAP_WIDTH_MIN), y, 'gap', `nobody serves for ${took}`)];
    }
    const fits = to - from >= 16;
    const label = fits ? [words(from + 4, y + 16, 'n', node)] : [];
    return [bar(from, to, y, 'serve', `node ${node} serves for ${took}`), ...label];
  });
}

const turnOf = (node: NodeId | null): string => (node === null ? 'pair' : `node ${node}`);

const cut = (text: string, max: number = TEXT_MAX): string =>
  text.length <= max ? text : `${text.slice(0, max - 1)}…`;

function list(spans: readonly Numbered[], top: number): readonly string[] {
  return spans.flatMap(({ number, phase, node, fromMs, toMs, text }, at) => {
    const y = top + at * LINE;
    const took = lengthText(toMs - fromMs);
    return [
      words(24, y, 't', `${number}`),
      words(56, y, 't', phase),
      words(150, y, 't', turnOf(node)),
      words(220, y, 't', `+${lengthText(fromMs)}`),
      words(310, y, 't', took),
      words(400, y, 'm', cut(text)),
    ];
  });
}

/** The sentence about who served: gaps, the longest of them, or that it is not known. */
function serviceText(spans: readonly ServiceSpan[]): string {
  if (spans.length === 0) return 'Who served is not known any more.';
  const gaps = spans.filter(({ node }) => node === null).map((one) => one.toMs - one.fromMs);
  if (gaps.length === 0) return 'The service stayed where it was.';
  const longest = lengthText(Math.max(...gaps));
  const times = gaps.length === 1 ? 'once' : `${gaps.length} times`;
  return `Nobody served ${times}, for ${longest} at most; a client waits a little longer.`;
}

/** The picture; `events`: those of the node that draws it; `nowMs`: for one that still runs. */
export function rolloutSvg(
  rollout: RolloutRecord,
  events: readonly TandemEvent[],
  nowMs: number,
): string {
  const { id, kind, to, first, phase, startedAt, result } = rollout;
  const spans = phaseSpans(rollout, nowMs)
    .slice(0, SPANS_MAX)
    .map((span, at): Numbered => ({ ...span, number: at + 1 }));
  const totalMs = Math.max(1000, ...spans.map(({ toMs }) => toMs));
  const service = serviceSpans(rollout, events, totalMs);
  const x = scaleOf(totalMs);
  const rows = [null, first, peerOf(first)];
  const lasts = `${endedAt(rollout) === null ? 'has run for' : 'took'} ${lengthText(totalMs)}`;
  const begun = `Begun ${startedAt.replace(/\.\d+Z$/, 'Z')}, ${lasts}.`;
  const end = result === null ? [] : [`${result.code}: ${result.message}`];
  const head = [`${begun} Node ${first} first.`, ...end, serviceText(service)];
  const axisY = TITLE_Y + HEAD_LINE * (head.length + 1) + AXIS_BELOW;
  const rowY = (at: number): number => axisY + 12 + at * ROW;
  const bottom = rowY(rows.length + 1);
  const top = bottom + 48;
  const height = top + spans.length * LINE + 8;
  const title = `${kind} ${id} to ${cut(to.version, VERSION_MAX)}: ${phase}`;
  const legend = KINDS.map(([name, text], at) => {
    const left = 24 + at * 152;
    const box = `<rect x="${left}" y="${bottom + 8}" width="14" height="14" class="bar ${name}"/>`;
    return `${box}${words(left + 20, bottom + 20, 'm', text)}`;
  });
  const drawn = rows.flatMap((node, at) => [
    words(24, rowY(at) + 16, 't', node === null ? 'Pair' : `Node ${node}`),
    ...phaseBars(
      spans.filter((span) => span.node === node),
      x,
      rowY(at),
    ),
  ]);
  const size = `width="${WIDTH}" height="${height}"`;
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ${size} role="img">`,
    `<title>${xmlText(title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect ${size} class="bg"/>`,
    words(24, TITLE_Y, 't h', cut(title, TEXT_MAX)),
    ...head.map((line, at) => words(24, TITLE_Y + HEAD_LINE * (at + 1), 'm', cut(line, HEAD_MAX))),
    ...axis(totalMs, x, axisY, bottom),
    ...drawn,
    words(24, rowY(rows.length) + 16, 't', 'Service'),
    ...serviceBars(service, x, rowY(rows.length)),
    ...legend,
    ...list(spans, top),
    '</svg>',
  ];
  return `${lines.join('\n')}\n`;
}
