/**
 * The log of one copy of the store: segments of about 16 MiB, appended to and never changed.
 * Always holds: `append` resolves only when the record is on disk (fdatasync), in the order of the
 * calls, many records per sync; a torn tail is dropped when the log is opened; damage before the
 * last synced byte is told (`damage`), what is whole is read all the same, and a damaged segment is
 * never changed, only removed; after a failed write nothing more is appended behind it. Imports
 * core, node:fs, the scan and the record codec.
 */
import { constants } from 'node:fs';
import { mkdir, open, readdir, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import { syncDirectory } from '../../src/drivers/fs-atomic.ts';
import { isNoRoom } from '../../src/drivers/preallocate.ts';
import { FORMAT_MAX, FORMAT_MIN } from './limits.ts';
import {
  decodeRecord,
  encodeRecord,
  encodeSegmentHead,
  SEGMENT_HEAD_BYTES,
  type DecodedRecord,
  type LogRecord,
  type NewRecord,
} from './record.ts';
import { scanSegment } from './scan.ts';

/** A new segment is begun at this size. */
export const SEGMENT_BYTES = 16 * 1024 * 1024;
/** Most bytes of values that one write and one sync carry. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** Where a record is. */
export interface Place {
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
}

/** Called for every record in the order of the log when it is opened. */
export type OnRecord = (record: LogRecord, place: Place) => void;

interface Segment {
  readonly number: number;
  readonly file: FileHandle;
  readonly formatLevel: number;
  bytes: number;
}

interface Job {
  readonly record: NewRecord;
  readonly resolve: (place: Place) => void;
  readonly reject: (error: Error) => void;
}

/** What a log is opened with. */
export interface SegmentLogOptions {
  readonly dir: string;
  /** Level that new records are written at; a change of it begins a new segment. */
  readonly formatLevel: () => number;
  readonly onRecord: OnRecord;
  readonly segmentBytes?: number;
  /** The disk is full: true when something gave up its blocks, and the write is tried once more. */
  readonly onNoRoom?: () => Promise<boolean>;
}

/** The open log; disposing of it waits for writes under way and closes the files. */
export class SegmentLog implements AsyncDisposable {
  readonly #options: SegmentLogOptions;
  readonly #segments: Segment[] = [];
  readonly #queue: Job[] = [];
  #running: Promise<void> | null = null;
  #failure: UpdateError | null = null;
  /** The write that failed left nothing behind: once there is room, appending may go on. */
  #whole = false;
  #rolls = false;
  #busySinceMs: number | null = null;
  /** Bytes of a torn tail that were dropped when the log was opened. */
  droppedBytes = 0;
  /** First damage in each damaged segment, the oldest segment first. */
  readonly #damaged = new Map<number, number>();

  private constructor(options: SegmentLogOptions) {
    this.#options = options;
  }

  /**
   * Opens and reads the log; throws `store.io`, `state.newer_schema`. A damaged log is opened, too:
   * whoever opens it looks at `damage` before anything counts on what it holds.
   */
  static async open(options: SegmentLogOptions): Promise<SegmentLog> {
    const log = new SegmentLog(options);
    try {
      await mkdir(options.dir, { recursive: true, mode: 0o700 });
      const names = (await readdir(options.dir)).filter((name) => /^\d{8}\.seg$/.test(name));
      const numbers = names.map((name) => Number(name.slice(0, 8))).toSorted((a, b) => a - b);
      for (const number of numbers) await log.#load(number, number === numbers.at(-1));
      return log;
    } catch (error) {
      await log[Symbol.asyncDispose]();
      throw ioFailure(error);
    }
  }

  /** Bytes of all segments. */
  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  /** Bytes of the segments up to this one. */
  bytesThrough(number: number): number {
    const some = this.#segments.filter((segment) => segment.number <= number);
    return some.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  /** For how long the write that is under way has taken; 0 without one. */
  get busyMs(): number {
    return this.#busySinceMs === null ? 0 : performance.now() - this.#busySinceMs;
  }

  /** The oldest segment that is not written to any more; null when there is none. */
  get oldest(): number | null {
    return this.#segments.length > 1 ? this.#segments[0]!.number : null;
  }

  /** The first segment; null when there is none. */
  get first(): number | null {
    return this.#segments[0]?.number ?? null;
  }

  /** Why nothing can be written any more; null while all is well. */
  get failure(): UpdateError | null {
    return this.#failure;
  }

  /** `store.corrupt` with the first damage that was found; null while none is known. */
  get damage(): UpdateError | null {
    const [first] = this.#damaged;
    return first === undefined ? null : corrupt(first[0], first[1], 'a record is damaged');
  }

  /** The newest segment that is known to be damaged; 0 = none. */
  get damagedThrough(): number {
    return Math.max(0, ...this.#damaged.keys());
  }

  /** Reads all that was synced and notes what is damaged; appending goes on meanwhile. */
  async scrub(): Promise<void> {
    for (const segment of this.#segments.slice()) {
      const { number, file, bytes } = segment;
      const gone = (): boolean => !this.#segments.includes(segment);
      const content = await readAll(file, bytes).catch((error: unknown) => {
        if (gone()) return null;
        throw ioFailure(error);
      });
      // One that was removed meanwhile says nothing any more.
      if (content === null || gone()) continue;
      const { damagedAt } = scanSegment(content, false, () => undefined);
      if (damagedAt !== null && !this.#damaged.has(number)) this.#damaged.set(number, damagedAt);
    }
  }

  /** After `store.full`, and with nothing half-written: appending may be tried again. */
  recover(): void {
    if (this.#failure?.code !== 'store.full' || !this.#whole) return;
    this.#failure = null;
    this.#whole = false;
  }

  /** Appends a record; resolves when it is durable. Rejects with `store.full` or `store.io`. */
  async append(record: NewRecord): Promise<Place> {
    if (this.#failure) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<Place>();
    this.#queue.push({ record, resolve, reject });
    this.#running ??= this.#run();
    return await promise;
  }

  /** Reads one record back; throws `store.corrupt` when it is damaged. */
  async read(place: Place): Promise<DecodedRecord> {
    const segment = this.#segments.find((one) => one.number === place.segment);
    if (!segment) throw new UpdateError('store.io', `segment ${place.segment} is gone`);
    const bytes = Buffer.allocUnsafe(place.bytes);
    const { bytesRead } = await segment.file.read(bytes, 0, place.bytes, place.offset);
    const found = decodeRecord(bytes.subarray(0, bytesRead), 0);
    if (found) return found;
    throw corrupt(segment.number, place.offset, 'a record that was written is damaged');
  }

  /** The next record begins a new segment. */
  roll(): void {
    this.#rolls = true;
  }

  /** Removes the first segment, unless it is written to; durable when it returns true. */
  async remove(number: number): Promise<boolean> {
    const [segment] = this.#segments;
    if (segment?.number !== number || this.#segments.length < 2) return false;
    this.#segments.shift();
    await segment.file.close();
    await unlink(this.#path(number));
    await syncDirectory(this.#options.dir);
    this.#damaged.delete(number);
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= new UpdateError('store.io', 'the store was closed');
    await this.#running;
    for (const segment of this.#segments) await segment.file.close();
  }

  #path(number: number): string {
    return join(this.#options.dir, `${String(number).padStart(8, '0')}.seg`);
  }

  async #load(number: number, last: boolean): Promise<void> {
    const path = this.#path(number);
    const file = await open(path, constants.O_RDWR);
    const bytes = await readAll(file, (await file.stat()).size);
    const found = scanSegment(bytes, last, (record, offset, length) => {
      this.#options.onRecord(record, { segment: number, offset, bytes: length });
    });
    const { formatLevel, goodBytes, damagedAt } = found;
    if (goodBytes === 0) {
      await file.close();
      this.droppedBytes += bytes.length;
      await unlink(path);
      return;
    }
    if (formatLevel !== null && (formatLevel < FORMAT_MIN || formatLevel > FORMAT_MAX)) {
      await file.close();
      throw new UpdateError(
        'state.newer_schema',
        `the store has format level ${formatLevel}, this program knows ` +
          `${FORMAT_MIN} to ${FORMAT_MAX}`,
      );
    }
    this.#segments.push({ number, file, formatLevel: formatLevel ?? FORMAT_MIN, bytes: goodBytes });
    if (damagedAt !== null) {
      this.#damaged.set(number, damagedAt);
      // It stays as it was found; what comes next begins a new one.
      this.#rolls = true;
    } else if (goodBytes < bytes.length) {
      await file.truncate(goodBytes);
      await file.datasync();
      this.droppedBytes += bytes.length - goodBytes;
    }
  }

  async #run(): Promise<void> {
    // One turn later, so that calls of the same turn share a write.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const jobs = this.#nextBatch();
      this.#busySinceMs = performance.now();
      try {
        if (this.#failure) throw this.#failure;
        const places = await this.#writeOrMakeRoom(jobs);
        for (const [at, job] of jobs.entries()) job.resolve(places[at]!);
      } catch (error) {
        this.#failure ??= ioFailure(error);
        for (const job of jobs) job.reject(this.#failure);
      } finally {
        this.#busySinceMs = null;
      }
    }
    this.#running = null;
  }

  async #writeOrMakeRoom(jobs: readonly Job[]): Promise<Place[]> {
    try {
      return await this.#write(jobs);
    } catch (error) {
      const again = this.#whole && isNoRoom(error) && (await this.#options.onNoRoom?.()) === true;
      if (!again) throw error;
      this.#whole = false;
      return await this.#write(jobs);
    }
  }

  #nextBatch(): Job[] {
    let bytes = 0;
    let count = 0;
    for (const job of this.#queue) {
      if (count > 0 && bytes > BATCH_BYTES) break;
      bytes += job.record.value?.length ?? 0;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  /** Writes a batch and syncs it. A write that fails leaves the segment as long as it was. */
  async #write(jobs: readonly Job[]): Promise<Place[]> {
    const segment = await this.#writable();
    const start = segment.bytes;
    let offset = start;
    const pieces: Buffer[] = [];
    const places = jobs.map(({ record }) => {
      const piece = encodeRecord(record, start, segment.formatLevel);
      const place = { segment: segment.number, offset, bytes: piece.length };
      pieces.push(piece);
      offset += piece.length;
      return place;
    });
    try {
      await writeAll(segment.file, Buffer.concat(pieces), start);
    } catch (error) {
      await segment.file.truncate(start);
      await segment.file.datasync();
      this.#whole = true;
      throw error;
    }
    await segment.file.datasync();
    segment.bytes = offset;
    return places;
  }

  async #writable(): Promise<Segment> {
    const active = this.#segments.at(-1);
    const formatLevel = this.#options.formatLevel();
    const limit = this.#options.segmentBytes ?? SEGMENT_BYTES;
    const fits = active && active.bytes < limit && active.formatLevel === formatLevel;
    if (fits && !this.#rolls) return active;
    this.#rolls = false;
    const number = (active?.number ?? 0) + 1;
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC;
    const file = await this.#newFile(number, flags, formatLevel);
    const segment = { number, file, formatLevel, bytes: SEGMENT_HEAD_BYTES };
    this.#segments.push(segment);
    return segment;
  }

  /** A segment's file with its head; one that finds no room leaves nothing half-written behind. */
  async #newFile(number: number, flags: number, formatLevel: number): Promise<FileHandle> {
    let file: FileHandle | null = null;
    try {
      file = await open(this.#path(number), flags, 0o600);
      await file.write(encodeSegmentHead(formatLevel), 0, SEGMENT_HEAD_BYTES, 0);
      await file.sync();
      await syncDirectory(this.#options.dir);
      return file;
    } catch (error) {
      await file?.close();
      // The next try begins the same segment anew.
      this.#whole = true;
      this.#rolls = true;
      throw error;
    }
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, start: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, start + at);
    at += bytesWritten;
  }
}

async function readAll(file: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await file.read(bytes, filled, size - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

function corrupt(segment: number, offset: number, why: string): UpdateError {
  return new UpdateError('store.corrupt', `segment ${segment} at byte ${offset}: ${why}`, {
    detail: { segment, offset },
  });
}

/** Errors of the system as `store.full` or `store.io`; what has a code already stays. */
export function ioFailure(error: unknown): UpdateError {
  if (error instanceof UpdateError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new UpdateError(isNoRoom(error) ? 'store.full' : 'store.io', text, { cause: error });
}
