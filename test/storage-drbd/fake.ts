/**
 * A pair of copies on a DRBD that is played in memory: roles, disk states, ids and the handler's
 * question behave as the kernel's, the file systems are folders. Always holds: a folder of a
 * secondary changes only while the two are joined. The writes of a frozen primary are held back by
 * the storage software itself here; that the kernel holds them, too, is shown under QEMU. Imports
 * images/storage and images/storage-drbd.
 */
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Copy } from '../../images/storage-drbd/copy.ts';
import { NOTHING, type DiskState, type DrbdState } from '../../images/storage-drbd/events.ts';
import type { FencePort } from '../../images/storage-drbd/fence.ts';
import type { KernelPort } from '../../images/storage-drbd/kernel.ts';
import { OpenStore } from '../../images/storage-drbd/open-store.ts';
import { answerPeer } from '../../images/storage-drbd/operations.ts';
import { Peer } from '../../images/storage-drbd/peer.ts';
import type { SplitOptions } from '../../images/storage-drbd/split.ts';
import { SyncMeter } from '../../images/storage-drbd/sync-meter.ts';
import { Tender } from '../../images/storage-drbd/tender.ts';
import { Verifier } from '../../images/storage-drbd/verify.ts';
import { isFresh } from '../../images/storage-drbd/view.ts';
import { newGeneration } from '../../images/storage/generation.ts';
import type { ConnectionListener, PeerConnection } from '../../images/storage/link.ts';
import { StateFile } from '../../images/storage/state.ts';
import type { Hello, Message } from '../../images/storage/wire.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { peerOf, type NodeId } from '../../src/core/model.ts';
import type { Generation } from '../../src/core/records.ts';
import type { StoreStatus } from '../../src/core/store.ts';

const PAIR = '0'.repeat(32);
const nothing = async (): Promise<void> => undefined;

/** The end of a channel between two processes in one. */
class Wire implements PeerConnection {
  closed = false;
  listener: ConnectionListener | null = null;
  other: Wire | null = null;

  send(head: Hello | Message): void {
    const frame = { head: structuredClone(head), body: null };
    setImmediate(() => {
      if (!this.closed) this.other?.listener?.frame(frame);
    });
  }

  async drained(): Promise<void> {}

  setReading(): void {}

  close(reason: UpdateError): void {
    if (this.closed) return;
    this.closed = true;
    this.listener?.closed(reason);
    this.other?.close(reason);
  }
}

/** One node: what the kernel has, and the software on top of it. */
export class FakeNode {
  readonly node: NodeId;
  readonly pair: FakePair;
  readonly dir: string;
  disk: DiskState = 'Inconsistent';
  role: 'Primary' | 'Secondary' = 'Secondary';
  ids: Generation = newGeneration();
  frozen = false;
  peerOutdated = false;
  standAlone = false;
  discards = false;
  /** The word of core counts. */
  word = false;
  /** How often the kernel asked for it. */
  asked = 0;
  state: DrbdState = NOTHING;
  copy!: Copy;
  peer!: Peer;
  split!: SplitOptions;
  #undo = new AsyncDisposableStack();

  constructor(node: NodeId, pair: FakePair, dir: string) {
    this.node = node;
    this.pair = pair;
    this.dir = dir;
  }

  get other(): FakeNode {
    return this.pair[peerOf(this.node)];
  }

  get volume(): string {
    return join(this.dir, 'volume');
  }

