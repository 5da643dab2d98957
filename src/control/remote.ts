/**
 * The listener for other machines: the routes of the control socket over HTTPS, TLS 1.3, with a
 * client certificate in place of a login. Always holds: no byte of HTTP is read before a
 * certificate of the named authorities was proved; a listener that cannot be opened stops nothing
 * else, is tried again and says why; files that are replaced count within half a minute, and then
 * every connection is made anew. Imports core and its own folder.
 */
import { readFile, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import type { Role } from '../core/access.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { Reason } from '../core/records.ts';
import type { ControlBackend } from './backend.ts';
import { remoteGate, type Certified } from './gate.ts';
import { REMOTE_LIMITS } from './limits.ts';
import { deskOf, Door, HTTP_OPTIONS, type DoorOptions } from './server.ts';
import { Strangers } from './strangers.ts';

/** PEM files by their paths. */
export interface RemoteFiles {
  readonly certificate: string;
  readonly key: string;
  readonly ca: string;
  readonly crl: string | null;
}

/** Where the listener is, what it proves, and who may do what. */
export interface RemoteOptions extends DoorOptions {
  readonly host: string;
  readonly port: number;
  readonly files: RemoteFiles;
  /** Role of a certificate by its common name; null = none. */
  readonly roleOf: (name: string) => Role | null;
  /** Why there is no listener, told when that changes; null = it is open. */
  readonly onTrouble: (reason: Reason | null) => void;
  /** A client that was not let in; at most one a minute. */
  readonly onRefused: (sentence: string) => void;
  /** How often files are looked at, and how long after a failure it is tried again. */
  readonly lookMs?: number;
}

const LOOK_MS = 30_000;
const CONNECTIONS_MAX = 64;
const HANDSHAKE_MS = 10_000;
const FILE_BYTES_MAX = 256 * 1024;
const REFUSED_MS = 60_000;

/** Opens the listener, now or as soon as it can be; never throws. Disposing closes it. */
export async function startRemote(
  backend: ControlBackend,
  options: RemoteOptions,
): Promise<AsyncDisposable> {
  const remote = new Remote(backend, options);
  await remote.look();
  return remote;
}

class Remote implements AsyncDisposable {
  readonly #backend: ControlBackend;
  readonly #options: RemoteOptions;
  readonly #timer: NodeJS.Timeout;
  #server: Server | null = null;
  #door: Door | null = null;
  /** State of the files that count. */
  #version = '';
  #trouble: Reason | null = null;
  #looking: Promise<void> = Promise.resolve();
  #closed = false;
  #refusedMs = -REFUSED_MS;
  #unsaid = 0;

  constructor(backend: ControlBackend, options: RemoteOptions) {
    this.#backend = backend;
    this.#options = options;
    this.#timer = setInterval(() => void this.look(), options.lookMs ?? LOOK_MS);
    this.#timer.unref();
  }

  /** Opens what is not open, and takes files that have changed; one look at a time. */
  async look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look());
    await this.#looking;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#looking;
    await this.#door?.[Symbol.asyncDispose]();
  }

  async #look(): Promise<void> {
    if (this.#closed) return;
    try {
      const version = await versionOf(this.#options.files);
      if (this.#server !== null && version === this.#version) return;
      const context = await contextOf(this.#options.files);
      if (this.#server === null) await this.#open(context);
      else this.#renew(this.#server, context);
      this.#version = version;
      this.#tell(null);
    } catch (error) {
      this.#tell({ code: 'remote.failed', message: asUpdateError(error).message });
    }
  }

  #tell(reason: Reason | null): void {
    if (reason?.message === this.#trouble?.message) return;
    this.#trouble = reason;
    this.#options.onTrouble(reason);
  }

  /** A connection that was proved by the old files has to prove itself by the new ones. */
  #renew(server: Server, context: SecureContextOptions): void {
    server.setSecureContext(context);
    server.closeAllConnections();
  }

  async #open(context: SecureContextOptions): Promise<void> {
    const { host, port } = this.#options;
    const server = createServer({
      ...HTTP_OPTIONS,
      ...context,
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_MS,
    });
    server.maxConnections = CONNECTIONS_MAX;
    this.#watch(server);
    await new Promise<void>((resolve, reject) => {
      const failed = (cause: NodeJS.ErrnoException): void => {
        const message = `cannot listen on ${host} port ${port}: ${cause.code ?? cause.message}`;
        reject(new UpdateError('remote.failed', message, { cause }));
      };
      server.once('error', failed);
      server.listen({ host, port }, () => {
        server.off('error', failed);
        resolve();
      });
    });
    const gate = remoteGate(
      () => deskOf(this.#options),
      (request) => this.#certified(request),
    );
    const limits = { ...REMOTE_LIMITS, ...this.#options.limits };
    this.#door = new Door(this.#backend, server, gate, { ...this.#options, limits });
    this.#server = server;
  }

  /** Who has proved nothing yet is short-lived, and one of few. */
  #watch(server: Server): void {
    const strangers = new Strangers(CONNECTIONS_MAX / 2, HANDSHAKE_MS);
    const raw = new Map<string, Socket>();
    server.on('connection', (socket: Socket) => {
      const place = placeOf(socket);
      raw.set(place, socket);
      socket.once('close', () => void raw.delete(place));
      strangers.add(socket);
    });
    server.on('secureConnection', (socket: TLSSocket) => {
      const proved = raw.get(placeOf(socket));
      if (proved !== undefined) strangers.known(proved);
    });
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      this.#refused(`${socket.remoteAddress ?? 'somebody'}: ${error.code ?? error.message}`);
    });
  }

  #certified(request: IncomingMessage): Certified {
    const socket = request.socket as TLSSocket;
    const name = nameOf(socket);
    const role = socket.authorized ? this.#options.roleOf(name) : null;
    if (role !== null) return { name, role };
    const message = `the certificate of ${name} has no role on this node`;
    this.#refused(`${socket.remoteAddress ?? 'somebody'}: ${message}`);
    throw new UpdateError('access.certificate', message);
  }

  /** A crowd at the door must not fill the log. */
  #refused(sentence: string): void {
    const now = performance.now();
    if (now - this.#refusedMs < REFUSED_MS) {
      this.#unsaid++;
      return;
    }
    const more = this.#unsaid === 0 ? '' : `; ${this.#unsaid} more since the last such entry`;
    this.#refusedMs = now;
    this.#unsaid = 0;
    this.#options.onRefused(`not let in: ${sentence}${more}`);
  }
}

const placeOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

/** The common name of a certificate; one that is no plain name is told by its digest. */
function nameOf(socket: TLSSocket): string {
  const { subject, fingerprint256 } = socket.getPeerCertificate();
  const name: unknown = subject?.CN;
  if (typeof name === 'string' && /^[\w.@-]{1,64}$/.test(name)) return name;
  return `sha256-${(fingerprint256 ?? '').replaceAll(':', '').slice(0, 16).toLowerCase()}`;
}

/** Another text when one of the files is another one. */
async function versionOf(files: RemoteFiles): Promise<string> {
  const marks = pathsOf(files).map(async (path) => {
    const { mtimeMs, size, ino } = await stat(path).catch(unreadable(path));
    return `${mtimeMs} ${size} ${ino}`;
  });
  return (await Promise.all(marks)).join(', ');
}

const pathsOf = ({ certificate, key, ca, crl }: RemoteFiles): readonly string[] =>
  [certificate, key, ca, crl].filter((path) => path !== null);

/** What TLS needs of the files; throws `remote.failed` with what is wrong with which. */
async function contextOf(files: RemoteFiles): Promise<SecureContextOptions> {
  const { mode } = await stat(files.key);
  if ((mode & 0o077) !== 0) {
    const found = (mode & 0o777).toString(8);
    const message = `${files.key} has the mode ${found}; only its owner may read a key (600)`;
    throw new UpdateError('remote.failed', message);
  }
  const [cert, key, ca] = await Promise.all([files.certificate, files.key, files.ca].map(textOf));
  const crl = files.crl === null ? {} : { crl: await textOf(files.crl) };
  const context = { cert: cert!, key: key!, ca: ca!, ...crl, minVersion: 'TLSv1.3' as const };
  const { createSecureContext } = await import('node:tls');
  try {
    createSecureContext(context);
  } catch (cause) {
    const why = asUpdateError(cause).message;
    const message = `${pathsOf(files).join(', ')} are no certificate, key and authorities: ${why}`;
    throw new UpdateError('remote.failed', message, { cause });
  }
  return context;
}

async function textOf(path: string): Promise<string> {
  const { size } = await stat(path).catch(unreadable(path));
  if (size <= FILE_BYTES_MAX) return await readFile(path, 'utf8').catch(unreadable(path));
  const message = `${path} has ${size} bytes, at most ${FILE_BYTES_MAX} are read`;
  throw new UpdateError('remote.failed', message);
}

const unreadable =
  (path: string) =>
  (cause: NodeJS.ErrnoException): never => {
    const message = `${path} cannot be read: ${cause.code ?? cause.message}`;
    throw new UpdateError('remote.failed', message, { cause });
  };
