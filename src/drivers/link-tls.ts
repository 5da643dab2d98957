/**
 * The network channel between the two nodes: the PeerLink port over TLS 1.3 with a pinned key on
 * both sides. Node A dials, node B listens; A opens no port for the link and B never dials, so
 * there is at most one connection and no tie to break. Always holds: no byte of a connection
 * reaches a listener before both keys are proved; a newer connection replaces an older one, which
 * goes down first; only monotonic time and counted ticks decide, so a clock at 1970 changes
 * nothing. Whatever the network does, the link goes on trying and says why it is down. Imports
 * core, ports and its own parts.
 */
import { performance } from 'node:perf_hooks';
import type { Socket } from 'node:net';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import type { LinkChannel, PeerLink } from '../ports.ts';
import { encodeFrame } from './frames.ts';
import { assertPinned, tlsOptions, type PairKeys } from './keys.ts';
import { brokenBy, PeerConnection, refuse, type ConnectionEvents } from './link-connection.ts';

/** Host and port; an IPv6 host without brackets. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Intervals of the link, in milliseconds unless the name says otherwise. */
export interface LinkTimers {
  /** Keep-alive interval; each side sends one. */
  readonly pingMs: number;
  /** After so many intervals without a byte the peer counts as gone. */
  readonly silentTicks: number;
  /** First pause before the link is tried again; doubled each time up to `retryMaxMs`. */
  readonly retryMs: number;
  readonly retryMaxMs: number;
  /** Pause after a wrong key: only a person can change that. */
  readonly wrongPeerRetryMs: number;
  /** Longest time for connecting and the handshake together. */
  readonly handshakeMs: number;
}

/** Intervals in the field; tests take shorter ones. */
export const LINK_TIMERS: LinkTimers = {
  pingMs: 200,
  silentTicks: 6,
  retryMs: 100,
  retryMaxMs: 400,
  wrongPeerRetryMs: 10_000,
  handshakeMs: 4000,
};

/**
 * Intervals for a link of which a channel is lost after so many milliseconds of silence. A peer
 * that may stand still for longer may take longer for a handshake, too.
 */
export function linkTimersFor(silentMs: number): Pick<LinkTimers, 'silentTicks' | 'handshakeMs'> {
  const { pingMs, silentTicks, handshakeMs } = LINK_TIMERS;
  const ticks = Math.max(1, Math.round(silentMs / pingMs));
  return { silentTicks: ticks, handshakeMs: Math.max(1, ticks / silentTicks) * handshakeMs };
}

/** Who this node is, where both nodes are, and whose key counts. */
export interface TlsLinkOptions {
  readonly node: NodeId;
  /** Used by node B. */
  readonly listen: Endpoint;
  /** Used by node A. */
  readonly peer: Endpoint;
  readonly keys: PairKeys;
  readonly timers?: Partial<LinkTimers>;
  /** The peer, whose key is proved, says that another node has this one's place in the pair. */
  readonly onReplaced?: () => void;
}

/** What the link has counted since it was opened. */
export interface LinkCounters {
  /** Connections that came up. */
  readonly connections: number;
  /** Handshakes that ended with a wrong key or none. */
  readonly wrongPeer: number;
  /** Connections closed because of a frame that is none. */
  readonly badMessages: number;
  /** Attempts on the listening port that were not a TLS 1.3 handshake of the link. */
  readonly strays: number;
}

/** The PeerLink port with what tests and status ask besides. */
export interface TlsLink extends PeerLink {
  counters(): LinkCounters;
  /** Where node B listens; null on node A and while the address cannot be used. */
  address(): Endpoint | null;
}

/** Name of the protocol in the handshake (ALPN), so that no other TLS service is taken for it. */
const LINK_PROTOCOL = 'tandem-link/1';
/** Connections in their handshake at one time; one is ever needed. */
const CONNECTIONS_MAX = 16;

/**
 * Opens the link. Returns when node B's first attempt to listen is over, at once on node A; a
 * failure of the network is never thrown but shown in `channels()` and retried. Throws
 * `pair.keys_damaged` when the keys are another node's.
 */
export async function openTlsLink(options: TlsLinkOptions): Promise<TlsLink> {
  const { node, keys } = options;
  if (keys.node !== node) {
    const message = `the keys are those of node ${keys.node}, this is node ${node}`;
    throw new UpdateError('pair.keys_damaged', message);
  }
  const link = new NetworkLink(options);
  await link.start();
  return link;
}

