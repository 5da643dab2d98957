/**
 * The unix sockets that the control server listens on. Always holds: the one of root and the group
 * is never more open than mode 0660, not even for a moment; the one that takes a login first is
 * open to everyone by its own wish; a socket file is taken over only when nobody answers on it.
 * Imports core.
 */
import { chown, lstat, readFile, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { UpdateError } from '../core/errors.ts';

const PROBE_MS = 2_000;
/** Owner and group may connect (connecting needs the right to write), nobody else. */
const GROUP_UMASK = 0o117;
/** Everyone may connect. */
const EVERYONE_UMASK = 0o111;

/** Who may connect to a socket: the members of a group, if there is such a group, or everyone. */
export type Who = { readonly group?: string | undefined } | 'everyone';

/**
 * Lets the server listen on the descriptor of a socket that the init system listens on already. Its
 * file, and who may connect, are the affair of its unit; it stays when the server closes. Throws
 * `file.unreadable` when the descriptor cannot be used.
 */
export async function listenOnPassed(server: Server, fd: number, path: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ fd }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (cause) {
    const { message } = cause as Error;
    const text = `cannot listen on the passed socket ${path}, descriptor ${fd}: ${message}`;
    throw new UpdateError('file.unreadable', text, { cause });
  }
}

/**
 * Lets the server listen on a unix socket that those may connect to. Throws `state.locked` when a
 * daemon already answers there, `file.unreadable` when the path cannot be used.
 */
export async function listenOn(server: Server, path: string, who: Who): Promise<void> {
  await removeStale(path);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      // The socket file is made within listen(), before it returns, so the mask covers just that.
      const before = process.umask(who === 'everyone' ? EVERYONE_UMASK : GROUP_UMASK);
      try {
        server.listen({ path }, () => {
          server.off('error', reject);
          resolve();
        });
      } finally {
        process.umask(before);
      }
    });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') throw inUse(path);
    const text = `cannot listen on the control socket ${path}: ${message}`;
    throw new UpdateError('file.unreadable', text, { cause });
  }
  const group = who === 'everyone' ? undefined : who.group;
  if (group !== undefined) await giveToGroup(path, group);
}

async function removeStale(path: string): Promise<void> {
  const stat = await lstat(path).catch(() => null);
  if (stat === null) return;
  if (!stat.isSocket()) {
    const message = `${path} exists and is not a socket; the control socket cannot be made there`;
    throw new UpdateError('file.unreadable', message);
  }
  if (await answers(path)) throw inUse(path);
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw new UpdateError('file.unreadable', error.message);
  });
}

/** Whether anybody accepts connections; only a plain refusal proves that nobody does. */
async function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path, timeout: PROBE_MS });
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(true));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      end(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}

function inUse(path: string): UpdateError {
  return new UpdateError('state.locked', `another daemon answers on the control socket ${path}`);
}

/**
 * Without the group, or without the right to change it, the socket stays with the owner's own
 * group: narrower than wished, never wider.
 */
async function giveToGroup(path: string, group: string): Promise<void> {
  const table = await readFile('/etc/group', 'utf8').catch(() => '');
  const entry = table.split('\n').find((line) => line.startsWith(`${group}:`));
  const id = Number(entry?.split(':')[2] ?? NaN);
  if (!Number.isSafeInteger(id)) return;
  await chown(path, -1, id).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPERM') throw new UpdateError('file.unreadable', error.message);
  });
}
