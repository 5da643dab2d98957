/**
 * One connection to the peer's storage process, from the two hellos to its end: who leads, what
 * the copies lack, which frames mean something now. Always holds: every frame is handled in order
 * and alone (the replica's turn); a primary counts the peer's disk only after `lead` and `follow`
 * have compared the copies; two copies that were both written alone are never joined. Imports core,
 * objects, sync and the replica's types.
 */
import { asUpdateError, type UpdateError } from '../../src/core/errors.ts';
import { compareGenerations, NEW_GENERATION } from './generation.ts';
import { Answers } from './answers.ts';
import { FollowedWrites } from './follower.ts';
import { checkHello } from './hello.ts';
import { PROTOCOL } from './limits.ts';
import type { ConnectionListener, PeerConnection } from './link.ts';
import type { Position } from './record.ts';
import type { Replica } from './replica.ts';
import { SyncSource } from './sync-source.ts';
import { SyncTarget } from './sync-target.ts';
import { Talk } from './talk.ts';
import { bad, type Frame, type Hello, type Message } from './wire.ts';

type Of<T extends Message['t']> = Extract<Message, { t: T }>;

/**
 * `hello`: nothing is known yet; `idle`: neither leads; `leading`: asked what the peer holds;
 * `syncing`, `current`: of the peer, while this side is primary; `following`: the peer leads;
 * `split`: the copies may not be joined, only questions are answered.
 */
export type Phase = 'hello' | 'idle' | 'leading' | 'syncing' | 'current' | 'following' | 'split';

/** Frames that may wait for their turn before reading stops. */
const INBOX_MAX = 256;

/** One connection to the peer; the replica makes it and forgets it when it is closed. */
export class Session implements ConnectionListener {
  readonly connection: PeerConnection;
  /** Questions of both sides, from protocol 2 on. */
  readonly talk: Talk;
  readonly #answers: Answers;
  readonly #replica: Replica;
  #phase: Phase = 'hello';
  #inbox = 0;
  #peer: Hello | null = null;
  #writes: FollowedWrites | null = null;
  /** What the peer said that it has room for; null = it says nothing of that. */
  peerRoomBytes: number | null = null;
  #settled = Promise.withResolvers<void>();
  #format: PromiseWithResolvers<number> | null = null;
  source: SyncSource | null = null;
  target: SyncTarget | null = null;

