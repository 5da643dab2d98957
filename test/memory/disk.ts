/**
 * A disk for crash tests. Writes go into a cache and are durable only after `sync`; a power cut may
 * lose, keep or tear what was not synced, sector by sector, out of order, as a seed or the test
 * decides. Usage:
 *
 *     const disk = new FakeDisk({ seed: 1 });
 *     const files = ['journal.0', 'journal.1'].map((name) => disk.file(name, 8192));
 *     const journal = new FileJournal(files);
 *     disk.cutAt(5);        // the fifth write or sync from now throws PowerCut, and all after it
 *     disk.powerOn(7);      // seed 7 decides what became of the unsynced sectors
 *
 * Always holds: a handle from before a power cut never works again; the same calls with the same
 * seeds give the same bytes. May import core and the interface of the disk file.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { SECTOR_BYTES } from '../../src/core/frame.ts';
import { checkInside, type DiskFile } from '../../src/drivers/disk-file.ts';

/**
 * The power is gone. Not an UpdateError and without an errno, so that nothing takes it for a fault
 * of the disk; who catches it must throw it on.
 */
export class PowerCut extends Error {
  override readonly name = 'PowerCut';
}

/** A sector that was written and not synced: what it may hold after a power cut. */
export interface PendingSector {
  readonly file: string;
  readonly index: number;
  /** Index 0 is what is durable now, the last one what was written last. */
  readonly versions: readonly Uint8Array[];
}

/**
 * A file of the disk for callers that cannot wait (the simulator): the same operations, counted and
 * cut in the same way, done before the call returns.
 */
export interface DirectFile extends DiskFile {
  readNow(offset: number, lengthBytes: number): Uint8Array;
  writeNow(offset: number, bytes: Uint8Array): void;
  syncNow(): void;
}

/** Chooses the version that a pending sector has after a power cut. */
export type Choose = (sector: PendingSector, position: number) => number;

/** Everything is lost that was not synced. */
export const LOST: Choose = () => 0;
/** Everything is kept that was written. */
export const KEPT: Choose = (sector) => sector.versions.length - 1;

/** Versions of an unsynced sector, oldest first, without the durable one. */
interface Cached {
  readonly versions: readonly Uint8Array[];
  /** False after a failed sync: the kernel calls the sector clean although it is not durable. */
  readonly dirty: boolean;
}

interface StoredFile {
  readonly durable: Uint8Array;
  readonly cache: Map<number, Cached>;
}

/** What becomes of an operation; `cut` and `failed` ones throw afterwards. */
type Fate = 'done' | 'cut' | 'failed';

/** Numbers from 0 to below 1 that depend on the seed alone (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A disk with files of fixed size. */
export class FakeDisk {
  /** Operations so far: every write, every sync and every `durable`. */
  ops = 0;
  /** What the operations were, for the message of a failed test. */
  readonly trace: string[] = [];
  readonly #files = new Map<string, StoredFile>();
  readonly #random: () => number;
  #boot = 0;
  #off = false;
  #cutAt = Infinity;
  #failAt = Infinity;
  readonly #traced: boolean;

  /** `traced` false keeps no trace: for runs with very many operations. */
  constructor(options: { readonly seed?: number; readonly traced?: boolean } = {}) {
    this.#random = randomOf(options.seed ?? 0);
    this.#traced = options.traced ?? true;
  }

  /** True from a power cut to `powerOn`. */
  get off(): boolean {
    return this.#off;
  }

  /** A handle of the file for this boot; a new file holds zeros, durably. */
  file(name: string, sizeBytes: number): DirectFile {
    const stored = this.#files.get(name) ?? {
      durable: new Uint8Array(sizeBytes),
      cache: new Map<number, Cached>(),
    };
    this.#files.set(name, stored);
    return new FakeFile(this, name, stored, this.#boot);
  }

  /** The n-th operation from now (1 = the next one) is cut; Infinity takes it back. */
  cutAt(n: number): void {
    this.#cutAt = this.ops + n;
  }

