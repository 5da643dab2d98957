/**
 * Serves one depot file to the peer until it is told to stop. Always holds: whoever does not have
 * the pinned key gets 16 bytes and no more; each connection has at most two pieces of the file in
 * memory, whatever the other side asks for; the file is opened once. Imports core, the key driver
 * and the protocol.
 */
import { once } from 'node:events';
import { open, type FileHandle } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { UpdateError } from '../core/errors.ts';
import { assertPinned, loadKeys, tlsOptions, type PairKeys } from '../drivers/keys.ts';
import {
  BULK_PROTOCOL,
  decodeRequest,
  encodeGreeting,
  encodeRefusal,
  REQUEST_BYTES,
  SILENCE_MS,
  type Range,
} from './bulk.ts';
import type { InstallerRequest } from './protocol.ts';

const PIECE_BYTES = 256 * 1024;
/** The peer needs one; a second one while the first is dying; no more. */
const CONNECTIONS_MAX = 4;
const HANDSHAKE_MS = 10_000;

/** Waiting and telling, for a server. */
export interface ServeOptions {
  readonly signal: AbortSignal;
  /** The port, once it is open. */
  readonly onListening: (port: number) => void;
  /** For the log: why a connection ended other than by its peer's wish. */
  readonly onTrouble: (message: string) => void;
}

/**
 * Serves until the signal is aborted, then returns. Throws `pair.not_paired` or
 * `pair.keys_damaged`, `file.not_found`, and `config.invalid` when the address cannot be used.
 */
export async function serveFile(
  request: Extract<InstallerRequest, { do: 'serve' }>,
  options: ServeOptions,
): Promise<void> {
  const keys = await loadKeys(request.listen.keysDir);
  await using file = await openServed(request.path);
  const sizeBytes = (await file.stat()).size;
  const sockets = new Set<TLSSocket>();
  const ended: Promise<void>[] = [];
  const secure = { ...tlsOptions(keys), ALPNProtocols: [BULK_PROTOCOL] };
  const server = createServer({ ...secure, handshakeTimeout: HANDSHAKE_MS }, (socket) => {
    sockets.add(socket);
    const work = attend(socket, keys, file, sizeBytes)
      .catch((error: unknown) => options.onTrouble(String(error)))
      .finally(() => {
        sockets.delete(socket);
        socket.destroy();
      });
    ended.push(work);
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.on('tlsClientError', (error) => options.onTrouble(`handshake: ${error.message}`));
  options.onListening(await listen(server, request.listen.host, request.listen.port));
  try {
    if (!options.signal.aborted) await once(options.signal, 'abort');
  } finally {
    server.close();
    for (const socket of sockets) socket.destroy();
    await Promise.all(ended);
  }
}

async function openServed(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const code = missing ? 'file.not_found' : 'file.unreadable';
    throw new UpdateError(code, `${path} cannot be served`, { cause, detail: { path } });
  }
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  try {
    server.listen({ host, port });
    await once(server, 'listening');
  } catch (cause) {
    const word = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new UpdateError('config.invalid', `${host}:${port} cannot be listened on: ${word}`, {
      cause,
      detail: { host, port, error: word },
    });
  }
  return (server.address() as AddressInfo).port;
}

/** One connection, from the proof of the key to its end. */
async function attend(
  socket: TLSSocket,
  keys: PairKeys,
  file: FileHandle,
  sizeBytes: number,
): Promise<void> {
  socket.on('error', () => socket.destroy());
  socket.setTimeout(SILENCE_MS, () => socket.destroy());
  try {
    assertPinned(socket, keys);
  } catch (error) {
    const flushed = once(socket, 'finish').catch(() => undefined);
    socket.end(encodeRefusal());
    await flushed;
    throw error;
  }
  await send(socket, encodeGreeting(sizeBytes));
  const pieces = [
    Buffer.allocUnsafeSlow(PIECE_BYTES),
    Buffer.allocUnsafeSlow(PIECE_BYTES),
  ] as const;
  let rest = Buffer.alloc(0);
  for await (const data of socket) {
    rest = Buffer.concat([rest, data as Buffer]);
    while (rest.length >= REQUEST_BYTES) {
      const range = decodeRequest(rest.subarray(0, REQUEST_BYTES), sizeBytes);
      rest = rest.subarray(REQUEST_BYTES);
      await answer(socket, file, range, pieces);
    }
  }
}

/** Sends a range; the next piece is read while the one before is on its way. */
async function answer(
  socket: TLSSocket,
  file: FileHandle,
  { offset, length }: Range,
  pieces: readonly [Buffer, Buffer],
): Promise<void> {
  let sent = Promise.resolve();
  let turn: 0 | 1 = 0;
  for (let done = 0; done < length;) {
    const piece = pieces[turn];
    const want = Math.min(PIECE_BYTES, length - done);
    const { bytesRead } = await file.read(piece, 0, want, offset + done);
    if (bytesRead === 0) {
      throw new UpdateError('bundle.truncated', `the served file ends at byte ${offset + done}`);
    }
    await sent;
    sent = send(socket, piece.subarray(0, bytesRead));
    sent.catch(() => undefined);
    done += bytesRead;
    turn = turn === 0 ? 1 : 0;
  }
  await sent;
}

/** Returns when the bytes have left this process, so that their buffer is free again. */
async function send(socket: TLSSocket, bytes: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (socket.destroyed) throw new UpdateError('pair.peer_unreachable', 'the peer hung up');
  const gone = (): void => reject(new UpdateError('pair.peer_unreachable', 'the peer hung up'));
  socket.once('close', gone);
  socket.write(bytes, (error) => (error ? reject(error) : resolve()));
  try {
    await promise;
  } finally {
    socket.off('close', gone);
  }
}
