/**
 * A prepared update in short, for the status of the pair: how far each node is, what it waits for,
 * which stage is stuck; and the alarm of one that is. Always holds: it is derived from the record
 * alone, so both nodes say the same as soon as both have it. Pure; imports only core.
 */
import { adviceOf } from './errors.ts';
import { NODES, type NodeId } from './model.ts';
import { countedNodes, installRefusal, isReady, openOf, outdatedOf } from './prepare-order.ts';
import { PREPARE_STAGES, stuckStage } from './prepare.ts';
import type { Preparation, PrepareColumn, PrepareStage, StageStatus } from './prepare.ts';
import type { Reason } from './records.ts';

/** Where one node stands. */
export interface PreparedNode {
  /** The stage that it is at; null = all are done. */
  readonly stage: PrepareStage | null;
  readonly state: StageStatus['state'];
  readonly ignored: boolean;
  /** One sentence. */
  readonly text: string;
}

/** The update that is being prepared, or is prepared and not over. */
export interface PreparedBrief {
  readonly id: string;
  readonly version: string;
  /**
   * `stuck`: a stage fails again and again. `outdated`: it does not fit the pair any more, or its
   * bundle is gone. `prepared`: all is done; the text says what an install still waits for.
   */
  readonly state: 'preparing' | 'stuck' | 'outdated' | 'prepared' | 'installing';
  /** One sentence. */
  readonly text: string;
  readonly nodes: Readonly<Record<NodeId, PreparedNode>>;
}

/** A stage of a node that fails again and again. */
export interface StuckStage extends Reason {
  readonly node: NodeId;
  readonly stage: PrepareStage;
  readonly tries: number;
  /** Wall-clock time of its first failure, for people. */
  readonly since: string;
}

/** What is prepared, in short; null when nothing is, or it is over. */
export function prepareBrief(found: Preparation | null): PreparedBrief | null {
  const open = openOf(found);
  if (open === null) return null;
  const { id, version } = open.order;
  const nodes = { A: nodeOf('A', open), B: nodeOf('B', open) };
  return { id, version, ...stateOf(open, nodes), nodes };
}

function stateOf(
  open: Preparation,
  nodes: PreparedBrief['nodes'],
): Pick<PreparedBrief, 'state' | 'text'> {
  const { order } = open;
  const { version, install } = order;
  if (install !== null && install.result === null) {
    return { state: 'installing', text: `Update ${version} is prepared, ${install.job} runs` };
  }
  const why = outdatedOf(open);
  if (why !== null) {
    return { state: 'outdated', text: `Prepared update ${version} is outdated (${why})` };
  }
  const words = countedNodes(order).map((node) => `node ${node}: ${nodes[node].text}`);
  const [stuck] = stuckStages(open);
  if (stuck !== undefined) {
    return { state: 'stuck', text: `Update ${version} cannot be prepared (${words.join('; ')})` };
  }
  if (!isReady(open)) {
    return {
      state: 'preparing',
      text: `Update ${version} is being prepared (${words.join('; ')})`,
    };
  }
  const refusal = installRefusal(open, order.id);
  const waits = refusal === null ? 'it may be installed' : refusal.message;
  return { state: 'prepared', text: `Update ${version} is prepared (${waits})` };
}

function nodeOf(node: NodeId, { order, nodes }: Preparation): PreparedNode {
  const { stages } = nodes[node];
  const stage = PREPARE_STAGES.find((one) => stages[one].state !== 'done') ?? null;
  const state = stage === null ? 'done' : stages[stage].state;
  const ignored = order.ignored[node] !== null;
  return { stage, state, ignored, text: ignored ? 'ignored' : wordsOf(nodes[node], stage) };
}

function wordsOf({ stages }: PrepareColumn, stage: PrepareStage | null): string {
  if (stage === null) return 'ready';
  const { state, message, tries, failing } = stages[stage];
  if (state === 'failed') return `${stage} failed ${times(tries)}, ${message}`;
  if (failing !== undefined) return `${stage} is tried again, ${failing.message}`;
  if (state === 'running') return `at ${stage}`;
  return message === '' ? `before ${stage}` : `before ${stage}, ${message}`;
}

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);

/** Stages that are stuck on nodes that count, while the preparation is worth going on with. */
export function stuckStages(found: Preparation | null): readonly StuckStage[] {
  const open = openOf(found);
  if (open === null || outdatedOf(open) !== null) return [];
  return NODES.flatMap((node) => {
    const stage = stuckStage(open.nodes[node]);
    if (stage === null || open.order.ignored[node] !== null) return [];
    const { state, tries, failing } = open.nodes[node].stages[stage];
    const failures = state === 'running' ? tries - 1 : tries;
    return [{ node, stage, tries: failures, ...failing! }];
  });
}

/** What a person is told of a stage that is stuck: node, stage, newest failure, what to do. */
export function stuckAlarm(version: string, stuck: StuckStage) {
  const { node, stage, tries, since, code, message } = stuck;
  const at = `${since.slice(0, 16).replace('T', ' ')} UTC`;
  const what = `${stage} of the prepared update ${version} failed ${times(tries)} since ${at}`;
  const ignore = `Or go on without the node: \`tandem prepare ignore ${node}\`.`;
  const next = `${adviceOf(code).next} ${ignore}`;
  return {
    code: 'prepare.stuck',
    node,
    message: `${what}: ${message} (${code}). ${next}`,
  } as const;
}
