/**
 * What the daemon tells its clients: one picture for command line, API, console and demo. Status is
 * never a guess: what is not known is null or `unknown`, and what is old says its age. Keys are
 * only ever added within schema 1. Pure types and the helpers that read them; imports only core.
 */
import type { AutomationView } from './schedule-read.ts';
import type { ResultWord } from './schedule.ts';
import type { OperatorView } from './access.ts';
import type { BootReason } from './boot.ts';
import type { Code } from './codes.ts';
import type { Progress, Release, NodeId, Slot, SlotClass } from './model.ts';
import type { PreparedBrief } from './prepare-brief.ts';
import type { Order, Outcome, Phase, Reason, RolloutKind, StepLog } from './records.ts';

/** Data of a node that is older than this is shown as unknown. */
export const STALE_AFTER_MS = 3000;

/** Role of a node as it is shown. */
export type NodeRole = 'active' | 'standby' | 'unknown';

/** One slot of a node. */
export interface SlotStatus {
  readonly class: SlotClass;
  readonly slot: Slot;
  readonly release: Release | null;
  readonly state: 'booted' | 'running' | 'good' | 'trial' | 'invalid' | 'unusable';
  readonly default: boolean;
}

/** One node, as far as the one that answers knows it. */
export interface NodeStatus {
  readonly node: NodeId;
  /** True when the facts below are fresh (younger than `STALE_AFTER_MS`). */
  readonly known: boolean;
  /** Age of the facts; 0 for the node that answers, null when nothing was ever heard. */
  readonly ageMs: number | null;
  /** When the facts were heard, by the clock of the node that answers; null when never. */
  readonly heardAt?: string | null;
  readonly role: NodeRole;
  readonly serving: boolean;
  readonly system: Release | null;
  readonly storage: Release | null;
  readonly program: string | null;
  readonly boot: {
    readonly id: string;
    readonly reason: BootReason;
    readonly attempt: number;
  } | null;
  readonly slots: readonly SlotStatus[];
  /** State word of the node's update: idle, installing, trial, committed, reverted ... */
  readonly update: string;
  readonly outcome: Outcome;
  readonly reason: Reason | null;
  readonly epoch: number | null;
  readonly admitted: boolean;
  readonly standDown: boolean;
  /** Why the node stood down: for its update, for a frozen peer, or by an operator's word. */
  readonly standDownFor?: 'update' | 'frozen' | 'operator' | null;
  /** What the node does now, for a progress bar: staging, installing, syncing ... */
  readonly activity: { readonly name: string; readonly progress: Progress | null } | null;
  readonly store: {
    readonly role: string;
    readonly copy: string;
    readonly connected: boolean;
    readonly sync: Progress | null;
  } | null;
}

/** The update that runs, or the one that ran last. */
export interface RolloutStatus {
  readonly id: string;
  readonly kind: RolloutKind;
  readonly version: string;
  readonly bundle: string;
  readonly phase: Phase;
  readonly order: Order;
  readonly first: NodeId;
  readonly driver: NodeId | null;
  readonly startedAt: string;
  readonly phaseAt: string;
  readonly elapsedS: number;
  readonly estimateS: number | null;
  readonly ended: boolean;
  readonly finalized: boolean;
  readonly canCancel: boolean;
  readonly result: Reason | null;
  /** `HOLD_MIXED`: until when a person has to decide, for people; null or absent without that. */
  readonly holdUntil?: string | null;
  /** Who paused it, and at the end of which phase it rests; null or absent while it goes on. */
  readonly paused?: {
    readonly by: string;
    readonly at: string;
    /** The safe point; null when none is left, so that the rollout goes on to its end. */
    readonly restsAfter: Phase | null;
  } | null;
  /** Nodes that were up to date already and are left alone. */
  readonly skipped?: readonly NodeId[];
  readonly logs: Readonly<Record<NodeId, readonly StepLog[]>>;
}

/** One line of the reform checklist; `state` also in words for plain terminals. */
export interface ReformItem {
  readonly name: 'link' | 'versions' | 'epoch' | 'storage' | 'service' | 'admitted';
  readonly state: 'ok' | 'waiting' | 'failed' | 'unknown';
  readonly text: string;
  /** Age of the peer's facts that it is made from; null when the peer was never heard. */
  readonly ageMs?: number | null;
  /** `link`: each way to the peer. */
  readonly channels?: readonly ChannelStatus[];
  /** `versions`: the pair protocol that both speak, and the level of features that both keep to. */
  readonly agreed?: { readonly protocol: number; readonly featureLevel: number } | null;
  /** `epoch`: the highest epoch of the two, and who holds it. */
  readonly epoch?: { readonly number: number; readonly holder: NodeId };
  /** `storage`: what each copy is. */
  readonly copies?: Readonly<Record<NodeId, string>>;
  /** `storage`: the sync that runs. */
  readonly progress?: Progress | null;
  /** `service`: the node that serves, and the address that clients use. */
  readonly service?: { readonly node: NodeId | null; readonly address: string | null };
  /** `admitted`, both ways: the active counts on the standby, and the standby knows it. */
  readonly admission?: {
    readonly standby: NodeId;
    readonly counted: boolean;
    readonly known: boolean;
  };
}

