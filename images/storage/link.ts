/**
 * The replication channel between the two storage processes: TLS 1.3 with the pinned keys of the
 * pair, node A dials, node B listens. Always holds: no frame is read or sent before the other end
 * has proved the pinned key; a newer connection replaces an older one; a connection on which
 * nothing arrives for so many beats is closed, counted in ticks, not by the clock: as soon as the
 * link of the daemons is, because a write waits for the later of the two. Imports core and keys.
 */
import type { Socket } from 'node:net';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import { assertPinned, tlsOptions, type PairKeys } from '../../src/drivers/keys.ts';
import { encodeFrame, frameReader, type Frame, type Hello, type Message } from './wire.ts';

/** Names the channel in the handshake, so that a wrong port is found out there. */
const ALPN = 'tandem-store';
/** The same of storage software that replicates by other means: the two never meet. */
export const ALPN_DRBD = 'tandem-store-drbd';
const PING_MS = 200;
/** Silence after which a connection is closed, when nothing else is said. */
const SILENT_MS = 1200;
/** Longest handshake; longer where a peer may be silent for longer than usual. */
const HANDSHAKE_MS = 4000;
/** First and longest pause between two attempts; the pause after a refusal that only people end. */
const RETRY_MS = { first: 20, longest: 400, refused: 2000 } as const;
/** How long the peer may take to read the last words. */
const FAREWELL_MS = 250;
/** A connection that lived so long was a good one: the next attempt hurries. */
const GOOD_MS = 1000;

/** One connection to the peer's storage process. */
export interface PeerConnection {
  readonly closed: boolean;
  send(head: Hello | Message, body?: Buffer | null): void;
  /** Resolves when what was sent has left this process, or the connection is closed. */
  drained(): Promise<void>;
  /** Stops or goes on reading. */
  setReading(on: boolean): void;
  /** Ends at once; `refused`: what was sent still leaves, and the next attempt need not hurry. */
  close(reason: UpdateError, refused?: boolean): void;
}

/** What the owner of a connection hears of it; `closed` once and last. */
export interface ConnectionListener {
  frame(frame: Frame): void;
  closed(reason: UpdateError): void;
}

/** Where the peer is and how it proves itself. */
export interface ReplicationLinkOptions {
  readonly node: NodeId;
  /** `host:port`; node B listens there. */
  readonly listen: string;
  /** `host:port`; node A dials it. */
  readonly peer: string;
  readonly keys: PairKeys;
  /** Name of the channel in the handshake; default: that of copies in directories. */
  readonly alpn?: string;
  /** Silence after which a connection is closed, in milliseconds; default 1200. */
  readonly silentMs?: number | undefined;
  /** Called with every connection whose other end has proved its key. */
  readonly onConnection: (connection: PeerConnection) => ConnectionListener;
}

/** Dials or listens for ever, and hands out one proved connection at a time. */
export class ReplicationLink implements AsyncDisposable {
  readonly #options: ReplicationLinkOptions;
  readonly #silentMs: number;
  readonly #handshakeMs: number;
  #server: Server | null = null;
  #socket: TLSSocket | null = null;
  #connection: SocketConnection | null = null;
  #timer: NodeJS.Timeout | null = null;
  #retryMs: number = RETRY_MS.first;
  /** Sockets before their handshake, too. */
  readonly #raw = new Set<Socket>();
  #closed = false;
  /** Why there is no connection, as far as it is known. */
  error: UpdateError | null = null;

  constructor(options: ReplicationLinkOptions) {
    this.#options = options;
    this.#silentMs = options.silentMs ?? SILENT_MS;
    this.#handshakeMs = Math.max(1, this.#silentMs / SILENT_MS) * HANDSHAKE_MS;
  }

