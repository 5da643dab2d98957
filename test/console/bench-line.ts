/**
 * A terminal at the end of a line of some speed, and the real program on it: bytes arrive no faster
 * than the line carries them, with the small buffer of a port before it. Imports the pty and the
 * terminal.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawn, type IPty } from 'node-pty';
import { Glass } from './glass.ts';

/** How often the line moves on. */
const STEP_MS = 4;
/** What a port holds; the pty is not read further. */
const PORT_BYTES = 512;
const PATIENCE_MS = 30_000;

export interface LineBenchOptions {
  readonly command: readonly string[];
  /** Infinity for a line that costs nothing. */
  readonly baud: number;
  readonly env?: Readonly<Record<string, string>>;
}

export class LineBench implements AsyncDisposable {
  readonly glass = new Glass();
  readonly #pty: IPty;
  readonly #bytesPerMs: number;
  readonly #exit: Promise<void>;
  #queue: Buffer[] = [];
  #queued = 0;
  #stalled = false;
  #timer: NodeJS.Timeout;
  #movedMs = performance.now();
  #writes: Promise<void> = Promise.resolve();

  constructor({ command, baud, env = {} }: LineBenchOptions) {
    const [file = '', ...args] = command;
    this.#bytesPerMs = baud / 10_000;
    this.#pty = spawn(file, args, {
      name: 'vt220',
      rows: 24,
      cols: 80,
      encoding: null,
      env: { PATH: process.env['PATH'] ?? '', TERM: 'vt220', LANG: 'C', TZ: 'UTC', ...env },
    });
    this.#exit = new Promise((resolve) => this.#pty.onExit(() => resolve()));
    this.#pty.onData((data) => {
      const bytes = data as unknown as Buffer;
      this.#queue.push(bytes);
      this.#queued += bytes.length;
      if (this.#queued > PORT_BYTES) this.#pty.pause();
    });
    this.#timer = setInterval(() => this.#move(), STEP_MS);
  }

  #move(): void {
    const nowMs = performance.now();
    let room = Math.floor((nowMs - this.#movedMs) * this.#bytesPerMs);
    if (this.#stalled || this.#queued === 0) {
      this.#movedMs = nowMs;
      return;
    }
    this.#movedMs = Number.isFinite(room) ? this.#movedMs + room / this.#bytesPerMs : nowMs;
    while (room > 0 && this.#queue.length > 0) {
      const first = this.#queue.shift()!;
      const part = first.subarray(0, Math.min(room, first.length));
      if (part.length < first.length) this.#queue.unshift(first.subarray(part.length));
      room -= part.length;
      this.#queued -= part.length;
      this.#writes = this.#show(this.#writes, part);
    }
    if (this.#queued < PORT_BYTES) this.#pty.resume();
  }

  async #show(before: Promise<void>, bytes: Buffer): Promise<void> {
    await before;
    await this.glass.write(bytes);
    if (this.glass.said !== '') this.send(this.glass.said);
    this.glass.said = '';
  }

  send(text: string): void {
    this.#pty.write(text);
  }

  set stalled(on: boolean) {
    this.#stalled = on;
    if (on) this.#pty.pause();
    else this.#pty.resume();
  }

  /** Milliseconds until the screen is as wanted and nothing is on its way. */
  async until(wanted: (glass: Glass) => boolean): Promise<number> {
    const beginMs = performance.now();
    for (;;) {
      await this.#writes;
      if (this.#queued === 0 && wanted(this.glass)) return performance.now() - beginMs;
      if (performance.now() - beginMs > PATIENCE_MS) {
        throw new Error(`never shown:\n${this.glass.lines().join('\n')}`);
      }
      await sleep(1);
    }
  }

  async untilShown(words: string): Promise<number> {
    return this.until((glass) => glass.lines().some((line) => line.includes(words)));
  }

  /** Resident memory in MiB: all of it, and what no other process shares. */
  memory(): { readonly residentMiB: number; readonly ownMiB: number } {
    const text = readFileSync(`/proc/${this.#pty.pid}/smaps_rollup`, 'latin1');
    const of = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) / 1024;
    return { residentMiB: of('Rss'), ownMiB: of('Private_Dirty') + of('Private_Clean') };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#pty.kill('SIGKILL');
    await this.#exit;
  }
}
