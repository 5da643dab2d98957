/**
 * The control server: HTTP and JSON on a unix socket, the daemon's only door for command line,
 * scripts and console. Always holds: every answer is JSON with a request id, an error is an
 * ErrorReport and never a stack; bodies, open requests and idle time are limited, so that no client
 * can hold up the daemon; on the console socket nothing is answered before a login but the login
 * itself, and nothing is done that the table of needs does not allow the role. Imports core and its
 * own folder.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { needOf, ROUTE_NEEDS, wordOf } from '../core/access-rules.ts';
import { LOGIN_BYTES_MAX } from './access-protocol.ts';
import type { ControlBackend } from './backend.ts';
import type { Desk, Visitor } from './desk.ts';
import { BODY_BYTES_MAX, checkRouteBody, HEARTBEAT_MS, STALL_MS, usage } from './protocol.ts';
import type { Route, RouteContext } from './route.ts';
import { httpStatus } from './http-status.ts';
import { readQuery } from './query.ts';
import { findRoute, keyOf } from './routes.ts';
import { listenOn } from './socket.ts';
import { Strangers } from './strangers.ts';

/** Where the server listens, and who may use it. */
export interface ControlOptions {
  readonly socketPath: string;
  /** Group that may use the socket, when there is such a group. */
  readonly group?: string;
  /** The one who judges access. */
  readonly desk?: Desk;
  /** Everyone may connect and has to log in at the desk first: this is the console socket. */
  readonly login?: boolean;
  /** Connections without a login at once, and how long one may stay. */
  readonly strangersMax?: number;
  readonly strangerMs?: number;
  /** Requests in work at once, streams included; one more is refused with `daemon.busy`. */
  readonly requestsMax?: number;
  readonly heartbeatMs?: number;
  readonly stallMs?: number;
}

const REQUESTS_MAX = 64;
/** Connections beyond this are dropped without an answer. */
const CONNECTIONS_MAX = 256;
const HEADER_BYTES_MAX = 8 * 1024;
const HEADERS_MS = 5_000;
const REQUEST_MS = 10_000;
const IDLE_MS = 5_000;
const CHECK_MS = 1_000;

/**
 * Opens the control socket. Throws `state.locked` when another daemon answers on it. Disposing ends
 * all streams and removes the socket.
 */
export async function startControl(
  backend: ControlBackend,
  options: ControlOptions,
): Promise<AsyncDisposable> {
  const control = new Control(backend, options);
  const { socketPath, group, login } = options;
  await listenOn(control.server, socketPath, login === true ? 'everyone' : { group });
  return control;
}

class Control implements AsyncDisposable {
  readonly server: Server;
  readonly #backend: ControlBackend;
  readonly #options: ControlOptions;
  readonly #strangers: Strangers | null;
  #requests = 0;
  #open = 0;

