/**
 * The writes of a primary: taken, brought to this disk and to the peer, acknowledged. Always holds:
 * a write is acknowledged in order, when it is on this disk and on the peer's, or, with the peer
 * gone, after the word to go alone and with a new generation id on disk; without that word writes
 * wait, in order and bounded. Imports generation, objects, pending and the replica's type.
 */
import { randomBytes } from 'node:crypto';
import { writtenAlone } from './generation.ts';
import { PendingWrites, type PendingWrite } from './pending.ts';
import { hashOf, type Position } from './record.ts';
import type { Replica } from './replica.ts';

/** A fresh generation id, or the name of a term of a primary. */
export const newId = (): string => randomBytes(8).toString('hex');

/** Writes on their way; empty on a secondary. */
export class PrimaryWrites {
  readonly #replica: Replica;
  readonly #pending = new PendingWrites();
  /** This term as primary. */
  #run = '';
  #goingAlone = false;
  /** The word to go on without the peer; it ends when the peer is current again. */
  alone = false;

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  /** A new term as primary begins. */
  begin(): void {
    this.#run = newId();
  }

  /** A write of this key waits. */
  has(key: string): boolean {
    return this.#pending.has(key);
  }

  /** Bytes of the values that wait: what of them the peer has is not known. */
  get bytes(): number {
    return this.#pending.bytes;
  }

  /** Resolves when none waits. */
  async empty(): Promise<void> {
    await this.#pending.empty();
  }

  /** Takes a write; throws `store.busy` when no more may wait. */
  async take(key: string, value: Buffer | null): Promise<boolean> {
    const replica = this.#replica;
    this.#pending.checkRoom(value?.length ?? 0);
    const before = replica.head;
    const version = before.version + 1;
    const run = this.#run;
    replica.head = { run, version };
    const hash = value === null ? null : hashOf(value);
    const change = { key, value, hash, version, run, copy: false };
    const write = this.#pending.add(change, before);
    void this.#place(write);
    if (replica.session?.joined === true) this.#send(write);
    return await write.promise;
  }

  /** Everything up to this version is on the peer's disk. */
  peerHas(run: string, version: number): void {
    if (run !== this.#run) return;
    this.#pending.peerHas(version);
    this.advance();
  }

  /** True when a copy at this position lacks nothing but writes that still wait here. */
  isPrefix(position: Position): boolean {
    return this.#pending.isPrefix(position, this.#replica.head);
  }

  /** Sends the waiting writes that a copy at `position` lacks; null = all of them. */
  resend(position: Position | null): void {
    for (const write of this.#pending.after(position)) this.#send(write);
  }

  /** From now on a lost peer freezes writes again. */
  peerIsCurrent(): void {
    const { objects, head } = this.#replica;
    this.alone = false;
    objects.committed = this.#pending.first ? this.#pending.first - 1 : head.version;
    this.advance();
  }

  /** Acknowledges, in order, every write that may be acknowledged now. */
  advance(): void {
    const { role, session, objects } = this.#replica;
    if (role !== 'primary') return;
    const joined = session?.joined === true;
    const current = session?.current === true;
    for (let write = this.#pending.ready(); write; write = this.#pending.ready()) {
      if (joined ? !write.peerHas : !this.#mayGoAlone()) return;
      this.#pending.acknowledge(write, (placed) => objects.show(placed));
      if (current) objects.committed = write.change.version;
    }
  }

  /** What was not acknowledged is given up; it may hold or not. */
  giveUp(why: string): void {
    this.alone = false;
    this.#pending.giveUp(why, (placed) => this.#replica.objects.show(placed));
  }

  /** Brings a write to this disk. */
  async #place(write: PendingWrite): Promise<void> {
    const { objects } = this.#replica;
    try {
      const placed = await objects.append(write.change);
      write.placed = placed;
      // One that was given up meanwhile is on this disk all the same.
      if (write.over) objects.show(placed);
      else this.advance();
    } catch (error) {
      this.#replica.diskFailed(error);
    }
  }

  #send(write: PendingWrite): void {
    const { key, value, run, version } = write.change;
    this.#replica.session?.sendWrite({ key, run, version, delete: value === null }, value);
  }

  /** True when a write may be acknowledged without the peer; sees to the generation id first. */
  #mayGoAlone(): boolean {
    const { session, state } = this.#replica;
    if (!this.alone || session?.met === true) return false;
    if (state.now.generation.base !== null) return true;
    if (!this.#goingAlone) {
      this.#goingAlone = true;
      void this.#replica.inTurn(() => this.#changeGeneration());
    }
    return false;
  }

  async #changeGeneration(): Promise<void> {
    const { state, role, session } = this.#replica;
    try {
      const { generation } = state.now;
      const alone = role === 'primary' && this.alone && session?.met !== true;
      if (!alone || generation.base !== null) return;
      const aloneSince = new Date().toISOString();
      await state.change({ generation: writtenAlone(generation, newId()), aloneSince });
      this.#replica.changed();
    } catch (error) {
      this.#replica.diskFailed(error);
    } finally {
      this.#goingAlone = false;
      this.advance();
    }
  }
}
