/**
 * A disk as the checker reads it: bytes at offsets, whether they lie in a file, in memory, or in a
 * file with the writes over it that a power cut left. Always holds: nothing is ever written through
 * a view; a read is whole or throws. Imports core and node.
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { UpdateError } from '../../src/core/errors.ts';

/** Sectors are what a disk writes whole, in bytes. */
export const SECTOR_BYTES = 512;

/** A disk, or a part of one. */
export interface DiskView {
  readonly sizeBytes: number;
  /** Exactly so many bytes; throws `file.unreadable` past the end. */
  read(offset: number, sizeBytes: number): Buffer;
  /** SHA-256 of the bytes in hexadecimal; a view that changes little may know it already. */
  digest(offset: number, sizeBytes: number): string;
}

/** Bytes that lie over a disk: from a log of writes, or zeros. */
export interface Piece {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** Where they come from; null = zeros. */
  readonly source: { readonly view: DiskView; readonly offsetBytes: number } | null;
}

/** SHA-256 in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A disk in memory. */
export function bytesView(bytes: Uint8Array): DiskView {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = (offset: number, sizeBytes: number): Buffer => {
    checkRange(all.length, offset, sizeBytes);
    return Buffer.from(all.subarray(offset, offset + sizeBytes));
  };
  return { sizeBytes: all.length, read, digest: (at, size) => sha256(read(at, size)) };
}

/** A file that is open for reading; it may grow or change, the size is the one of now. */
export class FileView implements DiskView, Disposable {
  readonly path: string;
  readonly #fd: number;

  /** Throws `file.not_found`. */
  constructor(path: string) {
    this.path = path;
    try {
      this.#fd = openSync(path, 'r');
    } catch (cause) {
      throw new UpdateError('file.not_found', `${path} cannot be opened`, { cause });
    }
  }

  get sizeBytes(): number {
    return fstatSync(this.#fd).size;
  }

  read(offset: number, sizeBytes: number): Buffer {
    const bytes = Buffer.alloc(sizeBytes);
    for (let done = 0; done < sizeBytes;) {
      const count = readSync(this.#fd, bytes, done, sizeBytes - done, offset + done);
      if (count === 0) checkRange(this.sizeBytes, offset, sizeBytes);
      if (count === 0) throw new UpdateError('file.unreadable', `${this.path} became shorter`);
      done += count;
    }
    return bytes;
  }

  digest(offset: number, sizeBytes: number): string {
    return sha256(this.read(offset, sizeBytes));
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/** A disk with pieces over it, of which later ones hide earlier ones. */
export class OverlayView implements DiskView {
  readonly #base: DiskView;
  readonly #pieces: readonly Piece[];

  constructor(base: DiskView, pieces: readonly Piece[]) {
    this.#base = base;
    this.#pieces = pieces;
    for (const { offsetBytes, sizeBytes } of pieces) {
      checkRange(base.sizeBytes, offsetBytes, sizeBytes);
    }
  }

  get sizeBytes(): number {
    return this.#base.sizeBytes;
  }

  read(offset: number, sizeBytes: number): Buffer {
    const bytes = this.#base.read(offset, sizeBytes);
    for (const piece of this.#pieces) putPiece(piece, bytes, offset);
    return bytes;
  }

  digest(offset: number, sizeBytes: number): string {
    const isBare = !this.#pieces.some((piece) => touches(piece, offset, sizeBytes));
    return isBare ? this.#base.digest(offset, sizeBytes) : sha256(this.read(offset, sizeBytes));
  }
}

/** A range of a disk as a disk of its own. */
export function partView(disk: DiskView, offset: number, sizeBytes: number): DiskView {
  checkRange(disk.sizeBytes, offset, sizeBytes);
  return {
    sizeBytes,
    read(at, size) {
      checkRange(sizeBytes, at, size);
      return disk.read(offset + at, size);
    },
    digest(at, size) {
      checkRange(sizeBytes, at, size);
      return disk.digest(offset + at, size);
    },
  };
}

/** Whether a piece lies on a range. */
export function touches(
  piece: Pick<Piece, 'offsetBytes' | 'sizeBytes'>,
  offset: number,
  sizeBytes: number,
): boolean {
  return piece.offsetBytes < offset + sizeBytes && offset < piece.offsetBytes + piece.sizeBytes;
}

/** Puts what a piece has of `bytes`, which begin at `offset` of the disk, into them. */
function putPiece(piece: Piece, bytes: Buffer, offset: number): void {
  if (!touches(piece, offset, bytes.length)) return;
  const from = Math.max(offset, piece.offsetBytes);
  const to = Math.min(offset + bytes.length, piece.offsetBytes + piece.sizeBytes);
  if (piece.source === null) {
    bytes.fill(0, from - offset, to - offset);
    return;
  }
  const { view, offsetBytes } = piece.source;
  view.read(offsetBytes + from - piece.offsetBytes, to - from).copy(bytes, from - offset);
}

function checkRange(limit: number, offset: number, sizeBytes: number): void {
  if (offset >= 0 && sizeBytes >= 0 && offset + sizeBytes <= limit) return;
  const message = `${sizeBytes} bytes at ${offset} are not on a disk of ${limit} bytes`;
  throw new UpdateError('file.unreadable', message);
}
