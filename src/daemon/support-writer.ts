/**
 * Writes the archive itself: tar, compressed, with a manifest and SHA-256 sums at its end. Always
 * holds: compression is the thread pool's work, so the loop stays free; how large the archive has
 * become is known after every file, and a file that may not fit is cut at its head or left out, so
 * the limit is kept; the archive is whole whatever could not be read. Imports node, core and tar.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip } from 'node:zlib';
import { Header } from 'tar/header';

/** Bytes that stay free for manifest, sums and the end of the archive. */
const TAIL_BYTES = 192 * 1024;
/** Headers, padding and flushes of one file, at the most. */
const FRAME_BYTES = 2048;
const BLOCK_BYTES = 512;
/** Longest path in the archive: what a plain header holds. */
const PATH_CHARS_MAX = 99;

/** One file of the archive, as the manifest tells of it. */
export interface ManifestEntry {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Where it comes from: a path, a command, or what made it. */
  readonly from: string;
  /** Bytes at the head that were left out; 0 = all of it is there. */
  readonly cutBytes: number;
}

/** An archive in the making. */
export class ArchiveWriter {
  readonly #gzip = createGzip({ level: 6 });
  readonly #top: string;
  readonly #bytesMax: number;
  readonly #at: Date;
  readonly #ended: Promise<void>;
  readonly #failed = Promise.withResolvers<never>();
  readonly entries: ManifestEntry[] = [];
  /** Bytes of the archive so far. */
  bytes = 0;

  constructor(sink: Writable, options: { top: string; bytesMax: number; at: Date }) {
    this.#top = options.top;
    this.#bytesMax = options.bytesMax;
    this.#at = options.at;
    const count = (chunk: Buffer): void => void (this.bytes += chunk.length);
    this.#gzip.on('data', count);
    this.#ended = pipeline(this.#gzip, sink);
    this.#ended.catch((error: unknown) => this.#failed.reject(error));
    this.#failed.promise.catch(() => undefined);
  }

  /** Bytes of content that surely fit still. */
  get room(): number {
    const left = this.#bytesMax - TAIL_BYTES - this.bytes - FRAME_BYTES;
    // What cannot be compressed grows by a few bytes for each 16 KiB.
    return Math.max(0, Math.floor(left * 0.998));
  }

  /**
   * Adds a file; of one that may not fit only the end, none when not even a part of it does. Throws
   * what the sink throws.
   */
  async add(path: string, content: Uint8Array, from: string, cutBytes = 0): Promise<boolean> {
    const { room } = this;
    if (room < Math.min(content.length, FRAME_BYTES)) return false;
    const kept = content.length > room ? content.subarray(content.length - room) : content;
    await this.#file(path, kept, from, cutBytes + content.length - kept.length);
    return true;
  }

  /** Manifest, sums and end; resolves when the sink has everything. */
  async end(manifest: object): Promise<void> {
    const text = `${JSON.stringify({ ...manifest, files: this.entries }, null, 1)}\n`;
    await this.#file('manifest.json', Buffer.from(text), 'made with this archive', 0);
    const sums = this.entries.map(({ path, sha256 }) => `${sha256}  ${path}\n`).join('');
    await this.#file('SHA256SUMS', Buffer.from(sums), 'made with this archive', 0);
    this.#gzip.end(Buffer.alloc(2 * BLOCK_BYTES));
    await this.#ended;
  }

  async #file(path: string, content: Uint8Array, from: string, cutBytes: number): Promise<void> {
    const sha256 = createHash('sha256').update(content).digest('hex');
    await this.#write(this.#header(path, content.length));
    await this.#write(content);
    await this.#write(Buffer.alloc((BLOCK_BYTES - (content.length % BLOCK_BYTES)) % BLOCK_BYTES));
    await this.#flush();
    this.entries.push({ path, bytes: content.length, sha256, from, cutBytes });
  }

  #header(path: string, size: number): Buffer {
    const name = `${this.#top}/${path}`;
    if (name.length > PATH_CHARS_MAX) throw new Error(`${name} is too long for an archive`);
    const header = new Header({
      path: name,
      mode: 0o600,
      uid: 0,
      gid: 0,
      size,
      mtime: this.#at,
      type: 'File',
    });
    const block = Buffer.alloc(BLOCK_BYTES);
    header.encode(block);
    return block;
  }

  /** As fast as the sink takes it. */
  async #write(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0 || this.#gzip.write(bytes)) return;
    await Promise.race([once(this.#gzip, 'drain'), this.#failed.promise]);
  }

  /** Afterwards `bytes` counts all that was written. */
  async #flush(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gzip.flush(constants.Z_SYNC_FLUSH, () => resolve());
    await Promise.race([promise, this.#failed.promise]);
  }
}
