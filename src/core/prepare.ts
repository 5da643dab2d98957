/**
 * A prepared update: work that each node does ahead of an install, stage by stage, and the state
 * machine of one node's stages. Always holds: a stage begins only when every one before it is done,
 * one runs at a time, what is done is done once, and only the node itself writes its column.
 * Whoever steps it names the times; nothing here knows one. Pure; imports only core.
 */
import type { Code } from './codes.ts';
import type { NodeId, Sha256 } from './model.ts';
import type { PreparedPlan, PrepareOptions } from './prepare-plan.ts';
import type { Reason } from './records.ts';

/** Stages of a node in their order. */
export const PREPARE_STAGES = ['checks', 'replicate', 'updater', 'plan', 'finalize'] as const;
/** One of them. */
export type PrepareStage = (typeof PREPARE_STAGES)[number];

/** How one stage of one node stands. */
export interface StageStatus {
  readonly state: 'waiting' | 'running' | 'failed' | 'done';
  /** How often it was begun since it last stood at its beginning. */
  readonly tries: number;
  /** Cause of a failure, else null. */
  readonly code: Code | null;
  /** What it found or did, one sentence; empty before the first try. */
  readonly message: string;
  /** Wall-clock time of the last change, for people. */
  readonly at: string | null;
  /**
   * The newest failure and when the first one was, kept while it is tried again; absent when it has
   * not failed since it last stood at its beginning.
   */
  readonly failing?: Reason & { readonly since: string };
}

/** What one node has done; written by that node alone. */
export interface PrepareColumn {
  /** Grows with each change: of two copies the higher one is right. */
  readonly seq: number;
  /** The word `retry` of the order that this node has followed. */
  readonly retry: number;
  /** Digest of the plan that lies on this node's disk. */
  readonly plan: Sha256 | null;
  readonly stages: Readonly<Record<PrepareStage, StageStatus>>;
}

/** Who said something, why and when. */
export interface PrepareWord {
  readonly by: string;
  readonly reason: string | null;
  readonly at: string;
}

/** What is prepared, and what people said about it; written by the node that serves. */
export interface PrepareOrder {
  readonly id: string;
  readonly bundle: Sha256;
  readonly bytes: number;
  readonly product: string;
  readonly version: string;
  readonly counter: number;
  /** Version of the updater that the bundle brings; null = none. */
  readonly updater: string | null;
  /** Node that was given the bundle, and where; a path of null = it was staged already. */
  readonly source: { readonly node: NodeId; readonly path: string | null };
  readonly options: PrepareOptions;
  readonly asked: PrepareWord;
  /** Grows with each word that failed stages are to run again at once. */
  readonly retry: number;
  readonly plan: { readonly digest: Sha256; readonly content: PreparedPlan } | null;
  readonly ignored: Readonly<Record<NodeId, PrepareWord | null>>;
  readonly authorized: PrepareWord | null;
  readonly configured: PrepareWord | null;
  /** Why it does not fit the pair any more, since when; null or absent while it does. */
  readonly outdated?: { readonly message: string; readonly at: string } | null;
  /** When everything that counts was done for the first time. */
  readonly readyAt: string | null;
  /** The newest install that was begun with it; it is never begun again by itself. */
  readonly install: {
    readonly job: string;
    readonly by: string;
    readonly at: string;
    /** Null while it runs. */
    readonly result: (Reason & { readonly good: boolean; readonly at: string }) | null;
  } | null;
  readonly ended: (PrepareWord & { readonly why: 'cancelled' | 'installed' }) | null;
  /** Of two copies the one with the higher epoch, then the higher sequence number, is right. */
  readonly writer: { readonly epoch: number; readonly seq: number };
}

/** The prepared update of a pair; both nodes keep a copy. */
export interface Preparation {
  readonly v: 1;
  readonly order: PrepareOrder;
  readonly nodes: Readonly<Record<NodeId, PrepareColumn>>;
}

/** Longest sentence that is kept of a stage. */
export const PREPARE_CHARS_MAX = 300;

/**
 * A stage that failed this often is stuck: every pause but the longest has passed, a quarter of an
 * hour in all, and what passes by itself has passed by then.
 */
export const STUCK_TRIES = 5;

/** Pauses after the first, second, ... failure of a stage, in seconds; then the last one again. */
export const RETRY_WAITS_S: readonly number[] = [60, 120, 240, 480, 900];

const UNTOUCHED: StageStatus = { state: 'waiting', tries: 0, code: null, message: '', at: null };

/** A node that has done nothing yet. */
export function newColumn(retry = 0, seq = 0): PrepareColumn {
  const stages = Object.fromEntries(PREPARE_STAGES.map((stage) => [stage, UNTOUCHED]));
  return { seq, retry, plan: null, stages: stages as PrepareColumn['stages'] };
}

/** Something that happened to the stages of a node; `at` is for people. */
export type PrepareEvent = { readonly at: string } & (
  | { readonly type: 'begin'; readonly stage: PrepareStage; readonly message: string }
  | {
      readonly type: 'done';
      readonly stage: PrepareStage;
      readonly message: string;
      /** The plan that now lies on the disk. */
      readonly plan?: Sha256;
    }
  | { readonly type: 'failed'; readonly stage: PrepareStage; readonly reason: Reason }
  /** What a stage had made is gone or does not fit any more: it is done again, and all after it. */
  | { readonly type: 'lost'; readonly stage: PrepareStage; readonly message: string }
  /** The daemon ended in the middle of a stage. */
  | { readonly type: 'interrupted' }
  /** Failed stages run again at once, by this word of the order. */
  | { readonly type: 'retry'; readonly retry: number }
);

