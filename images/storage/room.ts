/**
 * The room that clients may use on the data partition, and the reserve that they may not: what is
 * left of it belongs to the boot state, to the journal and to a sync. Always holds: a write is
 * taken only when its bytes were granted, and what is granted and not on disk yet is less than the
 * ballast, a preallocated file that gives its blocks when another program has filled the disk in
 * between; so a write that was taken does not fail for want of room. Imports core, preallocate and
 * the limits.
 */
import { rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import { preallocate } from '../../src/drivers/preallocate.ts';
import { RESERVE_BYTES, VALUE_BYTES_MAX } from './limits.ts';

/** Bytes that may be granted between two looks at the free space. */
const GRANT_BYTES = 4 * 1024 * 1024;
/** Blocks kept for writes that were granted; more than two grants, with the heads of records. */
export const BALLAST_BYTES = 12 * 1024 * 1024;
/** How often the free space is looked at. */
const LOOK_MS = 1000;

/** The room of one data directory; disposing of it ends the looking. */
export class Room implements Disposable {
  readonly #dir: string;
  readonly #ballast: string | null;
  /** Called after every look at the disk. */
  onLook: () => void = () => undefined;
  #granted = 0;
  #spare = 0;
  #held = false;
  #turn: Promise<void> = Promise.resolve();
  #ticker: NodeJS.Timeout | null = null;

  private constructor(dir: string, ballast: string | null) {
    this.#dir = dir;
    this.#ballast = ballast;
  }

  /** Room without ballast, looked at only when it is asked for. */
  static plain(dir: string): Room {
    return new Room(dir, null);
  }

  /** Room of `dir`, with its ballast there if the disk has so much left. */
  static async open(dir: string): Promise<Room> {
    const room = new Room(dir, join(dir, 'reserve'));
    await room.#makeBallast();
    // So that the first write of a new active does not wait for a look at the disk.
    room.#granted = Math.min(room.#spare, GRANT_BYTES);
    room.#ticker = setInterval(() => void room.look().catch(() => undefined), LOOK_MS).unref();
    return room;
  }

  /** Bytes above the reserve when the disk was last looked at; not below 0. */
  get spareBytes(): number {
    return this.#spare;
  }

  /** Not even one object of the largest size has room. */
  get full(): boolean {
    return this.#spare < VALUE_BYTES_MAX;
  }

  /** Looks at the disk; makes the ballast again when there is room for it. */
  async look(): Promise<void> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      await this.#look();
    } finally {
      resolve();
    }
  }

  /** Grants so many bytes to one write; throws `store.full` with the bytes that are missing. */
  async take(bytes: number): Promise<void> {
    if (this.#granted < bytes) {
      await this.look();
      this.#granted = Math.min(this.#spare, GRANT_BYTES + bytes);
    }
    if (this.#granted < bytes) {
      const missingBytes = bytes - this.#granted;
      throw new UpdateError(
        'store.full',
        `${missingBytes} bytes are missing on the data partition; ${RESERVE_BYTES} stay free`,
        { detail: { missingBytes } },
      );
    }
    this.#granted -= bytes;
  }

  /** The disk is full although the bytes were granted: true when the ballast gave its blocks. */
  async giveBallast(): Promise<boolean> {
    this.#granted = 0;
    if (this.#ballast === null || !this.#held) return false;
    this.#held = false;
    await rm(this.#ballast, { force: true });
    this.#spare = 0;
    this.onLook();
    return true;
  }

  [Symbol.dispose](): void {
    if (this.#ticker) clearInterval(this.#ticker);
  }

  async #look(): Promise<void> {
    this.#spare = await this.#spareNow();
    const lacks = this.#ballast !== null && !this.#held;
    if (lacks && this.#spare >= BALLAST_BYTES) await this.#makeBallast();
    this.#granted = Math.min(this.#granted, this.#spare);
    this.onLook();
  }

  async #makeBallast(): Promise<void> {
    try {
      await preallocate(this.#ballast!, BALLAST_BYTES);
      this.#held = true;
    } catch (error) {
      if (asUpdateError(error).code !== 'space.depot') throw error;
      await rm(this.#ballast!, { force: true });
    }
    this.#spare = await this.#spareNow();
  }

  async #spareNow(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#dir);
    return Math.max(0, bavail * bsize - RESERVE_BYTES);
  }
}
