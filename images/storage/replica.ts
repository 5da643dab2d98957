/**
 * One copy of the replicated store and its rules (R1-R6 of docs/ARCHITECTURE.md). Always holds: a
 * write is acknowledged only by the primary of the highest epoch that this copy has seen, when it
 * is on this disk and on the peer's, or, with the peer gone, after `goAlone` of that very epoch and
 * with a new generation id on disk; without that word writes wait, in order and bounded. A restart
 * is a secondary. What changes roles or talks to the peer happens in turns, one after the other.
 * Imports core, ports types, objects, state and session.
 */
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import type { Generation } from '../../src/core/records.ts';
import type { StoreStatus } from '../../src/ports.ts';
import { StatusFeed } from './feed.ts';
import { NEW_GENERATION, newGeneration, synced } from './generation.ts';
import type { Relation } from './generation.ts';
import { checkKey, checkValue, PROTOCOL } from './limits.ts';
import type { ConnectionListener, PeerConnection } from './link.ts';
import type { Objects } from './objects.ts';
import { HEAD_BYTES, type Position } from './record.ts';
import { Session } from './session.ts';
import type { StateFile } from './state.ts';
import type { SyncSummary } from './sync-source.ts';
import type { Verifier } from './verify.ts';
import { newId, PrimaryWrites } from './writes.ts';

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
  /** The writes of this side while it is primary. */
  readonly writes = new PrimaryWrites(this);
  #role: 'primary' | 'secondary' = 'secondary';
  #draining = false;
  #session: Session | null = null;
  #peerStale = false;
  #turn: Promise<void> = Promise.resolve();
  #gate: Promise<void> = Promise.resolve();
  #lastSync: StoreStatus['lastSync'] = null;
  /** The newest sync that this side sent. */
  lastSync: SyncSummary | null = null;
  /** The last write that was taken, on disk or not. */
  head: Position;
  /** The on-line verify of this copy; set once by the program. */
  verifier: Verifier | null = null;
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

  /** The connection to the peer, while there is one. */
  get session(): Session | null {
    return this.#session;
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
    this.verifier?.lost();
    this.writes.advance();
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
      if (this.objects.damage) throw this.objects.damage;
      await this.objects.recover();
      await this.objects.flushed();
      await this.state.change({ epoch });
      this.writes.begin();
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
    this.writes.alone = false;
    this.#session?.lead();
    this.changed();
  }

  /** No write can be acknowledged any more when this resolves. */
  async demote(): Promise<void> {
    this.#draining = true;
    if (this.#session?.joined === true) await within(this.writes.empty(), DRAIN_MS);
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
      if (this.#session?.current !== true) this.writes.alone = true;
      this.writes.advance();
      this.changed();
    });
  }

  /**
   * The peer's copy is compared as a whole and made equal to this one; from its first durable write
   * on it counts as stale. Resolves when that write is made.
   */
  async resync(): Promise<void> {
    await this.inTurn(async () => {
      const session = this.#session;
      if (this.#role !== 'primary') throw readOnly();
      if (session?.joined !== true) {
        throw new UpdateError('pair.not_healthy', 'the storage of the other node is not connected');
      }
      session.talk.need();
      const damaged = this.verifier?.damagedOn(this.state.now.node) ?? 0;
      if (damaged > 0) {
        const text = `${damaged} records of this copy cannot be read; the other one may have them`;
        throw new UpdateError('store.corrupt', text);
      }
      session.lead(true);
    });
    await this.#session?.settled();
    if (this.#session?.joined === true) return;
    throw new UpdateError('pair.peer_unreachable', 'the storage of the other node was lost');
  }

  /** Nothing that this copy holds counts any more. Durable when it resolves. */
  async distrust(): Promise<void> {
    await this.state.change({ stale: true, distrusted: true, generation: newGeneration() });
    this.changed();
  }

  /** Takes no more writes; those that wait are given up. */
  async stopWrites(why: string): Promise<void> {
    await this.inTurn(async () => {
      if (this.#role === 'primary') this.#stepDown(why);
      this.changed();
    });
    await this.objects.flushed();
  }

  /** A split brain is resolved against this copy: it holds nothing that the other one shares. */
  async giveWay(): Promise<void> {
    await this.inTurn(async () => {
      await this.state.change({ stale: true, generation: newGeneration(), aloneSince: null });
      this.splitBrain = null;
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
    const bytes = value && key.length + checkValue(value).length + HEAD_BYTES;
    // One after the other: a write must not overtake an earlier one that looks at the disk.
    const granted = this.#gate.then(() => (bytes === null ? undefined : this.#needRoom(bytes)));
    this.#gate = granted.catch(() => undefined);
    await granted;
    if (this.#role !== 'primary' || this.#draining) throw readOnly();
    if (value === null && !this.objects.has(key) && !this.writes.has(key)) return false;
    return await this.writes.take(key, value);
  }

  /** Grants room for a write on both disks; throws `store.full`. */
  async #needRoom(bytes: number): Promise<void> {
    await this.objects.room.take(bytes);
    const session = this.#session?.joined === true ? this.#session : null;
    const there = session?.peerRoomBytes ?? Infinity;
    if (there < bytes) {
      const text = `${bytes - there} bytes are missing on the data partition of the other node`;
      throw new UpdateError('store.full', text, { detail: { missingBytes: bytes - there } });
    }
    if (session?.peerRoomBytes != null) session.peerRoomBytes -= bytes;
  }

  /** The disk was looked at: the primary on the other side must know, and whoever watches. */
  looked(): void {
    this.#session?.tellRoom();
    this.changed();
  }

  /** A peer that has seen a higher epoch: it is ours too, and a primary of a lower one ends. */
  async sawEpoch(epoch: number): Promise<void> {
    if (epoch <= this.state.now.epoch) return;
    this.#stepDown('the peer has seen a higher epoch');
    await this.state.change({ epoch });
    this.changed();
  }

  /** From now on a lost peer freezes writes again. */
  peerIsCurrent(): void {
    this.#peerStale = false;
    this.writes.peerIsCurrent();
    this.changed();
  }

  /** The ids of a copy whose peer holds everything: durable here before the peer takes them. */
  async endAlone(): Promise<Generation> {
    const { generation } = this.state.now;
    const fresh = generation.current === NEW_GENERATION;
    const next = fresh ? { current: newId(), base: null, history: [] } : synced(generation);
    await this.state.change({ generation: next, aloneSince: null });
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
    const { epoch, generation, stale, formatLevel } = this.state.now;
    const connected = this.#session?.met === true;
    const primary = this.#role === 'primary';
    const proven = this.known && this.objects.damage === null;
    const meter = this.#session?.source?.meter ?? this.#session?.target?.meter;
    return {
      role: this.#role,
      epoch,
      connected,
      local: stale ? 'stale' : proven ? 'current' : 'unknown',
      peer: this.#peerCopy(),
      frozen: primary && !connected && !this.writes.alone,
      splitBrain: this.splitBrain !== null,
      sync: meter?.progress() ?? null,
      lastSync: this.#lastSync,
      generation,
      protocol: PROTOCOL,
      formatLevel,
      verify: this.verifier?.brief ?? null,
      full: this.objects.room.full,
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

  /** Back to secondary. What was not acknowledged is given up; it may hold or not. */
  #stepDown(why: string): void {
    this.#role = 'secondary';
    this.#draining = false;
    this.writes.giveUp(why);
    this.#session?.resign();
  }

  /** Without a disk nothing can be promised: the peer and the daemon must see it at once. */
  diskFailed(error: unknown): void {
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

const readOnly = (): UpdateError =>
  new UpdateError('store.read_only', 'this copy is not the primary');

const fenced = (epoch: number, seen: number): UpdateError =>
  new UpdateError('store.fenced', `epoch ${epoch} was given, this copy has seen ${seen}`);
