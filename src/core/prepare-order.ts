/**
 * What people say about a prepared update, how two copies of it become one, and when it may be
 * installed. Always holds: every word makes a newer order; joining copies gives the same result in
 * any order and however often; an install needs every stage of every node that is not ignored, a
 * word of authorisation for each attempt, and settled options. Pure; imports only core.
 */
import { UpdateError } from './errors.ts';
import { NODES, peerOf, type NodeId } from './model.ts';
import type { PrepareOptions } from './prepare-plan.ts';
import { isColumnDone, newColumn, PREPARE_STAGES } from './prepare.ts';
import type { Preparation, PrepareColumn, PrepareOrder, PrepareWord } from './prepare.ts';
import type { Reason } from './records.ts';

/** A change of the order; made by the node that serves. */
export type PrepareAct =
  | { readonly do: 'begin'; readonly order: PrepareOrder }
  | { readonly do: 'ignore' | 'heed'; readonly node: NodeId; readonly word: PrepareWord }
  | { readonly do: 'authorize' | 'cancel' | 'retry'; readonly word: PrepareWord }
  | {
      readonly do: 'configure';
      readonly word: PrepareWord;
      readonly options: Partial<PrepareOptions>;
    }
  /** A plan of null asks the node that serves for one. */
  | { readonly do: 'plan'; readonly plan: PrepareOrder['plan'] }
  | { readonly do: 'ready'; readonly at: string }
  /** Why it does not fit the pair any more; null = it fits again. */
  | { readonly do: 'outdated'; readonly why: string | null; readonly at: string }
  | { readonly do: 'install'; readonly job: string; readonly by: string; readonly at: string }
  | {
      readonly do: 'installed';
      readonly job: string;
      readonly at: string;
      readonly result: Reason & { readonly good: boolean };
    };

/** What a change did. */
export interface PrepareChange {
  readonly preparation: Preparation;
  /** False when it was so already. */
  readonly changed: boolean;
  readonly message: string;
}

/** What is prepared and not over. */
export function openOf(found: Preparation | null): Preparation | null {
  return found === null || found.order.ended !== null ? null : found;
}

/** Nodes whose stages count. */
export function countedNodes({ ignored }: PrepareOrder): readonly NodeId[] {
  return NODES.filter((node) => ignored[node] === null);
}

/** Whether every stage of every node that counts is done, for the plan of the order. */
export function isReady({ order, nodes }: Preparation): boolean {
  const digest = order.plan?.digest ?? null;
  return countedNodes(order).every((node) => isColumnDone(nodes[node], digest));
}

/** The preparation after a change in this epoch; throws the refusal. */
export function changeOrder(
  found: Preparation | null,
  act: PrepareAct,
  epoch: number,
): PrepareChange {
  if (act.do === 'begin') return begin(found, act.order, epoch);
  const open = openOf(found);
  if (open === null) throw noSuch(found, null);
  const { order } = open;
  const stay = (message: string): PrepareChange => {
    return { preparation: open, changed: false, message };
  };
  const next = (change: Partial<PrepareOrder>, message: string): PrepareChange => {
    const writer = writerAfter(order, epoch);
    return {
      preparation: { ...open, order: { ...order, ...change, writer } },
      changed: true,
      message,
    };
  };
  switch (act.do) {
    case 'ignore':
    case 'heed':
      return heed(open, act, next, stay);
    case 'authorize':
      if (order.authorized !== null) return stay(`${order.id} is authorised already`);
      return next({ authorized: act.word }, `the install of ${order.version} is authorised once`);
    case 'configure':
      return configure(open, act, next, stay);
    case 'retry':
      return next({ retry: order.retry + 1 }, 'failed stages run again; what is done stays');
    case 'cancel': {
      if (installs(order)) throw new UpdateError('job.busy', `${order.install?.job} installs it`);
      const ended = { ...act.word, why: 'cancelled' } as const;
      return next({ ended }, `${order.id} is given up; nothing was installed`);
    }
    case 'plan': {
      if (order.plan !== null) return stay('there is a plan already');
      if (act.plan === null) throw new UpdateError('internal.bug', 'there is no plan to keep');
      return next({ plan: act.plan }, 'the plan is made');
    }
    case 'ready':
      if (order.readyAt !== null || !isReady(open)) return stay('it is not news');
      return next({ readyAt: act.at }, `${order.version} is prepared`);
    case 'outdated': {
      const { why, at } = act;
      if ((order.outdated?.message ?? null) === why) return stay('it is not news');
      if (why === null) return next({ outdated: null }, `${order.version} fits the pair again`);
      return next({ outdated: { message: why, at } }, `${order.version} is outdated: ${why}`);
    }
    case 'install': {
      const refusal = installRefusal(open, order.id);
      if (refusal !== null) throw refusal;
      const { job, by, at } = act;
      // One word of authorisation is one attempt: a failed install is not repeated by itself.
      return next({ install: { job, by, at, result: null }, authorized: null }, 'it is installed');
    }
    case 'installed':
      return installed(open, act, next, stay);
  }
}

