/**
 * The whole state of one node as one value: the two durable records, and the world as it was
 * observed since this start of the daemon. What is observed is never remembered over a restart.
 * `step` in machine.ts is the only place that makes a new state. Pure types and readers; imports
 * only core.
 */
import type { BootInfo, BootState } from './boot.ts';
import type { NodeId, Progress, Release, Sha256, Slot } from './model.ts';
import { peerOf } from './model.ts';
import { END_PHASES, type NodeRecord, type NodeUpdate, type Reason } from './records.ts';
import type { Job, RolloutRecord, Trial } from './records.ts';
import { positionOf, samePosition } from './report.ts';
import type { NodeReport, PolicyWord, Seals } from './report.ts';
import type { StoreStatus } from './store.ts';

/** Time as events bring it: monotonic milliseconds to judge by, wall clock for people. */
export interface Clock {
  readonly ms: number;
  readonly at: string;
}

/** What this node is busy with, for a progress bar, and the job that it belongs to. */
export interface Activity {
  readonly name: string;
  readonly progress: Progress | null;
  readonly job: string | null;
}

/** See `World.takeover`. */
export type TakeoverPolicy = 'manual' | 'fence';

/** What was observed since the daemon started. */
export interface World {
  readonly clock: Clock;
  readonly run: string;
  readonly program: string;
  readonly boot: BootInfo;
  readonly bootState: BootState;
  readonly system: Release | null;
  readonly seals: Seals;
  readonly depot: readonly Sha256[];
  readonly freeBytes: number | null;
  /** The storage software that runs now, from the content of its slot. */
  readonly storage: { readonly slot: Slot; readonly release: Release } | null;
  readonly store: StoreStatus;
  /** Epoch for which this node serves, or null. */
  readonly serving: number | null;
  /** True while this node hands over: it does not start to serve again by itself. */
  readonly draining: boolean;
  /** An operator asked for a switchover; it happens as soon as the peer can take the service. */
  readonly switching: boolean;
  /** Rollout for which the store's format was raised since this start (R11), or null. */
  readonly formatRaisedFor: string | null;
  /** A channel of the link is up. */
  readonly linkUp: boolean;
  readonly peer: NodeReport | null;
  /** Since when no channel of the link is up; null while one is, and before the first contact. */
  readonly linkLostMs: number | null;
  /**
   * `fence` once this node's fencer has passed its self-test: it may switch its peer off and act
   * alone. `manual`: only an operator's word lets it take over (R3, R4).
   */
  readonly takeover: TakeoverPolicy;
  /** How often it has changed in this run of the daemon. */
  readonly takeoverTurn: number;
  /** What the peer said last of its own policy: one that may take over by itself is waited out. */
  readonly peerTakeover: TakeoverPolicy;
  /** The peer's newest word on its policy, as the answer that it waits for. */
  readonly peerWord: PolicyWord | null;
  /** This node's newest word that the peer has heard: `fence` is not used before it is known. */
  readonly peerKnows: PolicyWord | null;
  /** How much later than the active a standby fences. */
  readonly headStartMs: number;
  /** The peer was heard in this run of the daemon, or was waited for (R1). */
  readonly met: boolean;
  /** When the newest report of the peer came, in milliseconds of the monotonic clock. */
  readonly peerHeardMs: number;
  readonly admitted: boolean;
  readonly activity: Activity | null;
  readonly troubles: Readonly<Record<string, Reason>>;
  readonly bulkPort: number | null;
  /** A bundle that the peer shall have too, outside of a rollout. */
  readonly staging: { readonly bundle: Sha256; readonly bytes: number } | null;
  /** Since when this daemon has seen the rollout in its phase. */
  readonly phaseSinceMs: number;
  /** When something was last heard that shows that the driver of the trial is alive. */
  readonly driverHeardMs: number;
}

/** The whole state of a node: two durable records, and what was observed. */
export interface NodeState {
  readonly record: NodeRecord;
  readonly rollout: RolloutRecord | null;
  readonly world: World;
}

