/**
 * What a node tells its peer about itself: the one message of the pair. Reports are states, not
 * commands: the newest one counts, a lost, doubled or late one does no harm. What the driver wants
 * follows from the rollout record that both hold (`askOf` in rollout.ts). Pure; imports only core.
 */
import type { BootInfo } from './boot.ts';
import { isReport, isReportHead, isRolloutRecord } from './message-shape.ts';
import type { NodeId, Progress, Release, Sha256 } from './model.ts';
import type { SlotClass, SlotSeal, Slot } from './model.ts';
import { RECORD_SCHEMA } from './records.ts';
import type { NodeRecord, Phase, Reason, RolloutRecord } from './records.ts';
import type { StoreStatus } from './store.ts';

/** Where a node's copy of the rollout record stands (rule R7). */
export interface RolloutPosition {
  readonly id: string;
  readonly epoch: number;
  readonly seq: number;
  readonly phase: Phase;
}

/**
 * One of a node's words on its takeover policy: the policy may be left and taken up again while the
 * peer hears of only a part of it, so the peer says which word it knows.
 */
export interface PolicyWord {
  readonly run: string;
  /** How often the policy has changed in that run. */
  readonly turn: number;
}

/** What the slots of a node hold; null = nothing that counts. */
export type Seals = Readonly<Record<SlotClass, Readonly<Record<Slot, SlotSeal | null>>>>;

/** Everything that the peer has to know of a node. */
export interface NodeReport {
  readonly schema: number;
  /** Pair protocols that the sender speaks (rule R10). */
  readonly protocol: readonly [min: number, max: number];
  /** Highest feature level that the sender's program works at (R11); absent = it has no levels. */
  readonly features?: number;
  readonly pair: string;
  readonly node: NodeId;
  readonly bootId: string;
  /** Random per start of the daemon: a restart within one boot shows. */
  readonly run: string;
  /** Grows within a run: an older report that arrives late is dropped. */
  readonly seq: number;
  readonly program: string;
  readonly boot: BootInfo;
  readonly record: NodeRecord;
  readonly serving: boolean;
  readonly admitted: boolean;
  /**
   * The holder's word that this boot of the peer may take over (rule R6). It counts only until the
   * peer promises once more to stand down: `promises` is how many the holder has heard of.
   */
  readonly admits: {
    readonly bootId: string;
    readonly epoch: number;
    readonly promises?: number;
  } | null;
  /**
   * The holder wants the peer to stand down outside of a rollout, because its copy of the storage
   * is lost while the link is up (R4); the promise makes it safe to go on alone.
   */
  readonly wantsDown?: boolean;
  /** The sender's own takeover policy, and what it knows of the receiver's; absent = manual. */
  readonly takeover?: 'manual' | 'fence';
  readonly knowsTakeover?: 'manual' | 'fence';
  /** Which word on its policy this is, and the receiver's newest one that the sender has heard. */
  readonly takeoverTurn?: number;
  readonly knows?: PolicyWord | null;
  readonly rollout: RolloutPosition | null;
  readonly system: Release | null;
  readonly storage: Release | null;
  readonly seals: Seals;
  /** Bundles in the depot. */
  readonly depot: readonly Sha256[];
  readonly store: StoreStatus;
  readonly activity: {
    readonly name: string;
    readonly progress: Progress | null;
    readonly job: string | null;
  } | null;
  /** Effects that keep failing, by what they do. */
  readonly troubles: Readonly<Record<string, Reason>>;
  /** Port on which the bundle of the rollout is served to the peer, while it is. */
  readonly bulkPort: number | null;
  /** A bundle that the sender offers outside of a rollout. */
  readonly staging: { readonly bundle: Sha256; readonly bytes: number } | null;
  /** Bytes free for bundles. */
  readonly freeBytes: number | null;
}

/** A message of the peer: a report, or the rollout record when the receiver lags behind. */
export type PairMessage =
  | { readonly type: 'report'; readonly report: NodeReport }
  | { readonly type: 'rollout'; readonly record: RolloutRecord }
  /** `id` tells events apart, so that a slow link does not merge them. */
  | { readonly type: 'event'; readonly id: string; readonly event: object }
  | { readonly type: 'request'; readonly id: string; readonly request: object }
  | { readonly type: 'answer'; readonly id: string; readonly answer: object };

/** Where this copy of a rollout record stands. */
export function positionOf(record: RolloutRecord | null): RolloutPosition | null {
  if (record === null) return null;
  const { id, writer, phase } = record;
  return { id, epoch: writer.epoch, seq: writer.seq, phase };
}

/** True when both nodes hold the same state of the same rollout. */
export function samePosition(a: RolloutPosition | null, b: RolloutPosition | null): boolean {
  if (a === null || b === null) return a === b;
  return a.id === b.id && a.epoch === b.epoch && a.seq === b.seq;
}

/**
 * A message of an authenticated peer, checked as far as the machine looks into it, so that a newer
 * or faulty program cannot break it. Unknown fields and unknown types are not an error: null =
 * ignore. A rollout record of a newer schema is not taken over either: this program could not read
 * its own journal afterwards.
 */
export function readPairMessage(value: unknown): PairMessage | null {
  if (typeof value !== 'object' || value === null) return null;
  const message = value as Readonly<Record<string, unknown>>;
  switch (message['type']) {
    case 'report':
      return isReport(message['report']) ? (value as PairMessage) : null;
    case 'rollout':
      return readRollout(message['record']) === null ? null : (value as PairMessage);
    case 'event':
      return isObject(message['event']) ? (value as PairMessage) : null;
    case 'request':
    case 'answer': {
      const content = message[message['type']];
      const good = typeof message['id'] === 'string' && isObject(content);
      return good ? (value as PairMessage) : null;
    }
    default:
      return null;
  }
}

/** Who speaks, which protocols, and which program: fields that every protocol keeps in place. */
export type ReportHead = Pick<NodeReport, 'node' | 'pair' | 'program' | 'protocol'>;

/**
 * The head of a report that `readPairMessage` did not take, or null. A report of a later protocol
 * may lack what this one asks for, and still has to be told apart from noise, so that people learn
 * why the peer is not heard.
 */
export function readReportHead(value: unknown): ReportHead | null {
  const { type, report } = (value ?? {}) as { readonly type?: unknown; readonly report?: unknown };
  return type === 'report' && isReportHead(report) ? (report as ReportHead) : null;
}

/** A rollout record of a peer that this program can act on and keep, or null. */
export function readRollout(value: unknown): RolloutRecord | null {
  if (!isRolloutRecord(value)) return null;
  const record = value as RolloutRecord;
  return record.schema > RECORD_SCHEMA ? null : record;
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;
