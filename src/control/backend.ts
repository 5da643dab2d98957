/**
 * What the daemon offers to its control server: the one interface between the protocol on the
 * socket and the node that answers. Imports only core.
 */
import type { Via } from '../core/access.ts';
import type { NodeId } from '../core/model.ts';
import type { ActAnswer, AuditEntry, PrecheckReport, TakeoverView } from '../core/operator.ts';
import type { PowerViews } from '../core/power.ts';
import type { PrepareOptions } from '../core/prepare-plan.ts';
import type { PrepareAnswer, PrepareRequest, PrepareView } from '../core/prepare-view.ts';
import type { ChangePreview } from '../core/preview.ts';
import type { Order, RolloutRecord } from '../core/records.ts';
import type { ReplaceOffer } from '../core/replace.ts';
import type { SettingAnswer, SettingKey, SettingsView } from '../core/settings.ts';
import type {
  JobStatus,
  PairStatus,
  SlotStatus,
  TandemEvent,
  ValidateReport,
} from '../core/status.ts';
import type { TimesGiven } from '../core/schedule-time.ts';
import type { AutomationView, ScheduleView } from '../core/schedule-read.ts';
import type { StorageView } from '../core/store.ts';
import type { Counters } from './metrics.ts';
import type { ScheduleRequest, ScheduleWord } from './schedule-protocol.ts';
import type { SupportArchive, SupportView } from '../core/support.ts';

/**
 * Absolute path of a bundle file, the id (digest) of a staged bundle, or the id of a prepared
 * update.
 */
export type BundleSource =
  { readonly path: string } | { readonly bundle: string } | { readonly prepared: string };

/** Why something is asked for, for the audit log. */
interface Why {
  readonly reason?: string;
}

/** A change that a client asks for; each becomes a job. */
export type JobRequest = Why &
  (
    | { readonly kind: 'stage'; readonly path: string }
    /** Does ahead all that an install needs, on both nodes; no slot is written. */
    | ({
        readonly kind: 'prepare';
        readonly source: Exclude<BundleSource, { readonly prepared: string }>;
      } & Partial<PrepareOptions>)
    | {
        readonly kind: 'update';
        readonly source: BundleSource;
        readonly order?: Order;
        readonly onSecondFailure?: 'hold' | 'rollback';
        /** The other slots are wiped before they are written. */
        readonly formatTarget?: boolean;
        /** It begins and switches outside of the maintenance windows, too. */
        readonly ignoreWindow?: boolean;
      }
    | { readonly kind: 'rollback' }
    | { readonly kind: 'commit' }
    /** Compares both copies of the store; writes to neither. */
    | { readonly kind: 'verify' }
    /** Makes the standby's copy of the store equal to the active's. */
    | { readonly kind: 'resync' }
    /** Ends a split brain: this node's copy is kept. */
    | { readonly kind: 'resolve'; readonly keep: NodeId; readonly reason: string }
    /** An archive for whoever helps, kept on the node that is asked. */
    | { readonly kind: 'support' }
    /**
     * The node that is asked restarts, or goes off; a service that it has is handed over first.
     * `force` lets it go where nobody can take the service.
     */
    | { readonly kind: 'restart' | 'shutdown'; readonly force?: boolean }
  );

/** A word of an operator that is done at once. */
export type ActRequest =
  | (Why & { readonly act: 'switchover' })
  /** The operator's word that this peer is off; it counts on the node that is asked. */
  | { readonly act: 'takeover'; readonly peer: NodeId; readonly reason: string }
  | (Why & { readonly act: 'stand-down'; readonly on: boolean })
  /** Without `job` the rollout that runs. */
  | (Why & { readonly act: 'pause' | 'resume'; readonly job?: string });

/** A setting of the node that is asked, as a word. */
export interface SettingRequest extends Why {
  readonly key: SettingKey;
  readonly value: string;
}

/** Another node takes the place of the peer. */
export interface ReplaceRequest extends Why {
  /** The node that is replaced: the peer of the one that is asked. */
  readonly node: NodeId;
  /** Where the new node is waited for; default: the address of bulk transfers. */
  readonly listen?: { readonly host: string; readonly port: number };
}

/** A bundle that is staged on this node, or on its peer alone. */
export interface StagedBundle {
  readonly bundle: string;
  /** Product, version and size; null while only the peer has it. */
  readonly product: string | null;
  readonly version: string | null;
  readonly bytes: number | null;
  /** Nodes that hold it, as far as this node knows. */
  readonly nodes: readonly NodeId[];
}

