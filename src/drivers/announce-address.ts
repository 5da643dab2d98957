/**
 * Tells the neighbours that an address has moved to this machine, so that none of them goes on
 * talking to the other node. IPv4: gratuitous ARP by `arping` (iputils, busybox), or, without it,
 * traffic from the address to neighbours that the kernel has to ask for by ARP, since every such
 * question names the asker. IPv6: the kernel itself sends an unsolicited advertisement when the
 * address comes to the interface, if it was told to. Always holds: a neighbour that was not reached
 * is no reason not to serve; it asks anew when its own entry times out. Imports node, the program
 * driver and the address on its interface.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { join } from 'node:path';
import { SYSTEM_PATH } from './interface-address.ts';
import { runProgram } from './run-program.ts';

/** Announcements, one a second: an entry that is younger than a second keeps its old value. */
const TIMES = 3;
const ARPING_MS = 10_000;
/** The discard protocol: nobody answers. */
const DISCARD_PORT = 9;
/** Neighbours that are asked for; one of them at least is not known to this machine. */
const ASKED = 4;

/** What is announced, and by what. */
export interface AnnounceOptions {
  readonly address: string;
  readonly interface: string;
  /** Program with its first arguments; default `arping`. */
  readonly arping?: readonly [string, ...string[]];
  /** IPv4 networks of the interface, as `192.0.2.1/24`, for the way without `arping`. */
  readonly networks: () => Promise<readonly string[]>;
}

/**
 * Prepares an interface for an IPv6 service address: no duplicate address detection, which would
 * cost a second at each takeover and could meet the dying peer, and an advertisement when an
 * address comes. `conf` is /proc/sys/net/ipv6/conf. Returns what could not be set, or null.
 * Source: kernel, Documentation/networking/ip-sysctl.rst.
 */
export async function prepareIpv6(conf: string, device: string): Promise<string | null> {
  try {
    await writeFile(join(conf, device, 'accept_dad'), '0\n');
    await writeFile(join(conf, device, 'ndisc_notify'), '1\n');
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Announces the address until that was done often enough or the signal ends it. Returns what went
 * wrong, for the log, or null.
 */
export async function announceAddress(
  options: AnnounceOptions,
  signal: AbortSignal,
): Promise<string | null> {
  const { address, interface: dev, arping = ['arping'] } = options;
  if (!isIPv4(address)) return null;
  const [program, ...first] = arping;
  const times = String(TIMES);
  const args = ['-q', '-U', '-c', times, '-w', times, '-I', dev, address];
  const limited = AbortSignal.any([signal, AbortSignal.timeout(ARPING_MS)]);
  let why: string;
  try {
    const argv = [program, ...first, ...args] as const;
    const end = await runProgram({ argv, env: { PATH: SYSTEM_PATH, LANG: 'C' }, signal: limited });
    if (signal.aborted || end.status === 0) return null;
    why = `${program} ended with ${end.status ?? 'no status in time'}: ${end.complaint}`;
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
  }
  try {
    const network = (await options.networks()).find((cidr) => holds(cidr, address));
    if (network === undefined) return `${why}; ${dev} has no network that ${address} is in`;
    await askNeighbours(address, network);
    return null;
  } catch (error) {
    return `${why}; ${error instanceof Error ? error.message : String(error)}`;
  }
}

/**
 * Sends a byte from the address to some neighbours of the network. The kernel asks for each that it
 * does not know, three times, once a second. Throws plain errors of the system.
 */
export async function askNeighbours(address: string, network: string): Promise<void> {
  const socket = createSocket('udp4');
  try {
    socket.bind({ address });
    await once(socket, 'listening');
    for (const neighbour of neighboursOf(address, network)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      socket.send(Buffer.alloc(1), DISCARD_PORT, neighbour, () => resolve());
      await promise;
    }
  } finally {
    socket.close();
  }
}

/** Addresses spread over the network, without its first, its last and the given one. */
export function neighboursOf(address: string, network: string): readonly string[] {
  const { first, size } = rangeOf(network);
  const own = numberOf(address);
  const found = new Set<number>();
  for (let step = 1; step <= ASKED * 2 && found.size < ASKED; step += 1) {
    const at = first + 1 + (Math.floor((step * (size - 2)) / (ASKED + 1)) % Math.max(1, size - 2));
    if (at !== own && at > first && at < first + size - 1) found.add(at);
  }
  return [...found].map(textOf);
}

function holds(network: string, address: string): boolean {
  const { first, size } = rangeOf(network);
  const at = numberOf(address);
  // A network of one or two addresses has no neighbours to ask for.
  return size > 2 && at >= first && at < first + size;
}

function rangeOf(network: string): { readonly first: number; readonly size: number } {
  const [address = '', length = '32'] = network.split('/');
  const size = 2 ** (32 - Number(length));
  return { first: Math.floor(numberOf(address) / size) * size, size };
}

const numberOf = (address: string): number =>
  address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
const textOf = (number: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
