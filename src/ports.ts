/**
 * The interfaces at the edge: what the updater needs from the world, each with an in-memory driver
 * for the tests and a real one, both of which pass the port's contract suite (test/contracts).
 * Every method that waits takes an `AbortSignal`; what holds a resource is `AsyncDisposable`.
 * Drivers throw `UpdateError` for what can go wrong in the field. Imports only core.
 */
import type { BootCounter, BootInfo, BootState } from './core/boot.ts';
import type { ErrorReport } from './core/errors.ts';
import type { Manifest } from './core/manifest.ts';
import type { NodeId, Progress, Release, Sha256, Slot, SlotClass, SlotSeal } from './core/model.ts';
import type { NodeRecord, RolloutRecord } from './core/records.ts';
import type { SavedRecords, StorageView, StoreStatus, VerifyReport } from './core/store.ts';

/** Which system slot boots. Every method that changes something is one durable write. */
export interface BootChooser {
  /** The state and the boot loader's own try counter, both as they are on disk now. */
  read(): Promise<{ readonly state: BootState; readonly counter: BootCounter }>;
  /**
   * Arms a trial of `slot` with `tries` boot attempts; `id` must be higher than every earlier one.
   * Idempotent for the same id while the trial is armed. Throws `boot.conflict` when `slot` is the
   * default slot or another trial is armed.
   */
  arm(trial: { readonly id: number; readonly slot: Slot; readonly tries: number }): Promise<void>;
  /** Makes the armed trial `id` the default. Idempotent; throws `boot.conflict` for another id. */
  commit(id: number): Promise<void>;
  /** Disarms trial `id`; the default slot stays. Idempotent; throws `boot.conflict` likewise. */
  revert(id: number): Promise<void>;
  /** Says whether the slot that is not the default holds a bootable, allowed system. */
  setOtherOk(ok: boolean): Promise<void>;
}

/** What is known of a slot's content without hashing it. */
export interface SlotInfo {
  readonly class: SlotClass;
  readonly slot: Slot;
  readonly sizeBytes: number;
  /** Whole image present and read back, with what it says about itself; null = invalid or empty. */
  readonly seal: SlotSeal | null;
}

/** The slots of one node. The bulk work (writing an image) is the installer's. */
export interface Slots {
  info(cls: SlotClass, slot: Slot): Promise<SlotInfo>;
  /** Durable before return: the slot does not count as holding an image any more. */
  invalidate(cls: SlotClass, slot: Slot): Promise<void>;
  /** Durable before return. Callers have read back every byte before. */
  seal(cls: SlotClass, slot: Slot, seal: SlotSeal): Promise<void>;
  /** Path that the installer opens to write or read the raw content, with its capacity. */
  device(cls: SlotClass, slot: Slot): { readonly path: string; readonly sizeBytes: number };
}

/** Records that the journal holds; the last one of each kind is the state. */
export type JournalRecord =
  | { readonly kind: 'node'; readonly record: NodeRecord }
  | { readonly kind: 'rollout'; readonly record: RolloutRecord };

/** What the journal holds. */
export interface JournalContent {
  readonly node: NodeRecord | null;
  readonly rollout: RolloutRecord | null;
  /** Records that were read, in order, at most the last 1,000. */
  readonly records: readonly (JournalRecord & { readonly seq: number })[];
  /** True when a torn tail was dropped. */
  readonly torn: boolean;
}

/** Append-only durable record of states, in preallocated space: a full disk never blocks it. */
export interface Journal {
  /** Throws `journal.corrupt` for a damaged middle, `state.newer_schema` for a newer writer. */
  read(): Promise<JournalContent>;
  /** Durable when it returns. Appends are serialised in call order. */
  append(record: JournalRecord): Promise<void>;
  /** Cuts everything from the first damaged record on; returns how many good ones stay. */
  repair(): Promise<{ readonly kept: number; readonly droppedBytes: number }>;
}

/** One way to the peer. */
export interface LinkChannel {
  /** `network`, later `serial`. */
  readonly name: string;
  readonly up: boolean;
  /** Milliseconds since the last authenticated message; null when there never was one. */
  readonly ageMs: number | null;
  /** Why it is down, when that is known. */
  readonly error: ErrorReport | null;
}