/** What can happen to a node. Every event carries the time at which it was seen. */
export type Event =
  | { readonly type: 'tick' }
  | { readonly type: 'link'; readonly up: boolean }
  | { readonly type: 'report'; readonly report: NodeReport }
  | { readonly type: 'rollout'; readonly record: RolloutRecord }
  | { readonly type: 'store'; readonly status: StoreStatus }
  | { readonly type: 'storage'; readonly running: World['storage'] }
  /** It ended without having been asked to. */
  | { readonly type: 'storage-ended'; readonly reason: string }
  | { readonly type: 'serving'; readonly epoch: number | null }
  | { readonly type: 'boot-state'; readonly state: BootState }
  | { readonly type: 'seals'; readonly seals: Seals }
  | { readonly type: 'depot'; readonly depot: readonly Sha256[]; readonly freeBytes: number | null }
  | { readonly type: 'bulk'; readonly port: number | null }
  | { readonly type: 'staging'; readonly staging: World['staging'] }
  | { readonly type: 'activity'; readonly activity: World['activity'] }
  | { readonly type: 'installed'; readonly job: Job }
  | { readonly type: 'install-failed'; readonly job: Job; readonly reason: Reason }
  | { readonly type: 'storage-proven'; readonly trialId: number }
  | { readonly type: 'health'; readonly trialId: number; readonly reason: Reason | null }
  | { readonly type: 'trouble'; readonly effect: string; readonly reason: Reason | null }
  | { readonly type: 'start'; readonly record: RolloutRecord }
  | { readonly type: 'cancel'; readonly by: string; readonly reason: string }
  | { readonly type: 'finalize' }
  | { readonly type: 'takeover-policy'; readonly takeover: World['takeover'] }
  /** `since`: the loss of the link that the fence was asked for; absent = not known. */
  | {
      readonly type: 'peer-off';
      readonly word: 'fence' | 'operator';
      readonly since?: number | null;
    }
  | { readonly type: 'format-raised'; readonly rollout: string }
  | { readonly type: 'switchover' }
  | { readonly type: 'stand-down'; readonly on: boolean }
  /** An operator keeps this node's copy of a split brain. */
  | { readonly type: 'keep-copy' }
  | { readonly type: 'pause'; readonly by: string | null };

/**
 * What has to be done now. Effects are derived from the state, never stored, and idempotent: after
 * a power cut the same state asks for the same effects again.
 */
export type Effect =
  | { readonly do: 'run-storage'; readonly slot: Slot }
  | { readonly do: 'serve'; readonly epoch: number }
  | { readonly do: 'release' }
  | { readonly do: 'go-alone'; readonly epoch: number }
  /** `since`: `linkLostMs` of the loss that it is about. */
  | { readonly do: 'fence'; readonly epoch: number; readonly since: number | null }
  | { readonly do: 'fetch'; readonly bundle: Sha256; readonly bytes: number; readonly port: number }
  | { readonly do: 'offer'; readonly bundle: Sha256 }
  | { readonly do: 'install'; readonly job: Job }
  | { readonly do: 'arm'; readonly trial: Trial }
  | { readonly do: 'commit'; readonly trial: Trial }
  | { readonly do: 'revert'; readonly trial: Trial }
  | { readonly do: 'reboot'; readonly reason: string }
  | { readonly do: 'check-health'; readonly trial: Trial; readonly bootId: string }
  | { readonly do: 'watch-service' }
  | { readonly do: 'raise-format'; readonly rollout: string }
  | { readonly do: 'close-other-slot' };

/** Identity of an effect: the runner runs each once while the state asks for it. */
export function effectKey(effect: Effect): string {
  return JSON.stringify(effect);
}

/** This node. */
export const me = (s: NodeState): NodeId => s.record.node;
/** Its peer. */
export const other = (s: NodeState): NodeId => peerOf(s.record.node);

/** Connected: a channel is up and the peer has reported on it (link loss forgets the report). */
export const connected = (s: NodeState): boolean => s.world.linkUp && s.world.peer !== null;

/** The report of a connected peer, else null. */
export const peerReport = (s: NodeState): NodeReport | null =>
  s.world.linkUp ? s.world.peer : null;

/** True while a rollout has not reached an end. */
export const running = (rollout: RolloutRecord | null): rollout is RolloutRecord =>
  rollout !== null && !END_PHASES.has(rollout.phase);

/** The trial that an update has come to, if it has. */
export function trialOf(update: NodeUpdate): Trial | null {
  return 'trial' in update ? update.trial : null;
}

/** Booted into a slot whose trial is not committed: such a node never serves (I8). */
export function onTrial(s: NodeState): boolean {
  return s.world.boot.slot !== s.world.bootState.default;
}

/** The peer holds exactly this node's rollout record (rule R7: acknowledged). */
export function acknowledged(s: NodeState): boolean {
  const peer = peerReport(s);
  return peer !== null && samePosition(peer.rollout, positionOf(s.rollout));
}

/**
 * The storage slot that has to run (rule I7). The node record was durable before the trial was
 * armed, so whichever system boots finds here what it may run, even after a fallback by the boot
 * loader.
 */
export function storageSlot(record: NodeRecord, booted: Slot): Slot {
  const trial = record.storage.trial;
  if (trial === null) return record.storage.current;
  if (booted === trial.systemSlot) return trial.new;
  return trial.proven && trial.newRunsUnderOld ? trial.new : trial.old;
}