class NetworkLink implements TlsLink {
  readonly #options: TlsLinkOptions;
  readonly #timers: LinkTimers;
  readonly #messageListeners: ((message: unknown) => void)[] = [];
  readonly #changeListeners: (() => void)[] = [];
  readonly #counters = { connections: 0, wrongPeer: 0, badMessages: 0, strays: 0 };
  /** Every socket that is open, so that closing the link leaves none behind. */
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #connection: PeerConnection | null = null;
  #retry: NodeJS.Timeout | null = null;
  #failures = 0;
  #heardAtMs: number | null = null;
  #error: UpdateError | null = null;
  #closed = false;

  constructor(options: TlsLinkOptions) {
    this.#options = options;
    this.#timers = { ...LINK_TIMERS, ...options.timers };
  }

  async start(): Promise<void> {
    if (this.#options.node === 'A') this.#dial();
    else await this.#listen();
  }

  send(message: object): void {
    const frame = encodeFrame(message);
    this.#connection?.send(kindOf(message), frame);
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#messageListeners.push(listener);
  }

  onChange(listener: () => void): void {
    this.#changeListeners.push(listener);
  }

  channels(): readonly LinkChannel[] {
    const up = this.#connection?.up ?? false;
    const heardAtMs = this.#heardAtMs;
    return [
      {
        name: 'network',
        up,
        ageMs: heardAtMs === null ? null : Math.round(performance.now() - heardAtMs),
        error: up ? null : (this.#error?.report() ?? null),
      },
    ];
  }

  counters(): LinkCounters {
    return { ...this.#counters };
  }

  address(): Endpoint | null {
    const address = this.#server?.address();
    if (typeof address !== 'object' || address === null) return null;
    return { host: address.address, port: address.port };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#retry) clearTimeout(this.#retry);
    const stopped = this.#server ? closeServer(this.#server) : null;
    const reason = new UpdateError('pair.peer_unreachable', 'this node closed the link');
    await this.#connection?.close(reason);
    for (const socket of this.#sockets) socket.destroy();
    await stopped;
  }

  #dial(): void {
    this.#retry = null;
    const { peer, keys } = this.#options;
    const socket = connect({ ...tlsOptions(keys), ...peer, ALPNProtocols: [LINK_PROTOCOL] });
    this.#track(socket);
    let error: UpdateError | null = null;
    const timer = setTimeout(
      () => socket.destroy(new Error(`no handshake within ${this.#timers.handshakeMs} ms`)),
      this.#timers.handshakeMs,
    );
    const failed = (cause: unknown): void => {
      error ??= unreachable(peer, cause);
    };
    const closed = (): void => {
      clearTimeout(timer);
      this.#lost(error ?? unreachable(peer, new Error('connection closed')));
    };
    socket.on('error', failed).on('close', closed);
    const judged = async (): Promise<void> => {
      clearTimeout(timer);
      const verdict = await this.#verdict(socket, `${peer.host}:${peer.port}`);
      if (socket.destroyed) return;
      error = verdict;
      if (error) {
        void refuse(socket, this.#isRevoked(error));
        return;
      }
      socket.off('error', failed).off('close', closed);
      this.#adopt(socket);
    };
    socket.once('secureConnect', () => void judged());
  }

  async #listen(): Promise<void> {
    this.#retry = null;
    const { listen, keys } = this.#options;
    const { handshakeMs: handshakeTimeout } = this.#timers;
    const server = createServer(
      { ...tlsOptions(keys), ALPNProtocols: [LINK_PROTOCOL], handshakeTimeout },
      (socket) => void this.#accept(socket),
    );
    server.maxConnections = CONNECTIONS_MAX;
    server.on('connection', (socket: Socket) => this.#track(socket));
    server.on('tlsClientError', (_error, socket) => {
      this.#counters.strays += 1;
      socket.destroy();
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.once('listening', () => {
      this.#server = server;
      if (this.#closed) server.close();
      this.#error = new UpdateError('pair.peer_unreachable', 'the peer has not connected');
      resolve();
    });
    server.on('error', (cause) => {
      const where = `${listen.host}:${listen.port}`;
      const message = `cannot listen on ${where}: ${cause.message}`;
      this.#lost(new UpdateError('link.listen_failed', message, { cause }));
      resolve();
    });
    server.listen(listen.port, listen.host);
    await promise;
  }

  async #accept(socket: TLSSocket): Promise<void> {
    // It may break while it is judged.
    socket.on('error', () => undefined);
    const where = `${socket.remoteAddress}:${socket.remotePort}`;
    const error = await this.#verdict(socket, where);
    if (socket.destroyed) return;
    if (!error) {
      this.#adopt(socket);
      return;
    }
    this.#error = error;
    void refuse(socket, this.#isRevoked(error));
  }

  /** Whether the other end was refused because its key is that of a peer that was replaced. */
  #isRevoked({ detail }: UpdateError): boolean {
    const found = detail?.['found'];
    return typeof found === 'string' && this.#options.keys.revoked?.includes(found) === true;
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    if (this.#closed) socket.destroy();
  }

  /** Why the other end of a fresh connection is not the peer; null when it is. */
  async #verdict(socket: TLSSocket, where: string): Promise<UpdateError | null> {
    const { keys } = this.#options;
    try {
      await keys.refresh?.();
      assertPinned(socket, keys);
      if (socket.alpnProtocol === LINK_PROTOCOL) return null;
      this.#counters.strays += 1;
      return new UpdateError('pair.bad_message', `${where} does not speak ${LINK_PROTOCOL}`);
    } catch (cause) {
      this.#counters.wrongPeer += 1;
      const { message, detail } = cause as UpdateError;
      const back = this.#isRevoked(cause as UpdateError)
        ? '; it is that of the node that was replaced'
        : '';
      return new UpdateError('pair.wrong_peer', `${where}: ${message}${back}`, {
        ...(detail && { detail }),
        cause,
      });
    }
  }

  #adopt(socket: TLSSocket): void {
    const older = this.#connection;
    older?.fail(new UpdateError('pair.peer_unreachable', 'the peer has connected anew'));
    let wasUp = false;
    const { keys } = this.#options;
    const pin = keys.peerSpkiSha256;
    const events: ConnectionEvents = {
      onUp: () => {
        wasUp = true;
        this.#counters.connections += 1;
        this.#failures = 0;
        this.#error = null;
        this.#changed();
      },
      onHeard: () => {
        this.#heardAtMs = performance.now();
      },
      onMessage: (message) => {
        if (this.#closed) return;
        if (keys.peerSpkiSha256 !== pin) {
          const revoked = 'the key of this connection was revoked';
          connection.fail(new UpdateError('pair.wrong_peer', revoked));
          return;
        }
        for (const listener of this.#messageListeners) listener(message);
      },
      onDown: (error) => {
        if (error.code === 'pair.bad_message') this.#counters.badMessages += 1;
        if (this.#connection !== connection) return;
        this.#connection = null;
        if (error.code === 'pair.replaced') this.#options.onReplaced?.();
        this.#lost(error);
        if (wasUp) this.#changed();
      },
    };
    const connection = new PeerConnection(socket, events, this.#timers);
    this.#connection = connection;
  }

  #changed(): void {
    if (this.#closed) return;
    for (const listener of this.#changeListeners) listener();
  }

  /** Notes why there is no connection, and plans the next attempt of what this node does. */
  #lost(error: UpdateError): void {
    this.#error = error;
    if (this.#closed || this.#retry || this.#server) return;
    const pauseMs =
      error.code === 'pair.wrong_peer' || error.code === 'pair.replaced'
        ? this.#timers.wrongPeerRetryMs
        : Math.min(this.#timers.retryMs * 2 ** this.#failures, this.#timers.retryMaxMs);
    this.#failures = Math.min(this.#failures + 1, 16);
    const again = (): void => {
      if (this.#options.node === 'A') this.#dial();
      else void this.#listen();
    };
    this.#retry = setTimeout(again, pauseMs);
  }
}

const unreachable = ({ host, port }: Endpoint, cause: unknown): UpdateError =>
  new UpdateError('pair.peer_unreachable', `${host}:${port}: ${brokenBy(cause).message}`, {
    cause,
  });

/**
 * Messages of one kind replace each other while the peer does not read: those of one `type`, and
 * of one `id` where they have one, because a request is not replaced by another request.
 */
function kindOf(message: object): string {
  const { type, id } = message as { readonly type?: unknown; readonly id?: unknown };
  return JSON.stringify([type, id]);
}

async function closeServer(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  await promise;
}
