/**
 * An archive as the answer to a request, and as a client reads it. Always holds: bytes are taken
 * from their source only as fast as the reader takes them; an archive that breaks off is an error
 * on both sides and never looks whole; a reader that takes nothing for a while is cut off. Imports
 * core and its own folder.
 */
import { request, type ServerResponse } from 'node:http';
import { UpdateError } from '../core/errors.ts';
import { refused, send, transportError } from './http.ts';

/** An archive that is being made says nothing while a disk is slow; its maker has limits. */
const QUIET_MS = 120_000;

/** Sends the bytes until their end or until the reader leaves; the first ones decide the status. */
export async function sendBytes(
  response: ServerResponse,
  bytes: AsyncIterable<Uint8Array>,
  stallMs: number,
): Promise<void> {
  for await (const chunk of bytes) {
    if (response.destroyed) return;
    if (!response.headersSent) {
      response.writeHead(200, { 'content-type': 'application/gzip', 'cache-control': 'no-store' });
    }
    if (!response.write(chunk)) await drained(response, stallMs);
  }
  if (!response.headersSent) throw new UpdateError('state.io', 'the archive is empty');
  response.end();
}

/** Waits until the reader has taken what was sent; cuts it off when it takes nothing. */
async function drained(response: ServerResponse, stallMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stall = setTimeout(() => response.destroy(), stallMs);
  const done = (): void => resolve();
  response.once('drain', done).once('close', done);
  try {
    await promise;
  } finally {
    clearTimeout(stall);
    response.off('drain', done).off('close', done);
  }
}

/** What is asked for, and by whom. */
export interface BytesRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * The bytes of an archive. Throws what the daemon refuses, `daemon.unreachable` also when it breaks
 * off, and the signal's reason when it aborted.
 */
export async function* receiveBytes(
  socketPath: string,
  { method, path, headers, body, signal }: BytesRequest,
): AsyncGenerator<Uint8Array, void, void> {
  const text = body === undefined ? '' : JSON.stringify(body);
  const sent = request({
    socketPath,
    method,
    path,
    agent: false,
    headers: {
      ...headers,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    },
    ...(signal ? { signal } : {}),
  });
  try {
    const response = await send(sent, text, QUIET_MS, socketPath);
    if (response.statusCode !== 200) await refused(response, socketPath);
    for await (const chunk of response as AsyncIterable<Buffer>) yield chunk;
    if (response.complete) return;
    throw new UpdateError('daemon.unreachable', `the archive from ${socketPath} broke off`);
  } catch (error) {
    throw transportError(error, socketPath, signal);
  } finally {
    sent.destroy();
  }
}
