/**
 * Keeps one serial line open and sends frames over it. Always holds: one frame at a time is on its
 * way, and the next may follow when the system has taken it and the time is over that it needs on
 * the line, so nothing piles up behind a slow or blocked line; a line that hangs up, takes nothing
 * or cannot be opened is opened again with pauses that grow until something good was heard. Knows
 * nothing of what the bytes mean. Imports core and its own parts.
 */
import { performance } from 'node:perf_hooks';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { SerialLine } from './serial-port.ts';

/** Time as a line needs it; real time unless a test says otherwise. */
export interface SerialClock {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Runs `action` once after `delayMs`; returns how to take that back. */
  schedule(delayMs: number, action: () => void): () => void;
}

/** Real time. */
export const SERIAL_CLOCK: SerialClock = {
  nowMs: () => performance.now(),
  schedule: (delayMs, action) => {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Bits of a byte on the line: start, eight, stop. */
const BITS_PER_BYTE = 10;

/** Milliseconds that so many bytes take on a line. */
export const lineMs = (bytes: number, baud: number): number =>
  (bytes * BITS_PER_BYTE * 1000) / baud;

/** The line and when it is tried again. */
export interface WireOptions {
  /** Name of the line in messages for people. */
  readonly path: string;
  readonly baud: number;
  /** Opens the line; throws `link.serial_failed`. */
  readonly open: () => Promise<SerialLine>;
  readonly clock: SerialClock;
  /** First pause before the line is opened again; doubled each time up to `retryMaxMs`. */
  readonly retryMs: number;
  readonly retryMaxMs: number;
  /** After so many ticks in which the line took no byte it is opened again. */
  readonly stallTicks: number;
}

/** What the wire tells its owner. */
export interface WireEvents {
  readonly onOpen: () => void;
  readonly onData: (chunk: Buffer) => void;
  readonly onLost: () => void;
  /** A frame may be sent again. */
  readonly onFree: () => void;
}

/** One line that is opened again and again. */
export class SerialWire implements AsyncDisposable {
  readonly #options: WireOptions;
  readonly #events: WireEvents;
  #line: SerialLine | null = null;
  /** Opening or closing that goes on. */
  #work: Promise<void> = Promise.resolve();
  #error: UpdateError;
  #failures = 0;
  #cancelRetry: (() => void) | null = null;
  #cancelFree: (() => void) | null = null;
  #taking = false;
  #resting = false;
  #stalledTicks = 0;
  #opened = 0;
  #sentBytes = 0;
  #closed = false;

  constructor(options: WireOptions, events: WireEvents) {
    this.#options = options;
    this.#events = events;
    this.#error = this.#failed('the line is being opened');
  }

  /** Begins to open the line. */
  start(): void {
    this.#work = this.#open();
  }

  /** Whether the line is open. */
  get open(): boolean {
    return this.#line !== null;
  }

  /** Whether a frame can be sent now. */
  get free(): boolean {
    return this.#line !== null && !this.#taking && !this.#resting && !this.#closed;
  }

  /** Why the line is not open. */
  get error(): UpdateError {
    return this.#error;
  }

  /** Times that the line was opened. */
  get opened(): number {
    return this.#opened;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Sends a frame; only while `free`. */
  write(frame: Buffer): void {
    const line = this.#line;
    if (line === null || !this.free) throw new RangeError('the line is not free');
    const { clock, baud } = this.#options;
    this.#taking = true;
    this.#resting = true;
    this.#sentBytes += frame.length;
    this.#cancelFree = clock.schedule(Math.ceil(lineMs(frame.length, baud)), () => {
      this.#cancelFree = null;
      this.#resting = false;
      if (this.free) this.#events.onFree();
    });
    line.stream.write(frame, (error) => {
      if (this.#line !== line || error) return;
      this.#taking = false;
      if (this.free) this.#events.onFree();
    });
  }

  /** Counts the time in which the line takes nothing; to be called at a steady rate. */
  tick(): void {
    this.#stalledTicks = this.#taking ? this.#stalledTicks + 1 : 0;
    if (this.#line === null || this.#stalledTicks <= this.#options.stallTicks) return;
    this.#lost(this.#line, 'the line takes no bytes');
  }

  /** Something good was heard: the next failure is the first one again. */
  worked(): void {
    this.#failures = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#cancelRetry?.();
    this.#cancelFree?.();
    await this.#work;
    await this.#line?.close();
    this.#line = null;
  }

  async #open(): Promise<void> {
    this.#cancelRetry = null;
    try {
      const line = await this.#options.open();
      this.#line = line;
      if (!this.#closed) this.#use(line);
    } catch (error) {
      this.#retryAfter(asUpdateError(error));
    }
  }

  #use(line: SerialLine): void {
    this.#opened += 1;
    this.#taking = false;
    this.#stalledTicks = 0;
    line.stream
      .on('data', (chunk: Buffer) => {
        if (this.#line === line) this.#events.onData(chunk);
      })
      .on('error', (cause: Error) => this.#lost(line, cause.message))
      .on('close', () => this.#lost(line, 'the line hung up'));
    this.#events.onOpen();
  }

  #lost(line: SerialLine, why: string): void {
    if (this.#line !== line || this.#closed) return;
    this.#line = null;
    this.#error = this.#failed(why);
    this.#work = this.#giveBack(line);
    this.#events.onLost();
  }

  async #giveBack(line: SerialLine): Promise<void> {
    await line.close();
    this.#retryAfter(this.#error);
  }

  #retryAfter(error: UpdateError): void {
    this.#error = error;
    if (this.#closed) return;
    const { clock, retryMs, retryMaxMs } = this.#options;
    const pauseMs = Math.min(retryMs * 2 ** this.#failures, retryMaxMs);
    this.#failures = Math.min(this.#failures + 1, 16);
    this.#cancelRetry = clock.schedule(pauseMs, () => {
      this.#work = this.#open();
    });
  }

  #failed(why: string): UpdateError {
    return new UpdateError('link.serial_failed', `${this.#options.path}: ${why}`);
  }
}
