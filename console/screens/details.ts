/**
 * [V] View details of both nodes and the cluster screen: everything that the daemon tells, and the
 * checklist of a pair that finds itself. Always holds: a node that is not heard is UNKNOWN in every
 * line. Pure; imports core and the pieces of the views.
 */
import { bar, duration, mark, percent, plain, progressWords } from '../../src/cli/render.ts';
import { wrap, type Mark, type RenderOptions } from '../../src/cli/render.ts';
import { NODES } from '../../src/core/model.ts';
import type { ChannelStatus, NodeStatus, PairStatus, ReformItem } from '../../src/core/status.ts';
import { ageWords, freshStatus } from '../facts.ts';
import { lineOf, plainLine, plainLines, span, type Line, type Style } from '../picture.ts';
import type { Body, HotKey, Screen, State } from '../state.ts';
import { timedDetails } from './timed.ts';
import {
  alarmLines,
  roleWords,
  storeWords,
  takeOverWords,
  UNKNOWN,
  versionWords,
} from './words.ts';

const LABEL = 20;

const row = (label: string, value: string): string => `  ${label.padEnd(LABEL - 2)}${value}`;

function nodeDetails(node: NodeStatus, self: boolean, options: RenderOptions): readonly Line[] {
  const age = node.ageMs === null ? '' : ageWords(node.ageMs);
  const who = self ? 'this one' : 'peer';
  const head = lineOf(span(`Node ${node.node}`, 'strong'), ` (${who})`);
  if (!node.known) {
    const heard = age === '' ? 'never heard' : `silent for ${age}`;
    return [head, lineOf(row('everything', ''), span(`${UNKNOWN}, ${heard}`, 'warn'))];
  }
  const { boot, store } = node;
  const booted =
    boot === null
      ? UNKNOWN
      : `${boot.reason}${boot.attempt > 0 ? `, attempt ${boot.attempt}` : ''}, id ${boot.id}`;
  const texts = [
    row('role', `${roleWords(node)}, epoch ${node.epoch ?? UNKNOWN}`),
    row('product', node.system?.product ?? UNKNOWN),
    row('system', versionWords(node.system)),
    row('storage software', versionWords(node.storage)),
    row('program', node.program ?? UNKNOWN),
    row('last boot', booted),
    row('update', node.update),
    row('last trial', node.outcome),
    ...(node.reason === null ? [] : [row('', `${node.reason.message} (${node.reason.code})`)]),
    row('storage copy', `${store?.role ?? UNKNOWN}, ${storeWords(node)}`),
    row('sync', store?.sync == null ? '-' : progressWords(store.sync)),
    row('may take over', takeOverWords(node)),
  ];
  return [head, ...texts.flatMap((text) => wrapped(text, options))];
}

function wrapped(text: string, options: RenderOptions): readonly Line[] {
  const clean = plain(text, options);
  if (clean.length <= options.columns) return [plainLine(clean)];
  const indent = ' '.repeat(LABEL);
  const [first = '', ...more] = wrap(clean.slice(LABEL), options.columns, indent);
  const rest = plainLines(more);
  return [plainLine(clean.slice(0, LABEL) + first.slice(LABEL)), ...rest];
}

function channelWords({ name, up, ageMs, error }: ChannelStatus): string {
  const age = ageMs === null ? '' : ageWords(ageMs);
  const heard = ageMs === null ? ', never heard' : age === '' ? '' : `, silent for ${age}`;
  const why = error === null ? '' : `: ${error.message} (${error.code})`;
  return row(name, `${up ? 'up' : 'DOWN'}${heard}${why}`);
}

function channelLines(status: PairStatus, options: RenderOptions): readonly Line[] {
  const channels = status.reform.flatMap((item) => item.channels ?? []);
  if (channels.length === 0) return [];
  const head = lineOf(span('Link', 'strong'));
  return [[], head, ...channels.flatMap((one) => wrapped(channelWords(one), options))];
}

function detailsBody({ facts }: State, options: RenderOptions): Body {
  const status = freshStatus(facts);
  if (status === null) return { lines: [lineOf(span(UNKNOWN, 'warn'))] };
  const lines: Line[] = [
    plainLine(`pair ${status.pair === null ? 'not paired' : plain(status.pair, options)}`),
  ];
  for (const id of NODES) {
    lines.push([], ...nodeDetails(status.nodes[id], id === status.self, options));
  }
  return { lines: [...lines, ...timedDetails(status, options), ...channelLines(status, options)] };
}

