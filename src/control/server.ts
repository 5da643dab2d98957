/**
 * The control server: HTTP and JSON, the daemon's only door for command line, scripts, consoles and
 * other machines. Always holds: every answer is JSON with a request id, an error is an ErrorReport
 * and never a stack; bodies, open requests, requests per second and idle time are limited, so that
 * no client can hold up the daemon; a gate judges every request before the daemon sees it. Imports
 * core and its own folder.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ServerOptions } from 'node:http';
import type { Socket } from 'node:net';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { LOGIN_BYTES_MAX } from './access-protocol.ts';
import type { ControlBackend } from './backend.ts';
import type { Desk, Visitor } from './desk.ts';
import { consoleGate, CONTROL_GATE, STRANGER, type Gate } from './gate.ts';
import { httpStatus } from './http-status.ts';
import { LimitBook, SOCKET_LIMITS, type Limits } from './limits.ts';
import { BODY_BYTES_MAX, checkRouteBody, HEARTBEAT_MS, STALL_MS, usage } from './protocol.ts';
import { readQuery } from './query.ts';
import { keyOfHeader, memoryBook, printOf, Repeats, type KeyBook } from './repeats.ts';
import type { Route, RouteContext } from './route.ts';
import { findRoute } from './routes.ts';
import { listenOn, listenOnPassed } from './socket.ts';
import { Strangers } from './strangers.ts';

/** What every door shares. */
export interface DoorOptions {
  /** The one who judges access. */
  readonly desk?: Desk;
  /** Where idempotency keys are kept; without one they are forgotten with the process. */
  readonly book?: KeyBook;
  /** How much one client may have. */
  readonly limits?: Partial<Limits>;
  readonly heartbeatMs?: number;
  readonly stallMs?: number;
}

/** Where the server listens, and who may use it. */
export interface ControlOptions extends DoorOptions {
  readonly socketPath: string;
  /** Descriptor of this socket when the init system listens on it already. */
  readonly fd?: number;
  /** Group that may use the socket, when there is such a group. */
  readonly group?: string;
  /** Everyone may connect and has to log in at the desk first: this is the console socket. */
  readonly login?: boolean;
  /** Connections without a login at once, and how long one may stay. */
  readonly strangersMax?: number;
  readonly strangerMs?: number;
}

/** Connections beyond this are dropped without an answer. */
const CONNECTIONS_MAX = 256;
/** Longest head of a request. */
const HEAD_BYTES_MAX = 8 * 1024;
/** How the server reads requests. */
export const HTTP_OPTIONS: ServerOptions = {
  maxHeaderSize: HEAD_BYTES_MAX,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
};

/**
 * Opens the control socket. Throws `state.locked` when another daemon answers on it. Disposing ends
 * all streams and removes the socket, unless the init system has passed it.
 */
export async function startControl(
  backend: ControlBackend,
  options: ControlOptions,
): Promise<AsyncDisposable> {
  const { socketPath, fd, group, login, strangersMax, strangerMs } = options;
  const server = createServer(HTTP_OPTIONS);
  server.maxConnections = CONNECTIONS_MAX;
  let gate: Gate = CONTROL_GATE;
  if (login === true) {
    const strangers = new Strangers(strangersMax, strangerMs);
    server.on('connection', (socket) => strangers.add(socket));
    gate = consoleGate(() => deskOf(options), strangers);
  }
  const door = new Door(backend, server, gate, options);
  if (fd === undefined) await listenOn(server, socketPath, login === true ? 'everyone' : { group });
  else await listenOnPassed(server, fd, socketPath);
  return door;
}

/** The one who judges access; throws where there is none. */
export function deskOf({ desk }: DoorOptions): Desk {
  if (desk === undefined) throw usage('there is no access to be asked about here');
  return desk;
}

/** What answers behind one listener; disposing it ends all streams and the listener. */
export class Door implements AsyncDisposable {
  readonly #server: Server;
  readonly #backend: ControlBackend;
  readonly #gate: Gate;
  readonly #options: DoorOptions;
  readonly #limits: LimitBook;
  readonly #repeats = new Repeats();
  readonly #memory = memoryBook();
  readonly #salt = String(Math.random());
  #requests = 0;

  constructor(backend: ControlBackend, server: Server, gate: Gate, options: DoorOptions) {
    this.#backend = backend;
    this.#server = server;
    this.#gate = gate;
    this.#options = options;
    this.#limits = new LimitBook({ ...SOCKET_LIMITS, ...options.limits });
    server.on('request', (request, response) => void this.#answer(request, response));
    server.on('clientError', refuseGarbage);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  /** Never rejects: whatever goes wrong becomes an answer, or the end of the connection. */
  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = `r${++this.#requests}`;
    response.setHeader('x-request-id', id);
    response.on('error', () => response.destroy());
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      using _open = this.#limits.begin();
      await this.#route(request, response, gone.signal);
    } catch (error) {
      sendError(response, asUpdateError(error), id);
    }
  }

