/**
 * What carries the bytes of a console: the terminal of this process, or a serial port that it has
 * opened itself. Always holds: sending never blocks, and what is sent after the end is lost without
 * an error. Imports nothing.
 */

/** Rows and columns. */
export interface Size {
  readonly rows: number;
  readonly columns: number;
}

/** What a channel tells. */
export interface ChannelEvents {
  readonly onBytes: (bytes: Uint8Array) => void;
  /** The size that the system knows is another one. */
  readonly onResize: () => void;
  /** What waited in this process has been taken by the system. */
  readonly onFree: () => void;
  /** The other end is gone, or asked for the end with a break. */
  readonly onHangUp: () => void;
}

/** Bytes in both directions. */
export interface Channel {
  /** What the system knows of the size; null where it knows nothing that can be believed. */
  readonly size: Size | null;
  /** True while something that was sent waits in this process. */
  readonly waiting: boolean;
  /** Sends; `taken` is called when the system has it, and never on a line that is stalled. */
  send(bytes: string | Uint8Array, taken: () => void): void;
  /** Programs that are started on this terminal later find the size, too. */
  tellSize(size: Size): void;
  /**
   * Gives the channel back as it was found. `clean` is false when something that was sent may
   * never leave: then nothing is waited for.
   */
  release(clean: boolean): void;
}

/** Opens a channel for somebody who listens. */
export type OpenChannel = (events: ChannelEvents) => Channel;

/** Flow control: the receiver sends XOFF and XON, or it holds a line of the cable. */
export const FLOWS = ['none', 'xonxoff', 'rtscts'] as const;
/** One of them. */
export type FlowControl = (typeof FLOWS)[number];
