/**
 * How long the disk itself keeps a write waiting, as the control of every gap that is measured on
 * it: a small file is written in place and flushed about a hundred times a second. Always holds:
 * the file ends with `close`; the clock is monotonic. Imports node.
 */
import { open, rm, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const BLOCK = 4096;
const PACE_MS = 10;

/** One probe; it begins with `open`. */
export class DiskProbe {
  readonly #file: FileHandle;
  readonly #path: string;
  #longestMs = 0;
  #beganMs: number | null = null;
  #over = false;
  #done: Promise<void> = Promise.resolve();

  private constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  /** Creates the file; it lies on the disk that is probed. */
  static async open(path: string): Promise<DiskProbe> {
    const probe = new DiskProbe(await open(path, 'w'), path);
    probe.#done = probe.#work();
    return probe;
  }

  async #work(): Promise<void> {
    const block = Buffer.alloc(BLOCK, 1);
    while (!this.#over) {
      this.#beganMs = performance.now();
      await this.#file.write(block, 0, BLOCK, 0);
      await this.#file.datasync();
      this.#longestMs = Math.max(this.#longestMs, performance.now() - this.#beganMs);
      this.#beganMs = null;
      await sleep(PACE_MS);
    }
  }

  /** The longest flush since the last call, one under way included, in milliseconds. */
  takeLongest(): number {
    const now = performance.now();
    const longest = Math.max(this.#longestMs, now - (this.#beganMs ?? now));
    this.#longestMs = 0;
    return longest;
  }

  async close(): Promise<void> {
    this.#over = true;
    await this.#done;
    await this.#file.close();
    await rm(this.#path, { force: true });
  }
}
