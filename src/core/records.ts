/**
 * The two durable records of a node: its own node record and the rollout record of the pair
 * (docs/ARCHITECTURE.md, "Records"). They live on the data partition that both slots share, so
 * an older program must be able to read what a newer one wrote: unknown fields are kept, and a
 * newer schema than `RECORD_SCHEMA` stops all writing. Pure; imports only core.
 */
import type { Code } from './codes.ts';
import type { NodeId, Release, Sha256, Slot, SlotClass } from './model.ts';

/**
 * Highest schema of records and wire messages that this program reads and writes. What it writes is
 * `schemaAt` of the feature level (levels.ts): a new program writes the old schema until FINALIZE.
 */
export const RECORD_SCHEMA = 1;
/** Pair protocols that this program speaks; the highest is the number of its schema (levels.ts). */
export const PROTOCOL: readonly [min: number, max: number] = [1, 1];
/** Highest feature level of this program, the same number as its schema (rule R11). */
export const FEATURE_LEVEL: number = RECORD_SCHEMA;

/** Phases of a rollout in their order, then the ways back, then the ends. */
export const PHASES = [
  'VALIDATE',
  'PRECHECK',
  'STAGE',
  'INSTALL1',
  'DRAIN1',
  'DOWN1',
  'ACT1',
  'TRIAL1',
  'SYNC1',
  'COMMIT1',
  'ADMIT1',
  'HAND1',
  'INSTALL2',
  'DOWN2',
  'ACT2',
  'TRIAL2',
  'SYNC2',
  'COMMIT2',
  'ADMIT2',
  'REFORM',
  'BACK1',
  'BACK2',
  'RB_HAND',
  'RB_DOWN',
  'RB_ACT',
  'RB_TRIAL',
  'RB_SYNC',
  'RB_COMMIT',
  'RB_ADMIT',
  'FINALIZE',
  'DONE',
  'FAILED',
  'HOLD_MIXED',
  'ROLLED_BACK',
  'CANCELLED',
] as const;
/** A phase of a rollout; the quiet ends are phases too. */
export type Phase = (typeof PHASES)[number];

/** The quiet ends of a rollout; each of them is highly available. */
export const END_PHASES: ReadonlySet<Phase> = new Set<Phase>([
  'DONE',
  'FAILED',
  'HOLD_MIXED',
  'ROLLED_BACK',
  'CANCELLED',
]);

/** Who serves: the holder of the highest epoch. `peerMayTakeOver` false = the peer cannot. */
export interface RoleRecord {
  readonly epoch: number;
  readonly holder: NodeId;
  readonly peerMayTakeOver: boolean;
}

/** Why a node left or reached a slot, as the verdict on a trial. */
export type Outcome = 'none' | 'committed' | 'reverted';

/** What the storage slot does around a trial; whichever system boots applies it (rule I7). */
export interface StorageTrial {
  /** Id of the system trial that it belongs to. */
  readonly trialId: number;
  /** The system slot on trial: the new storage software runs while that one is booted. */
  readonly systemSlot: Slot;
  readonly old: Slot;
  readonly new: Slot;
  /** True when the manifests allow the new storage software under the old system. */
  readonly newRunsUnderOld: boolean;
  /** True once the new storage software was healthy during the trial. */
  readonly proven: boolean;
}

/** A trial of the other system slot, as this node knows it; the boot chooser has the verdict. */
export interface Trial {
  /** Never used twice on a node. */
  readonly id: number;
  readonly slot: Slot;
  readonly rollout: string;
  readonly tries: number;
  /** Seconds without a message of the driver after which the trial reverts itself. */
  readonly deadmanS: number;
}

/** One image that a node writes into its other slot. */
export interface Target {
  readonly class: SlotClass;
  readonly slot: Slot;
  readonly image: string;
  readonly release: Release;
}

/**
 * The state of one node's update. The journal stores these states, never effects; the effect that
 * is due follows from the state (`effectOf` in core/node.ts) and is idempotent.
 */
export type NodeUpdate =
  | { readonly state: 'idle' }
  | (Job & { readonly state: 'installing' })
  | (Job & { readonly state: 'installed' })
  | (Job & { readonly state: 'arming'; readonly trial: Trial })
  | (Job & { readonly state: 'rebooting'; readonly trial: Trial; readonly bootId: string })
  | (Job & { readonly state: 'trial'; readonly trial: Trial; readonly bootId: string })
  | (Job & { readonly state: 'healthy'; readonly trial: Trial; readonly bootId: string })
  | (Job & { readonly state: 'committing'; readonly trial: Trial; readonly bootId: string })
  | (Job & { readonly state: 'committed'; readonly trial: Trial })
  | (Job & { readonly state: 'reverting'; readonly trial: Trial; readonly reason: Reason })
  | (Job & { readonly state: 'reverted'; readonly trial: Trial; readonly reason: Reason })
  | (Job & { readonly state: 'failed'; readonly reason: Reason });

/** What one attempt of a rollout does on one node. */
export interface Job {
  readonly rollout: string;
  /** SHA-256 of the manifest bytes: the identity of a bundle. */
  readonly bundle: Sha256;
  /** Which attempt of the rollout on this node, from 1. */
  readonly attempt: number;
  /** `install` writes the images; `return` boots what the other slots already hold. */
  readonly mode: 'install' | 'return';
  readonly targets: readonly Target[];
  /** True when the new storage software may run under the old system. */
  readonly storageRunsUnderOld: boolean;
}

