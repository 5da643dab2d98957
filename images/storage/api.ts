/**
 * The unix socket of the storage software: JSON lines for the daemon and for the workload (README
 * beside this file). Always holds: a status that a call changed is sent to a watcher before the
 * call is answered; a client that does not read, or sends too much, costs bounded memory; the
 * socket is for this user only. Imports core, json-lines and the feed.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import type { StoreStatus } from '../../src/ports.ts';
import { jsonLine, jsonLineReader } from '../../src/drivers/json-lines.ts';
import type { StatusFeed } from './feed.ts';

const CLIENTS_MAX = 64;
/** Requests of one client that are worked on at a time; more wait in the socket. */
const OPEN_MAX = 512;
/** Answers that may wait in a client's socket. */
const UNREAD_BYTES_MAX = 16 * 1024 * 1024;
/** Longest path of a unix socket on Linux. */
const SOCKET_PATH_MAX = 107;

/** One request; nothing of it is checked yet. */
export interface Request {
  readonly id?: unknown;
  readonly op?: unknown;
  readonly epoch?: unknown;
  readonly key?: unknown;
  readonly value?: unknown;
  readonly prefix?: unknown;
  readonly after?: unknown;
  readonly limit?: unknown;
  readonly keep?: unknown;
  readonly by?: unknown;
  readonly reason?: unknown;
}

/** What the socket answers from. */
export interface ApiOptions {
  readonly path: string;
  /** Tells what the status became. */
  readonly feed: StatusFeed;
  readonly status: () => StoreStatus;
  /** All but `watch` and `status`, by name. */
  readonly operations: Operations;
}

/** What answers one kind of request. */
export type Operation = (request: Request) => Promise<unknown>;
/** Everything that can be asked for. */
export type Operations = Readonly<Record<string, Operation>>;

/** The listening socket with its clients; disposing of it ends both. */
export class Api implements AsyncDisposable {
  readonly #options: ApiOptions;
  readonly #operations: Readonly<Record<string, (r: Request, client: Client) => Promise<unknown>>>;
  readonly #clients = new Set<Client>();
  readonly #server: Server;

  constructor(options: ApiOptions) {
    this.#options = options;
    const { feed, status } = options;
    this.#operations = {
      ...options.operations,
      watch: async (_, client) => client.watch(feed, status),
      status: async () => status(),
    };
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = CLIENTS_MAX;
  }

  /** Listens when it resolves; the caller holds the lock, so a socket that is there is old. */
  async start(): Promise<void> {
    const { path } = this.#options;
    if (Buffer.byteLength(path) > SOCKET_PATH_MAX) {
      throw new UpdateError('config.invalid', `${path} is longer than ${SOCKET_PATH_MAX} bytes`);
    }
    await rm(path, { force: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen(path, () => resolve());
    await promise;
    await chmod(path, 0o600);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    await promise;
  }

  #accept(socket: Socket): void {
    const client = new Client(socket, (request) => this.#handle(request, client));
    this.#clients.add(client);
    socket.once('close', () => this.#clients.delete(client));
  }

  async #handle(request: Request, client: Client): Promise<void> {
    const { id } = request;
    const { op } = request;
    const known = typeof op === 'string' && Object.hasOwn(this.#operations, op);
    const operation = known ? this.#operations[op] : undefined;
    try {
      if (!operation) throw new UpdateError('usage.invalid', 'there is no such operation');
      const result = await operation(request, client);
      this.#options.feed.tell();
      client.send({ id, ok: true, result: result ?? null });
    } catch (error) {
      client.send({ id, ok: false, error: asUpdateError(error).report() });
    }
  }
}

/** One connection. */
class Client {
  readonly #socket: Socket;
  #open = 0;
  #unwatch: (() => void) | null = null;

  constructor(socket: Socket, handle: (request: Request) => Promise<void>) {
    this.#socket = socket;
    const feed = jsonLineReader((value) => {
      this.#open += 1;
      if (this.#open >= OPEN_MAX) socket.pause();
      const request: Request = value ?? {};
      void handle(request).finally(() => {
        this.#open -= 1;
        if (this.#open < OPEN_MAX / 2) socket.resume();
      });
    });
    socket.on('data', (chunk) => {
      try {
        feed(chunk);
      } catch (error) {
        this.send({ id: null, ok: false, error: asUpdateError(error).report() });
        socket.end();
      }
    });
    // The reason is of no use here; 'close' follows.
    socket.on('error', () => undefined);
    socket.once('close', () => this.#unwatch?.());
  }

  send(value: object): void {
    if (!this.#socket.writable) return;
    this.#socket.write(jsonLine(value));
    if (this.#socket.writableLength > UNREAD_BYTES_MAX) this.#socket.destroy();
  }

  watch(feed: StatusFeed, status: () => StoreStatus): void {
    this.#unwatch ??= feed.on((news) => this.send({ status: news }));
    this.send({ status: status() });
  }

  close(): void {
    this.#socket.destroy();
  }
}
