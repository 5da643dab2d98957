/**
 * One copy of the store on DRBD, and its rules (R1-R6 of docs/ARCHITECTURE.md). Always holds: a
 * start is a secondary; a write is acknowledged only by the primary of the highest epoch that this
 * copy has seen, once it is synced on the replicated device; without the peer nothing becomes
 * primary in the kernel, and nothing that is frozen goes on, before `goAlone` of that very epoch; a
 * split brain is told and not resolved. What changes roles happens in turns. Imports core, ports
 * types, the kernel's parts and the objects.
 */
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { Generation } from '../../src/core/records.ts';
import { STORE_UNKNOWN } from '../../src/core/store.ts';
import type { StoreStatus } from '../../src/ports.ts';
import { StatusFeed } from '../storage/feed.ts';
import { checkKey, checkValue, PROTOCOL } from '../storage/limits.ts';
import { HEAD_BYTES } from '../storage/record.ts';
import type { StateFile } from '../storage/state.ts';
import type { Hello } from '../storage/wire.ts';
import type { DrbdState } from './events.ts';
import type { FencePort } from './fence.ts';
import type { OpenStore } from './open-store.ts';
import type { Introduction, Peer } from './peer.ts';
import { checkCopy, fenced, readOnly, takeRole, within, type KernelParts } from './promotion.ts';
import type { SyncMeter } from './sync-meter.ts';
import { isConnected, isFresh, isFrozen, peerIsCurrent, statusOf, type Facts } from './view.ts';
import { Writes } from './writes.ts';

/** `demote` waits at most so long for writes under way. */
const DRAIN_MS = 2000;
/** How long a primary that shall let go may stay frozen before that is an error. */
const FROZEN_MS = 20_000;
/** How long the kernel may take to go on after the word. */
const THAW_MS = 4000;

/** What a copy consists of. */
export interface CopyOptions extends KernelParts {
  readonly node: NodeId;
  readonly state: StateFile;
  readonly fence: FencePort;
  readonly meter: SyncMeter;
  /** Highest format level that this software writes. */
  readonly formatMax: number;
}

