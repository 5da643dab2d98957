/**
 * A prepared update as clients see it and speak of it: the view, the words, and the job. Pure;
 * imports only core.
 */
import { CODES, EXIT } from './codes.ts';
import type { ErrorReport } from './errors.ts';
import type { NodeId } from './model.ts';
import type { PrepareOptions } from './prepare-plan.ts';
import { countedNodes, installRefusal, troubleOf } from './prepare-order.ts';
import { PREPARE_STAGES, type Preparation } from './prepare.ts';
import type { JobStatus } from './status.ts';

/** What a node knows of the prepared update. */
export interface PrepareView {
  /** The node that says so. */
  readonly node: NodeId;
  readonly preparation: Preparation | null;
  /** Why an install may not begin now; null when it may. */
  readonly refusal: ErrorReport | null;
  /** Seconds until this node's failed stage is tried again; null when none waits. */
  readonly retryInS: number | null;
}

/** A word about the prepared update; `id` names it, so that no other one is meant. */
export type PrepareRequest = { readonly id?: string; readonly reason?: string } & (
  | { readonly do: 'ignore' | 'heed'; readonly node: NodeId }
  | { readonly do: 'authorize' | 'retry' | 'cancel' }
  | ({ readonly do: 'configure' } & Partial<PrepareOptions>)
);

/** Words of `PrepareRequest`. */
export type PrepareWordKind = PrepareRequest['do'];

/** What a word did. */
export interface PrepareAnswer {
  readonly do: PrepareWordKind;
  readonly id: string;
  /** False when it was so already. */
  readonly changed: boolean;
  readonly message: string;
  readonly preparation: Preparation;
}

/** The view of a copy. */
export function prepareView(
  node: NodeId,
  preparation: Preparation | null,
  retryInS: number | null,
): PrepareView {
  const refusal = installRefusal(preparation, preparation?.order.id ?? '')?.report() ?? null;
  return { node, preparation, refusal, retryInS };
}

/** Preparing as a job: it runs until everything that counts was done once, or it is given up. */
export function prepareJob(preparation: Preparation): JobStatus {
  const { order } = preparation;
  const { id, version, asked, readyAt, ended } = order;
  const head = { id, kind: 'prepare', startedAt: asked.at } as const;
  if (readyAt !== null) {
    const message = `${version} is prepared on ${nodesOf(preparation)}`;
    const done = { state: 'done', exit: EXIT.done, code: null, next: null } as const;
    return { ...head, ...done, message, endedAt: readyAt };
  }
  if (ended !== null) {
    const code = 'job.cancelled';
    const message = `given up by ${ended.by} before it was prepared; nothing was installed`;
    const { exit, next } = CODES[code];
    return { ...head, state: 'failed', exit, code, message, next, endedAt: ended.at };
  }
  const running = { state: 'running', exit: null, code: null, next: null, endedAt: null } as const;
  return { ...head, ...running, message: progressOf(preparation) };
}

function nodesOf({ order }: Preparation): string {
  const counted = countedNodes(order);
  return counted.length === 2 ? 'both nodes' : `node ${counted.join('')} alone`;
}

/** Where each node that counts is. */
function progressOf(preparation: Preparation): string {
  const { order, nodes } = preparation;
  const words = countedNodes(order).map((node) => {
    const column = nodes[node];
    const trouble = troubleOf(column);
    if (trouble !== null) return `node ${node}: ${trouble.message}`;
    const stage = PREPARE_STAGES.find((one) => column.stages[one].state !== 'done');
    return stage === undefined ? `node ${node} is ready` : `node ${node} is at ${stage}`;
  });
  return `${order.version}: ${words.join('; ')}`;
}