/** A code with the sentence that goes with it, as it is shown to people. */
export interface Reason {
  readonly code: Code;
  readonly message: string;
}

/** Generation ids of the replicated store: tell no sync, delta, full and split brain apart. */
export interface Generation {
  readonly current: string;
  readonly base: string | null;
  readonly history: readonly string[];
}

/** What a node knows of itself over a restart; written by this node alone. */
export interface NodeRecord {
  readonly schema: number;
  readonly node: NodeId;
  readonly pair: string;
  /** Boot id of the boot that wrote the record last. */
  readonly bootId: string;
  readonly role: RoleRecord;
  /** Durable promise not to take over (rule R5). */
  readonly standDown: { readonly rollout: string; readonly epoch: number } | null;
  /** How many such promises this node has made; absent = none, or a program that did not count. */
  readonly promises?: number;
  readonly knownStale: boolean;
  readonly generation: Generation;
  readonly slots: {
    readonly booted: Slot;
    readonly default: Slot;
    readonly trial: Trial | null;
    readonly outcome: Outcome;
    readonly reason: Reason | null;
  };
  readonly storage: {
    readonly current: Slot;
    readonly previous: Slot | null;
    readonly trial: StorageTrial | null;
    readonly outcome: Outcome;
    readonly reason: Reason | null;
  };
  readonly update: NodeUpdate;
  /** Highest trial id that was ever used on this node. */
  readonly lastTrialId: number;
  /** Slots hold a version to go back to until FINALIZE. */
  readonly canRollBack: boolean;
  readonly featureLevel: number;
  /** Lowest release counter that may ever be installed again, raised only by FINALIZE. */
  readonly releaseFloor: number;
}

/** One entry of a node's log in a rollout; `at` is wall-clock time for people, never judged. */
export interface StepLog {
  readonly at: string;
  readonly phase: Phase;
  readonly text: string;
  readonly code?: Code;
}

/** `rollback` returns the pair to what the other slots still hold. */
export type RolloutKind = 'update' | 'rollback';
/** Which node goes first. */
export type Order = 'active-first' | 'standby-first';

/** What happens when the second node fails for good. */
export interface Policy {
  readonly order: Order;
  readonly onSecondFailure: 'hold' | 'rollback';
  /** Further attempts on a node after a failed one. */
  readonly retries: number;
  /** Seconds that a healthy first node serves before the second one is touched. */
  readonly soakS: number;
  /** Boot attempts per trial. */
  readonly tries: number;
  /** Seconds without word of the driver after which a trial reverts itself. */
  readonly deadmanS: number;
}

/** What the bundle brings, as far as the rollout must know it. */
export interface RolloutTarget {
  readonly bundle: Sha256;
  readonly bytes: number;
  readonly product: string;
  readonly version: string;
  readonly counter: number;
  readonly images: readonly RolloutImage[];
}

/** One image of the bundle, as far as the rollout must know it. */
export interface RolloutImage {
  readonly name: string;
  readonly class: SlotClass;
  readonly release: Release;
  readonly runsWith: string;
}

/** How far a rollout came on one node. */
export interface RolloutNode {
  readonly from: { readonly system: Release | null; readonly storage: Release | null };
  /** The node was up to date already and is left alone. */
  readonly skip: boolean;
  /** Jobs that the node was given in this rollout; the number of the newest one. */
  readonly attempts: number;
  readonly log: readonly StepLog[];
}

/** How an update is to be done, beyond its policy. */
export interface RolloutOptions {
  /** The other slots are wiped before they are written, and zeros follow the image. */
  readonly formatTarget?: boolean;
  /** It neither begins nor switches by the maintenance windows. */
  readonly ignoreWindow?: boolean;
}

/** One update of the pair; written by the driver, held by both nodes. */
export interface RolloutRecord {
  readonly schema: number;
  readonly id: string;
  readonly kind: RolloutKind;
  readonly to: RolloutTarget;
  readonly first: NodeId;
  readonly policy: Policy;
  /** (epoch of the writer, sequence): the higher one wins (rule R7). */
  readonly writer: { readonly epoch: number; readonly seq: number };
  readonly phase: Phase;
  readonly nodes: Readonly<Record<NodeId, RolloutNode>>;
  /** The run of the first node that serves during the soak; another one means that it restarted. */
  readonly soak: { readonly bootId: string; readonly run: string } | null;
  readonly abort: { readonly by: string; readonly at: string; readonly reason: string } | null;
  /** An operator paused it: it rests at the next safe point. */
  readonly paused?: { readonly by: string; readonly at: string } | null;
  /** What was asked for besides; absent = nothing. */
  readonly options?: RolloutOptions;
  /** Why the rollout turned back, or what its end means. */
  readonly result: Reason | null;
  readonly startedAt: string;
  readonly phaseAt: string;
  /** Seconds that the whole rollout is expected to take. */
  readonly estimateS: number | null;
  /** True once FINALIZE made the new version permanent on both nodes. */
  readonly finalized: boolean;
}

/** Order of two rollout records (rule R7): negative when `a` is older than `b`. */
export function compareWriter(a: RolloutRecord['writer'], b: RolloutRecord['writer']): number {
  return a.epoch - b.epoch || a.seq - b.seq;
}