/** Whether what was heard so long ago still counts; null = never heard. */
export function isFresh(ageMs: number | null): boolean {
  return ageMs !== null && ageMs <= STALE_AFTER_MS;
}

/** One way to the peer, as the node that answers sees it. */
export interface ChannelStatus {
  readonly name: string;
  readonly up: boolean;
  /** Milliseconds since the last authenticated message; null when there never was one. */
  readonly ageMs: number | null;
  /** Why it is down, when that is known. */
  readonly error: Reason | null;
}

/** Something that needs a person; it goes away by itself when its cause does. */
export interface Alarm {
  readonly code: Code;
  readonly node: NodeId | null;
  readonly message: string;
}

/** The trust root of a node: whose signatures it takes. Nulls = none, so it takes nobody's. */
export interface TrustStatus {
  readonly version: number | null;
  /** Signatures of that many keys are needed. */
  readonly threshold: number | null;
  /** Keys that count, and keys that are named as revoked. */
  readonly keys: number | null;
  readonly revoked: number | null;
  /** Version that comes into force with the commit of an update; null = none waits. */
  readonly next: number | null;
}

/** The whole picture, answered by either node. */
export interface PairStatus {
  readonly schema: 1;
  readonly at: string;
  readonly self: NodeId;
  readonly pair: string | null;
  /** One state word of the pair. */
  readonly state:
    | 'HEALTHY'
    | 'HEALTHY_MIXED'
    | 'UPDATING'
    | 'SYNCING'
    | 'EXPOSED'
    | 'ALONE'
    | 'FROZEN'
    | 'SAFE_MODE';
  /** `remedy`: what an operator can do about it, where nothing happens by itself. */
  readonly ha: { readonly ok: boolean; readonly text: string; readonly remedy?: string | null };
  readonly nodes: Readonly<Record<NodeId, NodeStatus>>;
  readonly rollout: RolloutStatus | null;
  readonly reform: readonly ReformItem[];
  /** How long the pair has not been highly available; null or absent while it is. */
  readonly reforming?: {
    readonly since: string;
    readonly elapsedS: number;
    /** What the whole of it is expected to take, as far as that can be known. */
    readonly estimateS: number | null;
  } | null;
  readonly alarms: readonly Alarm[];
  /** Who holds the right to change the pair over the console socket of this node. */
  readonly operator?: OperatorView | null;
  /** Of the node that answers; absent in safe mode. */
  readonly trust?: TrustStatus;
  /** What is scheduled, and what holds updates up; absent in safe mode. */
  readonly automation?: AutomationView;
  /** The update that is being prepared, or is prepared and not over; absent = none. */
  readonly prepared?: PreparedBrief;
}

/** One event, as `--follow --json` prints it (keys as in docs/ARCHITECTURE.md, "Events"). */
export interface TandemEvent {
  readonly v: 1;
  /** Grows on both nodes together, so that `--since-seq` works after a failover. */
  readonly seq: number;
  readonly ts: string;
  readonly job: string | null;
  readonly node: NodeId | null;
  readonly phase: string | null;
  readonly state: string;
  readonly pct: number | null;
  readonly eta_s: number | null;
  readonly msg: string;
  readonly code: Code | null;
}

/** What a job does. */
export type JobKind =
  | 'validate'
  | 'stage'
  | 'prepare'
  | 'update'
  | 'rollback'
  | 'commit'
  | 'verify'
  | 'resync'
  | 'resolve'
  | 'support'
  | 'replace'
  | 'restart'
  | 'shutdown';

/** One job, running or ended. */
export interface JobStatus {
  readonly id: string;
  readonly kind: JobKind;
  readonly state: 'running' | 'done' | 'failed';
  /** Exit status of a command that waited for it; null while it runs. */
  readonly exit: number | null;
  readonly code: Code | null;
  readonly message: string;
  readonly next: string | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
  /** What became of an update or a rollback, once it has ended. */
  readonly result?: ResultWord;
}

/** Result of `tandem validate`. */
export interface ValidateReport {
  readonly ok: boolean;
  readonly bundle: string | null;
  readonly product: string | null;
  readonly version: string | null;
  /** Nodes and components that lag behind the bundle, e.g. `A/system`. */
  readonly lagging: readonly string[];
  /** Named checks in order; `detail` says what was found and what was expected. */
  readonly checks: readonly {
    readonly name: string;
    readonly ok: boolean;
    readonly code: Code | null;
    readonly detail: string;
  }[];
  readonly code: Code | null;
  readonly message: string;
  readonly next: string | null;
}