/** Authenticated messages to and from the peer; each is a JSON object of at most 256 KiB. */
export interface PeerLink extends AsyncDisposable {
  /** Sends now if a channel is up, else drops: messages are states, the newest one counts. */
  send(message: object): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Called when a channel goes up or down. */
  onChange(listener: () => void): void;
  channels(): readonly LinkChannel[];
}

/** The replicated store, held by the storage software. */
export interface Store {
  /** Newest status; role `unknown` while the storage software does not run. */
  status(): StoreStatus;
  onStatus(listener: (status: StoreStatus) => void): void;
  /** Accepts writes from now on as primary of `epoch`; refused below the highest epoch seen. */
  promote(epoch: number): Promise<void>;
  /** Stops accepting writes; returns when no write can be acknowledged any more. Idempotent. */
  demote(): Promise<void>;
  /** The primary goes on acknowledging without the peer: it may not take over (rule R4). */
  goAlone(epoch: number): Promise<void>;
  /**
   * FINALIZE (rule R11): from now on the disk and wire format may be the highest level that both
   * sides can write; returns that level. Until then both stay at the level that the disk has.
   * Refused while the peer is not connected; on a secondary it returns the level that it has.
   */
  finalizeFormat(): Promise<number>;
}

/** What a person asks of the two copies of the store; each node's storage software answers. */
export interface StoreCare {
  /** The newest verify, and the comparison of both copies while they are split. */
  view(): Promise<StorageView>;
  /**
   * Begins to compare both copies; the status of the store tells how it goes, on both nodes. Writes
   * to neither. Throws `store.read_only` on a secondary, `pair.not_healthy` without a level peer,
   * `store.busy` while one runs, `pair.protocol` when the peer's software is too old.
   */
  verify(): Promise<VerifyReport>;
  cancelVerify(): Promise<void>;
  /**
   * Makes the peer's copy equal to this primary's, whatever it holds; resolves when it durably
   * counts as stale. Throws as `verify` does, and `store.corrupt` when records here are unreadable.
   */
  resync(): Promise<void>;
  /**
   * Ends a split brain: the copy that is not `keep` saves what only it has to a file, then counts
   * as holding nothing. Throws `store.not_split`, `pair.peer_unreachable`, `store.full`.
   */
  resolve(
    keep: NodeId,
    why: { readonly by: string; readonly reason: string },
  ): Promise<SavedRecords>;
}