/** One copy with its role; the socket, the kernel's events and the peer call it. */
export class Copy {
  readonly options: CopyOptions;
  /** Tells who wants to know. */
  readonly feed = new StatusFeed(() => this.status());
  readonly #writes = new Writes({
    objects: () => (this.#mayWrite() ? (this.store?.objects ?? null) : null),
    onFailed: (error) => this.#failed(error),
  });
  /** The channel to the other storage process; set once by the program. */
  peer: Peer | null = null;
  /** The comparison in short, for the status; set once by the program. */
  verifyBrief: () => StoreStatus['verify'] = () => null;
  /** Why the copies may not be joined; null when they may. */
  splitBrain: UpdateError | null = null;
  /** The objects, while this copy is primary in the kernel. */
  store: OpenStore | null = null;
  /** Ids as the kernel told them last; `current` is empty before it was asked. */
  generation: Generation = STORE_UNKNOWN.generation;
  #leads = false;
  #draining = false;
  #alone = false;
  #peerSplit = false;
  #turn: Promise<void> = Promise.resolve();
  #gate: Promise<void> = Promise.resolve();

  constructor(options: CopyOptions) {
    this.options = options;
  }

  /** What the kernel said last. */
  get kernelState(): DrbdState {
    return this.options.watcher.state;
  }

  /** Primary by the word of core. */
  get leads(): boolean {
    return this.#leads;
  }

  /** Has to become primary in the kernel as soon as it may. */
  get waitsForPeer(): boolean {
    return this.#leads && this.store === null && !this.#draining && this.splitBrain === null;
  }

  /** Writes wait for the peer or for the word. */
  get frozen(): boolean {
    return isFrozen(this.#facts());
  }

  /** Runs an action when all earlier ones have ended. */
  inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(action);
    this.#turn = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  /** Accepts writes as primary of `epoch`; without the peer they wait for `goAlone`. */
  async promote(epoch: number): Promise<void> {
    await this.inTurn(async () => {
      const { state } = this.options;
      const seen = state.now.epoch;
      if (epoch < seen) throw fenced(epoch, seen);
      if (!this.#leads) {
        if (this.kernelState.peerRole === 'Primary' && epoch === seen) throw fenced(epoch, seen);
        if (this.splitBrain) throw this.splitBrain;
        checkCopy(this.kernelState, await this.learnIds());
      }
      if (epoch > seen) {
        await state.change({ epoch });
        this.#alone = false;
      }
      const led = this.#leads;
      this.#leads = true;
      this.#draining = false;
      this.peer?.introduce();
      try {
        if (isConnected(this.kernelState)) await this.#open();
      } catch (error) {
        this.#leads = led;
        throw error;
      } finally {
        this.changed();
      }
    });
    const seen = this.options.state.now.epoch;
    if (!this.#leads || epoch < seen) throw fenced(epoch, seen);
  }

  /** No write can be acknowledged any more when this resolves. */
  async demote(): Promise<void> {
    this.#draining = true;
    if (!this.frozen) await within(this.#writes.empty(), DRAIN_MS);
    await this.inTurn(() => this.stepDown('the node was demoted'));
  }

  /** The peer may not take over: writes need this disk only, until the peer is current again. */
  async goAlone(epoch: number): Promise<void> {
    await this.inTurn(async () => {
      const { state, fence, watcher } = this.options;
      const seen = state.now.epoch;
      if (!this.#leads || epoch !== seen) throw fenced(epoch, seen);
      if (isConnected(this.kernelState)) return;
      if (!state.now.aloneSince) await state.change({ aloneSince: new Date().toISOString() });
      this.#alone = true;
      try {
        await fence.give();
        if (this.store === null) await this.#open();
        else if (!(await watcher.until(({ frozen }) => !frozen, THAW_MS))) {
          throw new UpdateError('store.io', 'DRBD does not go on without the peer');
        }
      } catch (error) {
        this.#alone = false;
        throw error;
      } finally {
        fence.take();
        this.changed();
      }
    });
  }

  /** The peer is here: a promotion that waited for it is made good. For whoever tends the copy. */
  async openWithPeer(): Promise<void> {
    await this.inTurn(async () => {
      if (this.waitsForPeer && isConnected(this.kernelState)) await this.#open();
      this.changed();
    });
  }

  /** Back to secondary; in a turn. What was not acknowledged is given up; it may hold or not. */
  async stepDown(why: string): Promise<void> {
    const { kernel, watcher, state } = this.options;
    this.#draining = true;
    this.#writes.giveUp(why);
    this.changed();
    if (this.store !== null || this.kernelState.role === 'Primary') {
      // What is frozen cannot be let go; whoever waits for this cuts the power of the node.
      if (!(await watcher.until(({ frozen }) => !frozen, FROZEN_MS))) {
        throw new UpdateError('store.io', 'the store is frozen in the kernel and cannot be let go');
      }
      const store = this.store;
      if (store !== null) await state.change({ counted: store.amount });
      await store?.[Symbol.asyncDispose]();
      await this.options.unmount();
      this.store = null;
      await kernel.secondary();
    }
    this.#leads = false;
    this.#alone = false;
    this.#draining = false;
    this.peer?.introduce();
    this.changed();
  }

  /** Raises the format level on both sides; returns the level of this side. */
  async finalizeFormat(): Promise<number> {
    const { state, formatMax } = this.options;
    const hello = this.peer?.hello ?? null;
    if (!this.#leads) return state.now.formatLevel;
    if (!peerIsCurrent(this.kernelState) || hello === null) {
      throw new UpdateError('pair.not_healthy', 'the peer of the store is not connected');
    }
    const level = Math.min(formatMax, hello.formatMax);
    if (level > state.now.formatLevel) {
      await this.peer?.raiseFormat(level);
      await state.change({ formatLevel: level });
    }
    return state.now.formatLevel;
  }

  /**
   * Writes an object (null = deletes it); resolves when it is acknowledged under the rules, with
   * false when there was nothing to delete.
   */
  async write(key: string, value: Buffer | null): Promise<boolean> {
    checkKey(key);
    const bytes = value && key.length + checkValue(value).length + HEAD_BYTES;
    if (!this.#leads || this.#draining) throw readOnly();
    // One after the other: a write must not overtake an earlier one that looks at the disk.
    const granted = this.#gate.then(() =>
      bytes === null ? undefined : this.store?.room.take(bytes),
    );
    this.#gate = granted.catch(() => undefined);
    await granted;
    if (!this.#leads || this.#draining) throw readOnly();
    return await this.#writes.take(key, value);
  }

  /** The objects for a reader; throws `store.read_only` where they cannot be read. */
  readable(): OpenStore {
    if (this.store !== null) return this.store;
    if (this.#leads) throw new UpdateError('store.busy', 'this copy waits for its peer');
    throw new UpdateError('store.read_only', 'the objects can be read on the primary only');
  }

  /** The kernel has said something new. */
  heard(now: DrbdState, before: DrbdState): void {
    const { fence, state } = this.options;
    if (isConnected(now) && !isConnected(before)) {
      this.splitBrain = null;
      void fence.refuse(() => isConnected(this.kernelState)).catch(() => undefined);
    }
    if (isConnected(now)) this.#alone = false;
    if (peerIsCurrent(now) && state.now.aloneSince) {
      void state.change({ aloneSince: null }).catch(() => undefined);
    }
    this.#writes.advance();
    this.changed();
  }

  /** The peer has said what it is; true when its copy gave way, so that it can be met again. */
  heardPeer({ epoch, splitBrain = false }: Hello): boolean {
    const ended = this.#peerSplit && !splitBrain;
    this.#peerSplit = splitBrain;
    if (splitBrain && !isConnected(this.kernelState)) this.foundSplit('there');
    if (epoch > this.options.state.now.epoch) {
      void this.inTurn(() => this.#sawEpoch(epoch)).catch(() => undefined);
    }
    this.changed();
    return ended;
  }

  /** One of the copies gave way: they may meet again. */
  splitEnded(): void {
    this.splitBrain = null;
    this.peer?.introduce();
    this.changed();
  }

  /** The kernel, here or there, refused to join the copies. */
  foundSplit(where: 'here' | 'there', words = ''): void {
    if (this.splitBrain !== null) return;
    const { current, base } = this.generation;
    const ids = `generation ${current} here (base ${base ?? 'none'})`;
    const said = words === '' ? '' : `: ${words}`;
    this.splitBrain = new UpdateError(
      'store.split_brain',
      `DRBD does not join the two copies, found ${where}${said}; ${ids}`,
    );
    this.peer?.introduce();
    this.changed();
  }

  /** What this side says of itself to the other process. */
  introduction(pair: string): Introduction {
    const { node, state, formatMax } = this.options;
    return {
      protocol: PROTOCOL,
      node,
      pair,
      epoch: state.now.epoch,
      role: this.#leads ? 'primary' : 'secondary',
      generation: this.generation,
      formatMax,
      splitBrain: this.splitBrain !== null,
    };
  }

  status(): StoreStatus {
    return statusOf(this.#facts());
  }

  /** Asks the kernel for the ids; without a disk they are those that were known last. */
  async learnIds(): Promise<Generation> {
    const { disk } = this.kernelState;
    const attached = disk !== null && disk !== 'Diskless' && disk !== 'Attaching';
    if (attached) this.generation = await this.options.kernel.generation();
    return this.generation;
  }

  /** Something that the status shows may have changed. */
  changed(): void {
    this.#writes.advance();
    this.feed.changed();
  }

  #facts(): Facts {
    const { state, meter } = this.options;
    return {
      kernel: this.kernelState,
      leads: this.#leads,
      open: this.store !== null,
      alone: this.#alone,
      epoch: state.now.epoch,
      generation: this.generation,
      splitBrain: this.splitBrain !== null,
      progress: meter.progress,
      lastSync: meter.lastSync,
      formatLevel: state.now.formatLevel,
      verify: this.verifyBrief() ?? null,
      full: this.store?.room.full ?? false,
    };
  }

  #mayWrite(): boolean {
    return this.#leads && !this.#draining && !this.frozen;
  }

  /** Becomes primary in the kernel and opens the objects; in a turn. */
  async #open(): Promise<void> {
    if (this.store !== null) return;
    const store = await takeRole(this.options, isFresh(await this.learnIds()));
    this.#writes.begin(store.objects);
    this.store = store;
  }

  /** Steps down unasked; one that cannot stays frozen, and the daemon sees that. */
  async #giveUpRole(why: string): Promise<void> {
    try {
      await this.inTurn(() => this.stepDown(why));
    } catch {
      this.changed();
    }
  }

  async #sawEpoch(epoch: number): Promise<void> {
    if (epoch <= this.options.state.now.epoch) return;
    const led = this.#leads;
    await this.options.state.change({ epoch });
    if (led) await this.stepDown('the peer has seen a higher epoch');
    this.changed();
  }

  /** Without a disk nothing can be promised: the daemon must see it at once. */
  #failed(error: unknown): void {
    if (!this.#leads || this.#draining) return;
    const { message } = asUpdateError(error);
    void this.#giveUpRole(message);
  }
}
