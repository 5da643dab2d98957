/**
 * A bundle on the peer as a source of bytes: ranges over TLS 1.3 with both keys pinned, many under
 * way at a time. Always holds: not a byte is sent or used before the peer has proved its key; bytes
 * go into the buffer of the oldest range that waits, and bytes that nobody asked for end the
 * connection; every range that waits settles when the connection ends. Imports core, the key driver
 * and the protocol.
 */
import { once } from 'node:events';
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
  const socket = connect({
    ...tlsOptions(keys),
    host: from.host,
    port: from.port,
    ALPNProtocols: [BULK_PROTOCOL],
    // Whom the key belongs to is decided by the pin; certificates here carry no host names.
    checkServerIdentity: () => undefined,
  });
  const place = `${from.host}:${from.port}`;
  const abort = (): void => void socket.destroy();
  signal.addEventListener('abort', abort, { once: true });
  socket.setTimeout(CONNECT_MS, () => socket.destroy(silence(place)));
  try {
    await once(socket, 'secureConnect');
    assertPinned(socket, keys);
    const source = new RemoteSource(socket, place, () => {
      signal.removeEventListener('abort', abort);
    });
    await source.greet();
    return source;
  } catch (cause) {
    socket.destroy();
    signal.removeEventListener('abort', abort);
    signal.throwIfAborted();
    throw unreachable(place, cause);
  }
}

/** An open connection to the peer's server. */
export class RemoteSource implements ByteSource, AsyncDisposable {
  readonly #socket: TLSSocket;
  readonly #release: () => void;
  readonly #queue: Waiting[] = [];
  #sizeBytes = 0;
  #ended: UpdateError | null = null;

  constructor(socket: TLSSocket, place: string, release: () => void) {
    this.#socket = socket;
    this.#release = release;
    socket.on('data', (data: Buffer) => this.#receive(data));
    socket.on('error', (error) => this.#end(unreachable(place, error)));
    socket.on('close', () => this.#end(unreachable(place, new Error('connection closed'))));
    // A peer that owes us nothing may be silent: the disk here may be the slow one.
    socket.setTimeout(SILENCE_MS, () => {
      if (this.#queue.length > 0) socket.destroy(silence(place));
    });
  }

  /** Hears the server's first words; to be called once, before anything else. */
  async greet(): Promise<void> {
    this.#sizeBytes = decodeGreeting(await this.#expect(GREETING_BYTES));
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async readAt(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted();
    if (offset < 0 || length < 1 || offset + length > this.#sizeBytes) {
      throw new UpdateError(
        'bundle.truncated',
        `the peer's file has ${this.#sizeBytes} bytes, expected ${offset + length} or more`,
      );
    }
    const bytes = this.#expect(length);
    if (this.#ended === null) this.#socket.write(encodeRequests({ offset, length }));
    try {
      return await bytes;
    } catch (error) {
      // An aborted signal closes the socket: the reason says more than the closed socket.
      signal?.throwIfAborted();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#release();
    if (this.#socket.closed) return;
    const closed = once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }

  async #expect(length: number): Promise<Buffer> {
    if (this.#ended) throw this.#ended;
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#queue.push({ bytes: Buffer.allocUnsafeSlow(length), filled: 0, resolve, reject });
    return await promise;
  }

  #receive(data: Buffer): void {
    let rest = data;
    while (rest.length > 0) {
      const first = this.#queue[0];
      if (first === undefined) {
        this.#socket.destroy();
        return;
      }
      const n = Math.min(rest.length, first.bytes.length - first.filled);
      rest.copy(first.bytes, first.filled, 0, n);
      first.filled += n;
      rest = rest.subarray(n);
      if (first.filled < first.bytes.length) return;
      this.#queue.shift();
      first.resolve(first.bytes);
    }
  }

  #end(error: UpdateError): void {
    this.#ended ??= error;
    for (const waiting of this.#queue.splice(0)) waiting.reject(this.#ended);
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
