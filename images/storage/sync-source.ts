/**
 * The primary's half of a sync: it offers the hashes of what may differ, and sends what the peer
 * asks for. Always holds: only differences are sent; a key that was written since the sync began
 * is never sent by it, because the write itself is newer and went to the peer in order; at most
 * `SYNC_WINDOW_BYTES` are under way. Imports core, objects and the messages.
 */
import type { Progress } from '../../src/core/model.ts';
import { SYNC_WINDOW_BYTES } from './limits.ts';
import type { PeerConnection } from './link.ts';
import { NO_POSITION, type Objects } from './objects.ts';
import type { OfferItem } from './wire.ts';

/** Keys in one message; 1000 of the longest keys with their hashes are below 300 KiB. */
export const KEYS_PER_MESSAGE = 1000;
/** What a small object costs besides its value, for the window. */
const ITEM_BYTES = 256;
/** Progress is told at most this often. */
const TELL_MS = 100;
/** Time after which a rate means something. */
const RATE_FROM_MS = 300;

/** How a sync was, for status and tests. */
export interface SyncSummary {
  readonly mode: 'delta' | 'full';
  readonly offeredObjects: number;
  readonly sentObjects: number;
  readonly sentBytes: number;
}

/** What a window cost: the same number on both sides. */
export const itemCost = (valueBytes: number): number => valueBytes + ITEM_BYTES;

/** Bytes done of a total, with rate and time to go once they mean something. */
export class ProgressMeter {
  readonly #startMs = performance.now();
  #toldMs = 0;
  doneBytes = 0;
  totalBytes = 0;

  /** Adds; true when it is time to tell. */
  add(bytes: number): boolean {
    this.doneBytes += bytes;
    const now = performance.now();
    if (now - this.#toldMs < TELL_MS) return false;
    this.#toldMs = now;
    return true;
  }

  progress(): Progress {
    const { doneBytes, totalBytes } = this;
    const elapsedMs = performance.now() - this.#startMs;
    if (elapsedMs < RATE_FROM_MS || doneBytes === 0) return { doneBytes, totalBytes };
    const rateBps = Math.round((doneBytes * 1000) / elapsedMs);
    const leftBytes = Math.max(totalBytes - doneBytes, 0);
    return { doneBytes, totalBytes, rateBps, etaS: Math.ceil(leftBytes / Math.max(rateBps, 1)) };
  }
}

/** What a sync reads from and whom it tells. */
export interface SyncSourceOptions {
  readonly objects: Objects;
  readonly connection: PeerConnection;
  readonly mode: 'delta' | 'full';
  /** Delta: both copies were equal up to this version. */
  readonly since: number;
  readonly onProgress: () => void;
  /** Everything that was asked for is on the peer's disk. */
  readonly onSent: () => void;
  readonly onError: (error: unknown) => void;
}

/** One sync as its sender; a new connection needs a new one. */
export class SyncSource {
  readonly #options: SyncSourceOptions;
  readonly #written = new Set<string>();
  readonly #wanted: string[] = [];
  readonly meter = new ProgressMeter();
  #offered = 0;
  #sentObjects = 0;
  #sentBytes = 0;
  #underWay = 0;
  #wake: (() => void) | null = null;
  #stopped = false;

  /** Begins to offer at once. */
  constructor(options: SyncSourceOptions) {
    this.#options = options;
    this.#run(() => this.#offer());
  }

  get summary(): SyncSummary {
    const { mode } = this.#options;
    const [sentObjects, sentBytes] = [this.#sentObjects, this.#sentBytes];
    return { mode, offeredObjects: this.#offered, sentObjects, sentBytes };
  }

  /** A write of this key goes to the peer now: the sync has nothing to add. */
  wrote(key: string): void {
    this.#written.add(key);
  }

  /** The peer asks for keys; after the last ones sending begins. */
  want(items: readonly OfferItem[], last: boolean): void {
    const { objects, connection } = this.#options;
    for (const [key, hash] of items) {
      if ((objects.entry(key)?.hash ?? null) !== hash) this.#wanted.push(key);
    }
    if (!last) return;
    const totalBytes = this.#wanted.reduce(
      (sum, key) => sum + (objects.entry(key)?.valueBytes ?? 0),
      0,
    );
    this.meter.totalBytes = totalBytes;
    connection.send({ t: 'begin', totalBytes, objects: this.#wanted.length });
    this.#options.onProgress();
    this.#run(() => this.#send());
  }

  /** So much of the window is on the peer's disk. */
  got(cost: number): void {
    this.#underWay -= cost;
    this.#wake?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  #run(work: () => Promise<void>): void {
    work().catch((error: unknown) => {
      if (!this.#stopped) this.#options.onError(error);
    });
  }

  async #offer(): Promise<void> {
    const { objects, connection, mode, since } = this.#options;
    let items: OfferItem[] = [];
    for (const [key, entry] of objects.changedSince(mode === 'full' ? 0 : since)) {
      items.push([key, entry.hash]);
      this.#offered += 1;
      if (items.length < KEYS_PER_MESSAGE) continue;
      connection.send({ t: 'offer', mode, since, items, last: false });
      items = [];
      await connection.drained();
      if (this.#stopped) return;
    }
    connection.send({ t: 'offer', mode, since, items, last: true });
  }

  async #send(): Promise<void> {
    const { objects, onProgress, onSent } = this.#options;
    for (const key of this.#wanted) {
      await this.#window(SYNC_WINDOW_BYTES);
      const bytes = objects.entry(key)?.valueBytes ?? 0;
      const value = await objects.get(key);
      if (this.#stopped) return;
      if (!this.#written.has(key)) this.#item(key, value);
      if (this.meter.add(bytes)) onProgress();
    }
    await this.#window(0);
    if (!this.#stopped) onSent();
  }

  #item(key: string, value: Buffer | null): void {
    const { objects, connection } = this.#options;
    const version = objects.entry(key)?.version ?? objects.position.version;
    const { run } = NO_POSITION;
    connection.send({ t: 'item', key, run, version, delete: value === null }, value);
    const bytes = value?.length ?? 0;
    this.#underWay += itemCost(bytes);
    this.#sentObjects += 1;
    this.#sentBytes += bytes;
  }

  /** Waits until at most so many bytes are under way. */
  async #window(limit: number): Promise<void> {
    while (this.#underWay > limit && !this.#stopped) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = null;
    }
  }
}