/** The storage software as a program with a version, run from a storage slot. */
export interface StorageSoftware extends AsyncDisposable {
  /** Runs the content of `slot` (stops another one first). Idempotent while it runs. */
  start(slot: Slot, signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  /** What runs now, from the content of the slot that it was started from. */
  running(): { readonly slot: Slot; readonly release: Release } | null;
  /** Throws `health.storage` with the reason when it is not healthy. */
  health(signal: AbortSignal): Promise<void>;
  /** Called when it ends without having been asked to. */
  onExit(listener: (reason: string) => void): void;
}

/**
 * The address that clients use, and the workload behind it; it follows our role, never decides it.
 */
export interface ServiceAddress extends AsyncDisposable {
  /** Takes the address and lets the workload serve. Idempotent. */
  acquire(epoch: number, signal: AbortSignal): Promise<void>;
  /** Returns when no request is served any more. Idempotent. */
  release(): Promise<void>;
  held(): boolean;
  /** The workload's self-test on a read-only store; throws `health.check` with the reason. */
  selfTest(signal: AbortSignal): Promise<void>;
}

/** A verified bundle in the depot. */
export interface DepotEntry {
  readonly bundle: Sha256;
  readonly path: string;
  readonly bytes: number;
  readonly manifest: Manifest;
}

/** Verified bundles on a node's data partition: the current one and the previous one. */
export interface Depot {
  list(): Promise<readonly DepotEntry[]>;
  /**
   * Reserves space for a bundle of `bytes` plus 64 MiB, durably allocated, and returns the path to
   * fill. Throws `space.depot` with the missing bytes. Idempotent for the same bundle: a partial
   * file stays.
   */
  reserve(bundle: Sha256, bytes: number): Promise<string>;
  /** The filled and verified file becomes an entry: synced, renamed, directory synced. */
  admit(bundle: Sha256): Promise<DepotEntry>;
  /** Removes every entry and partial file but those named. */
  retain(bundles: readonly Sha256[]): Promise<void>;
}

/** How an attempt to fence the peer ended; see `Fencer.fence`. */
export type FenceOutcome = 'off' | 'failed' | 'unknown';

/** Whom to fence, and for which takeover. */
export interface FenceOrder {
  /** Epoch of whoever fences; it stands in the logs of both sides. */
  readonly epoch: number;
  readonly peer: NodeId;
}

/**
 * Makes sure that the peer is dead (rule R3). The state that wants a fence is durable before the
 * call and names its epoch, so that a peer which comes back meanwhile meets that claim.
 */
export interface Fencer {
  readonly kind: 'none' | 'power' | 'command';
  /**
   * Tries the whole way to the peer's power switch without touching it. Throws `fence.self_test`
   * with the reason. A peer that is heard while `power` says `off` means: the wrong machine.
   */
  selfTest(signal: AbortSignal): Promise<void>;
  /**
   * Cuts the peer's power. `off` only with proof that all of it was dead at some moment after the
   * call began; `failed` = the fencer says that it was not done; `unknown` = whatever is in doubt,
   * an aborted signal too. In both of the latter the peer may be alive. Idempotent: it may be
   * called again at any time, and after a restart. Never throws.
   */
  fence(order: FenceOrder, signal: AbortSignal): Promise<FenceOutcome>;
  /**
   * Lets a peer come back that `fence` has cut, unless the settings say that it stays off. Call it
   * once the new epoch is durable. A power controller that restores the power by itself may have
   * done so before. Idempotent. Throws `fence.failed` when the peer stays off.
   */
  restore(order: FenceOrder, signal: AbortSignal): Promise<void>;
  /** State of the peer's power switch; says nothing of what runs there. Never throws. */
  power(signal: AbortSignal): Promise<'on' | 'off' | 'unknown'>;
}

/** How bad a line of the log is: something has failed, may fail, or is as it should be. */
export type LogLevel = 'error' | 'warning' | 'info';

/** Where lines for the log of the service go; a warning when nothing is said. */
export type ServiceLog = (line: string, level?: LogLevel) => void;

/** The machine itself. */
export interface Host {
  /** How this boot came about, as the boot loader told it. Constant for a boot. */
  boot(): BootInfo;
  /** Ends this boot; the next one has another boot id. Does not return. */
  reboot(reason: string): Promise<never>;
  /** Switches the machine off, until somebody switches it on. Does not return. */
  powerOff(reason: string): Promise<never>;
  /**
   * Cuts this node's own power, so that everything dies that it has started: the way out when a
   * demotion failed and something may still acknowledge writes. Waits for nothing, no disk either.
   */
  hardReset(reason: string): never;
  /** Wall clock in milliseconds, for people and logs only. */
  nowMs(): number;
  /** Monotonic milliseconds since some start. */
  monotonicMs(): number;
  /** Feeds the hardware watchdog, if there is one. */
  feedWatchdog(): void;
  /** Throws `health.check` when a partition of the data side cannot be written. */
  checkWritable(signal: AbortSignal): Promise<void>;
}

/** How the hooks of a point ended that vetoed nothing. */
export interface HooksEnd {
  readonly ran: number;
  readonly retry: boolean;
  /** With `retry`: the hook that wants to be asked later, and its last words. */
  readonly later?: string;
}

/** Runs the hooks of one directory of `hooks.d` in their order. */
export interface Hooks {
  /**
   * Throws with the hook's name and output: `hook.refused` at a point before an update has begun,
   * else `hook.veto` (core/hook-points.ts). Status 75 = `retry`.
   */
  run(point: string, input: object, signal: AbortSignal): Promise<HooksEnd>;
}

/** What stops updates as long as it lies there: files in a directory. */
export interface Inhibitor {
  /** The first of them with what it says, as a sentence; null = nothing stops updates. */
  inhibited(): Promise<string | null>;
}

/** What a child process of the installer is asked to do; see src/install/protocol.ts. */
export interface Installer {
  run<T>(
    request: object,
    options: {
      readonly signal: AbortSignal;
      readonly onProgress?: (progress: Progress) => void;
      /** `serve`: the port on which the bundle can be pulled. */
      readonly onListening?: (port: number) => void;
    },
  ): Promise<T>;
}

export type { BootCounter, BootInfo, BootState, NodeId, SlotSeal, StoreStatus };
