/**
 * A control server before a daemon in memory, on a socket in a folder of its own, and raw requests
 * to it: what a client of another make could send. Imports the control room and Node.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startControl, type ControlOptions } from '../../src/control/server.ts';
import { FakeBackend } from '../memory/backend.ts';

export interface Bench extends AsyncDisposable {
  readonly backend: FakeBackend;
  readonly socketPath: string;
  /** Ends the server as a daemon's restart would; the socket path stays free. */
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
}

/** Starts a server; its folder is short, because a socket path has 107 bytes at most. */
export async function openBench(options: Partial<ControlOptions> = {}): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-control-'));
  const backend = new FakeBackend();
  const socketPath = join(folder, 'c.sock');
  let server: AsyncDisposable | null = null;
  const stop = async (): Promise<void> => {
    await server?.[Symbol.asyncDispose]();
    server = null;
  };
  const start = async (): Promise<void> => {
    server = await startControl(backend, { socketPath, ...options });
  };
  await start();
  return {
    backend,
    socketPath,
    stop,
    start,
    [Symbol.asyncDispose]: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: { readonly error?: { code: string; message: string; next: string } };
  readonly text: string;
}

/** One request, body as it is. */
export async function raw(
  { socketPath }: Bench,
  method: string,
  path: string,
  body = '',
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  const sent = request({ socketPath, method, path, agent: false, headers });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  const status = response.statusCode ?? 0;
  return { status, headers: response.headers, text, body: JSON.parse(text) as RawAnswer['body'] };
}

/** A connection that is left to the test. */
export async function dial({ socketPath }: Bench): Promise<Socket> {
  const socket = connect(socketPath);
  await once(socket, 'connect');
  return socket;
}

/** Everything that comes until the other side ends. */
export async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** Waits until the condition holds; fails after ten seconds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 2000) throw new Error('the condition never held');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