  /** Node B listens when this resolves; node A has begun to dial. */
  async start(): Promise<void> {
    if (this.#options.node === 'A') {
      this.#dial();
      return;
    }
    const { keys, listen, alpn = ALPN } = this.#options;
    const server = createServer(
      { ...tlsOptions(keys), ALPNProtocols: [alpn], handshakeTimeout: this.#handshakeMs },
      (socket) => void this.#proved(socket),
    );
    this.#server = server;
    // Strangers may knock: they learn nothing, and say nothing about the peer.
    server.on('tlsClientError', (_, socket) => socket.destroy());
    server.on('connection', (socket: Socket) => {
      this.#raw.add(socket);
      socket.once('close', () => this.#raw.delete(socket));
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(parseAddress(listen), () => resolve());
    try {
      await promise;
    } catch (cause) {
      throw new UpdateError('store.io', `cannot listen on ${listen}: ${textOf(cause)}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#socket?.destroy();
    this.#connection?.close(new UpdateError('pair.peer_unreachable', 'the store was closed'));
    const server = this.#server;
    if (!server) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    for (const socket of this.#raw) socket.destroy();
    await promise;
  }

  #dial(): void {
    const { peer, keys, alpn = ALPN } = this.#options;
    const socket = connect({ ...parseAddress(peer), ...tlsOptions(keys), ALPNProtocols: [alpn] });
    this.#socket = socket;
    const late = new Error('the handshake took too long');
    socket.setTimeout(this.#handshakeMs, () => socket.destroy(late));
    socket.once('secureConnect', () => {
      socket.setTimeout(0);
      void this.#proved(socket);
    });
    socket.on('error', (cause) => {
      this.error = new UpdateError('pair.peer_unreachable', `${peer}: ${cause.message}`, { cause });
    });
    socket.once('close', () => {
      if (this.#closed) return;
      this.#timer = setTimeout(() => this.#dial(), this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.longest);
    });
  }

  async #proved(socket: TLSSocket): Promise<void> {
    const { keys } = this.#options;
    // It may break while the pin is read, which is another one once the peer was replaced.
    socket.on('error', () => undefined);
    await keys.refresh?.();
    if (socket.destroyed || this.#closed) {
      socket.destroy();
      return;
    }
    try {
      assertPinned(socket, keys);
      if (socket.alpnProtocol !== (this.#options.alpn ?? ALPN)) {
        throw new UpdateError('pair.protocol', 'the other end is no such storage software');
      }
    } catch (error) {
      // Whoever is dialled should be the peer; whoever knocks may be anybody.
      if (this.#options.node === 'A') this.error = asUpdateError(error);
      this.#retryMs = RETRY_MS.refused;
      socket.destroy();
      return;
    }
    this.#connection?.close(
      new UpdateError('pair.peer_unreachable', 'a newer connection replaced this one'),
    );
    const sinceMs = performance.now();
    const connection = new SocketConnection(socket, this.#silentMs, (reason, refused) => {
      this.error = reason;
      if (performance.now() - sinceMs > GOOD_MS) this.#retryMs = RETRY_MS.first;
      if (refused) this.#retryMs = RETRY_MS.refused;
      if (this.#connection === connection) this.#connection = null;
    });
    this.#connection = connection;
    connection.listen(this.#options.onConnection(connection), () => (this.error = null));
  }
}

class SocketConnection implements PeerConnection {
  readonly #socket: TLSSocket;
  readonly #onClose: (reason: UpdateError, refused: boolean) => void;
  readonly #silentTicks: number;
  #listener: ConnectionListener | null = null;
  #quietTicks = 0;
  #ticker: NodeJS.Timeout;
  #cause: UpdateError | null = null;
  #refused = false;
  #reading = true;
  closed = false;

  constructor(
    socket: TLSSocket,
    silentMs: number,
    onClose: (reason: UpdateError, refused: boolean) => void,
  ) {
    this.#socket = socket;
    this.#silentTicks = Math.max(1, Math.round(silentMs / PING_MS));
    this.#onClose = onClose;
    this.#ticker = setInterval(() => this.#tick(), PING_MS);
    socket.setNoDelay(true);
  }

  /** `onHeard` is called at the first frame: both ends have accepted each other. */
  listen(listener: ConnectionListener, onHeard: () => void): void {
    this.#listener = listener;
    let heard = false;
    const feed = frameReader((frame) => {
      if (!heard) onHeard();
      heard = true;
      if (frame.head.t !== 'ping' && !this.closed) listener.frame(frame);
    });
    this.#socket.on('data', (chunk: Buffer) => {
      this.#quietTicks = 0;
      try {
        if (!this.closed) feed(chunk);
      } catch (error) {
        this.close(asUpdateError(error));
      }
    });
    this.#socket.on('error', (cause) => {
      this.#cause ??= new UpdateError('pair.peer_unreachable', cause.message, { cause });
    });
    this.#socket.once('close', () => this.#ended());
  }

  send(head: Hello | Message, body: Buffer | null = null): void {
    if (this.closed || !this.#socket.writable) return;
    this.#socket.cork();
    for (const piece of encodeFrame(head, body)) this.#socket.write(piece);
    this.#socket.uncork();
  }

  async drained(): Promise<void> {
    if (this.closed || !this.#socket.writableNeedDrain) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = () => {
      this.#socket.off('drain', done);
      this.#socket.off('close', done);
      resolve();
    };
    this.#socket.on('drain', done);
    this.#socket.on('close', done);
    await promise;
  }

  setReading(on: boolean): void {
    if (on === this.#reading || this.closed) return;
    this.#reading = on;
    if (on) this.#socket.resume();
    else this.#socket.pause();
  }

  close(reason: UpdateError, refused = false): void {
    this.#cause ??= reason;
    this.#refused ||= refused;
    if (refused) {
      // What was said before the refusal tells the peer why.
      this.#socket.end();
      setTimeout(() => this.#socket.destroy(), FAREWELL_MS).unref();
    } else {
      this.#socket.destroy();
    }
    this.#ended();
  }

  #tick(): void {
    // While this side does not read, silence says nothing about the peer.
    if (this.#reading) this.#quietTicks += 1;
    if (this.#quietTicks > this.#silentTicks) {
      const silentMs = this.#silentTicks * PING_MS;
      this.close(
        new UpdateError('pair.peer_unreachable', `the peer was silent for ${silentMs} ms`),
      );
      return;
    }
    this.send({ t: 'ping' });
  }

  #ended(): void {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.#ticker);
    const reason =
      this.#cause ?? new UpdateError('pair.peer_unreachable', 'the peer closed the connection');
    this.#onClose(reason, this.#refused);
    this.#listener?.closed(reason);
  }
}

/** `host:port`, an IPv6 host in brackets; throws `config.invalid`. */
export function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host !== undefined && port > 0 && port < 65_536) return { host, port };
  throw new UpdateError('config.invalid', `${address} is not host:port`);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
