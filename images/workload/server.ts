/**
 * The HTTP side of the sample workload: `PUT`, `GET`, `DELETE /records/KEY`, `GET /records` with
 * `prefix`, `after`, `limit`, and `GET /healthz`. Always holds: a write is answered only when the
 * store has acknowledged it; an answer of 503 says that the request may be sent again; bodies and
 * connections are bounded. Imports core and json-lines.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ListenOptions } from 'node:net';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import type { SocketCalls } from '../../src/drivers/json-lines.ts';

const BODY_BYTES_MAX = 1024 * 1024;
const CONNECTIONS_MAX = 256;
/** Longest wait for the store: a write waits while the pair decides who may go on. */
const STORE_MS = 60_000;
/** Time that requests under way get when the address is released. */
const GRACE_MS = 50;
/** The other node may just be letting go of the address. */
const BIND_MS = 2000;
const BIND_RETRY_MS = 10;

/** HTTP status per code of the store; anything else is 500. */
const STATUS: Readonly<Record<string, number>> = {
  'usage.invalid': 400,
  'store.full': 507,
  'store.read_only': 503,
  'store.fenced': 503,
  'store.busy': 503,
  'store.unacknowledged': 503,
  'store.unreachable': 503,
};

/** Whom the server speaks for, and the store behind it. */
export interface RecordServerOptions {
  readonly node: string;
  /** Version of the booted system. */
  readonly version: string;
  readonly store: SocketCalls;
}

/** The service: one server at a time, bound only while it serves. */
export class RecordServer {
  readonly #options: RecordServerOptions;
  #server: Server | null = null;
  #address = '';
  #epoch = 0;
  #underWay = 0;
  #idle = Promise.withResolvers<void>();
  /** Questions to the store that wait for their answers. */
  readonly #open = new Set<AbortController>();

  constructor(options: RecordServerOptions) {
    this.#options = options;
  }

  /** Binds the address and serves; one that is bound already only takes the epoch. */
  async serve(epoch: number, address: string): Promise<void> {
    this.#epoch = epoch;
    if (this.#server && this.#address === address) return;
    await this.release();
    const server = this.create();
    await bind(server, parseAddress(address));
    this.#server = server;
    this.#address = address;
  }

  /** No request is served any more when this resolves. */
  async release(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (!server) return;
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    server.closeIdleConnections();
    if (this.#underWay > 0) {
      const timer = setTimeout(() => this.#idle.resolve(), GRACE_MS);
      await this.#idle.promise;
      clearTimeout(timer);
    }
    for (const question of this.#open) question.abort();
    server.closeAllConnections();
    await closed;
  }

  /** A server with these routes that listens nowhere yet. */
  create(): Server {
    const server = createServer((request, response) => void this.#handle(request, response));
    server.maxConnections = CONNECTIONS_MAX;
    return server;
  }

  /** Asks the store; ends at the latest after `limitMs` or when the address is released. */
  async ask(request: object, limitMs = STORE_MS): Promise<unknown> {
    const question = new AbortController();
    const timer = setTimeout(() => question.abort(), limitMs);
    this.#open.add(question);
    try {
      return await this.#options.store.call(request, question.signal);
    } finally {
      this.#open.delete(question);
      clearTimeout(timer);
    }
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#underWay += 1;
    try {
      await this.#route(request, response);
    } catch (error) {
      const { code, message } = asUpdateError(error);
      const status = STATUS[code] ?? 500;
      if (status === 503) response.setHeader('retry-after', '1');
      sendJson(response, status, { code, message });
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) {
        this.#idle.resolve();
        this.#idle = Promise.withResolvers<void>();
      }
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method } = request;
    const url = new URL(request.url ?? '/', 'http://service');
    if (url.pathname === '/healthz' && method === 'GET') {
      const { node, version } = this.#options;
      sendJson(response, 200, { node, epoch: this.#epoch, version });
    } else if (url.pathname === '/records' && method === 'GET') {
      sendJson(response, 200, await this.#list(url.searchParams));
    } else if (url.pathname.startsWith('/records/')) {
      await this.#record(keyOf(url.pathname), request, response);
    } else {
      sendJson(response, 404, { code: 'usage.invalid', message: 'there is nothing here' });
    }
  }

  async #record(key: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    switch (request.method) {
      case 'GET': {
        const value = (await this.ask({ op: 'get', key })) as string | null;
        if (value === null) break;
        response.setHeader('content-type', 'application/octet-stream');
        response.end(Buffer.from(value, 'base64'));
        return;
      }
      case 'PUT': {
        const value = (await readBody(request)).toString('base64');
        await this.ask({ op: 'put', key, value });
        response.writeHead(204).end();
        return;
      }
      case 'DELETE': {
        const { found } = (await this.ask({ op: 'delete', key })) as { found: boolean };
        if (!found) break;
        response.writeHead(204).end();
        return;
      }
      default:
        response.setHeader('allow', 'GET, PUT, DELETE');
        sendJson(response, 405, { code: 'usage.invalid', message: 'GET, PUT or DELETE' });
        return;
    }
    sendJson(response, 404, { code: 'usage.invalid', message: `there is no record ${key}` });
  }

  async #list(query: URLSearchParams): Promise<unknown> {
    const limit = query.get('limit');
    return await this.ask({
      op: 'list',
      prefix: query.get('prefix') ?? '',
      after: query.get('after') ?? '',
      ...(limit === null ? {} : { limit: Number(limit) }),
    });
  }
}

function keyOf(path: string): string {
  try {
    return decodeURIComponent(path.slice('/records/'.length));
  } catch (cause) {
    throw new UpdateError('usage.invalid', 'the key is not encoded as a URL needs it', { cause });
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  if (response.headersSent) return;
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(value)}\n`);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > BODY_BYTES_MAX) {
      throw new UpdateError('usage.invalid', `a record has at most ${BODY_BYTES_MAX} bytes`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Listens; tries again for a while as long as the address is in use. */
export async function bind(server: Server, where: ListenOptions): Promise<void> {
  const untilMs = performance.now() + BIND_MS;
  for (;;) {
    try {
      await listen(server, where);
      return;
    } catch (cause) {
      const error = cause as NodeJS.ErrnoException;
      if (error.code !== 'EADDRINUSE' || performance.now() > untilMs) {
        throw new UpdateError('service.failed', error.message, { cause });
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      setTimeout(resolve, BIND_RETRY_MS);
      await promise;
    }
  }
}

async function listen(server: Server, where: ListenOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onError = (error: Error) => reject(error);
  server.once('error', onError);
  server.listen(where, () => resolve());
  try {
    await promise;
  } finally {
    server.off('error', onError);
  }
}

function parseAddress(address: string): ListenOptions {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) {
    throw new UpdateError('usage.invalid', `the address ${address} is not host:port`);
  }
  return { host, port: Number(match?.[3]) };
}
