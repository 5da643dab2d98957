/**
 * The lock on a state directory: whoever listens on an abstract unix socket named after the
 * directory's real path works on it, alone. Always holds: the lock falls by itself when its process
 * ends, however it ends, because the kernel closes the socket; no file is left behind and nothing
 * has to be cleaned up. It proves that a process is dead, it cannot make it so. Abstract names
 * belong to a network namespace, so processes in different ones do not see each other's lock.
 * Imports core and node.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { realpath } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { UpdateError } from '../core/errors.ts';
import { ioError, isErrno } from './fs-atomic.ts';

/** Waiters on one lock: power controller, tests; more are turned away. */
const WAITERS_MAX = 64;
/** The holder says its process id in one line of at most this length. */
const GREETING_BYTES_MAX = 32;
/** How long a holder that hangs is waited for before the error goes without its process id. */
const GREETING_TIMEOUT_MS = 500;

/** Name of the lock's abstract socket (it starts with a NUL byte); throws `file.not_found`. */
export async function stateLockName(stateDir: string): Promise<string> {
  try {
    const real = await realpath(stateDir);
    const digest = createHash('sha256').update(real).digest('hex');
    return `\0tandem-state-${digest.slice(0, 40)}`;
  } catch (error) {
    throw ioError(error, 'file.not_found', `There is no state directory ${stateDir}`);
  }
}

/**
 * Takes the lock until it is disposed of or the process ends. Throws `state.locked` with the
 * holder's process id at once when another one has it. The lock alone keeps no process alive.
 */
export async function lockState(stateDir: string): Promise<AsyncDisposable> {
  const name = await stateLockName(stateDir);
  const waiters = new Set<Socket>();
  const server = createServer((socket) => {
    waiters.add(socket);
    socket.unref();
    socket.on('error', () => socket.destroy());
    socket.on('close', () => waiters.delete(socket));
    // The connection stays open: its end tells the waiter that the lock fell.
    socket.write(`${process.pid}\n`);
  });
  server.maxConnections = WAITERS_MAX;
  server.unref();
  try {
    server.listen({ path: name });
    await once(server, 'listening');
  } catch (error) {
    if (!isErrno(error) || error.code !== 'EADDRINUSE') {
      throw ioError(error, 'state.io', `The lock of ${stateDir} cannot be taken`);
    }
    const pid = await holderOf(name);
    const holder = pid === null ? 'another process' : `process ${pid}`;
    const detail = pid === null ? { stateDir } : { stateDir, pid };
    const message = `The state directory ${stateDir} is in use by ${holder}`;
    throw new UpdateError('state.locked', message, { cause: error, detail });
  }
  return { [Symbol.asyncDispose]: () => release(server, waiters) };
}

/** Process id of the holder, or null when nobody holds the lock or the holder does not answer. */
export async function stateLockHolder(stateDir: string): Promise<number | null> {
  return holderOf(await stateLockName(stateDir));
}

/**
 * Returns when nobody holds the lock (any more): what a power controller waits for after it has
 * killed a node. Throws the signal's reason when that is aborted first.
 */
export async function awaitStateUnlocked(stateDir: string, signal: AbortSignal): Promise<void> {
  const name = await stateLockName(stateDir);
  for (;;) {
    signal.throwIfAborted();
    const socket = await reach(name);
    if (socket === null) return;
    const abort = (): void => void socket.destroy();
    signal.addEventListener('abort', abort, { once: true });
    try {
      await closeOf(socket);
    } finally {
      signal.removeEventListener('abort', abort);
      socket.destroy();
    }
  }
}

/** The end of a connection, however it ends: a holder that is killed resets it. */
function closeOf(socket: Socket): Promise<void> {
  socket.resume();
  if (socket.closed) return Promise.resolve();
  return new Promise((resolve) => void socket.once('close', () => resolve()));
}

async function holderOf(name: string): Promise<number | null> {
  const socket = await reach(name);
  if (socket === null) return null;
  const timer = setTimeout(() => socket.destroy(), GREETING_TIMEOUT_MS);
  let text = '';
  try {
    for await (const chunk of socket.setEncoding('latin1')) {
      text += String(chunk);
      if (text.includes('\n') || text.length > GREETING_BYTES_MAX) break;
    }
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
  const match = /^(\d{1,10})\n/.exec(text);
  return match === null ? null : Number(match[1]);
}

/** A connection to the holder, or null when there is none. */
async function reach(name: string): Promise<Socket | null> {
  const socket = connect({ path: name });
  try {
    await once(socket, 'connect');
    // A holder that is killed ends the connection with an error; 'close' says the same.
    socket.on('error', () => undefined);
    return socket;
  } catch (error) {
    socket.destroy();
    if (isErrno(error) && (error.code === 'ECONNREFUSED' || error.code === 'ENOENT')) return null;
    throw ioError(error, 'state.io', 'The lock of the state directory cannot be asked');
  }
}

async function release(server: Server, waiters: ReadonlySet<Socket>): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  for (const socket of waiters) socket.destroy();
  await closed;
}