  /**
   * The n-th operation from now fails with EIO: a write reaches the cache in part, a sync makes
   * nothing durable and, as in Linux, the next one does not try these sectors again.
   */
  failAt(n: number): void {
    this.#failAt = this.ops + n;
  }

  /** Cuts the power between two operations. */
  powerOff(): void {
    this.#off = true;
  }

  /** Power returns; `choice` decides about every unsynced sector. Old handles stay dead. */
  powerOn(choice: number | Choose = this.#random() * 2 ** 32): void {
    const choose = typeof choice === 'number' ? randomChoice(choice) : choice;
    for (const [position, sector] of this.pending().entries()) {
      const version = sector.versions[choose(sector, position)];
      if (version === undefined) throw new Error('no such version of the sector');
      this.#files.get(sector.file)!.durable.set(version, sector.index * SECTOR_BYTES);
    }
    for (const stored of this.#files.values()) stored.cache.clear();
    this.#boot += 1;
    this.#off = false;
    this.#cutAt = Infinity;
    this.#failAt = Infinity;
  }

  /** Every unsynced sector, in the order of files and sectors. */
  pending(): readonly PendingSector[] {
    return [...this.#files].flatMap(([file, stored]) =>
      [...stored.cache]
        .toSorted((a, b) => a[0] - b[0])
        .map(([index, { versions }]) => {
          const start = index * SECTOR_BYTES;
          const durable = stored.durable.slice(start, start + SECTOR_BYTES);
          return { file, index, versions: [durable, ...versions] };
        }),
    );
  }

  /**
   * Counts one durable change outside the files (a boot chooser or a peer in memory), before it is
   * made: when the cut falls here, PowerCut is thrown and the change must not happen.
   */
  durable(label: string): void {
    this.step(label, this.#boot, () => undefined);
  }

  /** Rot: changes bits of a byte behind everyone's back. */
  flip(name: string, offset: number, mask = 0x01): void {
    const { durable, cache } = this.#files.get(name)!;
    if (cache.size > 0) throw new Error('sync before bits are flipped');
    durable[offset] = durable[offset]! ^ mask;
  }

  /** What a program reads now: durable bytes and what was written over them. */
  bytes(name: string): Uint8Array {
    const stored = this.#files.get(name)!;
    return areaOf(stored, 0, stored.durable.length);
  }

  /** The same disk once more, to try another continuation from here. */
  clone(): FakeDisk {
    const copy = new FakeDisk({ seed: this.#random() * 2 ** 32 });
    for (const [name, stored] of this.#files) {
      copy.#files.set(name, { durable: stored.durable.slice(), cache: new Map(stored.cache) });
    }
    copy.#off = this.#off;
    return copy;
  }

  /** Runs an operation of a handle and throws when it is cut or fails. For the handles only. */
  step(label: string, boot: number, effect: (fate: Fate) => void): void {
    this.checkPower(label, boot);
    this.ops += 1;
    if (this.#traced) this.trace.push(label);
    if (this.ops >= this.#cutAt) {
      effect('cut');
      this.#off = true;
      throw new PowerCut(`power cut at operation ${this.ops}, ${label}`);
    }
    if (this.ops !== this.#failAt) return effect('done');
    effect('failed');
    throw Object.assign(new Error(`EIO: i/o error, ${label}`), { code: 'EIO', errno: -5 });
  }

  /** Throws without power, and for a handle from before a power cut. For the handles only. */
  checkPower(label: string, boot: number): void {
    if (this.#off || boot !== this.#boot) throw new PowerCut(`no power for ${label}`);
  }

  /** Whether a sector of a failed write reached the cache. For the handles only. */
  coin(): boolean {
    return this.#random() < 0.5;
  }
}

function randomChoice(seed: number): Choose {
  const random = randomOf(seed);
  // Whole losses and whole successes are as likely as tears, or small writes would rarely survive.
  const mode = Math.floor(random() * 3);
  if (mode === 0) return LOST;
  if (mode === 1) return KEPT;
  return (sector) => Math.floor(random() * sector.versions.length);
}

/** Bytes from `start` to `end` as a program reads them now; both at the edges of sectors. */
function areaOf({ durable, cache }: StoredFile, start: number, end: number): Uint8Array {
  const bytes = durable.slice(start, end);
  for (const [index, { versions }] of cache) {
    const at = index * SECTOR_BYTES;
    if (at >= start && at < end) bytes.set(versions.at(-1)!, at - start);
  }
  return bytes;
}

/** Copies of whole sectors with their numbers, the first of which is given. */
function sectorsOf(bytes: Uint8Array, first: number): readonly (readonly [number, Uint8Array])[] {
  const sectors: (readonly [number, Uint8Array])[] = [];
  for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
    sectors.push([first + at / SECTOR_BYTES, bytes.slice(at, at + SECTOR_BYTES)]);
  }
  return sectors;
}

class FakeFile implements DirectFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly #disk: FakeDisk;
  readonly #stored: StoredFile;
  readonly #boot: number;

  constructor(disk: FakeDisk, name: string, stored: StoredFile, boot: number) {
    this.name = name;
    this.sizeBytes = stored.durable.length;
    this.#disk = disk;
    this.#stored = stored;
    this.#boot = boot;
  }

  async read(offset: number, lengthBytes: number): Promise<Uint8Array> {
    await Promise.resolve();
    return this.readNow(offset, lengthBytes);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await Promise.resolve();
    this.writeNow(offset, bytes);
  }

  async sync(): Promise<void> {
    await Promise.resolve();
    this.syncNow();
  }

  readNow(offset: number, lengthBytes: number): Uint8Array {
    this.#disk.checkPower(`read ${this.name}`, this.#boot);
    if (offset + lengthBytes > this.sizeBytes) {
      throw new UpdateError('state.io', `${this.name} ends at byte ${this.sizeBytes}`);
    }
    const start = offset - (offset % SECTOR_BYTES);
    const end = Math.ceil((offset + lengthBytes) / SECTOR_BYTES) * SECTOR_BYTES;
    return areaOf(this.#stored, start, end).subarray(offset - start, offset - start + lengthBytes);
  }

  writeNow(offset: number, bytes: Uint8Array): void {
    checkInside(this, offset, bytes.length);
    const sectors = this.#sectors(offset, bytes);
    const label = `write ${this.name} ${offset}+${bytes.length}`;
    this.#disk.step(label, this.#boot, (fate) => {
      // A write that is cut is on its way whole; one that fails got through in part.
      for (const [index, sector] of sectors) {
        if (fate === 'failed' && this.#disk.coin()) continue;
        const before = this.#stored.cache.get(index)?.versions ?? [];
        this.#stored.cache.set(index, { versions: [...before, sector], dirty: true });
      }
    });
  }

  syncNow(): void {
    const { cache, durable } = this.#stored;
    this.#disk.step(`sync ${this.name}`, this.#boot, (fate) => {
      for (const [index, { versions, dirty }] of cache) {
        if (fate === 'failed') cache.set(index, { versions, dirty: false });
        if (fate !== 'done' || !dirty) continue;
        durable.set(versions.at(-1)!, index * SECTOR_BYTES);
        cache.delete(index);
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.resolve();
  }

  /** The sectors as they are after the write, also those that it covers in part only. */
  #sectors(offset: number, bytes: Uint8Array): readonly (readonly [number, Uint8Array])[] {
    const first = Math.floor(offset / SECTOR_BYTES);
    const end = Math.ceil((offset + bytes.length) / SECTOR_BYTES);
    const whole = offset % SECTOR_BYTES === 0 && bytes.length % SECTOR_BYTES === 0;
    if (whole) return sectorsOf(bytes, first);
    const area = areaOf(this.#stored, first * SECTOR_BYTES, end * SECTOR_BYTES);
    area.set(bytes, offset - first * SECTOR_BYTES);
    return sectorsOf(area, first);
  }
}
