/**
 * A serial port that this process has opened, as channels one after the other: who listens may
 * change, the port stays open. Always holds: a break on the line hangs up, as does a port that was
 * unplugged; the modes of the port are those that it was opened with. Imports the shapes of an open
 * port and of a channel.
 */
import type { SerialLine } from '../../src/drivers/serial-port.ts';
import type { Channel, ChannelEvents, OpenChannel } from './channel.ts';

/** Padding follows at once; an adapter may keep what it got for some 16 ms. */
const PADDING_MS = 50;
const NOBODY: ChannelEvents = {
  onBytes: () => {},
  onResize: () => {},
  onFree: () => {},
  onHangUp: () => {},
};

/** An open port. */
export class Port implements AsyncDisposable {
  readonly #line: SerialLine;
  readonly #ended = Promise.withResolvers<void>();
  #events = NOBODY;
  #gone = false;
  #afterCr = false;
  #crMs = 0;

  constructor(line: SerialLine) {
    this.#line = line;
    const { stream } = line;
    stream.on('data', (bytes: Buffer) => this.#take(bytes));
    stream.on('drain', () => this.#events.onFree());
    for (const event of ['close', 'end', 'error'] as const) stream.on(event, () => this.#end());
    if (stream.destroyed) this.#end();
  }

  /** True once the port was unplugged or has failed. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Resolves then. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** The port for the next one who listens; nobody else hears it from now on. */
  readonly open: OpenChannel = (events) => {
    this.#events = events;
    const { stream } = this.#line;
    const channel: Channel = {
      // A port knows nothing of the terminal at its other end.
      size: null,
      get waiting() {
        return stream.writableLength > 0;
      },
      send: (bytes, taken) => {
        if (this.#gone) return;
        const all = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
        stream.write(all, (error) => {
          if (!error) taken();
        });
      },
      tellSize: () => {},
      release: () => {
        if (this.#events === events) this.#events = NOBODY;
      },
    };
    return channel;
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.#events = NOBODY;
    await this.#line.close();
    this.#end();
  }

  /**
   * The port reads a break as a zero byte; right after CR it is padding, which some terminals send.
   * A person who presses Enter and gives a break later means it.
   */
  #take(bytes: Buffer): void {
    const nowMs = performance.now();
    if (nowMs - this.#crMs > PADDING_MS) this.#afterCr = false;
    let from = 0;
    for (const [at, byte] of bytes.entries()) {
      if (byte === 0 && !this.#afterCr) {
        if (at > from) this.#events.onBytes(bytes.subarray(from, at));
        from = at + 1;
        this.#events.onHangUp();
      }
      this.#afterCr = byte === 0x0d;
      if (this.#afterCr) this.#crMs = nowMs;
    }
    if (from < bytes.length) this.#events.onBytes(bytes.subarray(from));
  }

  #end(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#ended.resolve();
    this.#events.onHangUp();
  }
}