  constructor(backend: ControlBackend, options: ControlOptions) {
    this.#backend = backend;
    this.#options = options;
    const { login, strangersMax, strangerMs } = options;
    this.#strangers = login === true ? new Strangers(strangersMax, strangerMs) : null;
    this.server = createServer({
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: CHECK_MS,
    });
    this.server.maxConnections = CONNECTIONS_MAX;
    this.server.on('request', (request, response) => void this.#answer(request, response));
    this.server.on('connection', (socket) => this.#strangers?.add(socket));
    this.server.on('clientError', refuseGarbage);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  /** Never rejects: whatever goes wrong becomes an answer, or the end of the connection. */
  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = `r${++this.#requests}`;
    response.setHeader('x-request-id', id);
    response.on('error', () => response.destroy());
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    this.#open++;
    try {
      if (this.#open > (this.#options.requestsMax ?? REQUESTS_MAX)) {
        throw new UpdateError('daemon.busy', `${this.#open - 1} requests are open already`);
      }
      await this.#route(request, response, gone.signal);
    } catch (error) {
      sendError(response, asUpdateError(error), id);
    } finally {
      this.#open--;
    }
  }

  async #route(
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://tandem');
    const { route, params } = findRoute(request.method ?? '', url.pathname);
    const visitor = await this.#enter(route, request);
    const { ended } = visitor;
    // What a session still waits for, or listens to, ends with it.
    const leave = (): void => {
      // A logout, which ends its own session, still gets its answer.
      setImmediate(() => {
        if (!response.writableEnded) response.destroy();
      });
    };
    ended?.addEventListener('abort', leave, { once: true });
    signal.addEventListener('abort', () => ended?.removeEventListener('abort', leave));
    const longest = visitor === STRANGER ? LOGIN_BYTES_MAX : BODY_BYTES_MAX;
    const body = route.method === 'POST' ? await readBody(request, longest) : undefined;
    this.#permit(visitor, route, body);
    const context: RouteContext = {
      backend: this.#backend,
      desk: () => this.#desk(),
      operator: () => {
        const { desk } = this.#options;
        return desk === undefined ? {} : { operator: desk.operator() };
      },
      describe: async () => (await import('./openapi.ts')).openApi(),
      params,
      query: readQuery(route, url.searchParams),
      body: route.body === undefined ? undefined : await checkRouteBody(route.body, body),
      caller: { name: visitor.name, via: visitor.via },
      visitor,
      signal,
      response,
      heartbeatMs: this.#options.heartbeatMs ?? HEARTBEAT_MS,
      stallMs: this.#options.stallMs ?? STALL_MS,
    };
    const result = await route.handle(context);
    if (!response.headersSent) sendJson(response, route.status, result);
  }

  #desk(): Desk {
    const { desk } = this.#options;
    if (desk === undefined) throw usage('there is no access to be asked about here');
    return desk;
  }

  /** Who asks. On the console socket only a route that the table opens needs no token. */
  async #enter(route: Route, request: IncomingMessage): Promise<Visitor> {
    const { authorization, 'x-tandem-caller': claimed } = request.headers;
    if (this.#options.login !== true) {
      const name = callerName(claimed);
      return { name, via: 'control', role: 'administrator', ended: null };
    }
    const need = ROUTE_NEEDS[keyOf(route)];
    if (need !== undefined && 'role' in need && need.role === null) return STRANGER;
    const visitor = await this.#desk().enter(tokenOf(authorization));
    this.#strangers?.known(request.socket);
    return visitor;
  }

  /** Throws what the table of needs refuses; the control socket is not bound by it. */
  #permit(visitor: Visitor, route: Route, body: unknown): void {
    if (visitor.via === 'control' || visitor === STRANGER) return;
    const key = keyOf(route);
    this.#desk().permit(visitor, needOf(key, body), wordOf(key, body));
  }
}

/** One who has not logged in yet. */
const STRANGER: Visitor = { name: 'nobody', via: 'console', role: 'viewer', ended: null };

/** The token of a request, or null when it has none in the only form that is taken. */
function tokenOf(header: string | undefined): string | null {
  return /^Bearer ([\w-]{1,128})$/.exec(header ?? '')?.[1] ?? null;
}

/**
 * Node cannot read the peer credentials of a unix socket, so the name is the client's claim; what
 * authorises is the mode of the socket. The audit log shows it as such.
 */
function callerName(claimed: string | string[] | undefined): string {
  return typeof claimed === 'string' && /^[\w.-]{1,32}$/.test(claimed) ? claimed : 'local';
}

async function readBody(request: IncomingMessage, longest: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > longest) {
      const message = `the request body is longer than ${longest} bytes`;
      throw new UpdateError('usage.invalid', message, { detail: { http: 413 } });
    }
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (text === '') return {};
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new UpdateError('usage.invalid', 'the request body is not JSON', { cause });
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  if (response.destroyed) return;
  const body = `${JSON.stringify(value)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(body);
}

function sendError(response: ServerResponse, error: UpdateError, request: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const status = httpStatus(error);
  // The rest of a body that is not read would be taken for the next request.
  if (status === 413) response.setHeader('connection', 'close');
  sendJson(response, status, { error: error.report(), request });
}

/** Bytes that are not HTTP, or a client that does not finish its request. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || socket.bytesWritten > 0 || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const report = usage(`the request is not valid HTTP: ${error.code ?? error.message}`).report();
  const body = `${JSON.stringify({ error: report })}\n`;
  socket.end(
    'HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\n' +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