type Next = (change: Partial<PrepareOrder>, message: string) => PrepareChange;
type Stay = (message: string) => PrepareChange;

const installs = ({ install }: PrepareOrder): boolean =>
  install !== null && install.result === null;

function begin(found: Preparation | null, order: PrepareOrder, epoch: number): PrepareChange {
  const open = openOf(found);
  if (open !== null) {
    const { id, bundle, version } = open.order;
    if (bundle === order.bundle) {
      return { preparation: open, changed: false, message: `${version} is prepared by ${id}` };
    }
    throw new UpdateError('prepare.busy', `${id} prepares ${version}, not ${order.version}`);
  }
  const writer = found === null ? { epoch, seq: 1 } : writerAfter(found.order, epoch);
  // Columns go on counting, so that no copy of an earlier preparation is ever the newer one.
  const column = (node: NodeId): PrepareColumn => newColumn(0, (found?.nodes[node].seq ?? 0) + 1);
  const nodes = { A: column('A'), B: column('B') };
  const preparation: Preparation = { v: 1, order: { ...order, writer }, nodes };
  return { preparation, changed: true, message: `${order.version} is being prepared` };
}

function writerAfter({ writer }: PrepareOrder, epoch: number): PrepareOrder['writer'] {
  return { epoch: Math.max(epoch, writer.epoch), seq: writer.seq + 1 };
}

function heed(
  { order, nodes }: Preparation,
  act: PrepareAct & { do: 'ignore' | 'heed' },
  next: Next,
  stay: Stay,
): PrepareChange {
  const { node, word } = act;
  const off = act.do === 'ignore';
  if ((order.ignored[node] !== null) === off) {
    return stay(`node ${node} is ${off ? 'ignored' : 'counted'} already`);
  }
  if (off && order.ignored[peerOf(node)] !== null) {
    const message = `node ${peerOf(node)} is ignored; one node has to be prepared`;
    throw new UpdateError('prepare.refused', message);
  }
  if (off && isColumnDone(nodes[node], order.plan?.digest ?? null)) {
    return stay(`node ${node} is prepared: there is nothing to ignore`);
  }
  const ignored = { ...order.ignored, [node]: off ? word : null };
  if (!off) return next({ ignored }, `node ${node} counts again and is prepared`);
  const failure = troubleOf(nodes[node]);
  const left = failure === null ? '' : `; left open there: ${failure.message}`;
  const brings = 'the install brings it what it lacks';
  return next({ ignored }, `node ${node} is ignored, ${brings}${left}`);
}

function configure(
  { order }: Preparation,
  { options, word }: PrepareAct & { do: 'configure' },
  next: Next,
  stay: Stay,
): PrepareChange {
  if (installs(order)) throw new UpdateError('job.busy', `${order.install?.job} installs it`);
  const settled = { ...order.options, ...options };
  const { order: first, onSecondFailure } = settled;
  const said = `${first}, ${onSecondFailure} when the second node fails`;
  const same = first === order.options.order && onSecondFailure === order.options.onSecondFailure;
  if (same && order.configured !== null) return stay(`it is settled: ${said}`);
  if (same) return next({ configured: word }, `settled as planned: ${said}`);
  // A plan holds its options: both nodes get a new one.
  const change = { options: settled, configured: word, plan: null };
  return next(change, `settled: ${said}; the plan is made again`);
}

function installed(
  { order }: Preparation,
  { job, at, result }: PrepareAct & { do: 'installed' },
  next: Next,
  stay: Stay,
): PrepareChange {
  const { install } = order;
  if (install === null || install.job !== job || install.result !== null) {
    return stay(`${job} is not its install`);
  }
  const done = { install: { ...install, result: { ...result, at } } };
  if (!result.good) return next(done, `the install failed: ${result.message}`);
  const ended = { by: install.by, reason: null, at, why: 'installed' } as const;
  return next({ ...done, ended }, `${order.version} is installed`);
}