/** The stage that would begin next; null while one runs and when all are done. */
export function dueStage({ stages }: PrepareColumn): PrepareStage | null {
  const next = PREPARE_STAGES.find((stage) => stages[stage].state !== 'done');
  return next === undefined || stages[next].state === 'running' ? null : next;
}

/** The stage that runs. */
export function runningStage({ stages }: PrepareColumn): PrepareStage | null {
  return PREPARE_STAGES.find((stage) => stages[stage].state === 'running') ?? null;
}

/** The stage that fails again and again, also while it is tried once more; null = none is stuck. */
export function stuckStage({ stages }: PrepareColumn): PrepareStage | null {
  const found = PREPARE_STAGES.find((stage) => {
    const { state, tries, failing } = stages[stage];
    const failures = state === 'running' ? tries - 1 : tries;
    return failing !== undefined && failures >= STUCK_TRIES;
  });
  return found ?? null;
}

/** Whether every stage of a node is done, and for this plan. */
export function isColumnDone({ stages, plan }: PrepareColumn, digest: Sha256 | null): boolean {
  const done = PREPARE_STAGES.every((stage) => stages[stage].state === 'done');
  return done && plan !== null && plan === digest;
}

/**
 * Seconds that pass before a stage begins again: none at first, then more with each failure. A
 * stage that ended with the daemon has not failed by itself and gets one pause less.
 */
export function waitBeforeS({ state, tries, code }: StageStatus): number {
  if (state !== 'failed') return 0;
  const spared = code === 'job.interrupted' ? 2 : 1;
  const index = Math.min(tries - spared, RETRY_WAITS_S.length - 1);
  return index < 0 ? 0 : RETRY_WAITS_S[index]!;
}

/** The column after an event; the same object where the event means nothing. */
export function stepColumn(column: PrepareColumn, event: PrepareEvent): PrepareColumn {
  const { at } = event;
  switch (event.type) {
    case 'begin': {
      if (dueStage(column) !== event.stage) return column;
      const before = column.stages[event.stage];
      const [state, message] = ['running', brief(event.message)] as const;
      const tries = before.tries + 1;
      return put(column, event.stage, { ...before, state, tries, code: null, message, at });
    }
    case 'done': {
      if (runningStage(column) !== event.stage) return column;
      const message = brief(event.message);
      const status = { state: 'done', tries: 0, code: null, message, at } as const;
      const next = put(column, event.stage, status);
      return event.plan === undefined ? next : { ...next, plan: event.plan };
    }
    case 'failed': {
      if (runningStage(column) !== event.stage) return column;
      return fail(column, event.stage, event.reason, at);
    }
    case 'interrupted': {
      const stage = runningStage(column);
      if (stage === null) return column;
      const message = 'the daemon ended in the middle of it; what it had is kept';
      return fail(column, stage, { code: 'job.interrupted', message }, at);
    }
    case 'lost':
      return lose(column, event.stage, brief(event.message), at);
    case 'retry':
      return again(column, event.retry, at);
  }
}

function put(column: PrepareColumn, stage: PrepareStage, status: StageStatus): PrepareColumn {
  const stages = { ...column.stages, [stage]: status };
  return { ...column, seq: column.seq + 1, stages };
}

function fail(
  column: PrepareColumn,
  stage: PrepareStage,
  reason: Reason,
  at: string,
): PrepareColumn {
  const { tries, failing } = column.stages[stage];
  const { code } = reason;
  const message = brief(reason.message);
  const kept = { code, message, since: failing?.since ?? at };
  return put(column, stage, { state: 'failed', tries, code, message, at, failing: kept });
}

/** From this stage on everything stands at its beginning. */
function lose(
  column: PrepareColumn,
  from: PrepareStage,
  message: string,
  at: string,
): PrepareColumn {
  const first = PREPARE_STAGES.indexOf(from);
  if (column.stages[from].state !== 'done') return column;
  const entries = PREPARE_STAGES.map((stage, index): [PrepareStage, StageStatus] => {
    if (index < first) return [stage, column.stages[stage]];
    return [stage, index === first ? { ...UNTOUCHED, message, at } : UNTOUCHED];
  });
  const stages = Object.fromEntries(entries) as PrepareColumn['stages'];
  return { ...column, seq: column.seq + 1, stages };
}

function again(column: PrepareColumn, retry: number, at: string): PrepareColumn {
  if (retry <= column.retry) return column;
  const entries = PREPARE_STAGES.map((stage): [PrepareStage, StageStatus] => {
    const status = column.stages[stage];
    if (status.state !== 'failed') return [stage, status];
    const { message } = status;
    return [stage, { state: 'waiting', tries: 0, code: null, message, at }];
  });
  const stages = Object.fromEntries(entries) as PrepareColumn['stages'];
  return { ...column, seq: column.seq + 1, retry, stages };
}

function brief(message: string): string {
  if (message.length <= PREPARE_CHARS_MAX) return message;
  return `${message.slice(0, PREPARE_CHARS_MAX - 3)}...`;
}
