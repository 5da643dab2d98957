/**
 * A serial cable between two ports in memory, on virtual time: bytes take the time that the speed
 * says, and the test decides what the line does to them. It counts bytes, and how far a sender ran
 * ahead of the line. Only tests import it.
 */
import { Duplex } from 'node:stream';
import { UpdateError } from '../../src/core/errors.ts';
import type { SerialLine } from '../../src/drivers/serial-port.ts';
import type { SerialClock } from '../../src/drivers/serial-wire.ts';
import type { VirtualClock } from '../updater/virtual-clock.ts';

export type Side = 'a' | 'b';

/** Time of a cable: virtual, or real. */
export type CableClock = Pick<VirtualClock, 'nowMs' | 'schedule'>;

/** What becomes of one frame's bytes on their way; null = they are lost. */
export type Mangle = (bytes: Buffer) => Buffer | null;

export const clockOf = (clock: VirtualClock): SerialClock => ({
  nowMs: () => clock.nowMs,
  schedule: (delayMs, action) => clock.schedule(delayMs, action),
});

/** What one sender has put on the line. */
export interface Sent {
  bytes: number;
  frames: Buffer[];
  /** Longest time that bytes waited for the line, in milliseconds. */
  waitedMs: number;
}

interface Port {
  stream: Duplex | null;
  freeAtMs: number;
  stalled: ((error?: Error | null) => void)[] | null;
  opens: number;
  refuses: boolean;
  mangle: Mangle;
  readonly sent: Sent;
}

const newPort = (): Port => ({
  stream: null,
  freeAtMs: 0,
  stalled: null,
  opens: 0,
  refuses: false,
  mangle: (bytes) => bytes,
  sent: { bytes: 0, frames: [], waitedMs: 0 },
});

/** The cable; its ends are opened by the drivers under test. */
export class SerialCable {
  readonly #clock: CableClock;
  readonly #baud: number;
  readonly #ports: Record<Side, Port>;

  constructor(clock: CableClock, baud: number) {
    this.#clock = clock;
    this.#baud = baud;
    this.#ports = { a: newPort(), b: newPort() };
  }

  /** What the driver is given to open its end. */
  opener(side: Side): () => Promise<SerialLine> {
    const port = this.#ports[side];
    return () => {
      port.opens += 1;
      if (port.refuses) {
        return Promise.reject(new UpdateError('link.serial_failed', 'no such line'));
      }
      const stream = new Duplex({
        read: () => undefined,
        write: (bytes: Buffer, _encoding, taken) => this.#carry(side, stream, bytes, taken),
      });
      port.stream = stream;
      const close = (): Promise<void> => {
        stream.destroy();
        return Promise.resolve();
      };
      return Promise.resolve({ stream, close });
    };
  }

  opens(side: Side): number {
    return this.#ports[side].opens;
  }

  sent(side: Side): Sent {
    return this.#ports[side].sent;
  }

  /** What the line does from now on to what this side sends. */
  mangle(side: Side, mangle: Mangle): void {
    this.#ports[side].mangle = mangle;
  }

  cut(): void {
    for (const side of ['a', 'b'] as const) this.mangle(side, () => null);
  }

  heal(): void {
    for (const side of ['a', 'b'] as const) this.mangle(side, (bytes) => bytes);
  }

  /** Bytes that arrive at this side from nowhere. */
  inject(side: Side, bytes: Buffer): void {
    this.#ports[side].stream?.push(bytes);
  }

  /** The system takes no byte of this side any more, until `false`. */
  stall(side: Side, stalled: boolean): void {
    const port = this.#ports[side];
    const waiting = port.stalled ?? [];
    port.stalled = stalled ? waiting : null;
    if (!stalled) for (const taken of waiting) taken();
  }

  /** The port goes away, as when an adapter is pulled; `refuses` = it stays away. */
  hangUp(side: Side, refuses = false): void {
    const port = this.#ports[side];
    port.refuses = refuses;
    port.stream?.destroy();
    port.stream = null;
  }

  /** It can be opened again. */
  plugIn(side: Side): void {
    this.#ports[side].refuses = false;
  }

  #carry(side: Side, stream: Duplex, bytes: Buffer, taken: (error?: Error | null) => void): void {
    const port = this.#ports[side];
    if (port.stalled !== null) {
      port.stalled.push(taken);
      return;
    }
    taken();
    if (port.stream !== stream) return;
    const { nowMs } = this.#clock;
    port.sent.waitedMs = Math.max(port.sent.waitedMs, port.freeAtMs - nowMs);
    port.freeAtMs = Math.max(port.freeAtMs, nowMs) + (bytes.length * 10_000) / this.#baud;
    port.sent.bytes += bytes.length;
    port.sent.frames.push(bytes);
    const arrives = port.mangle(bytes);
    if (arrives === null) return;
    const to = this.#ports[side === 'a' ? 'b' : 'a'];
    this.#clock.schedule(port.freeAtMs - nowMs, () => to.stream?.push(arrives));
  }
}
