/**
 * The secondary's half of a sync: it compares what the primary offers with what it holds, asks for
 * the differences and writes them. Always holds: the copy is durably marked stale before the first
 * change; the mark falls only at the end, together with the primary's generation ids, when every
 * object is on disk and, after a full look at this disk, everything that was damaged is written
 * anew and synced; a power cut in between leaves it stale, and the next sync asks only for what
 * still differs. Imports core, objects, state and the messages.
 */
import type { PeerConnection } from './link.ts';
import type { Change } from './entry.ts';
import { DAMAGED, type Objects } from './objects.ts';
import { hashOf } from './record.ts';
import type { StateFile } from './state.ts';
import { checkKey } from './limits.ts';
import { itemCost, KEYS_PER_MESSAGE, ProgressMeter } from './sync-source.ts';
import { bad, type Message, type OfferItem } from './wire.ts';

type Of<T extends Message['t']> = Extract<Message, { t: T }>;

/** What a sync writes to and whom it tells. */
export interface SyncTargetOptions {
  readonly objects: Objects;
  readonly state: StateFile;
  readonly connection: PeerConnection;
  /** Believe the disk and not the index: what cannot be read is asked for, too. */
  readonly check: boolean;
  readonly onProgress: () => void;
  /** Both copies are level, durably. */
  readonly onLevel: (sentBytes: number) => void;
  readonly onError: (error: unknown) => void;
  /** Runs an action when all earlier ones of the copy have ended. */
  readonly inTurn: (action: () => Promise<void>) => Promise<void>;
  /** False when this side follows no more, or follows anew. */
  readonly counts: () => boolean;
}

/** One sync as its receiver; a new connection needs a new one. */
export class SyncTarget {
  readonly #options: SyncTargetOptions;
  #offered: Set<string> | null = null;
  #wants: OfferItem[] = [];
  meter: ProgressMeter | null = null;

  constructor(options: SyncTargetOptions) {
    this.#options = options;
  }

  /** Keys and hashes of the primary; after the last ones the answer goes out. */
  async offer(message: Of<'offer'>): Promise<void> {
    const { objects, state } = this.#options;
    if (!this.#offered) {
      await state.change({ stale: true });
      this.#offered = new Set();
      this.#wants = [];
      this.meter = new ProgressMeter();
      this.#options.onProgress();
    }
    for (const [key, hash] of message.items) {
      this.#offered.add(checkKey(key));
      const mine = objects.entry(key)?.hash ?? null;
      if (mine !== hash) this.#wants.push([key, mine]);
    }
    if (!message.last) return;
    const since = message.mode === 'full' ? 0 : Math.min(message.since, objects.committed);
    for (const [key, entry] of objects.changedSince(since)) {
      // What only this copy changed is taken back; what is gone on both sides needs nothing.
      if (this.#offered.has(key)) continue;
      if (entry.hash !== null || message.mode === 'delta') this.#wants.push([key, entry.hash]);
    }
    if (this.#options.check) void this.#scrub();
    else this.#ask();
  }

  /** Reads every object; writes are taken meanwhile. */
  async #scrub(): Promise<void> {
    const { objects, connection, onError } = this.#options;
    try {
      await objects.log.scrub();
      const wanted = new Set(this.#wants.map(([key]) => key));
      for (const key of objects.liveKeys()) {
        if (connection.closed) return;
        if (wanted.has(key) || (await objects.held(key)) !== DAMAGED) continue;
        this.#wants.push([key, null]);
      }
      this.#ask();
    } catch (error) {
      onError(error);
    }
  }

  begin(message: Of<'begin'>): void {
    if (this.meter) this.meter.totalBytes = message.totalBytes;
    this.#options.onProgress();
  }

  /** One object of the primary; it is confirmed when it is on disk. */
  item(message: Of<'item'>, body: Buffer | null): void {
    if (!this.#offered) throw bad('an object outside of a sync');
    const { version, run } = message;
    const value = message.delete ? null : (body ?? Buffer.alloc(0));
    const hash = value === null ? null : hashOf(value);
    const change = { key: checkKey(message.key), value, hash, version, run, copy: true };
    void this.#write(change);
  }

  /**
   * Every object is on its way to this disk: both copies are level when that is durable and no
   * damage is left. Writes of the primary are taken meanwhile.
   */
  async end(message: Of<'end'>): Promise<void> {
    const { objects, check } = this.#options;
    if (!this.#offered) throw bad('the end of a sync that never began');
    this.#offered = null;
    await objects.flushed();
    await objects.mark(message.position, message.committed);
    if (check && objects.damagedBytes > 0) void this.#mend(message);
    else await this.#level(message);
  }

  /** Takes time, so it is not done in turn: frames of the primary go on being handled. */
  async #mend(message: Of<'end'>): Promise<void> {
    const { objects, counts, inTurn, onProgress, onError } = this.#options;
    const { meter } = this;
    if (meter) meter.totalBytes += objects.damagedBytes;
    onProgress();
    try {
      const done = await objects.purgeDamage(counts, (bytes) => {
        meter?.add(bytes);
        onProgress();
      });
      if (!done) return;
      await inTurn(async () => {
        if (counts()) await this.#level(message);
      });
    } catch (error) {
      onError(error);
    }
  }

  async #level({ generation, sentBytes }: Of<'end'>): Promise<void> {
    const { state, connection } = this.#options;
    await state.change({ generation, stale: false, distrusted: false, aloneSince: null });
    this.meter = null;
    connection.send({ t: 'done' });
    this.#options.onLevel(sentBytes);
  }

  async #write(change: Change): Promise<void> {
    const { objects, connection, onProgress, onError } = this.#options;
    try {
      objects.show(await objects.append(change));
      const bytes = change.value?.length ?? 0;
      connection.send({ t: 'got', bytes: itemCost(bytes) });
      if (this.meter?.add(bytes) === true) onProgress();
    } catch (error) {
      onError(error);
    }
  }

  #ask(): void {
    const wants = this.#wants;
    this.#wants = [];
    for (let at = 0; at === 0 || at < wants.length; at += KEYS_PER_MESSAGE) {
      const items = wants.slice(at, at + KEYS_PER_MESSAGE);
      const last = at + KEYS_PER_MESSAGE >= wants.length;
      this.#options.connection.send({ t: 'want', items, last });
    }
  }
}