/** Who asked, for the audit log. */
export interface Caller {
  /** Of the session on the console socket; on the control socket what the caller says. */
  readonly name: string;
  readonly via?: Via;
  /** Id for the job that the request becomes, from `newJobId`; any other one when absent. */
  readonly job?: string;
  /** Milliseconds for which hooks have put this job off already, before this daemon. */
  readonly waitedMs?: number;
}

/** What a dry run is told of the update besides its bundle: also when it is to happen. */
export interface PrecheckOptions extends TimesGiven {
  /** It would begin and switch outside of the maintenance windows, too. */
  readonly ignoreWindow?: boolean;
}

/** The node behind the control socket. */
export interface ControlBackend {
  status(): PairStatus;
  slots(): Promise<Readonly<Record<NodeId, readonly SlotStatus[]>>>;
  /** Finished and running rollouts, newest first, at most `limit`. */
  history(limit: number): Promise<readonly RolloutRecord[]>;
  /** Every check of a bundle against this pair; writes nothing. */
  validate(path: string, signal: AbortSignal): Promise<ValidateReport>;
  /** Accepts a change and returns its running job; throws the refusal. */
  start(request: JobRequest, caller: Caller): Promise<JobStatus>;
  /** An id that no job has, for one of this kind. */
  newJobId(kind: string): string;
  /** What this node has counted. */
  counters(): Counters;
  /** What a change would do; changes nothing. */
  previewJob(request: JobRequest, caller: Caller): Promise<ChangePreview>;
  /** The same of a word of an operator. */
  previewAct(request: ActRequest): Promise<ChangePreview>;
  jobs(): readonly JobStatus[];
  /** Throws `job.unknown`. */
  job(id: string): JobStatus;
  cancel(id: string, caller: Caller, reason?: string): Promise<JobStatus>;
  /** Does what an operator says, or throws the refusal. */
  act(request: ActRequest, caller: Caller): Promise<ActAnswer>;
  /** Waits for a node that takes the peer's place, as a job; throws the refusal. */
  replace(request: ReplaceRequest, caller: Caller): Promise<ReplaceOffer>;
  /** What the word that the peer is off would do here and now, and what it costs. */
  takeover(): TakeoverView;
  /** What the storage software of this node knows of both copies. */
  storage(): Promise<StorageView>;
  /** The prepared update as this node knows it. */
  prepared(): PrepareView;
  /** Does what is said of it, or throws the refusal. */
  sayPrepare(request: PrepareRequest, caller: Caller): Promise<PrepareAnswer>;
  /** Every check that an update with this bundle would have to pass; changes nothing. */
  precheck(
    source: BundleSource,
    signal: AbortSignal,
    options?: PrecheckOptions,
  ): Promise<PrecheckReport>;
  /** What operators asked this node for, newest first, at most `limit`. */
  audit(limit: number): Promise<readonly AuditEntry[]>;
  /** The settings of this node, and its network. */
  settings(): Promise<SettingsView>;
  /** Sets one of them, durably; throws the refusal. */
  set(request: SettingRequest, caller: Caller): Promise<SettingAnswer>;
  /** Scheduled updates, and what holds updates up. */
  automation(): AutomationView;
  /** Schedules an update on both nodes; throws the refusal. */
  schedule(request: ScheduleRequest, caller: Caller): Promise<ScheduleView>;
  /** What a person says to one; throws `schedule.unknown` and the refusal. */
  answerSchedule(id: string, word: ScheduleWord, caller: Caller): Promise<ScheduleView>;
  /** Bundles that are staged, newest first. */
  bundles(): Promise<readonly StagedBundle[]>;
  /** What a restart and a shutdown of this node would do now, and what they cost. */
  power(): PowerViews;
  /** The support archives that this node keeps. */
  support(): Promise<SupportView>;
  /** The bytes of a kept archive. Throws `file.not_found`. */
  supportArchive(name: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** The bytes of a new archive, of which nothing is kept on this node. */
  supportStream(
    caller: Caller,
    reason: string | undefined,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>>;
  /** Deletes a kept archive and returns what it was. Throws `file.not_found`. */
  deleteSupport(name: string, caller: Caller): Promise<SupportArchive>;
  /** Kept events with seq > since, oldest first; then every new one while `follow` lives. */
  eventsSince(since: number): readonly TandemEvent[];
  onEvent(listener: (event: TandemEvent) => void): () => void;
}
