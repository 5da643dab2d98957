/**
 * A bounded log of lines in two files: when the newer one is full it becomes the older one. Always
 * holds: appending never throws and never blocks what it tells about; on a full disk lines are lost
 * and counted, nothing else. Imports only core.
 */
import { appendFile, mkdir, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno, readFileLimited } from './fs-atomic.ts';

/** Size at which a file is turned over. */
export const LOG_FILE_BYTES = 1024 * 1024;
/** Lines that wait for a slow disk; more are lost. */
const QUEUE_MAX = 1000;

/** A bounded log of lines on disk. */
export class FileLineLog implements AsyncDisposable {
  readonly #path: string;
  readonly #fileBytes: number;
  #queue: string[] = [];
  #busy: Promise<void> | null = null;
  #lost = 0;

  constructor(path: string, fileBytes: number = LOG_FILE_BYTES) {
    this.#path = path;
    this.#fileBytes = fileBytes;
  }

  /** Lines that could not be kept since the start. */
  get lost(): number {
    return this.#lost;
  }

  /** Keeps a line, soon; line breaks inside it become blanks. */
  append(line: string): void {
    if (this.#queue.length >= QUEUE_MAX) {
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
      const lines = this.#queue;
      this.#queue = [];
      try {
        await this.#turnOver();
        await appendFile(this.#path, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
      } catch {
        // A log that cannot be written must not stop what it tells about.
        this.#lost += lines.length;
      }
    }
    this.#busy = null;
  }

  async #turnOver(): Promise<void> {
    try {
      const { size } = await stat(this.#path);
      if (size >= this.#fileBytes) await rename(this.#path, `${this.#path}.1`);
    } catch (error) {
      if (!isErrno(error) || error.code !== 'ENOENT') throw error;
      await mkdir(dirname(this.#path), { recursive: true });
    }
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
