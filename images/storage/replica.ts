/**
 * One copy of the replicated store and its rules (R1-R6 of docs/ARCHITECTURE.md). Always holds: a
 * write is acknowledged only by the primary of the highest epoch that this copy has seen, when it
 * is on this disk and on the peer's, or, with the peer gone, after `goAlone` of that very epoch and
 * with a new generation id on disk; without that word writes wait, in order and bounded. A restart
 * is a secondary. What changes roles or talks to the peer happens in turns, one after the other.
 * Imports core, ports types, objects, state and session.
 */
import { randomBytes } from 'node:crypto';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import type { Generation } from '../../src/core/records.ts';
import type { StoreStatus } from '../../src/ports.ts';
import { StatusFeed } from './feed.ts';
import { NEW_GENERATION, synced, writtenAlone, type Relation } from './generation.ts';
import { checkKey, checkValue, PROTOCOL } from './limits.ts';
import type { ConnectionListener, PeerConnection } from './link.ts';
import type { Objects } from './objects.ts';
import { PendingWrites, type PendingWrite } from './pending.ts';
import { hashOf, type Position } from './record.ts';
import { Session } from './session.ts';
import type { StateFile } from './state.ts';
import type { SyncSummary } from './sync-source.ts';

/** `demote` waits at most so long for writes that only the peer's answer is missing of. */
const DRAIN_MS = 2000;
/** `promote` waits at most so long for the peer to say what it holds. */
const JOIN_MS = 1000;

/** What a copy consists of. */
export interface ReplicaOptions {
  readonly objects: Objects;
  readonly state: StateFile;
  /** Highest format level that this software writes. */
  readonly formatMax: number;
}

/** One copy with its role; the socket and the connection to the peer call it. */
export class Replica {
  readonly objects: Objects;
  readonly state: StateFile;
  readonly formatMax: number;
  /** Tells who wants to know. */
  readonly feed = new StatusFeed(() => this.status());
  readonly #pending = new PendingWrites();
  #role: 'primary' | 'secondary' = 'secondary';
  #run = '';
  #alone = false;
  #draining = false;
  #goingAlone = false;
  #session: Session | null = null;
  #peerStale = false;
  #turn: Promise<void> = Promise.resolve();
  #lastSync: StoreStatus['lastSync'] = null;
  /** The newest sync that this side sent. */
  lastSync: SyncSummary | null = null;
  /** The last write that was taken, on disk or not. */
  head: Position;
  /** This copy has been compared with the peer's, or is the primary. */
  known = false;
  /** Why the copies may not be joined; null when they may. */
  splitBrain: UpdateError | null = null;

  constructor(options: ReplicaOptions) {
    this.objects = options.objects;
    this.state = options.state;
    this.formatMax = options.formatMax;
    this.head = options.objects.position;
  }