  /** Starts the software, a secondary. */
  async start(): Promise<void> {
    const { node } = this;
    const dataDir = join(this.dir, 'data');
    await mkdir(dataDir, { recursive: true });
    await mkdir(this.volume, { recursive: true });
    this.#undo = new AsyncDisposableStack();
    const state = this.#undo.use(
      await StateFile.open(dataDir, { node, pair: PAIR }, async () => true),
    );
    const meter = new SyncMeter();
    const openStore = (): Promise<OpenStore> =>
      OpenStore.open({ mountPoint: this.volume, formatLevel: () => 1, onLook: () => undefined });
    const watcher = { until: this.#until, state: NOTHING };
    Object.defineProperty(watcher, 'state', { get: () => this.state });
    const parts = { watcher, openStore, unmount: async () => undefined, kernel: this.#kernel() };
    const copy = new Copy({ ...parts, node, state, fence: this.#fence(), meter, formatMax: 2 });
    const tender = this.#undo.use(new Tender(copy));
    const verifier = this.#undo.use(await Verifier.open(copy, dataDir));
    this.split = { copy, tender, pair: PAIR, dataDir };
    this.copy = copy;
    this.peer = new Peer({
      node,
      pair: PAIR,
      introduction: () => copy.introduction(PAIR),
      onHello: (hello) => {
        if (copy.heardPeer(hello)) void tender.rejoin().catch(() => undefined);
      },
      onFormat: async (formatLevel) => await state.change({ formatLevel }),
      onQuestion: (question) => answerPeer({ copy, verifier, split: this.split }, question),
    });
    copy.peer = this.peer;
    this.tender = tender;
    tender.start();
  }

  tender!: Tender;

  async stop(): Promise<void> {
    await this.copy.store?.[Symbol.asyncDispose]();
    await this.#undo.disposeAsync();
  }

  /** The power goes and comes back: what the kernel had of roles is gone. */
  async cutPower(): Promise<void> {
    await this.stop();
    Object.assign(this, { role: 'Secondary', frozen: false, disk: 'Consistent' });
    await this.start();
    await this.pair.setLink(true);
  }

  async put(key: string, value: string): Promise<void> {
    await this.copy.write(key, Buffer.from(value));
    await this.pair.replicate();
  }

  async get(key: string): Promise<string | null> {
    return (await this.copy.readable().objects.get(key))?.toString('utf8') ?? null;
  }

  async until(good: (status: StoreStatus) => boolean): Promise<StoreStatus> {
    for (;;) {
      const status = this.copy.status();
      if (good(status)) return status;
      await sleep(5);
    }
  }

  readonly #until = async (good: (state: DrbdState) => boolean): Promise<boolean> => {
    for (let n = 0; n < 200; n += 1) {
      if (good(this.state)) return true;
      await sleep(5);
    }
    return false;
  };

  #fence(): FencePort {
    return {
      give: async () => {
        this.word = true;
        if (this.frozen && !this.pair.joined) this.goOn();
        this.pair.tell();
      },
      take: () => (this.word = false),
      refuse: async () => undefined,
    };
  }

  /** What the handler's answer does: the peer counts as outdated, and the ids change. */
  goOn(): void {
    this.frozen = false;
    this.peerOutdated = true;
    const { current, base, history } = this.ids;
    if (base === null) this.ids = { current: this.pair.newId(), base: current, history };
  }

  #kernel(): KernelPort {
    return {
      load: nothing,
      configure: nothing,
      hasMetaData: async () => true,
      isBlank: async () => false,
      makeMetaData: nothing,
      up: nothing,
      adjust: nothing,
      down: nothing,
      giveUpFrozen: nothing,
      verify: nothing,
      invalidateRemote: nothing,
      progress: async () => null,
      outOfSyncBytes: async () => 0,
      messages: async () => [],
      generation: async () => this.ids,
      primary: (force) => this.#primary(force === true),
      secondary: async () => {
        await this.pair.replicate();
        this.role = 'Secondary';
        await this.pair.meet();
      },
      agree: async () => {
        const ids = { current: this.pair.newId(), base: null, history: [] };
        for (const one of [this, this.other]) Object.assign(one, { ids, disk: 'UpToDate' });
        this.pair.tell();
      },
      disconnect: async () => {
        this.standAlone = true;
        this.pair.tell();
      },
      connect: async (discard) => {
        this.standAlone = false;
        this.discards = discard === true;
        await this.pair.meet();
      },
    };
  }

  async #primary(force: boolean): Promise<void> {
    if (this.pair.joined) {
      if (this.other.role === 'Primary') throw new UpdateError('store.fenced', 'two primaries');
    } else if (!this.peerOutdated) {
      this.asked += 1;
      if (!this.word) throw new UpdateError('store.io', 'refusing to be primary');
      this.peerOutdated = true;
    }
    const usable = this.disk === 'UpToDate' || this.disk === 'Consistent';
    if (!usable && !force) throw new UpdateError('store.io', 'need access to UpToDate data');
    this.disk = 'UpToDate';
    this.role = 'Primary';
    if (!this.pair.joined) this.goOn();
    this.pair.tell();
  }
}

