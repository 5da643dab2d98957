/**
 * Two replicas of the store in memory, joined by a link that can be cut, for the simulator and the
 * contract tests: the same rules as the storage software, without clock, threads or disk. Always
 * holds: one `step` does one unit of work (one write replicated, one object synced), so that a
 * search can stop between any two; what is durable in the real store survives `setRunning(false)`
 * here, everything else does not. Imports core, ports and the pure rules of the storage software.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { peerOf, type NodeId } from '../../src/core/model.ts';
import {
  compareGenerations,
  NEW_GENERATION,
  newGeneration,
  synced,
  writtenAlone,
} from '../../images/storage/generation.ts';
import type { Store, StoreStatus } from '../../src/ports.ts';
import { apply, replica, same, sizeOf, type Replica, type Write } from './replica.ts';
import { STORE_UNKNOWN, type VerifyBrief } from '../../src/core/store.ts';

/** One write as the client of the store sees it. */
export interface MemoryWrite {
  readonly key: string;
  /** Null = delete. */
  readonly value: string | null;
  readonly state: 'waiting' | 'acknowledged' | 'failed';
}

/**
 * `none` = not connected; `idle` = connected, no primary; then what the primary says of the peer.
 */
type Link = 'none' | 'idle' | 'syncing' | 'current' | 'split';

/** How a pair of replicas behaves. */
export interface MemoryStorePairOptions {
  /** Do all work at once after each call (contract tests); else `step` does it (simulator). */
  readonly auto?: boolean;
}

export class MemoryStorePair {
  readonly #auto: boolean;
  readonly #replicas: Readonly<Record<NodeId, Replica>> = { A: replica(), B: replica() };
  readonly #acknowledged = new Map<string, string>();
  /** Values of writes that failed since the key's last acknowledged one: they may hold or not. */
  readonly #open = new Map<string, Set<string | null>>();
  #cut = false;
  #link: Link = 'none';
  /** Keys that the running sync still has to compare. */
  #syncKeys: string[] = [];
  #syncTotal = { bytes: 0, done: 0 };
  #nextGeneration = 1;

  constructor(options: MemoryStorePairOptions = {}) {
    this.#auto = options.auto ?? false;
    this.#settle();
  }

  /** Every key whose newest write was acknowledged, with its value: what must never be lost. */
  get acknowledged(): ReadonlyMap<string, string> {
    return this.#acknowledged;
  }