  constructor(connection: PeerConnection, replica: Replica) {
    this.connection = connection;
    this.talk = new Talk(connection);
    this.#answers = new Answers(this, replica);
    this.#replica = replica;
    const { node, pair, epoch, generation } = replica.state.now;
    const { role, formatMax } = replica;
    const about = { node, pair, epoch, role, generation, formatMax };
    connection.send({ t: 'hello', protocol: PROTOCOL, ...about });
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Both sides know each other. */
  get met(): boolean {
    return this.#phase !== 'hello' && this.#phase !== 'split' && !this.connection.closed;
  }

  /** Writes need this peer's disk. */
  get joined(): boolean {
    return (this.#phase === 'current' || this.#phase === 'syncing') && !this.connection.closed;
  }

  /** The peer holds everything, and is there. */
  get current(): boolean {
    return this.#phase === 'current' && !this.connection.closed;
  }

  /** The copies are split, and the peer can be asked about it. */
  get split(): boolean {
    return this.#phase === 'split' && !this.connection.closed;
  }

  /** Highest format level that the peer can write; null before its hello. */
  get peerFormatMax(): number | null {
    return this.#peer?.formatMax ?? null;
  }

  frame(frame: Frame): void {
    this.#inbox += 1;
    if (this.#inbox > INBOX_MAX) this.connection.setReading(false);
    void this.#replica.inTurn(async () => {
      try {
        // A peer that finds the copies split hangs up at once: its hello counts all the same.
        const counts = !this.connection.closed || frame.head.t === 'hello';
        if (counts) await this.#handle(frame);
      } catch (error) {
        this.fail(error);
      } finally {
        this.#inbox -= 1;
        if (this.#inbox < INBOX_MAX / 2) this.connection.setReading(true);
      }
    });
  }

  closed(reason: UpdateError): void {
    this.source?.stop();
    this.#settled.resolve();
    this.#format?.reject(reason);
    this.talk.end(reason);
    void this.#replica.inTurn(async () => this.#replica.detach(this));
  }

  /** Ends the connection because of what the peer sent or because this side cannot go on. */
  fail(error: unknown): void {
    this.connection.close(asUpdateError(error), true);
  }

  /**
   * This side is primary: asks what the peer holds, to join or to sync it; with `resync` nothing
   * that it holds counts. In the turn.
   */
  lead(resync = false): void {
    if (!this.met) return;
    this.#settled = Promise.withResolvers<void>();
    this.source?.stop();
    this.source = null;
    this.target = null;
    this.#setPhase('leading');
    const { epoch, generation } = this.#replica.state.now;
    this.connection.send({ t: 'lead', epoch, generation, ...(resync && { resync }) });
  }

  /** Resolves when the peer has answered `lead`, or is gone. */
  async settled(): Promise<void> {
    if (this.#phase === 'leading') await this.#settled.promise;
  }

  /** Tells a primary what it may write here. */
  tellRoom(): void {
    if (this.#phase !== 'following' || !this.talk.able) return;
    this.connection.send({ t: 'room', bytes: this.#replica.objects.room.spareBytes });
  }

  /** This side is no primary any more. */
  resign(): void {
    this.source?.stop();
    this.source = null;
    this.#settled.resolve();
    if (this.met) this.#setPhase('idle');
  }

  /** Tells the peer that nobody leads now. */
  sendResigned(): void {
    const { position, committed } = this.#replica.objects;
    this.connection.send({ t: 'resign', position, committed });
  }

  /** One write goes to the peer, in order. */
  sendWrite(write: Omit<Of<'write'>, 't' | 'epoch' | 'committed'>, value: Buffer | null): void {
    const { epoch } = this.#replica.state.now;
    const { committed } = this.#replica.objects;
    this.source?.wrote(write.key);
    this.connection.send({ t: 'write', epoch, committed, ...write }, value);
  }

  /** The peer raises its format level; resolves with the level when that is durable there. */
  async raiseFormat(level: number): Promise<number> {
    this.#format = Promise.withResolvers<number>();
    this.connection.send({ t: 'format', level });
    try {
      return await this.#format.promise;
    } finally {
      this.#format = null;
    }
  }

  #setPhase(phase: Phase): void {
    this.#phase = phase;
    if (phase !== 'leading') this.#settled.resolve();
    this.#replica.changed();
  }

  async #handle({ head, body }: Frame): Promise<void> {
    if (this.#phase === 'hello') {
      if (head.t !== 'hello') throw bad(`${head.t} before its hello`);
      await this.#hello(head);
      return;
    }
    if (head.t === 'ask') return this.talk.answer(head.id, head.question, this.#answers.answer);
    if (head.t === 'reply') return this.talk.reply(head);
    if (this.#phase === 'split') return;
    switch (head.t) {
      case 'lead':
        return await this.#follow(head);
      case 'follow':
        return this.#followed(head);
      case 'refuse':
        return await this.#replica.sawEpoch(head.epoch);
      case 'resign':
        return this.#resigned(head);
      case 'write':
        return this.#write(head, body);
      case 'room':
        return void (this.peerRoomBytes = head.bytes - this.#replica.writes.bytes);
      case 'ack':
        return this.#replica.writes.peerHas(head.run, head.version);
      case 'want':
        return this.source?.want(head.items, head.last);
      case 'got':
        return this.source?.got(head.bytes);
      case 'done':
        return this.#done();
      case 'offer':
        return await this.#asTarget().offer(head);
      case 'begin':
        return this.#asTarget().begin(head);
      case 'item':
        return this.#asTarget().item(head, body);
      case 'end':
        return await this.#end(head);
      case 'format':
        return await this.#raise(head.level);
      case 'formatDone':
        return this.#format?.resolve(head.level);
      case 'ping':
        return;
      case 'hello':
        throw bad('a second hello');
      default:
        throw bad(`${String((head as { t: unknown }).t)}, which this program does not know`);
    }
  }

  async #hello(hello: Hello): Promise<void> {
    const { state } = this.#replica;
    this.talk.protocol = checkHello(hello, state.now);
    await this.#replica.sawEpoch(hello.epoch);
    const primary = this.#replica.role === 'primary';
    const both = primary && hello.role === 'primary' && hello.epoch === state.now.epoch;
    const relation = compareGenerations(state.now.generation, hello.generation);
    const behind = relation.startsWith('behind');
    if (relation === 'split' || both || (behind && primary)) {
      const error = this.#replica.split(relation, hello.generation);
      if (!this.talk.able) throw error;
      this.#setPhase('split');
      return;
    }
    if (behind) await state.change({ stale: true });
    this.#peer = hello;
    this.#replica.known = true;
    this.#replica.splitBrain = null;
    this.#setPhase('idle');
    if (primary) this.lead();
  }

  /** The peer leads: compare again, because its generation may be newer than its hello. */
  async #follow(lead: Of<'lead'>): Promise<void> {
    const replica = this.#replica;
    const { state, objects, role } = replica;
    if (lead.epoch < state.now.epoch) {
      this.connection.send({ t: 'refuse', epoch: state.now.epoch });
      return;
    }
    const relation = compareGenerations(state.now.generation, lead.generation);
    const both = role === 'primary' && lead.epoch === state.now.epoch;
    if (both || relation.startsWith('ahead') || relation === 'split') {
      throw replica.split(relation, lead.generation);
    }
    await replica.sawEpoch(lead.epoch);
    // With damage nothing that is here counts until all of it was compared.
    if (lead.resync === true || objects.damage !== null) await replica.distrust();
    else if (relation !== 'same') await state.change({ stale: true });
    await objects.recover();
    await objects.flushed();
    replica.head = objects.position;
    this.#writes = new FollowedWrites(this, replica);
    const target: SyncTarget = new SyncTarget({
      objects,
      state,
      connection: this.connection,
      check: state.now.distrusted === true,
      onProgress: () => replica.changed(),
      onLevel: (sentBytes) => replica.syncEnded(null, sentBytes),
      onError: (error) => this.fail(error),
      inTurn: (action) => replica.inTurn(action),
      counts: () => this.target === target && this.#follows,
    });
    this.target = target;
    this.#setPhase('following');
    const { epoch, generation, stale } = state.now;
    this.connection.send({ t: 'follow', epoch, generation, stale, position: objects.position });
    this.tellRoom();
  }

  /** The peer said what it holds: it is level with us, or a prefix of us, or it needs a sync. */
  #followed(follow: Of<'follow'>): void {
    if (this.#phase !== 'leading') return;
    const { state, objects } = this.#replica;
    const { generation } = state.now;
    const relation = compareGenerations(generation, follow.generation);
    if (relation === 'split' || relation.startsWith('behind')) {
      throw this.#replica.split(relation, follow.generation);
    }
    const clean = generation.base === null && generation.current !== NEW_GENERATION;
    if (relation === 'same' && clean && !follow.stale && this.#resume(follow.position)) return;
    this.source = new SyncSource({
      objects,
      connection: this.connection,
      mode: relation === 'ahead-full' ? 'full' : 'delta',
      since: objects.committed,
      onProgress: () => this.#replica.changed(),
      onSent: () => void this.#replica.inTurn(() => this.#finish()),
      onError: (error) => this.fail(error),
    });
    this.#setPhase('syncing');
    this.#replica.writes.resend(null);
  }

  /** No sync is needed: the peer holds all, or all but writes that still wait here. */
  #resume(position: Position): boolean {
    if (!this.#replica.writes.isPrefix(position)) return false;
    this.#setPhase('current');
    this.#replica.writes.resend(position);
    this.#replica.peerIsCurrent();
    return true;
  }

  /** All differences are on the peer's disk: the ids become equal, ours first. */
  async #finish(): Promise<void> {
    const { source } = this;
    if (!source || this.connection.closed) return;
    try {
      const { objects } = this.#replica;
      const generation = await this.#replica.endAlone();
      const position = this.#replica.head;
      const { sentBytes } = source.summary;
      const { committed } = objects;
      this.connection.send({ t: 'end', generation, position, committed, sentBytes });
    } catch (error) {
      this.fail(error);
    }
  }

  #done(): void {
    const { source } = this;
    if (!source) throw bad('the end of a sync that never was');
    this.source = null;
    if (source.summary.mode === 'full') void this.#replica.verifier?.repaired(this);
    this.#replica.syncEnded(source.summary, source.summary.sentBytes);
    this.#setPhase('current');
    this.#replica.peerIsCurrent();
  }

  get #follows(): boolean {
    return this.#phase === 'following' && !this.connection.closed;
  }

  #asTarget(): SyncTarget {
    if (this.#follows && this.target) return this.target;
    throw bad('a sync without leading');
  }

  async #end(head: Of<'end'>): Promise<void> {
    const target = this.#asTarget();
    this.#replica.head = head.position;
    await target.end(head);
  }

  /** The primary raises the format level of both sides. */
  async #raise(level: number): Promise<void> {
    const { state, formatMax } = this.#replica;
    if (level > formatMax) throw bad(`format level ${level}, at most ${formatMax} was offered`);
    await state.change({ formatLevel: Math.max(level, state.now.formatLevel) });
    this.connection.send({ t: 'formatDone', level });
  }

  #resigned(head: Of<'resign'>): void {
    const { objects, state } = this.#replica;
    if (this.#phase !== 'following') return;
    const { run, version } = objects.position;
    const level = head.position.run === run && head.position.version === version;
    if (level && !state.now.stale) objects.committed = head.committed;
    this.#setPhase('idle');
  }

  #write(head: Of<'write'>, body: Buffer | null): void {
    const { state, role } = this.#replica;
    if (head.epoch < state.now.epoch || role === 'primary') {
      this.connection.send({ t: 'refuse', epoch: state.now.epoch });
      return;
    }
    if (this.#phase !== 'following' || !this.#writes) throw bad('a write without leading');
    this.#writes.take(head, body);
  }
}