/** Two nodes and the cable between them. */
export class FakePair implements AsyncDisposable {
  readonly A: FakeNode;
  readonly B: FakeNode;
  /** The two copies have met. */
  joined = false;
  #link = false;
  #ids = 0;
  #wire: Wire | null = null;

  private constructor(dir: string) {
    this.A = new FakeNode('A', this, join(dir, 'A'));
    this.B = new FakeNode('B', this, join(dir, 'B'));
  }

  /** Both run, joined by the cable, nothing was ever written. */
  static async start(dir: string, link = true): Promise<FakePair> {
    const pair = new FakePair(dir);
    await pair.A.start();
    await pair.B.start();
    await pair.setLink(link);
    return pair;
  }

  newId(): string {
    this.#ids += 1;
    return String(this.#ids).padStart(16, '0');
  }

  async setLink(up: boolean): Promise<void> {
    this.#link = up;
    if (up) {
      const [a, b] = [new Wire(), new Wire()];
      Object.assign(a, { other: b, listener: this.A.peer.attach(a) });
      Object.assign(b, { other: a, listener: this.B.peer.attach(b) });
      this.#wire = a;
      await this.meet();
      return;
    }
    this.#wire?.close(new UpdateError('pair.peer_unreachable', 'the cable was cut'));
    this.#part();
  }

  /** The copies meet, if nothing is in the way: level, one behind the other, or split. */
  async meet(): Promise<void> {
    const { A, B } = this;
    const bothLead = A.role === 'Primary' && B.role === 'Primary';
    const apart = !this.#link || A.standAlone || B.standAlone || bothLead || this.joined;
    if (apart) return this.tell();
    const [a, b] = [A.ids, B.ids];
    if (a.current === b.current) await this.#join(null);
    else if (a.base === b.current || isFresh(b) || B.discards) await this.#join(A);
    else if (b.base === a.current || isFresh(a) || A.discards) await this.#join(B);
    else {
      for (const one of [A, B]) {
        one.standAlone = true;
        one.tender.helper({ helper: 'split-brain', status: null });
      }
      this.tell();
    }
  }

  /** What the primary wrote is on the other disk, too. */
  async replicate(): Promise<void> {
    const source = [this.A, this.B].find((one) => one.role === 'Primary');
    if (this.joined && source !== undefined) await this.#send(source);
  }

  /** Tells both sides what the kernel has now. */
  tell(): void {
    for (const one of [this.A, this.B]) {
      const before = one.state;
      one.state = this.#stateOf(one);
      if (JSON.stringify(before) === JSON.stringify(one.state)) continue;
      one.copy.options.meter.follow(one.state, before, 0);
      one.copy.heard(one.state, before);
      one.tender.heard();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.A.stop();
    await this.B.stop();
  }

  async #join(source: FakeNode | null): Promise<void> {
    for (const one of [this.A, this.B]) {
      one.frozen = false;
      one.peerOutdated = false;
      one.discards = false;
    }
    this.joined = true;
    if (source !== null) {
      await this.#send(source);
      const { current, base, history } = source.ids;
      const ids = { current, base: null, history: base === null ? history : [base, ...history] };
      for (const one of [this.A, this.B]) Object.assign(one, { ids, disk: 'UpToDate' });
    } else {
      for (const one of [this.A, this.B]) if (one.disk === 'Consistent') one.disk = 'UpToDate';
    }
    this.tell();
  }

  #part(): void {
    this.joined = false;
    for (const one of [this.A, this.B]) {
      if (one.role === 'Primary' && !one.peerOutdated) {
        one.frozen = true;
        one.asked += 1;
      }
    }
    this.tell();
  }

  async #send(source: FakeNode): Promise<void> {
    await rm(source.other.volume, { recursive: true, force: true });
    await cp(source.volume, source.other.volume, { recursive: true });
  }

  #stateOf(one: FakeNode): DrbdState {
    const met = this.joined;
    return {
      role: one.role,
      peerRole: met ? one.other.role : 'Unknown',
      frozen: one.frozen,
      suspended: false,
      connection: one.standAlone ? null : met ? 'Connected' : 'Connecting',
      disk: one.disk,
      peerDisk: met ? one.other.disk : one.peerOutdated ? 'Outdated' : 'DUnknown',
      replication: met ? 'Established' : 'Off',
      outOfSyncBytes: 0,
    };
  }
}