  /**
   * Keys of which this node's copy lacks the acknowledged value (rule I2); a value of a later write
   * that failed is as good, since its client was told that it may hold.
   */
  lost(node: NodeId): string[] {
    const { data } = this.#replicas[node];
    const keys = new Set([...this.#acknowledged.keys(), ...data.keys()]);
    return [...keys].filter((key) => {
      const found = data.get(key) ?? null;
      if (found === (this.#acknowledged.get(key) ?? null)) return false;
      return this.#open.get(key)?.has(found) !== true;
    });
  }

  /** What the copy of this node holds now. */
  contents(node: NodeId): ReadonlyMap<string, string> {
    return this.#replicas[node].data;
  }

  /** The port as this node's daemon sees it. */
  store(node: NodeId): Store {
    return {
      status: () => this.#status(node),
      onStatus: (listener) => void this.#replicas[node].listeners.push(listener),
      promote: async (epoch) => this.promote(node, epoch),
      demote: async () => this.demote(node),
      goAlone: async (epoch) => this.goAlone(node, epoch),
      finalizeFormat: async () => this.finalizeFormat(node),
    };
  }

  /** A write through this node's storage software; it may wait, then `step` moves it on. */
  put(node: NodeId, key: string, value: string | null): MemoryWrite {
    const self = this.#running(node);
    if (self.role !== 'primary') throw readOnly(node);
    const joined = this.#link === 'current' || this.#link === 'syncing';
    const full = self.full || (joined && this.#replicas[peerOf(node)].full);
    if (full && value !== null) throw new UpdateError('store.full', 'only the reserve is left');
    const write: Write = { key, value, state: 'waiting' };
    self.waiting.push(write);
    this.#settle();
    return write;
  }

  /** The disk of a node has only its reserve left, or room again. */
  setFull(node: NodeId, full: boolean): void {
    this.#replicas[node].full = full;
    this.#tell();
  }

  /** Changes what one copy holds behind the back of both. */
  tamper(node: NodeId, key: string, value: string | null): void {
    apply(this.#replicas[node], { key, value });
  }

  /** What both copies tell of the newest verify. */
  verified(brief: VerifyBrief): void {
    for (const node of ['A', 'B'] as const) this.#replicas[node].verify = brief;
    this.#tell();
  }

  /** The primary compares everything and sends what differs; its peer is stale until the end. */
  resync(): void {
    const primary = this.#primary();
    if (primary === null) return;
    this.#replicas[peerOf(primary)].stale = true;
    this.#link = 'none';
    this.#settle();
  }

  /** An operator gave up this copy: it counts as holding nothing, and meets the other one anew. */
  giveWay(node: NodeId): void {
    this.#drop(node);
    Object.assign(this.#replicas[node], { stale: true, generation: newGeneration() });
    this.#link = 'none';
    this.#settle();
  }

  /** Cuts the link between the two storage processes, or joins it again. */
  setLink(up: boolean): void {
    this.#cut = !up;
    this.#settle();
  }

  /** Ends the storage software of a node (also: its power), or starts it again as secondary. */
  setRunning(node: NodeId, running: boolean): void {
    const self = this.#replicas[node];
    if (self.running === running) return;
    this.#drop(node);
    Object.assign(self, { running, known: false, lastSync: null });
    this.#settle();
  }

  /** One unit of work; false when there is nothing to do. */
  step(): boolean {
    const did = this.#work();
    this.#tell();
    return did;
  }

  #running(node: NodeId): Replica {
    const self = this.#replicas[node];
    if (!self.running) throw new UpdateError('store.unreachable', `storage of ${node} is down`);
    return self;
  }

  #primary(): NodeId | null {
    // Of two, which only a broken caller can make, the one with the higher epoch counts.
    const { A, B } = this.#replicas;
    if (A.role === 'primary' && (B.role !== 'primary' || A.epoch >= B.epoch)) return 'A';
    return B.role === 'primary' ? 'B' : null;
  }

  /** The four words of the port, done before the call returns. */
  promote(node: NodeId, epoch: number): void {
    const self = this.#running(node);
    const other = this.#replicas[peerOf(node)];
    if (epoch < self.epoch) throw fenced(epoch, self.epoch);
    const connected = this.#link !== 'none' && this.#link !== 'split';
    if (connected && epoch === other.epoch && other.role === 'primary') throw fenced(epoch, epoch);
    if (self.stale) throw new UpdateError('store.stale', `the copy of ${node} lacks writes`);
    if (self.role === 'primary' && epoch === self.epoch) return;
    Object.assign(self, { epoch, role: 'primary', known: true, alone: false });
    if (connected) {
      this.#drop(peerOf(node));
      other.epoch = epoch;
      this.#link = 'none';
    }
    this.#settle();
  }

  demote(node: NodeId): void {
    const self = this.#running(node);
    while (self.waiting.length > 0 && this.#link === 'current' && this.#work());
    this.#drop(node);
    if (this.#link === 'current' || this.#link === 'syncing') this.#link = 'none';
    this.#settle();
  }

  goAlone(node: NodeId, epoch: number): void {
    const self = this.#running(node);
    if (self.role !== 'primary' || epoch !== self.epoch) throw fenced(epoch, self.epoch);
    if (this.#link !== 'current') self.alone = true;
    this.#settle();
  }

  finalizeFormat(node: NodeId): number {
    const self = this.#running(node);
    if (self.role !== 'primary') return self.formatLevel;
    if (this.#link !== 'current') {
      throw new UpdateError('pair.not_healthy', 'the peer of the store is not connected');
    }
    return self.formatLevel;
  }

  /** Back to secondary; what was not acknowledged fails, its outcome is open. */
  #drop(node: NodeId): void {
    const self = this.#replicas[node];
    for (const write of self.waiting) {
      // As after a crash: the local copy may hold it, the client was told nothing.
      apply(self, write);
      write.state = 'failed';
      const open = this.#open.get(write.key) ?? new Set();
      this.#open.set(write.key, open.add(write.value));
    }
    Object.assign(self, { role: 'secondary', alone: false, waiting: [] });
  }

  #settle(): void {
    this.#connect();
    if (this.#auto) while (this.#work());
    this.#tell();
  }

  /** Follows what the world says about the link; compares the copies when it is fresh. */
  #connect(): void {
    const { A, B } = this.#replicas;
    if (this.#cut || !A.running || !B.running) {
      this.#link = 'none';
      this.#syncKeys = [];
      return;
    }
    if (this.#link === 'none') this.#meet();
  }

  #meet(): void {
    const { A, B } = this.#replicas;
    const epoch = Math.max(A.epoch, B.epoch);
    for (const node of ['A', 'B'] as const) {
      if (this.#replicas[node].epoch < epoch) this.#drop(node);
      this.#replicas[node].epoch = epoch;
    }
    const relation = compareGenerations(A.generation, B.generation);
    const behind = relation.startsWith('ahead') ? B : relation.startsWith('behind') ? A : null;
    const two = A.role === 'primary' && B.role === 'primary';
    if (relation === 'split' || two || behind?.role === 'primary') {
      this.#link = 'split';
      return;
    }
    A.known = true;
    B.known = true;
    if (behind) behind.stale = true;
    const source = this.#primary();
    if (source === null) this.#link = 'idle';
    else this.#lead(this.#replicas[source], this.#replicas[peerOf(source)]);
  }

  /** The primary has met its peer: nothing to do, or a sync of what differs. */
  #lead(self: Replica, other: Replica): void {
    const keys = new Set([...self.data.keys(), ...other.data.keys()]);
    this.#syncKeys = [...keys].filter((key) => self.data.get(key) !== other.data.get(key));
    const bytes = this.#syncKeys.reduce((sum, key) => sum + (self.data.get(key)?.length ?? 0), 0);
    this.#syncTotal = { bytes, done: 0 };
    if (this.#syncKeys.length > 0) other.stale = true;
    this.#link = 'syncing';
    if (this.#syncKeys.length === 0 && !other.stale) this.#join(self, other);
  }

  #work(): boolean {
    const primary = this.#primary();
    if (primary === null) return false;
    const self = this.#replicas[primary];
    const other = this.#replicas[peerOf(primary)];
    const write = self.waiting[0];
    if (write) {
      const connected = this.#link === 'current' || this.#link === 'syncing';
      if (connected || self.alone) {
        self.waiting.shift();
        this.#acknowledge(self, connected ? other : null, write);
        return true;
      }
    }
    if (this.#link !== 'syncing') return false;
    const key = this.#syncKeys.pop();
    if (key === undefined) {
      self.lastSync = { sentBytes: this.#syncTotal.bytes, storeBytes: sizeOf(self) };
      this.#join(self, other);
      return true;
    }
    const value = self.data.get(key) ?? null;
    apply(other, { key, value });
    this.#syncTotal.done += value?.length ?? 0;
    return true;
  }

  #acknowledge(self: Replica, other: Replica | null, write: Write): void {
    if (!other && self.generation.base === null) {
      self.generation = writtenAlone(self.generation, this.#newId());
    }
    apply(self, write);
    if (other) apply(other, write);
    write.state = 'acknowledged';
    this.#open.delete(write.key);
    if (write.value === null) this.#acknowledged.delete(write.key);
    else this.#acknowledged.set(write.key, write.value);
  }

  /** Both copies are equal: the peer is current again, and going alone needs a new word. */
  #join(self: Replica, other: Replica): void {
    this.#link = 'current';
    self.alone = false;
    self.generation =
      self.generation.current === NEW_GENERATION
        ? { ...self.generation, current: this.#newId() }
        : synced(self.generation);
    other.generation = self.generation;
    other.stale = false;
  }

  #newId(): string {
    return (this.#nextGeneration++).toString(16).padStart(16, '0');
  }

  #status(node: NodeId): StoreStatus {
    const self = this.#replicas[node];
    if (!self.running) return STORE_UNKNOWN;
    const connected = this.#link !== 'none' && this.#link !== 'split';
    const primary = self.role === 'primary';
    const syncing = this.#link === 'syncing';
    const { bytes, done } = this.#syncTotal;
    return {
      role: self.role,
      epoch: self.epoch,
      connected,
      local: self.stale ? 'stale' : self.known ? 'current' : 'unknown',
      peer: this.#peerCopy(self, primary),
      frozen: primary && !connected && !self.alone,
      splitBrain: this.#link === 'split',
      sync: syncing ? { doneBytes: done, totalBytes: bytes } : null,
      lastSync: self.lastSync,
      generation: self.generation,
      protocol: [1, 1],
      verify: self.verify,
      full: self.full,
    };
  }

  #peerCopy(self: Replica, primary: boolean): StoreStatus['peer'] {
    if (this.#link === 'current') return 'current';
    if (!primary) return 'unknown';
    if (this.#link === 'syncing') return 'syncing';
    return self.generation.base === null ? 'unknown' : 'stale';
  }

  #tell(): void {
    for (const node of ['A', 'B'] as const) {
      const self = this.#replicas[node];
      const status = this.#status(node);
      if (same(status, self.told)) continue;
      self.told = status;
      for (const listener of self.listeners) listener(status);
    }
  }
}

const readOnly = (node: NodeId): UpdateError =>
  new UpdateError('store.read_only', `the copy of ${node} is not the primary`);

const fenced = (epoch: number, highest: number): UpdateError =>
  new UpdateError('store.fenced', `epoch ${epoch} was given, the store has seen ${highest}`);
