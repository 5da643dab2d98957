/**
 * One connection to the peer: frames, keep-alive and back-pressure over a socket whose other end
 * has proved the pinned key. Always holds: `onUp` comes at most once and only after the first
 * frame arrived, `onDown` exactly once and last; messages wait in one place per kind, so a peer
 * that does not read costs bounded memory and gets the newest state of each kind when it reads
 * again. Time is counted in ticks of this process, so neither a wrong wall clock nor a process
 * that was itself stopped for a while makes a living peer look silent. Imports core.
 */
import type { TLSSocket } from 'node:tls';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { FrameParser, KEEP_ALIVE_FRAME, REFUSED_FRAME, REPLACED_FRAME } from './frames.ts';
import type { Frame } from './frames.ts';

/** What the connection tells its owner. */
export interface ConnectionEvents {
  /** The first frame arrived: both ends have accepted each other. */
  readonly onUp: () => void;
  /** Something arrived; called before the frame is looked at. */
  readonly onHeard: () => void;
  readonly onMessage: (message: object) => void;
  /** The connection is gone, and why. */
  readonly onDown: (error: UpdateError) => void;
}

/** How often each side speaks, and after how many silent ticks the peer counts as gone. */
export interface ConnectionTimers {
  readonly pingMs: number;
  readonly silentTicks: number;
}

/** Frames that wait at most; the longest waiting one goes first. */
const WAITING_MAX = 32;
/** How long the other end may take to read the last words before the socket is closed anyway. */
const FAREWELL_MS = 250;

/** A connection whose other end has proved the peer's key. */
export class PeerConnection {
  readonly #socket: TLSSocket;
  readonly #events: ConnectionEvents;
  readonly #timers: ConnectionTimers;
  readonly #parser = new FrameParser();
  readonly #ticker: NodeJS.Timeout;
  /** Newest waiting frame per kind of message, in the order in which they were last replaced. */
  readonly #waiting = new Map<string, Buffer>();
  #blocked = false;
  #quietTicks = 0;
  #up = false;
  #down = false;
  #cause: UpdateError | null = null;

  /** Takes over a socket for which `assertPinned` has returned. */
  constructor(socket: TLSSocket, events: ConnectionEvents, timers: ConnectionTimers) {
    this.#socket = socket;
    this.#events = events;
    this.#timers = timers;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => this.#flush());
    socket.on('error', (cause) => this.#fail(brokenBy(cause)));
    socket.on('close', () => this.#ended());
    this.#ticker = setInterval(() => this.#tick(), timers.pingMs);
    this.#write(KEEP_ALIVE_FRAME);
  }

  get up(): boolean {
    return this.#up && !this.#down;
  }

  /**
   * Sends a frame now, or, while the socket's buffer is full, keeps it in place of the waiting
   * frame with the same `key`. Does nothing when the connection is not up.
   */
  send(key: string, frame: Buffer): void {
    if (!this.up) return;
    if (!this.#blocked) {
      this.#write(frame);
      return;
    }
    this.#waiting.delete(key);
    this.#waiting.set(key, frame);
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > WAITING_MAX && oldest !== undefined) this.#waiting.delete(oldest);
  }

  /** Frames that wait for room in the socket's buffer. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Closes after what was sent has left, or soon anyway. Returns when the socket is closed. */
  async close(reason: UpdateError): Promise<void> {
    this.#cause ??= reason;
    if (this.#down) return;
    await farewell(this.#socket);
    this.#ended();
  }

  /** Closes at once and reports `error`, unless the connection is gone already. */
  fail(error: UpdateError): void {
    this.#fail(error);
  }

  #fail(error: UpdateError): void {
    this.#cause ??= error;
    this.#socket.destroy();
    this.#ended();
  }

  #ended(): void {
    if (this.#down) return;
    this.#down = true;
    clearInterval(this.#ticker);
    this.#waiting.clear();
    this.#events.onDown(
      this.#cause ?? new UpdateError('pair.peer_unreachable', 'the peer closed the connection'),
    );
  }

  #tick(): void {
    this.#quietTicks += 1;
    if (this.#quietTicks > this.#timers.silentTicks) {
      const silentMs = this.#timers.silentTicks * this.#timers.pingMs;
      this.#fail(
        new UpdateError('pair.peer_unreachable', `the peer was silent for ${silentMs} ms`),
      );
      return;
    }
    if (!this.#blocked) this.#write(KEEP_ALIVE_FRAME);
  }

  #receive(chunk: Buffer): void {
    this.#quietTicks = 0;
    this.#parser.push(chunk);
    // A listener may close the connection between two frames of one chunk.
    for (let frame = this.#next(); frame && !this.#down; frame = this.#next()) this.#take(frame);
  }

  /** The next frame; a frame that cannot be read ends the connection. */
  #next(): Frame | null {
    try {
      return this.#parser.next();
    } catch (error) {
      this.#fail(asUpdateError(error));
      return null;
    }
  }

  #take(frame: Frame): void {
    if (frame.kind === 'refused') {
      this.#fail(refusedByPeer());
      return;
    }
    if (frame.kind === 'replaced') {
      this.#fail(replacedByPeer());
      return;
    }
    this.#events.onHeard();
    if (!this.#up) {
      this.#up = true;
      this.#events.onUp();
    }
    if (frame.kind === 'message' && !this.#down) this.#events.onMessage(frame.message);
  }

  #write(frame: Buffer): void {
    if (!this.#socket.writable) return;
    this.#blocked = !this.#socket.write(frame);
  }

  #flush(): void {
    this.#blocked = false;
    for (const [key, frame] of this.#waiting) {
      if (this.#blocked) return;
      this.#waiting.delete(key);
      this.#write(frame);
    }
  }
}

/**
 * Tells the other end of a socket that its key is not accepted, or that it was `revoked`, and
 * closes it. The frame holds nothing that a stranger could use; a peer with a wrong pin learns from
 * it where to look, and one that was replaced that it must not serve.
 */
export async function refuse(socket: TLSSocket, revoked: boolean = false): Promise<void> {
  socket.on('error', () => undefined);
  socket.resume();
  if (socket.writable) socket.write(revoked ? REPLACED_FRAME : REFUSED_FRAME);
  await farewell(socket);
}

/** The peer's verdict on our key, as this side shows it. */
export const refusedByPeer = (): UpdateError =>
  new UpdateError('pair.wrong_peer', 'the other side does not accept the key of this node');

/** The peer has another node in the place of this one. */
const replacedByPeer = (): UpdateError =>
  new UpdateError('pair.replaced', 'the peer has another node in the place of this one');

/** A socket's error in the words of the link. */
export function brokenBy(cause: unknown): UpdateError {
  if (cause instanceof UpdateError) return cause;
  const text = asUpdateError(cause).message;
  return new UpdateError('pair.peer_unreachable', `the connection broke: ${text}`, { cause });
}

async function farewell(socket: TLSSocket): Promise<void> {
  if (socket.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => socket.destroy(), FAREWELL_MS);
  socket.once('close', () => resolve());
  socket.end();
  await promise;
  clearTimeout(timer);
}
