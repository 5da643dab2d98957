/**
 * The view of a prepared update: each stage of each node with its mark, what it found, when it is
 * tried again, and what an install waits for. Pure; imports core and the pieces in render.ts.
 */
import { adviceOf } from '../core/errors.ts';
import { NODES, type NodeId } from '../core/model.ts';
import type { PrepareView } from '../core/prepare-view.ts';
import { PREPARE_STAGES, type Preparation, type StageStatus } from '../core/prepare.ts';
import {
  bytes,
  duration,
  mark,
  plain,
  stamp,
  wrap,
  type Mark,
  type RenderOptions,
} from './render.ts';

const MARKS: Readonly<Record<StageStatus['state'], Mark>> = {
  waiting: 'todo',
  running: 'now',
  failed: 'failed',
  done: 'done',
};
const WIDTH = Math.max(...PREPARE_STAGES.map((stage) => stage.length));

/** `tandem prepare status`. */
export function renderPrepare(view: PrepareView, options: RenderOptions): string[] {
  const { preparation, refusal } = view;
  if (preparation === null) return ['No update is prepared.'];
  const { order } = preparation;
  const fold = (text: string): string[] => wrap(plain(text, options), options.columns);
  const lines = [
    ...fold(`${order.id}: ${order.product} ${order.version}, ${bytes(order.bytes)}`),
    ...fold(`bundle ${order.bundle}`),
    ...fold(`asked for by ${order.asked.by} - ${stamp(order.asked.at)}`),
    ...NODES.flatMap((node) => ['', ...nodeLines(node, preparation, view, options)]),
    '',
    ...fold(installWords(preparation)),
  ];
  if (order.ended !== null) {
    const how = order.ended.why === 'installed' ? 'It was installed' : 'It was given up';
    return [...lines, ...fold(`${how} (${order.ended.by} - ${stamp(order.ended.at)}).`)];
  }
  if (refusal === null) {
    return [...lines, `It may be installed: tandem update ${order.id} --wait`];
  }
  const end = `(${refusal.code}, exit ${adviceOf(refusal.code).exit})`;
  const old = refusal.code === 'prepare.outdated';
  const waits = `${old ? 'OUTDATED' : 'An install waits'}: ${refusal.message}`;
  return [...lines, ...fold(waits), ...fold(`Next: ${refusal.next}`), end];
}

function nodeLines(
  node: NodeId,
  { order, nodes }: Preparation,
  view: PrepareView,
  options: RenderOptions,
): string[] {
  const ignored = order.ignored[node];
  const why = ignored === null ? '' : `, ignored: ${ignored.reason ?? 'no reason was given'}`;
  const head = wrap(plain(`Node ${node}${why}`, options), options.columns);
  const stages = PREPARE_STAGES.flatMap((stage) => {
    const status = nodes[node].stages[stage];
    const again = status.state === 'failed' ? retryWords(node, status, view) : lastWords(status);
    const code = status.code === null ? '' : ` (${status.code})`;
    const when = status.at === null ? '' : ` - ${stamp(status.at)}`;
    const said = status.message === '' ? status.state : status.message;
    const text = plain(`${said}${code}${again}${when}`, options);
    const [first = '', ...more] = wrap(text, options.columns, ' '.repeat(WIDTH + 7));
    const sign = mark(MARKS[status.state], options);
    return [`  ${sign} ${stage.padEnd(WIDTH)} ${first.trimStart()}`, ...more];
  });
  return [...head, ...stages];
}

/** Of a stage that is tried once more: what went wrong before. */
function lastWords({ state, tries, failing }: StageStatus): string {
  if (state !== 'running' || failing === undefined) return '';
  return `, try ${tries}, before: ${failing.message} (${failing.code})`;
}

function retryWords(node: NodeId, { tries }: StageStatus, view: PrepareView): string {
  const count = tries === 1 ? 'once' : `${tries} times`;
  if (node !== view.node || view.retryInS === null) return `, tried ${count}`;
  return `, tried ${count}, again in ${duration(view.retryInS)}`;
}

function installWords({ order }: Preparation): string {
  const { authorized, configured, options, install } = order;
  const said = [
    authorized === null ? 'not authorised' : `authorised by ${authorized.by}`,
    configured === null ? 'not settled' : `settled by ${configured.by}`,
    `${options.order}, ${options.onSecondFailure} when the second node fails`,
  ];
  const last = install === null ? '' : `; ${installEnd(install)}`;
  return `Install: ${said.join('; ')}${last}`;
}

function installEnd(install: NonNullable<Preparation['order']['install']>): string {
  if (install.result === null) return `${install.job} runs`;
  const { good, message } = install.result;
  return `${install.job} ${good ? 'succeeded' : 'failed'}: ${message}`;
}
