/**
 * The unix socket of the storage software: JSON lines for the daemon and for the workload (README
 * beside this file). Always holds: a status that a call changed is sent to a watcher before the
 * call is answered; a client that does not read, or sends too much, costs bounded memory; the
 * socket is for this user only. Imports core, json-lines, the replica.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import { isNode, type Release } from '../../src/core/model.ts';
import { jsonLine, jsonLineReader } from '../../src/drivers/json-lines.ts';
import { checkAlive } from './health.ts';
import { checkKey, KEY_CHARS_MAX, LIST_MAX } from './limits.ts';
import type { Replica } from './replica.ts';
import { resolveSplit, splitView } from './split.ts';

const CLIENTS_MAX = 64;
/** Requests of one client that are worked on at a time; more wait in the socket. */
const OPEN_MAX = 512;
/** Answers that may wait in a client's socket. */
const UNREAD_BYTES_MAX = 16 * 1024 * 1024;
/** Longest path of a unix socket on Linux. */
const SOCKET_PATH_MAX = 107;

interface Request {
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
  readonly replica: Replica;
  readonly release: Release;
  readonly health: () => Promise<void>;
}

type Operation = (request: Request, client: Client) => Promise<unknown>;

/** The listening socket with its clients; disposing of it ends both. */
export class Api implements AsyncDisposable {
  readonly #options: ApiOptions;
  readonly #operations: Readonly<Record<string, Operation>>;
  readonly #clients = new Set<Client>();
  readonly #server: Server;

  constructor(options: ApiOptions) {
    this.#options = options;
    this.#operations = operationsOf(options);
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
      this.#options.replica.feed.tell();
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

  watch(replica: Replica): void {
    this.#unwatch ??= replica.feed.on((status) => this.send({ status }));
    this.send({ status: replica.status() });
  }

  close(): void {
    this.#socket.destroy();
  }
}

function operationsOf({ replica, release, health }: ApiOptions): Record<string, Operation> {
  const { objects } = replica;
  return {
    watch: async (_, client) => client.watch(replica),
    status: async () => replica.status(),
    alive: async () => checkAlive(replica),
    promote: async ({ epoch }) => await replica.promote(epochOf(epoch)),
    demote: async () => await replica.demote(),
    goAlone: async ({ epoch }) => await replica.goAlone(epochOf(epoch)),
    finalizeFormat: async () => ({ level: await replica.finalizeFormat() }),
    health: async () => await health(),
    verify: async () => replica.verifier?.start(),
    cancelVerify: async () => replica.verifier?.cancel(),
    verifyReport: async () => replica.verifier?.report ?? null,
    resync: async () => await replica.resync(),
    split: async () => await splitView(replica),
    resolve: async ({ keep, by, reason }) => {
      if (!isNode(keep)) throw new UpdateError('usage.invalid', 'keep is A or B');
      return await resolveSplit(replica, keep, { by: lineOf(by), reason: lineOf(reason) });
    },
    info: async () => ({
      release,
      formatLevel: replica.state.now.formatLevel,
      objects: objects.size,
      storeBytes: objects.valueBytes,
      logBytes: objects.log.bytes,
      droppedBytes: objects.log.droppedBytes,
      lastSync: replica.lastSync,
    }),
    put: async ({ key, value }) => {
      await replica.write(checkKey(key), bytesOf(value));
    },
    delete: async ({ key }) => ({ found: await replica.write(checkKey(key), null) }),
    get: async ({ key }) => {
      const value = await objects.get(checkKey(key));
      return value === null ? null : value.toString('base64');
    },
    list: async ({ prefix, after, limit }) =>
      objects.keys(textOf(prefix), textOf(after), limitOf(limit)),
  };
}

function epochOf(epoch: unknown): number {
  if (Number.isSafeInteger(epoch) && (epoch as number) >= 0) return epoch as number;
  throw new UpdateError('usage.invalid', 'an epoch is a whole number from 0');
}

function bytesOf(value: unknown): Buffer {
  if (typeof value === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(value)) {
    return Buffer.from(value, 'base64');
  }
  throw new UpdateError('usage.invalid', 'a value is bytes in base64');
}

function textOf(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'string' && value.length <= KEY_CHARS_MAX) return value;
  throw new UpdateError('usage.invalid', 'prefix and after are keys or beginnings of keys');
}

function lineOf(value: unknown): string {
  if (typeof value === 'string' && value.length <= 500) return value;
  throw new UpdateError('usage.invalid', 'by and reason are lines of at most 500 characters');
}

function limitOf(value: unknown): number {
  if (value === undefined) return LIST_MAX;
  if (Number.isSafeInteger(value) && (value as number) > 0) {
    return Math.min(value as number, LIST_MAX);
  }
  throw new UpdateError('usage.invalid', `a limit is a whole number from 1 to ${LIST_MAX}`);
}
