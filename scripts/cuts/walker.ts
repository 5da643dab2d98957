/**
 * The disks that cuts leave, one after the other along the timeline. The writes that are durable
 * are applied once, forward, to a sparse copy; the rest of each cut lies over it in memory. Always
 * holds: the disk at the start is not changed; cuts are asked for in their order; what is known of
 * a stretch of the copy is forgotten when something is written there. Imports core, node, the
 * machines' disks, timeline and view.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import { copyDisk } from '../vm/disks.ts';
import { changes, type Cut, type Part, type TimelineEntry } from './timeline.ts';
import { FileView, OverlayView, touches, type DiskView, type Piece } from './view.ts';

const STEP_BYTES = 1024 * 1024;

/** Where a disk and its writes are. */
export interface Recorded {
  /** Raw disk before the first boot. */
  readonly start: string;
  /** The data partition, of which tools want a file of its own. */
  readonly data: { readonly startBytes: number; readonly sizeBytes: number };
  /** Logs of the boots, oldest first. */
  readonly logs: readonly string[];
  readonly entries: readonly TimelineEntry[];
}

/** Goes along a timeline. */
export class Walker implements AsyncDisposable {
  readonly #recorded: Recorded;
  readonly #file: FileHandle;
  readonly #base: BaseView;
  readonly #logs: readonly FileView[];
  readonly #data: Mirror;
  /** Entries that are on the copy. */
  #applied = 0;
  /** What lies over it at the newest cut. */
  #pieces: readonly Piece[] = [];

  private constructor(
    recorded: Recorded,
    file: FileHandle,
    base: BaseView,
    logs: readonly FileView[],
    data: Mirror,
  ) {
    this.#recorded = recorded;
    this.#file = file;
    this.#base = base;
    this.#logs = logs;
    this.#data = data;
  }

  /** Makes its copies in the folder `dir`. Throws `tool.failed`, `file.not_found`. */
  static async open(recorded: Recorded, dir: string): Promise<Walker> {
    const path = join(dir, 'durable.img');
    await copyDisk(recorded.start, path);
    await using undo = new AsyncDisposableStack();
    const file = undo.use(await open(path, 'r+'));
    const base = undo.use(new BaseView(path));
    const logs = recorded.logs.map((log) => undo.use(new FileView(log)));
    const data = undo.use(await Mirror.make(base, recorded.data, join(dir, 'data.img')));
    undo.move();
    return new Walker(recorded, file, base, logs, data);
  }

  /** Bytes of the disk. */
  get sizeBytes(): number {
    return this.#base.sizeBytes;
  }

