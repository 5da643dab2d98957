/**
 * A bundle on the peer as a source of bytes: ranges over TLS 1.3 with both keys pinned, many under
 * way at a time. Always holds: not a byte is sent or used before the peer has proved its key; bytes
 * go into the buffer of the oldest range that waits, and bytes that nobody asked for end the
 * connection; every range that waits settles when the connection ends; what arrives takes no memory
 * but that of the ranges, since one buffer serves for all of it. Imports core, the key driver
 * and the protocol.
 */
import { once } from 'node:events';
import type { OnReadOpts } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { ByteSource } from '../bundle/source.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { assertPinned, loadKeys, tlsOptions } from '../drivers/keys.ts';
import {
  BULK_PROTOCOL,
  decodeGreeting,
  encodeRequests,
  GREETING_BYTES,
  SILENCE_MS,
} from './bulk.ts';
import type { BulkEndpoint } from './protocol.ts';

const CONNECT_MS = 10_000;
/** Somewhat more than what TLS hands over at a time, which is a record of 16 KiB. */
const RECEIVE_BYTES = 64 * 1024;

interface Waiting {
  readonly bytes: Buffer;
  filled: number;
  readonly resolve: (bytes: Buffer) => void;
  readonly reject: (error: UpdateError) => void;
}

/**
 * Connects to the peer's server. Throws `pair.wrong_peer` when either side has another key than the
 * pinned one, `pair.peer_unreachable`, `pair.protocol`, `pair.not_paired`, the reason of the
 * signal.
 */
export async function openRemote(from: BulkEndpoint, signal: AbortSignal): Promise<RemoteSource> {
  signal.throwIfAborted();
  const keys = await loadKeys(from.keysDir);
  const inbox = new Inbox();
  const greeting = inbox.expect(GREETING_BYTES);
  // Whoever waits for it may never come to it, when the peer is another one.
  greeting.catch(() => undefined);
  // Documented for tls.connect, and not in its types.
  const onread: OnReadOpts = {
    buffer: Buffer.allocUnsafeSlow(RECEIVE_BYTES),
    callback: (length, buffer) => {
      if (!inbox.receive(buffer.subarray(0, length))) socket.destroy();
      return true;
    },
  };
  const options = {
    ...tlsOptions(keys),
    onread,
    host: from.host,
    port: from.port,
    ALPNProtocols: [BULK_PROTOCOL],
    // Whom the key belongs to is decided by the pin; certificates here carry no host names.
    checkServerIdentity: () => undefined,
  };
  const socket = connect(options);
  const place = `${from.host}:${from.port}`;
  const abort = (): void => void socket.destroy();
  signal.addEventListener('abort', abort, { once: true });
  socket.setTimeout(CONNECT_MS, () => socket.destroy(silence(place)));
  try {
    await once(socket, 'secureConnect');
    assertPinned(socket, keys);
    const release = (): void => signal.removeEventListener('abort', abort);
    const ends = { socket, inbox, place, release };
    return await RemoteSource.open(ends, greeting);
  } catch (cause) {
    socket.destroy();
    signal.removeEventListener('abort', abort);
    signal.throwIfAborted();
    throw unreachable(place, cause);
  }
}

/** What arrives, for those who wait for it, in their order. */
class Inbox {
  readonly #queue: Waiting[] = [];
  #ended: UpdateError | null = null;

  /** Somebody waits. */
  get awaited(): boolean {
    return this.#queue.length > 0;
  }

  get ended(): boolean {
    return this.#ended !== null;
  }

  async expect(length: number): Promise<Buffer> {
    if (this.#ended) throw this.#ended;
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#queue.push({ bytes: Buffer.allocUnsafeSlow(length), filled: 0, resolve, reject });
    return await promise;
  }

  /** False when there are bytes that nobody has asked for. */
  receive(data: Uint8Array): boolean {
    let rest = data;
    while (rest.length > 0) {
      const first = this.#queue[0];
      if (first === undefined) return false;
      const n = Math.min(rest.length, first.bytes.length - first.filled);
      first.bytes.set(n === rest.length ? rest : rest.subarray(0, n), first.filled);
      first.filled += n;
      if (first.filled < first.bytes.length) return true;
      rest = rest.subarray(n);
      this.#queue.shift();
      first.resolve(first.bytes);
    }
    return true;
  }

  end(error: UpdateError): void {
    this.#ended ??= error;
    for (const waiting of this.#queue.splice(0)) waiting.reject(this.#ended);
  }
}

/** Both ends of a connection here. */
interface Ends {
  readonly socket: TLSSocket;
  readonly inbox: Inbox;
  /** Address of the peer, for messages. */
  readonly place: string;
  /** Called when it is disposed of. */
  readonly release: () => void;
}

/** An open connection to the peer's server. */
export class RemoteSource implements ByteSource, AsyncDisposable {
  readonly sizeBytes: number;
  readonly #ends: Ends;

  private constructor(ends: Ends, sizeBytes: number) {
    this.#ends = ends;
    this.sizeBytes = sizeBytes;
  }

  /** Hears the server's first words, now that its key is proved. */
  static async open(ends: Ends, greeting: Promise<Buffer>): Promise<RemoteSource> {
    const { socket, inbox, place } = ends;
    socket.on('error', (error) => inbox.end(unreachable(place, error)));
    socket.on('close', () => inbox.end(unreachable(place, new Error('connection closed'))));
    // A peer that owes us nothing may be silent: the disk here may be the slow one.
    socket.setTimeout(SILENCE_MS, () => {
      if (inbox.awaited) socket.destroy(silence(place));
    });
    return new RemoteSource(ends, decodeGreeting(await greeting));
  }

  async readAt(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted();
    if (offset < 0 || length < 1 || offset + length > this.sizeBytes) {
      throw new UpdateError(
        'bundle.truncated',
        `the peer's file has ${this.sizeBytes} bytes, expected ${offset + length} or more`,
      );
    }
    const { socket, inbox } = this.#ends;
    const bytes = inbox.expect(length);
    if (!inbox.ended) socket.write(encodeRequests({ offset, length }));
    try {
      return await bytes;
    } catch (error) {
      // An aborted signal closes the socket: the reason says more than the closed socket.
      signal?.throwIfAborted();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { socket, release } = this.#ends;
    release();
    if (socket.closed) return;
    const closed = once(socket, 'close');
    socket.destroy();
    await closed;
  }
}

function unreachable(place: string, cause: unknown): UpdateError {
  if (cause instanceof UpdateError) return cause;
  const word = (cause as NodeJS.ErrnoException).code ?? asUpdateError(cause).message;
  return new UpdateError('pair.peer_unreachable', `${place}: ${word}`, {
    cause,
    detail: { peer: place, error: word },
  });
}

function silence(place: string): UpdateError {
  return new UpdateError('pair.peer_unreachable', `${place}: no answer in time`);
}