const MARKS: Readonly<Record<ReformItem['state'], readonly [Mark, Style]>> = {
  ok: ['done', 'good'],
  waiting: ['now', 'strong'],
  failed: ['failed', 'bad'],
  unknown: ['todo', 'warn'],
};

const NAMES: Readonly<Record<ReformItem['name'], string>> = {
  link: 'nodes hear each other',
  versions: 'versions fit',
  epoch: 'agree who serves',
  storage: 'storage in sync',
  service: 'service is up',
  admitted: 'standby admitted',
};

function itemLines(item: ReformItem, options: RenderOptions): readonly Line[] {
  const [kind, style] = MARKS[item.state];
  const said = plain(linkWords(item) ?? item.text, options);
  const text = `${item.state === 'ok' ? '' : `${item.state}: `}${said}`;
  const [first = '', ...more] = wrap(text, options.columns - 28);
  const lines = [
    lineOf(span(mark(kind, options), style), ` ${NAMES[item.name].padEnd(24)}${first}`),
    ...more.map((rest) => plainLine(' '.repeat(28) + rest)),
  ];
  if (item.progress == null) return lines;
  const done = percent(item.progress);
  const drawn = done === null ? '' : `${bar(done, 24, options)} `;
  return [...lines, plainLine(`${' '.repeat(28)}${drawn}${progressWords(item.progress)}`)];
}

/** The ways to the peer, without ages that change while all is well; null for another item. */
function linkWords({ channels, state }: ReformItem): string | null {
  if (channels === undefined || channels.length === 0 || state !== 'ok') return null;
  return channels.map(({ name, up }) => `${name} ${up ? 'up' : 'DOWN'}`).join(', ');
}

/** Two versions side by side are something to wait for only while an update runs. */
function waiting({ reform, rollout }: PairStatus): readonly string[] {
  const updating = rollout !== null && !rollout.ended;
  return reform
    .filter(({ name, state }) => state !== 'ok' && (name !== 'versions' || updating))
    .map(({ name }) => NAMES[name]);
}

function verdict(status: PairStatus, options: RenderOptions): readonly Line[] {
  const waits = waiting(status);
  if (status.ha.ok && waits.length === 0) {
    return [lineOf(span('READY', 'good'), `: ${plain(status.ha.text, options)}`)];
  }
  const none = waits.length === 0;
  const words = none ? plain(status.ha.text, options) : waits.join(', ');
  const [first = '', ...more] = wrap(words, options.columns - 13);
  const lines = [
    lineOf(span(none ? 'NOT READY: ' : 'WAITING for', 'warn'), ` ${first}`),
    ...more.map((rest) => plainLine(' '.repeat(12) + rest)),
  ];
  if (status.reforming == null) return lines;
  const { elapsedS, estimateS } = status.reforming;
  const about = estimateS === null ? 'not known yet' : `about ${duration(estimateS)}`;
  return [...lines, plainLine(`since ${duration(elapsedS)}, estimated in all: ${about}`)];
}

function clusterBody({ facts }: State, options: RenderOptions): Body {
  const status = freshStatus(facts);
  if (status === null) return { lines: [lineOf(span(UNKNOWN, 'warn'))] };
  const remedy = status.ha.remedy ?? null;
  const todo = remedy === null ? [] : wrap(`To do: ${plain(remedy, options)}`, options.columns);
  const alarms = alarmLines(status, options);
  return {
    lines: [
      ...status.reform.flatMap((item) => itemLines(item, options)),
      ...(status.reform.length === 0 ? [lineOf('Checklist: ', span(UNKNOWN, 'warn'))] : []),
      [],
      ...verdict(status, options),
      ...plainLines(todo),
      ...(alarms.length === 0 ? [] : [[], ...alarms]),
    ],
  };
}

const toLog: HotKey = { letter: 'L', label: 'Log', target: { go: 'log' }, refusal: null };
const toTimed: HotKey = { letter: 'T', label: 'Timed', target: { go: 'timed' }, refusal: null };
const toRoles: HotKey = { letter: 'R', label: 'Roles', target: { go: 'roles' }, refusal: null };

/** Everything about both nodes. */
export const details: Screen = {
  title: 'Details',
  body: detailsBody,
  keys: () => [toLog, toTimed],
};
/** The checklist of a pair that finds itself. */
export const cluster: Screen = {
  title: 'Cluster',
  body: clusterBody,
  keys: () => [toRoles, toLog],
};