  /**
   * The disk that a cut leaves, good until the next call. Throws `internal.bug` for a cut before
   * an earlier one, and `file.unreadable` for logs of a larger disk.
   */
  async at(cut: Cut): Promise<DiskView> {
    if (cut.durable < this.#applied) {
      const message = `A cut after ${cut.durable} entries, the copy has ${this.#applied}`;
      throw new UpdateError('internal.bug', message);
    }
    while (this.#applied < cut.durable) {
      await this.#apply(this.#applied);
      this.#applied += 1;
    }
    this.#pieces = cut.parts.map((part) => this.#pieceOf(part));
    return new OverlayView(this.#base, this.#pieces);
  }

  /** Makes a file of its own of the data partition at the newest cut. Throws `tool.failed`. */
  async copyData(path: string): Promise<void> {
    await copyDisk(this.#data.path, path);
    const { startBytes, sizeBytes } = this.#recorded.data;
    await using file = await open(path, 'r+');
    for (const piece of this.#pieces) {
      if (touches(piece, startBytes, sizeBytes)) await putInto(file, within(piece, startBytes));
    }
  }

  /** Makes a whole disk of the newest cut, sparse. Throws `tool.failed`. */
  async copyDisk(path: string): Promise<void> {
    await copyDisk(this.#base.path, path);
    await using file = await open(path, 'r+');
    for (const piece of this.#pieces) await putInto(file, piece);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
    await this.#data[Symbol.asyncDispose]();
    this.#base[Symbol.dispose]();
    for (const log of this.#logs) log[Symbol.dispose]();
  }

  async #apply(index: number): Promise<void> {
    const entry = this.#recorded.entries[index];
    if (entry === undefined || !changes(entry)) return;
    const piece = this.#pieceOf({ entry: index, from: 0, to: entry.sizeBytes });
    const { offsetBytes, sizeBytes } = piece;
    if (offsetBytes + sizeBytes > this.sizeBytes) {
      const message = `Entry ${index} ends at byte ${offsetBytes + sizeBytes} of a smaller disk`;
      throw new UpdateError('file.unreadable', message);
    }
    await putInto(this.#file, piece);
    await this.#data.put(piece);
    this.#base.forget(offsetBytes, sizeBytes);
  }

  #pieceOf({ entry: index, from, to }: Part): Piece {
    const entry = this.#recorded.entries[index];
    const log = entry === undefined ? undefined : this.#logs[entry.boot];
    if (entry === undefined || log === undefined) {
      throw new UpdateError('internal.bug', `There is no entry ${index}`);
    }
    return {
      offsetBytes: entry.offsetBytes + from,
      sizeBytes: to - from,
      source: entry.kind === 'write' ? { view: log, offsetBytes: entry.dataOffset + from } : null,
    };
  }
}

/** Writes a piece at its place of a file. */
async function putInto(file: FileHandle, piece: Piece): Promise<void> {
  const { source, offsetBytes, sizeBytes } = piece;
  for (let done = 0; done < sizeBytes; done += STEP_BYTES) {
    const length = Math.min(STEP_BYTES, sizeBytes - done);
    const data = source?.view.read(source.offsetBytes + done, length) ?? Buffer.alloc(length);
    await file.write(data, 0, length, offsetBytes + done);
  }
}

/** A piece of a disk as one of the partition that begins there and holds all of it. */
function within(piece: Piece, startBytes: number): Piece {
  return { ...piece, offsetBytes: piece.offsetBytes - startBytes };
}

/** A partition of the copy once more, as a file of its own. */
class Mirror implements AsyncDisposable {
  readonly path: string;
  readonly #range: Recorded['data'];
  readonly #file: FileHandle;

  private constructor(path: string, range: Recorded['data'], file: FileHandle) {
    this.path = path;
    this.#range = range;
    this.#file = file;
  }

  static async make(disk: DiskView, range: Recorded['data'], path: string): Promise<Mirror> {
    const file = await open(path, 'w+');
    await file.truncate(range.sizeBytes);
    for (let at = 0; at < range.sizeBytes; at += STEP_BYTES) {
      const bytes = disk.read(range.startBytes + at, Math.min(STEP_BYTES, range.sizeBytes - at));
      // What is zeros stays a hole.
      if (bytes.some((byte) => byte !== 0)) await file.write(bytes, 0, bytes.length, at);
    }
    return new Mirror(path, range, file);
  }

  async put(piece: Piece): Promise<void> {
    const { startBytes, sizeBytes } = this.#range;
    if (touches(piece, startBytes, sizeBytes)) await putInto(this.#file, within(piece, startBytes));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/** A file whose digests are remembered until something is written there. */
class BaseView extends FileView {
  readonly #known = new Map<string, { offset: number; sizeBytes: number; digest: string }>();

  override digest(offset: number, sizeBytes: number): string {
    const key = `${offset} ${sizeBytes}`;
    const found = this.#known.get(key);
    if (found !== undefined) return found.digest;
    const digest = super.digest(offset, sizeBytes);
    this.#known.set(key, { offset, sizeBytes, digest });
    return digest;
  }

  forget(offset: number, sizeBytes: number): void {
    for (const [key, one] of this.#known) {
      const apart = one.offset >= offset + sizeBytes || offset >= one.offset + one.sizeBytes;
      if (!apart) this.#known.delete(key);
    }
  }
}
