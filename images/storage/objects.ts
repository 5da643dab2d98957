/**
 * The objects of one copy: an index in memory over the log. A write has two steps: `append` makes
 * it durable, `show` makes it visible, so that a reader never sees what was not acknowledged.
 * Always holds: opening the log again gives the same index, position and committed version; a key
 * with a write between its two steps is not moved by cleaning; what was deleted since the committed
 * version is remembered, because the peer may not know it yet. Imports core, the log, its records.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { UpdateError } from '../../src/core/errors.ts';
import type { Change, Entry, Placed } from './entry.ts';
import { VALUE_BYTES_MAX } from './limits.ts';
import type { LogRecord, NewRecord, Position } from './record.ts';
import { Room } from './room.ts';
import { SegmentLog, type Place, type SegmentLogOptions } from './segments.ts';

/** Pause after which a segment with writes on their way is looked at again. */
const PURGE_PAUSE_MS = 50;
/** Stands for the hash of a record that is there but cannot be read. */
export const DAMAGED = 'damaged';
/** Position of a copy that never took a write. */
export const NO_POSITION: Position = { run: '0000000000000000', version: 0 };

/** What the objects are opened with; without `room` there is no ballast. */
export interface ObjectsOptions extends Omit<SegmentLogOptions, 'onRecord' | 'onNoRoom'> {
  readonly room?: Room;
}

/** The objects of one copy; disposing of it closes the log. */
export class Objects implements AsyncDisposable {
  readonly #live = new Map<string, Entry>();
  readonly #deleted = new Map<string, Entry>();
  /** Writes between `append` and `show`, per key. */
  readonly #open = new Map<string, number>();
  #log!: SegmentLog;
  readonly #dir: string;
  /** Records that are on disk and not visible yet, per segment. */
  readonly #unshown = new Map<number, number>();
  /** Last segment in which a record could not be read; 0 = none. */
  #damagedSegment = 0;
  /** Appends under way that will move the position. */
  #moving = 0;
  #liveBytes = 0;
  #valueBytes = 0;
  #position = NO_POSITION;
  /** Segment of the record that says the position: it must outlive its segment. */
  #positionSegment = 0;
  #committed = 0;
  #last: Promise<unknown> = Promise.resolve();
  #cleaning: Promise<void> | null = null;
  #closed = false;
  /** What of the disk clients may use. */
  readonly room: Room;

  private constructor(dir: string, room: Room) {
    this.#dir = dir;
    this.room = room;
  }