/** Why an install with this id may not begin now; null when it may. */
export function installRefusal(found: Preparation | null, id: string): UpdateError | null {
  if (found === null || found.order.id !== id || found.order.ended !== null) {
    return noSuch(found, id);
  }
  const { order, nodes } = found;
  const why = outdatedOf(found);
  if (installs(order)) return new UpdateError('job.busy', `${order.install?.job} installs it`);
  if (why !== null) return new UpdateError('prepare.outdated', why);
  const open = countedNodes(order).filter(
    (node) => !isColumnDone(nodes[node], order.plan?.digest ?? null),
  );
  if (open.length > 0) {
    // A check that failed is mended; that nothing is replicated yet follows from it.
    const failed = open.some((node) => nodes[node].stages.checks.state === 'failed');
    const lacks = !failed && open.some((node) => nodes[node].stages.replicate.state !== 'done');
    const words = open.map((node) => `node ${node}: ${stillOpen(nodes[node])}`).join('; ');
    return new UpdateError(lacks ? 'pair.not_replicated' : 'prepare.not_ready', words);
  }
  if (order.authorized === null) {
    const failed = order.install?.result?.message;
    const again = failed === undefined ? '' : `; its last install failed: ${failed}`;
    const message = `nobody has authorised the install of ${order.version}${again}`;
    return new UpdateError('prepare.not_authorized', message);
  }
  if (order.configured === null) {
    const message = `nobody has settled how ${order.version} is installed`;
    return new UpdateError('prepare.not_configured', message);
  }
  return null;
}

/** Why it cannot be installed any more, however often a stage is tried; null while it can. */
export function outdatedOf({ order, nodes }: Preparation): string | null {
  const { outdated = null } = order;
  if (outdated !== null) return outdated.message;
  const gone = countedNodes(order).map((node) =>
    PREPARE_STAGES.map((stage) => nodes[node].stages[stage].failing).find(
      (failing) => failing?.code === 'prepare.outdated',
    ),
  );
  return gone.find((failing) => failing !== undefined)?.message ?? null;
}

/** The refusal of what names no preparation that is open. */
export function noSuch(found: Preparation | null, id: string | null): UpdateError {
  if (found === null) return new UpdateError('prepare.unknown', 'no update is prepared');
  const { order } = found;
  if (id !== null && id !== order.id) {
    return new UpdateError('prepare.unknown', `the prepared update is ${order.id}, not ${id}`);
  }
  const how = order.ended?.why === 'installed' ? 'was installed' : 'was given up';
  return new UpdateError('prepare.unknown', `${order.id} ${how}`);
}

/** The failure that a node stands before. */
export function troubleOf({ stages }: PrepareColumn): Reason | null {
  const failed = PREPARE_STAGES.find((stage) => stages[stage].state === 'failed');
  if (failed === undefined) return null;
  const { code, message } = stages[failed];
  return { code: code ?? 'internal.bug', message: `${failed}: ${message}` };
}

function stillOpen(column: PrepareColumn): string {
  const stage = PREPARE_STAGES.find((one) => column.stages[one].state !== 'done');
  if (stage === undefined) return 'its plan is not the newest one';
  const { state, message } = column.stages[stage];
  return message === '' ? `${stage} is ${state}` : `${stage} is ${state}, ${message}`;
}

/**
 * One preparation of two copies: the newer order, and of each node the newer column of that order.
 * The same in any order of joining, and joining again changes nothing.
 */
export function joinCopies(a: Preparation | null, b: Preparation | null): Preparation | null {
  if (a === null || b === null) return a ?? b;
  const [newer, older] = isNewer(b.order, a.order) ? [b, a] : [a, b];
  if (newer.order.id !== older.order.id) return newer;
  const column = (node: NodeId): PrepareColumn => {
    const [one, two] = [newer.nodes[node], older.nodes[node]];
    return two.seq > one.seq ? two : one;
  };
  return { v: 1, order: newer.order, nodes: { A: column('A'), B: column('B') } };
}

/** Whether an order is newer than another; two with the same writer are the same. */
export function isNewer(a: PrepareOrder, b: PrepareOrder): boolean {
  if (a.writer.epoch !== b.writer.epoch) return a.writer.epoch > b.writer.epoch;
  return a.writer.seq > b.writer.seq;
}
