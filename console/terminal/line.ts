/**
 * The line to a terminal: raw input, output that never blocks, the size, the speed. Always holds: a
 * line that stalls costs this process one frame and the daemon nothing; after the end the terminal
 * is as it was. Imports Node, the kinds and the keyboard.
 */
import { spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { ReadStream, WriteStream } from 'node:tty';
import { entering, leaving, PROBE, type Kind } from './kinds.ts';
import { Keyboard, type KeyboardOptions } from './keyboard.ts';

/** A terminal that does not say its size within this time is taken for 80x24. */
const PROBE_MS = 300;
const USUAL = { rows: 24, columns: 80 } as const;
/** What a size is believed to be. */
const SANE = { min: 4, max: 500 } as const;
/** Bits of a byte on a serial line, with start and stop. */
const BITS_PER_BYTE = 10;

/** Rows and columns. */
export interface Size {
  readonly rows: number;
  readonly columns: number;
}

/** How a line is opened. */
export interface LineOptions {
  readonly kind: Kind;
  /** Bits per second when that is known, so that no more is sent than the line carries. */
  readonly baud: number | null;
  readonly onKey: KeyboardOptions['onKey'];
  readonly onResize: () => void;
  /** Everything that was sent has left. */
  readonly onFree: () => void;
  /** The other end is gone. */
  readonly onHangUp: () => void;
}

/** The terminal on standard input and output. */
export class TerminalLine implements AsyncDisposable {
  readonly #options: LineOptions;
  readonly #input: ReadStream;
  readonly #output: WriteStream;
  readonly #keyboard: Keyboard;
  #probed: Size | null = null;
  #onPosition: (size: Size) => void = () => {};
  #freeAtMs = 0;
  #freeTimer: NodeJS.Timeout | undefined;
  #gone = false;
  /** Node looks at the size by itself only for its own standard streams. */
  readonly #onSizeSignal = (): void => refreshSize(this.#output);

  constructor(options: LineOptions) {
    this.#options = options;
    this.#input = new ReadStream(0);
    this.#output = new WriteStream(1);
    unblock(this.#output);
    this.#keyboard = new Keyboard({
      onKey: options.onKey,
      onPosition: (rows, columns) => this.#onPosition({ rows, columns }),
    });
    this.#input.setRawMode(true);
    this.#input.on('data', (bytes: Buffer) => this.#keyboard.feed(bytes));
    for (const event of ['end', 'close', 'error'] as const) {
      this.#input.on(event, () => this.#hangUp());
    }
    this.#output.on('error', () => this.#hangUp());
    this.#output.on('drain', () => this.#tellFree());
    this.#output.on('resize', () => options.onResize());
    process.on('SIGWINCH', this.#onSizeSignal);
    this.#input.resume();
  }

  /** The size that the system knows, or that the terminal told, or the usual one. */
  get size(): Size {
    const { rows, columns } = this.#output;
    return sane({ rows, columns }) ?? this.#probed ?? USUAL;
  }

  /** True while something that was sent is still on its way. */
  get busy(): boolean {
    return this.#output.writableLength > 0 || performance.now() < this.#freeAtMs;
  }

  /** Prepares the terminal, and asks it for its size where the system does not know it. */
  async enter(): Promise<void> {
    this.write(entering(this.#options.kind));
    await this.askSize();
  }

  /** Asks again where the size came from the terminal; a system that knows it needs no answer. */
  async askSize(): Promise<void> {
    const { rows, columns } = this.#output;
    if (sane({ rows, columns }) !== null || !this.#options.kind.answers || this.#gone) return;
    const answer = new Promise<Size | null>((resolve) => {
      const timer = setTimeout(() => resolve(null), PROBE_MS);
      this.#onPosition = (size) => {
        clearTimeout(timer);
        resolve(sane(size));
      };
    });
    this.write(PROBE);
    this.#probed = (await answer) ?? USUAL;
    this.#onPosition = () => {};
    setSystemSize(this.#probed);
  }

  /** Sends bytes; the caller asks `busy` first and sends a frame at a time. */
  write(text: string): void {
    if (this.#gone || text === '') return;
    const { baud } = this.#options;
    if (baud !== null) {
      const tookMs = (Buffer.byteLength(text) * BITS_PER_BYTE * 1000) / baud;
      this.#freeAtMs = Math.max(performance.now(), this.#freeAtMs) + tookMs;
      clearTimeout(this.#freeTimer);
      // A timer may ring a moment early, and would find the line still busy.
      const waitMs = Math.ceil(this.#freeAtMs - performance.now()) + 1;
      this.#freeTimer = setTimeout(() => this.#tellFree(), waitMs);
    }
    this.#output.write(text, () => this.#tellFree());
  }

  /** Gives the terminal back; a line that is stalled or gone is not waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#freeTimer);
    process.off('SIGWINCH', this.#onSizeSignal);
    this.#keyboard.end();
    const sent = !this.#gone && (await this.#sendLast());
    this.#gone = true;
    // The system waits for the line before it changes the mode, and a stalled one would hold this
    // process; there Node puts the mode back at its end, without waiting.
    if (sent && !this.#input.destroyed) this.#input.setRawMode(false);
    this.#input.destroy();
    this.#output.destroy();
  }

  /** Sends what leaves the terminal clean; false when the line takes nothing. */
  async #sendLast(): Promise<boolean> {
    const aheadMs = Math.max(0, this.#freeAtMs - performance.now());
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), aheadMs + PROBE_MS);
    this.#output.write(leaving(this.#options.kind, this.size.rows), () => resolve(true));
    const sent = await promise;
    clearTimeout(timer);
    return sent;
  }

  #tellFree(): void {
    if (!this.#gone && !this.busy) this.#options.onFree();
  }

  #hangUp(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#options.onHangUp();
  }
}

/** A terminal blocks the whole process when it stalls, unless it is told not to. */
function unblock(output: WriteStream): void {
  const { _handle: handle } = output as unknown as {
    readonly _handle?: { readonly setBlocking?: (on: boolean) => void };
  };
  handle?.setBlocking?.(false);
}

/** Asks the system for the size anew; the stream tells when it is another one. */
function refreshSize(output: WriteStream): void {
  (output as unknown as { readonly _refreshSize?: () => void })._refreshSize?.();
}

function sane(size: Size): Size | null {
  return isSane(size.rows) && isSane(size.columns) ? size : null;
}

function isSane(count: number): boolean {
  return count >= SANE.min && count <= SANE.max;
}

/** Programs that are started on this terminal later find the size, too. */
function setSystemSize({ rows, columns }: Size): void {
  const words = ['rows', String(rows), 'cols', String(columns)];
  spawn('stty', words, { stdio: ['inherit', 'ignore', 'ignore'] }).on('error', () => {});
}

/** Speed of the line in bits per second; null where standard input is no serial line. */
export async function lineSpeed(): Promise<number | null> {
  let device = '';
  try {
    device = readlinkSync('/proc/self/fd/0');
  } catch {
    return null;
  }
  if (!/^\/dev\/tty[A-Z]/.test(device)) return null;
  const said = await new Promise<string>((resolve) => {
    const child = spawn('stty', ['speed'], { stdio: ['inherit', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    child.on('error', () => resolve(''));
    child.on('close', () => resolve(text));
  });
  const speed = Number(said.trim());
  return speed >= 50 ? speed : null;
}