  get role(): 'primary' | 'secondary' {
    return this.#role;
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

  /** Takes over a connection that has proved the peer's key. */
  attach(connection: PeerConnection): ConnectionListener {
    const session = new Session(connection, this);
    this.#session = session;
    return session;
  }

  detach(session: Session): void {
    if (this.#session !== session) return;
    if (session.phase === 'syncing') this.#peerStale = true;
    this.#session = null;
    this.#advance();
    this.changed();
  }

  /** Accepts writes as primary of `epoch`; waits until the peer, if it is there, has joined. */
  async promote(epoch: number): Promise<void> {
    await this.inTurn(async () => {
      const seen = this.state.now.epoch;
      if (!Number.isSafeInteger(epoch) || epoch < seen) throw fenced(epoch, seen);
      if (this.#role === 'primary') {
        if (epoch > seen) await this.#raiseEpoch(epoch);
        return;
      }
      if (this.#session?.phase === 'following' && epoch === seen) throw fenced(epoch, seen);
      if (this.state.now.stale) {
        throw new UpdateError('store.stale', 'this copy lacks writes that were acknowledged');
      }
      await this.objects.recover();
      await this.objects.flushed();
      await this.state.change({ epoch });
      this.#run = randomBytes(8).toString('hex');
      this.head = this.objects.position;
      this.#role = 'primary';
      this.known = true;
      this.#session?.lead();
      this.changed();
    });
    await within(this.#session?.settled(), JOIN_MS);
    const seen = this.state.now.epoch;
    if (this.#role !== 'primary' || epoch < seen) throw fenced(epoch, seen);
  }

  /** The primary stays it in a new epoch: writes that wait go on waiting, under the new one. */
  async #raiseEpoch(epoch: number): Promise<void> {
    await this.state.change({ epoch });
    this.#alone = false;
    this.#session?.lead();
    this.changed();
  }

  /** No write can be acknowledged any more when this resolves. */
  async demote(): Promise<void> {
    this.#draining = true;
    if (this.#session?.joined === true) await within(this.#pending.empty(), DRAIN_MS);
    await this.inTurn(async () => {
      const was = this.#role;
      this.#stepDown('the node was demoted');
      if (was === 'primary') this.#session?.sendResigned();
      this.changed();
    });
  }

  /** The peer may not take over: writes need this disk only, until the peer is current again. */
  async goAlone(epoch: number): Promise<void> {
    await this.inTurn(async () => {
      const seen = this.state.now.epoch;
      if (this.#role !== 'primary' || epoch !== seen) throw fenced(epoch, seen);
      if (this.#session?.current !== true) this.#alone = true;
      this.#advance();
      this.changed();
    });
  }

  /** Raises the format level on both sides; returns the level of this side. */
  async finalizeFormat(): Promise<number> {
    const session = this.#session;
    if (this.#role !== 'primary') return this.state.now.formatLevel;
    if (session?.current !== true || session.peerFormatMax === null) {
      throw new UpdateError('pair.not_healthy', 'the peer of the store is not connected');
    }
    const level = Math.min(this.formatMax, session.peerFormatMax);
    if (level > this.state.now.formatLevel) {
      await session.raiseFormat(level);
      await this.state.change({ formatLevel: level });
    }
    return this.state.now.formatLevel;
  }

  /**
   * Writes an object (null = deletes it); resolves when it is acknowledged under the rules, with
   * false when there was nothing to delete.
   */
  async write(key: string, value: Buffer | null): Promise<boolean> {
    checkKey(key);
    if (value) await this.objects.needRoom(checkValue(value).length);
    if (this.#role !== 'primary' || this.#draining) {
      throw new UpdateError('store.read_only', 'this copy is not the primary');
    }
    if (value === null && !this.objects.has(key) && !this.#pending.has(key)) return false;
    this.#pending.checkRoom(value?.length ?? 0);
    const before = this.head;
    const version = before.version + 1;
    const run = this.#run;
    this.head = { run, version };
    const hash = value === null ? null : hashOf(value);
    const change = { key, value, hash, version, run, copy: false };
    const write = this.#pending.add(change, before);
    void this.#place(write);
    if (this.#session?.joined === true) this.#send(write);
    return await write.promise;
  }

  /** A peer that has seen a higher epoch: it is ours too, and a primary of a lower one ends. */
  async sawEpoch(epoch: number): Promise<void> {
    if (epoch <= this.state.now.epoch) return;
    this.#stepDown('the peer has seen a higher epoch');
    await this.state.change({ epoch });
    this.changed();
  }

  /** Everything up to this version is on the peer's disk. */
  peerHas(run: string, version: number): void {
    if (run !== this.#run) return;
    this.#pending.peerHas(version);
    this.#advance();
  }

  /** True when a copy at this position lacks nothing but writes that still wait here. */
  isPrefix(position: Position): boolean {
    return this.#pending.isPrefix(position, this.head);
  }

  /** Sends the waiting writes that a copy at `position` lacks; null = all of them. */
  resend(position: Position | null): void {
    for (const write of this.#pending.after(position)) this.#send(write);
  }

  /** From now on a lost peer freezes writes again. */
  peerIsCurrent(): void {
    this.#alone = false;
    this.#peerStale = false;
    this.objects.committed = this.#pending.first ? this.#pending.first - 1 : this.head.version;
    this.#advance();
    this.changed();
  }

  /** The ids of a copy whose peer holds everything: durable here before the peer takes them. */
  async endAlone(): Promise<Generation> {
    const { generation } = this.state.now;
    const fresh = generation.current === NEW_GENERATION;
    const next = fresh ? { current: newId(), base: null, history: [] } : synced(generation);
    await this.state.change({ generation: next });
    return next;
  }

  syncEnded(summary: SyncSummary | null, sentBytes: number): void {
    if (summary) this.lastSync = summary;
    this.#lastSync = { sentBytes, storeBytes: this.objects.valueBytes };
    this.changed();
  }

  /** Notes that the two copies may not be joined, and returns the reason. */
  split(relation: Relation, theirs: Generation): UpdateError {
    const mine = this.state.now.generation;
    const error = new UpdateError(
      'store.split_brain',
      `the copies stand ${relation}: generation ${mine.current} here (base ${mine.base}), ` +
        `${theirs.current} there (base ${theirs.base})`,
    );
    this.splitBrain = error;
    this.changed();
    return error;
  }

  status(): StoreStatus {
    const { epoch, generation, stale } = this.state.now;
    const connected = this.#session?.met === true;
    const primary = this.#role === 'primary';
    const meter = this.#session?.source?.meter ?? this.#session?.target?.meter;
    return {
      role: this.#role,
      epoch,
      connected,
      local: stale ? 'stale' : this.known ? 'current' : 'unknown',
      peer: this.#peerCopy(),
      frozen: primary && !connected && !this.#alone,
      splitBrain: this.splitBrain !== null,
      sync: meter?.progress() ?? null,
      lastSync: this.#lastSync,
      generation,
      protocol: PROTOCOL,
    };
  }

  /** Something that the status shows may have changed. */
  changed(): void {
    this.feed.changed();
  }

  #peerCopy(): StoreStatus['peer'] {
    const phase = this.#session?.met === true ? this.#session.phase : 'hello';
    if (phase === 'current') return 'current';
    if (phase === 'following') return this.state.now.stale ? 'unknown' : 'current';
    if (this.#role !== 'primary') return 'unknown';
    if (phase === 'syncing') return 'syncing';
    return this.#peerStale || this.state.now.generation.base !== null ? 'stale' : 'unknown';
  }

  /** Brings a write to this disk. */
  async #place(write: PendingWrite): Promise<void> {
    try {
      const placed = await this.objects.append(write.change);
      write.placed = placed;
      // One that was given up meanwhile is on this disk all the same.
      if (write.over) this.objects.show(placed);
      else this.#advance();
    } catch (error) {
      this.#diskFailed(error);
    }
  }

  #send(write: PendingWrite): void {
    const { key, value, run, version } = write.change;
    this.#session?.sendWrite({ key, run, version, delete: value === null }, value);
  }

  /** Acknowledges, in order, every write that may be acknowledged now. */
  #advance(): void {
    if (this.#role !== 'primary') return;
    const joined = this.#session?.joined === true;
    const current = this.#session?.current === true;
    for (let write = this.#pending.ready(); write; write = this.#pending.ready()) {
      if (joined ? !write.peerHas : !this.#mayGoAlone()) return;
      this.#pending.acknowledge(write, (placed) => this.objects.show(placed));
      if (current) this.objects.committed = write.change.version;
    }
  }

  /** True when a write may be acknowledged without the peer; sees to the generation id first. */
  #mayGoAlone(): boolean {
    if (!this.#alone || this.#session?.met === true) return false;
    if (this.state.now.generation.base !== null) return true;
    if (!this.#goingAlone) {
      this.#goingAlone = true;
      void this.inTurn(() => this.#changeGeneration());
    }
    return false;
  }

  async #changeGeneration(): Promise<void> {
    try {
      const { generation } = this.state.now;
      const alone = this.#role === 'primary' && this.#alone && this.#session?.met !== true;
      if (!alone || generation.base !== null) return;
      await this.state.change({ generation: writtenAlone(generation, newId()) });
      this.changed();
    } catch (error) {
      this.#diskFailed(error);
    } finally {
      this.#goingAlone = false;
      this.#advance();
    }
  }

  /** Back to secondary. What was not acknowledged is given up; it may hold or not. */
  #stepDown(why: string): void {
    this.#role = 'secondary';
    this.#alone = false;
    this.#draining = false;
    this.#pending.giveUp(why, (placed) => this.objects.show(placed));
    this.#session?.resign();
  }

  /** Without a disk nothing can be promised: the peer and the daemon must see it at once. */
  #diskFailed(error: unknown): void {
    if (this.#role === 'primary') this.#stepDown(asUpdateError(error).message);
    this.#session?.fail(error);
    this.changed();
  }
}

/** Waits for `promise`, at most so long. */
async function within(promise: Promise<void> | undefined, limitMs: number): Promise<void> {
  if (!promise) return;
  const { promise: limit, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limitMs);
  try {
    await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

const newId = (): string => randomBytes(8).toString('hex');

const fenced = (epoch: number, seen: number): UpdateError =>
  new UpdateError('store.fenced', `epoch ${epoch} was given, this copy has seen ${seen}`);
