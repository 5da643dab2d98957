/**
 * A bounded log of lines in two files: when the newer one is full it becomes the older one. Always
 * holds: appending never throws and never blocks what it tells about; on a full disk lines are lost
 * and counted, nothing else; no file grows beyond twice its size, which is what is read back; a
 * line torn by a power cut costs itself alone; what the older file had is given up only when the
 * newer one is on the disk, so a power cut while they change their names costs no line of either
 * that is kept. Imports only core.
 */
import { appendFile, mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno, readFileLimited, syncDirectory } from './fs-atomic.ts';

/** Size at which a file is turned over. */
export const LOG_FILE_BYTES = 1024 * 1024;
/** Lines that wait for a slow disk; more are lost. */
const QUEUE_MAX = 1000;

/** A bounded log of lines on disk. */
export class FileLineLog implements AsyncDisposable {
  readonly #path: string;
  readonly #fileBytes: number;
  readonly #queue: string[] = [];
  #busy: Promise<void> | null = null;
  #lost = 0;
  /** False while the file may end in the middle of a line: after a start, after a failure. */
  #whole = false;

  constructor(path: string, fileBytes: number = LOG_FILE_BYTES) {
    this.#path = path;
    this.#fileBytes = fileBytes;
  }

  /** Lines that could not be kept since the start. */
  get lost(): number {
    return this.#lost;
  }

  /** Keeps a line, soon; line breaks inside it become blanks. A line longer than a file is lost. */
  append(line: string): void {
    if (this.#queue.length >= QUEUE_MAX || bytesOf(line) >= this.#fileBytes) {
      this.#lost++;
      return;
    }
    this.#queue.push(line.replaceAll('\n', ' '));
    this.#busy ??= this.#drain();
  }

  /** The kept lines, oldest first; a torn last one may be among them. */
  async read(): Promise<readonly string[]> {
    const texts = await Promise.all([this.#text(`${this.#path}.1`), this.#text(this.#path)]);
    return texts
      .join('')
      .split('\n')
      .filter((line) => line !== '');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#busy;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const lines = this.#batch();
      try {
        const size = await this.#turnOver();
        const mend = this.#whole || size === 0 ? '' : '\n';
        this.#whole = false;
        const text = lines.map((line) => `${line}\n`).join('');
        await appendFile(this.#path, `${mend}${text}`, { mode: 0o600 });
        this.#whole = true;
      } catch {
        // A log that cannot be written must not stop what it tells about.
        this.#lost += lines.length;
      }
    }
    this.#busy = null;
  }

  /** Lines that go into a file together: never more than a file may grow by. */
  #batch(): readonly string[] {
    let bytes = 1;
    const end = this.#queue.findIndex((line) => {
      bytes += bytesOf(line);
      return bytes > this.#fileBytes;
    });
    return this.#queue.splice(0, end < 0 ? this.#queue.length : end);
  }

  /** Begins a new file when this one is full; returns the size of the one that counts. */
  async #turnOver(): Promise<number> {
    try {
      const { size } = await stat(this.#path);
      if (size < this.#fileBytes) return size;
      await this.#toDisk();
      await rename(this.#path, `${this.#path}.1`);
      await syncDirectory(dirname(this.#path));
    } catch (error) {
      if (!isErrno(error) || error.code !== 'ENOENT') throw error;
      await mkdir(dirname(this.#path), { recursive: true });
    }
    return 0;
  }

  /** The newer file as it is, before the older one is given up for it. */
  async #toDisk(): Promise<void> {
    await using file = await open(this.#path, 'r');
    await file.datasync();
  }

  async #text(path: string): Promise<string> {
    try {
      const text = (await readFileLimited(path, 2 * this.#fileBytes)).toString('utf8');
      return text === '' || text.endsWith('\n') ? text : `${text}\n`;
    } catch {
      // Not there yet, or not readable: the log begins anew.
      return '';
    }
  }
}

/** Bytes of a line with its break. */
const bytesOf = (line: string): number => Buffer.byteLength(line) + 1;
