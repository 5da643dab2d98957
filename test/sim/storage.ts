/**
 * The replicated store of the simulated pair and the client that writes to it: the copies and rules
 * of test/memory/store.ts, with a connection of its own that breaks with the network, statuses that
 * reach the daemon late but in order, syncs that take time, and a memory of every record that was
 * acknowledged. Always holds: what the client was told is compared with what a copy holds, record
 * by record. Only tests import it.
 */
import type { NodeId } from '../../src/core/model.ts';
import { NODES } from '../../src/core/model.ts';
import { STORE_UNKNOWN, type StoreStatus } from '../../src/core/store.ts';
import { MemoryStorePair, type MemoryWrite } from '../memory/store.ts';
import type { Agenda, Pace } from './agenda.ts';

/** What a copy looks like from outside. */
export interface Replica {
  readonly role: 'primary' | 'secondary';
  readonly epoch: number;
  /** Records that this copy holds. */
  readonly writes: number;
  readonly stale: boolean;
  readonly alone: boolean;
}

/** Writes that a client has under way at most before it waits. */
const OPEN_MAX = 4;
/** Newest records that are looked for after every event; all of them when something changed. */
const NEWEST = 6;

const both = <T>(make: () => T): Record<NodeId, T> => ({ A: make(), B: make() });

export class Storage {
  readonly store = new MemoryStorePair();
  /** Records of which the client knows that they are kept. */
  acknowledged = 0;
  /** Syncs that were begun, and those of them that came to their end. */
  syncs = 0;
  synced = 0;
  /** Steps of work that a sync gets in one tick, and ticks that it takes at least. */
  syncSteps = Number.POSITIVE_INFINITY;
  syncTicks = 0;
  readonly latest: Record<NodeId, StoreStatus>;
  readonly #records: { readonly key: string; readonly value: string }[] = [];
  #open: { readonly key: string; readonly value: string; readonly write: MemoryWrite }[] = [];
  #written = 0;
  #syncingFor: number | null = null;
  #link = 0;
  #whole = true;
  /** Grows with each change after which a copy may hold other records than before. */
  #turns = 0;
  readonly #checked = both(() => -1);
  readonly #lastMs = both(() => 0);
  readonly #agenda: Agenda;
  readonly #pace: Pace;

  constructor(agenda: Agenda, pace: Pace, onStatus: (node: NodeId, status: StoreStatus) => void) {
    this.#agenda = agenda;
    this.#pace = pace;
    this.latest = both(() => STORE_UNKNOWN);
    for (const node of NODES) {
      this.store.setRunning(node, false);
      this.store.store(node).onStatus((status) => {
        this.#turns++;
        this.latest[node] = status;
        const { nowMs } = agenda;
        const atMs = Math.max(this.#lastMs[node], nowMs + pace.ms(0, 1, 200));
        this.#lastMs[node] = atMs;
        agenda.at(atMs, () => onStatus(node, status));
      });
    }
  }

  /** The storage software of this node runs, or does not any more. */
  run(node: NodeId, running: boolean): void {
    this.#turns++;
    this.store.setRunning(node, running);
  }

  /** The way between the two processes is whole, or cut; it takes a moment to meet again. */
  setPath(whole: boolean): void {
    if (this.#whole === whole) return;
    this.#whole = whole;
    const link = ++this.#link;
    if (!whole) this.store.setLink(false);
    else {
      this.#agenda.after(this.#pace.ms(0, 50, 2000), () => {
        if (link === this.#link) this.store.setLink(true);
      });
    }
  }

  /** A client writes through the node that has the service address; then the store works. */
  tick(server: NodeId | null): void {
    if (server !== null && this.#open.length < OPEN_MAX) this.#put(server);
    for (let n = this.#open.length; n > 0 && this.store.step(); n--);
    this.#sync();
    this.#open = this.#open.filter((one) => {
      if (one.write.state === 'acknowledged') {
        this.#records.push(one);
        this.acknowledged++;
      }
      return one.write.state === 'waiting';
    });
  }

  #put(server: NodeId): void {
    if (this.latest[server].role !== 'primary') return;
    const key = `r${++this.#written}`;
    const value = `${server}${this.#agenda.nowMs}`;
    this.#open.push({ key, value, write: this.store.put(server, key, value) });
  }

  #sync(): void {
    const syncing = NODES.some((node) => this.latest[node].peer === 'syncing');
    if (!syncing) {
      this.#syncingFor = null;
      return;
    }
    if (this.#syncingFor === null) this.syncs++;
    this.#syncingFor = (this.#syncingFor ?? -1) + 1;
    if (this.#syncingFor < this.syncTicks) return;
    const { syncSteps } = this;
    for (let n = 0; n < syncSteps && this.store.step(); n++);
    if (NODES.some((node) => this.latest[node].peer === 'current')) this.synced++;
  }

  /** A record that was acknowledged and is not in this node's copy, or null (rule I2). */
  lacks(node: NodeId): string | null {
    const found = this.store.contents(node);
    const all = this.#checked[node] !== this.#turns;
    this.#checked[node] = this.#turns;
    const { length } = this.#records;
    for (let at = all ? 0 : Math.max(0, length - NEWEST); at < length; at++) {
      const record = this.#records[at];
      if (record !== undefined && found.get(record.key) !== record.value) return record.key;
    }
    return null;
  }

  /** Both copies could acknowledge a write by themselves now. */
  twoPrimaries(): boolean {
    return NODES.every((node) => {
      const { role, frozen } = this.latest[node];
      return role === 'primary' && !frozen;
    });
  }

  replica(node: NodeId): Replica {
    const { role, epoch, local, frozen, connected } = this.latest[node];
    const primary = role === 'primary';
    return {
      role: primary ? 'primary' : 'secondary',
      epoch,
      writes: this.store.contents(node).size,
      stale: local === 'stale',
      alone: primary && !frozen && !connected,
    };
  }
}
