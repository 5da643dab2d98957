/**
 * Listening sockets that the init system has opened for the service and passes on (socket
 * activation, sd_listen_fds(3)). Always holds: a socket is used for the door whose path it really
 * has, whatever it is called, so that units and configuration cannot mean two different sockets;
 * one that nobody here wants is named in the log. Imports the contract of a log and node.
 */
import { fstatSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { ServiceLog } from '../ports.ts';

const FIRST_FD = 3;
const FDS_MAX = 64;
/** Every unix socket of the machine has a line there. */
const TABLE = '/proc/self/net/unix';
const TABLE_BYTES_MAX = 4 * 1024 * 1024;
/** Variables that are for this process alone. */
const OWN_VARIABLES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'] as const;

/** Sockets of doors, by their paths. */
export interface PassedSockets {
  /** The descriptor of the socket that listens there, once; null when none was passed. */
  take(path: string): number | null;
  /** Names in the log what was passed and not taken. */
  tellIdle(): void;
}

/** None were passed. */
export const NO_SOCKETS: PassedSockets = { take: () => null, tellIdle: () => {} };

/** How the sockets of this process are looked at; for tests. */
export interface SocketParts {
  readonly pid: number;
  /** Inode of a descriptor that is a socket, else null. */
  readonly inodeOf: (fd: number) => number | null;
  /** The kernel's table of unix sockets. */
  readonly table: () => Promise<string>;
}

const OWN_PARTS: SocketParts = { pid: process.pid, inodeOf, table: readTable };

/** The sockets that the variables of `env` tell of; they are taken out of it. Never throws. */
export async function openPassedSockets(
  env: NodeJS.ProcessEnv,
  log: ServiceLog,
  parts: SocketParts = OWN_PARTS,
): Promise<PassedSockets> {
  const [pid, count] = OWN_VARIABLES.map((name) => env[name] ?? '');
  for (const name of OWN_VARIABLES) delete env[name];
  if (pid !== String(parts.pid) || !/^[1-9]\d?$/.test(count ?? '')) return NO_SOCKETS;
  const fds = Array.from({ length: Math.min(Number(count), FDS_MAX) }, (_, i) => FIRST_FD + i);
  const paths = await listeningPaths(parts, log);
  const idle = new Map<number, string | null>();
  for (const fd of fds) {
    const inode = parts.inodeOf(fd);
    idle.set(fd, inode === null ? null : (paths.get(inode) ?? null));
  }
  return {
    take: (path) => {
      const [fd] = [...idle].find(([, one]) => one === path) ?? [];
      if (fd === undefined) return null;
      idle.delete(fd);
      return fd;
    },
    tellIdle: () => {
      for (const [fd, path] of idle) {
        const what = path ?? 'which is no unix socket that listens';
        log(`the init system passed descriptor ${fd}, ${what}; no setting names it`);
      }
      idle.clear();
    },
  };
}

function inodeOf(fd: number): number | null {
  try {
    const stat = fstatSync(fd);
    return stat.isSocket() ? stat.ino : null;
  } catch {
    return null;
  }
}

async function readTable(): Promise<string> {
  await using handle = await open(TABLE, 'r');
  const parts: Buffer[] = [];
  let bytes = 0;
  while (bytes < TABLE_BYTES_MAX) {
    const { bytesRead, buffer } = await handle.read({ buffer: Buffer.alloc(64 * 1024) });
    if (bytesRead === 0) break;
    parts.push(buffer.subarray(0, bytesRead));
    bytes += bytesRead;
  }
  return Buffer.concat(parts).toString('utf8');
}

/**
 * Paths of the stream sockets that listen, by inode. Source: unix(7) and the kernel's
 * unix_seq_show: number, references, protocol, flags (0x10000 = listens), type (1 = stream), state,
 * inode, path.
 */
async function listeningPaths(
  parts: SocketParts,
  log: ServiceLog,
): Promise<ReadonlyMap<number, string>> {
  try {
    const rows = (await parts.table()).matchAll(
      /^\w+: \w{8} \w{8} 0001\w{4} 0001 \w\w +(\d+) (\/.*)$/gm,
    );
    return new Map([...rows].map(([, inode, path]) => [Number(inode), path ?? '']));
  } catch (error) {
    log(`${TABLE} cannot be read: ${(error as Error).message}`);
    return new Map();
  }
}