  async #route(
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const url = urlOf(request.url);
    const { route, params } = findRoute(request.method ?? '', url.pathname);
    const visitor = await this.#gate.enter(route, request);
    // Who has not proved anything has limits of another kind: strangers.ts, the queue of logins.
    using _own = visitor === STRANGER ? null : this.#limits.of(`${visitor.via} ${visitor.name}`);
    endWithSession(visitor, response, signal);
    if (route.method === 'POST') checkType(request.headers['content-type'], visitor);
    const longest = visitor === STRANGER ? LOGIN_BYTES_MAX : BODY_BYTES_MAX;
    const body = route.method === 'POST' ? await readBody(request, longest) : undefined;
    this.#gate.permit(visitor, route, body);
    const context: RouteContext = {
      backend: this.#backend,
      desk: () => deskOf(this.#options),
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
    const key = keyOfHeader(request.headers['idempotency-key']);
    const keyed = key !== undefined && route.keyed !== undefined;
    const result = await (keyed
      ? this.#once(route, key, url.pathname, context)
      : route.handle(context));
    if (response.headersSent) return;
    if (route.answer.kind === 'text')
      send(response, route.status, route.answer.type, String(result));
    else sendJson(response, route.status, result);
  }

  /** A change that has an idempotency key. */
  async #once(route: Route, key: string, path: string, context: RouteContext): Promise<unknown> {
    const { visitor, body, caller, backend, response } = context;
    const kept = route.keyed === 'kept';
    const kind =
      route.begins === undefined ? null : String((body as { readonly kind?: unknown }).kind);
    const asked = {
      scope: `${visitor.via} ${visitor.name}`,
      key,
      print: printOf(route.method, path, body, kept ? '' : this.#salt),
      book: kept ? (this.#options.book ?? this.#memory) : this.#memory,
      kind,
    };
    const { answer, replayed } = await this.#repeats.once(asked, {
      newJob: (of) => backend.newJobId(of),
      jobOf: (id) => backend.jobs().find((job) => job.id === id) ?? null,
      run: async (job) => {
        const named = job === null ? caller : { ...caller, job };
        return await route.handle({ ...context, caller: named });
      },
    });
    if (replayed) response.setHeader('idempotency-replayed', 'true');
    return answer;
  }
}

/** What a session still waits for, or listens to, ends with it. */
function endWithSession({ ended }: Visitor, response: ServerResponse, signal: AbortSignal): void {
  const leave = (): void => {
    // A logout, which ends its own session, still gets its answer.
    setImmediate(() => {
      if (!response.writableEnded) response.destroy();
    });
  };
  ended?.addEventListener('abort', leave, { once: true });
  signal.addEventListener('abort', () => ended?.removeEventListener('abort', leave));
}

/** Where a request goes; throws `usage.invalid` for what is no path. */
function urlOf(target: string | undefined): URL {
  // As much as a proxy would send: a path with its query, and nothing else.
  const text = target ?? '/';
  const url = text.startsWith('/') ? URL.parse(`http://tandem${text}`) : null;
  if (url !== null) return url;
  const message = `${text.slice(0, 100)} is no path`;
  throw new UpdateError('usage.invalid', message, { detail: { http: 404 } });
}

/** What curl says of a body of which it was told nothing. */
const CURL_TYPE = 'application/x-www-form-urlencoded';

/**
 * Throws `usage.invalid` for a body that is said to be no JSON. Another machine has to say that it
 * is: a page that a browser with a certificate has open cannot, without asking first.
 */
function checkType(header: string | undefined, { via }: Visitor): void {
  const type = header?.split(';')[0]!.trim().toLowerCase();
  if (type === 'application/json') return;
  if (via !== 'remote' && (type === undefined || type === CURL_TYPE)) return;
  const found = type === undefined ? 'missing' : type.slice(0, 80);
  const message = `content-type is ${found}; accepted: application/json`;
  throw new UpdateError('usage.invalid', message, { detail: { http: 415 } });
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
  send(response, status, 'application/json', `${JSON.stringify(value)}\n`);
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  if (response.destroyed) return;
  response.writeHead(status, {
    'content-type': type,
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
  const allow = error.detail?.['allow'];
  if (typeof allow === 'string') response.setHeader('allow', allow);
  const waitS = error.detail?.['waitS'];
  if (typeof waitS === 'number') response.setHeader('retry-after', waitS);
  sendJson(response, status, { error: error.report(), request });
}

/**
 * Bytes that are not HTTP, or a client that does not finish its request. The latter gets no answer:
 * where the way or the machine is slow nothing is wrong with what it asked, and it asks again.
 */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Socket): void {
  const gone = error.code === 'ECONNRESET' || error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  if (!socket.writable || socket.bytesWritten > 0 || gone) {
    socket.destroy();
    return;
  }
  const long = error.code === 'HPE_HEADER_OVERFLOW';
  const words = long
    ? `the head of the request is longer than ${HEAD_BYTES_MAX} bytes`
    : `the request is not valid HTTP: ${error.code ?? error.message}`;
  const body = `${JSON.stringify({ error: usage(words).report() })}\n`;
  const status = long ? '431 Request Header Fields Too Large' : '400 Bad Request';
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