  /** Opens the log in `dir` and reads it; throws as `SegmentLog.open` does. */
  static async open({ room, ...options }: ObjectsOptions): Promise<Objects> {
    const objects = new Objects(options.dir, room ?? Room.plain(options.dir));
    objects.#log = await SegmentLog.open({
      ...options,
      onRecord: (record, place) => objects.#replay(record, place),
      onNoRoom: () => objects.room.giveBallast(),
    });
    objects.#forgetDeleted();
    return objects;
  }

  /** Directory of the log. */
  get dir(): string {
    return this.#dir;
  }

  /** Number of objects. */
  get size(): number {
    return this.#live.size;
  }

  /** Bytes of all values. */
  get valueBytes(): number {
    return this.#valueBytes;
  }

  /** The last write that is on disk here. */
  get position(): Position {
    return this.#position;
  }

  /** Highest version up to which both copies are known to be equal. */
  get committed(): number {
    return this.#committed;
  }

  set committed(version: number) {
    this.#committed = version;
    if (this.#deleted.size > 4096) this.#forgetDeleted();
  }

  get log(): SegmentLog {
    return this.#log;
  }

  /** `store.corrupt` while what was synced once cannot be read: such a copy proves nothing. */
  get damage(): UpdateError | null {
    return this.#log.damage;
  }

  /** What is visible of a key; deleted ones only while they are remembered. */
  entry(key: string): Entry | null {
    return this.#live.get(key) ?? this.#deleted.get(key) ?? null;
  }

  has(key: string): boolean {
    return this.#live.has(key);
  }

  /** Keys and entries that changed after `version`, deleted ones too; 0 = all that exist. */
  *changedSince(version: number): Generator<[key: string, entry: Entry]> {
    for (const one of this.#live) if (one[1].version > version) yield one;
    for (const one of this.#deleted) if (one[1].version > version) yield one;
  }

  /** The value of a key, checked against its hash; null when there is none. */
  async get(key: string): Promise<Buffer | null> {
    for (;;) {
      const entry = this.#live.get(key);
      if (!entry) return null;
      try {
        return (await this.#log.read(entry.place)).value();
      } catch (cause) {
        // Cleaning may have moved the record while it was read.
        if (this.#live.get(key) !== entry) continue;
        this.#damagedSegment = Math.max(this.#damagedSegment, entry.place.segment);
        if (cause instanceof UpdateError) throw cause;
        const text = `the object ${key} is damaged: ${(cause as Error).message}`;
        throw new UpdateError('store.corrupt', text, { cause });
      }
    }
  }

  /** What the disk holds of a key, read and checked: a hash, or null for nothing. */
  async held(key: string): Promise<string | null> {
    if (!this.#live.has(key)) return null;
    try {
      await this.get(key);
      return this.#live.get(key)?.hash ?? null;
    } catch (error) {
      if (error instanceof UpdateError && error.code === 'store.corrupt') return DAMAGED;
      throw error;
    }
  }

  /** All live keys, in no order. */
  liveKeys(): MapIterator<string> {
    return this.#live.keys();
  }

  /** Sorted keys with this prefix after `after`, at most `limit`. */
  keys(prefix: string, after: string, limit: number): { keys: string[]; more: boolean } {
    const found = [...this.#live.keys()].filter((key) => key.startsWith(prefix) && key > after);
    found.sort();
    return { keys: found.slice(0, limit), more: found.length > limit };
  }

  /** Makes a change durable, in the order of the calls; `show` must follow. */
  append(change: Change): Promise<Placed> {
    const placed = this.#append(change);
    this.#last = placed.catch(() => undefined);
    return placed;
  }

  /** Resolves when every change that was appended before is on disk, or has failed. */
  async flushed(): Promise<void> {
    await this.#last;
  }

  async #append(change: Change): Promise<Placed> {
    const { key, value, hash, version, run, copy } = change;
    this.#open.set(key, (this.#open.get(key) ?? 0) + 1);
    const kind = value === null ? 'delete' : 'put';
    const committed = this.#committed;
    const record: NewRecord = {
      kind,
      copy,
      key,
      version,
      committed,
      run,
      value,
      hash: hash ?? '',
    };
    if (!copy) this.#moving += 1;
    try {
      const place = await this.#log.append(record);
      if (!copy) this.#moveTo({ run, version }, place.segment);
      this.#unshown.set(place.segment, (this.#unshown.get(place.segment) ?? 0) + 1);
      return { key, entry: { version, hash, valueBytes: value?.length ?? 0, place } };
    } catch (error) {
      this.#settled(key);
      throw error;
    } finally {
      if (!copy) this.#moving -= 1;
    }
  }

  /** Makes an appended change visible; in the order of the appends of a key. */
  show(placed: Placed): void {
    const { key, entry } = placed;
    this.#settled(key);
    const left = (this.#unshown.get(entry.place.segment) ?? 1) - 1;
    if (left === 0) this.#unshown.delete(entry.place.segment);
    else this.#unshown.set(entry.place.segment, left);
    this.#index(key, entry);
    this.#clean();
  }

  /** Durably moves the position without a change: the end of a sync. */
  async mark(position: Position, committed: number): Promise<void> {
    this.#committed = committed;
    const change = { kind: 'mark', copy: false, key: '', value: null, hash: '' } as const;
    const place = await this.#log.append({ ...change, committed, ...position });
    this.#moveTo(position, place.segment);
  }

  /** After a full disk: goes on when there is room again. Throws why nothing can be written. */
  async recover(): Promise<void> {
    if (!this.#log.failure) return;
    await this.room.take(VALUE_BYTES_MAX);
    this.#log.recover();
    if (this.#log.failure) throw this.#log.failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#cleaning;
    await this.#log[Symbol.asyncDispose]();
  }

  #replay(record: LogRecord, place: Place): void {
    const { kind, copy, key, version, run, committed, hash, valueBytes } = record;
    if (!copy) {
      this.#moveTo({ run, version }, place.segment);
      this.#committed = committed;
    }
    if (kind === 'mark') return;
    this.#index(key, { version, hash: kind === 'put' ? hash : null, valueBytes, place });
  }

  #moveTo(position: Position, segment: number): void {
    this.#position = position;
    this.#positionSegment = segment;
  }

  #index(key: string, entry: Entry): void {
    const before = this.#live.get(key);
    if (before) {
      this.#liveBytes -= before.place.bytes;
      this.#valueBytes -= before.valueBytes;
    }
    if (entry.hash === null) {
      this.#live.delete(key);
      this.#deleted.set(key, entry);
      return;
    }
    this.#deleted.delete(key);
    this.#live.set(key, entry);
    this.#liveBytes += entry.place.bytes;
    this.#valueBytes += entry.valueBytes;
  }

  #settled(key: string): void {
    const open = (this.#open.get(key) ?? 1) - 1;
    if (open === 0) this.#open.delete(key);
    else this.#open.set(key, open);
  }

  #forgetDeleted(): void {
    for (const [key, entry] of this.#deleted) {
      if (entry.version <= this.#committed) this.#deleted.delete(key);
    }
  }

  #clean(): void {
    const { bytes, oldest } = this.#log;
    // More than one segment, and less than half of the log is live.
    if (oldest === null || this.#liveBytes * 2 > bytes) return;
    if (this.#cleaning || this.#closed) return;
    this.#cleaning = this.#cleanSegment(oldest)
      // The next write meets the same disk and reports it.
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => (this.#cleaning = null));
  }

  /**
   * Writes everything anew that lies at or before damage, and removes those segments, durably: no
   * damage that is known is left when it resolves, and the next start finds none of it. False when
   * `wanted` ended it before. Throws `store.corrupt` for a live record that is damaged still, and
   * as a write does. `onBytes` is told what was done.
   */
  async purgeDamage(
    wanted: () => boolean = () => true,
    onBytes: (bytes: number) => void = () => undefined,
  ): Promise<boolean> {
    await this.#cleaning;
    const purge = this.#purge(() => wanted() && !this.#closed, onBytes);
    this.#cleaning = purge
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => (this.#cleaning = null));
    return await purge;
  }

  /** Bytes of the log that `purgeDamage` would write anew; 0 without damage. */
  get damagedBytes(): number {
    return this.#log.bytesThrough(this.#damagedThrough());
  }

  #damagedThrough(): number {
    return Math.max(this.#damagedSegment, this.#log.damagedThrough);
  }

  async #purge(wanted: () => boolean, onBytes: (bytes: number) => void): Promise<boolean> {
    const through = this.#damagedThrough();
    if (through > 0) this.#log.roll();
    for (let first = this.#log.first; first !== null && first <= through; first = this.#log.first) {
      if (!wanted()) return false;
      const bytes = this.#log.bytesThrough(first);
      if (await this.#cleanSegment(first)) onBytes(bytes);
      else await sleep(PURGE_PAUSE_MS);
    }
    if (this.#damagedSegment <= through) this.#damagedSegment = 0;
    return true;
  }

  /**
   * Moves what is still needed of a first segment to the end of the log, then removes it; false
   * when something in it is still on its way. What is needed is told by the index, not by the
   * segment, so that a damaged record hides nothing behind it.
   */
  async #cleanSegment(number: number): Promise<boolean> {
    this.#forgetDeleted();
    for (;;) {
      const moves = [...this.#live, ...this.#deleted].filter(([, e]) => e.place.segment === number);
      if (moves.length === 0) break;
      for (const [key, entry] of moves) {
        if (this.#closed) return false;
        if (this.entry(key) !== entry) continue;
        // Its old record must stay until the write that is under way has replaced it.
        if (this.#open.has(key)) return false;
        await this.#move(key, entry);
      }
    }
    if (this.#positionSegment === number) {
      // A write under way will be the newer position; the next cleaning finds it.
      if (this.#moving > 0) return false;
      await this.mark(this.#position, this.#committed);
    }
    // What is on disk and not visible yet is in no index, and must stay all the same.
    if ((this.#unshown.get(number) ?? 0) > 0) return false;
    const here = (entry: Entry): boolean => entry.place.segment === number;
    if (this.#live.values().some(here) || this.#deleted.values().some(here)) return false;
    return await this.#log.remove(number);
  }

  async #move(key: string, entry: Entry): Promise<void> {
    const value = entry.hash === null ? null : (await this.#log.read(entry.place)).value();
    if (this.entry(key) !== entry || this.#open.has(key)) return;
    const kind = entry.hash === null ? 'delete' : 'put';
    const { version } = entry;
    const { run } = NO_POSITION;
    const committed = this.#committed;
    const hash = entry.hash ?? '';
    const moved = this.#log.append({
      kind,
      copy: true,
      key,
      version,
      committed,
      run,
      value,
      hash,
    });
    this.#open.set(key, (this.#open.get(key) ?? 0) + 1);
    try {
      const place = await moved;
      if (this.entry(key) === entry) this.#index(key, { ...entry, place });
    } finally {
      this.#settled(key);
    }
  }
}
