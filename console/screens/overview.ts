/**
 * The first screen: both nodes at one glance, whether the pair is highly available, what runs, and
 * what needs a person. Always holds: a fact that is not known or not fresh is shown as UNKNOWN.
 * Pure; imports core and the pieces of the views.
 */
import { clip, plain, wrap, type RenderOptions } from '../../src/cli/render.ts';
import { rolloutHeadline } from '../../src/cli/render-rollout.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { NodeStatus } from '../../src/core/status.ts';
import { ageWords, freshStatus, runningRollout, type Facts } from '../facts.ts';
import { lineOf, plainLine, span, type Line, type Style } from '../picture.ts';
import type { Body, HotKey, Screen, ScreenName, State } from '../state.ts';
import { timedLines } from './timed.ts';
import {
  activityWords,
  alarmLines,
  latestLines,
  otherSlotWords,
  slotWords,
  storeWords,
} from './words.ts';
import {
  pauseLines,
  roleChangeLines,
  roleWords,
  takeOverWords,
  UNKNOWN,
  versionWords,
} from './words.ts';

const LABEL = 15;

/** How a value of a node is made, and how much it matters. */
type Cell = (node: NodeStatus, options: RenderOptions) => readonly [text: string, style: Style];

const CELLS: readonly (readonly [label: string, cell: Cell])[] = [
  ['role', (node) => [roleWords(node), roleStyle(node)]],
  ['state', (node) => [node.update, node.update === 'idle' ? 'plain' : 'strong']],
  ['product', (node) => [node.system?.product ?? UNKNOWN, 'plain']],
  ['runs', (node) => [runsWords(node), 'plain']],
  ['other slot', (node) => [otherSlotWords(node), 'plain']],
  ['storage', (node) => [versionWords(node.storage), 'plain']],
  ['copy', (node) => [storeWords(node), copyStyle(node)]],
  ['now', (node, options) => [activityWords(node, options), 'plain']],
  ['may take over', (node) => [takeOverWords(node), 'plain']],
];

function runsWords(node: NodeStatus): string {
  return node.system === null ? UNKNOWN : `${versionWords(node.system)} from ${slotWords(node)}`;
}

function roleStyle(node: NodeStatus): Style {
  return node.serving ? 'good' : 'plain';
}

function copyStyle({ store }: NodeStatus): Style {
  return store !== null && store.connected && store.copy === 'current' ? 'plain' : 'warn';
}

/** The table of both nodes; where a value is not known it says so. */
function nodeLines(facts: Facts, options: RenderOptions): readonly Line[] {
  const width = Math.floor((options.columns - LABEL) / 2);
  const status = freshStatus(facts);
  const head = NODES.map((id) => span(clip(headOf(facts, id), width - 1).padEnd(width), 'strong'));
  const rows = CELLS.map(([label, cell]) => {
    const cells = NODES.map((id) => {
      const node = status?.nodes[id];
      const [text, style] =
        node === undefined || !node.known ? ([UNKNOWN, 'warn'] as const) : cell(node, options);
      const shown = clip(plain(text, options), width - 1);
      // Blanks stand apart from the text, so that an underlined or inverse value ends with it.
      const told = text === UNKNOWN ? 'warn' : style;
      return [span(shown, told), span(' '.repeat(width - shown.length), 'plain')];
    });
    return lineOf(label.padEnd(LABEL), ...cells.flat());
  });
  return [lineOf(' '.repeat(LABEL), ...head), ...rows];
}

function headOf(facts: Facts, id: NodeId): string {
  const status = freshStatus(facts);
  if (status === null) return `Node ${id}`;
  if (id === status.self) return `Node ${id} (this one)`;
  const { known, ageMs } = status.nodes[id];
  if (known) return `Node ${id} (peer)`;
  const age = ageMs === null ? '' : ageWords(ageMs);
  return `Node ${id} ${age === '' ? '(never heard)' : `(silent for ${age})`}`;
}

function body(state: State, options: RenderOptions): Body {
  const { facts } = state;
  const status = freshStatus(facts);
  const lines: Line[] = [...nodeLines(facts, options), []];
  if (status === null) {
    if (facts.lost !== null) {
      const text = `${facts.lost.message} (${facts.lost.code})`;
      lines.push(...wrap(plain(text, options), options.columns).map(plainLine));
      const hint = 'The console asks again by itself. On the node: systemctl status tandem';
      lines.push(plainLine(hint));
    }
    return { lines };
  }
  if (status.rollout !== null) {
    const style: Style = status.rollout.ended ? 'plain' : 'strong';
    const text = rolloutHeadline(status.rollout, options);
    lines.push(lineOf(span(clip(text, options.columns), style)));
    lines.push(...pauseLines(status.rollout, '[U] Update, [G]', options));
    const { result } = status.rollout;
    if (result !== null) {
      const why = `${plain(result.message, options)} (${result.code})`;
      lines.push(...wrap(why, options.columns, '  ').map(plainLine));
    }
  }
  lines.push(...timedLines(status, options));
  const remedy = status.ha.remedy ?? null;
  if (remedy !== null) {
    lines.push(...wrap(`To do: ${plain(remedy, options)}`, options.columns).map(plainLine));
  }
  const told = [...roleChangeLines(facts, options), ...latestLines(facts, options)];
  const advice =
    status.alarms.length === 0 ? [] : [lineOf(span('[A]', 'strong'), ' says what to do about it')];
  return { lines: [...lines, ...alarmLines(status, options), ...advice, ...told] };
}

const go = (letter: string, label: string, to: ScreenName): HotKey => ({
  letter,
  label,
  target: { go: to },
  refusal: null,
});

function keys(state: State): readonly HotKey[] {
  const { facts } = state;
  const running = runningRollout(facts) !== null;
  return [
    go('V', 'View details', 'details'),
    go('C', 'Cluster', 'cluster'),
    go('U', 'Update', running ? 'progress' : 'choose'),
    go('S', 'Slots', 'slots'),
    go('R', 'Roles', 'roles'),
    go('L', 'Log', 'log'),
    go('M', 'More', 'more'),
    go('A', 'Alarms', 'advice'),
    { letter: 'Q', label: 'Quit', target: { leave: true }, refusal: null },
    go('T', 'Timed', 'timed'),
  ];
}

/** The first screen. */
export const overview: Screen = { title: 'Overview', body, keys };
