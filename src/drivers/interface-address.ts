/**
 * One IP address on one network interface, put there and taken away with the program `ip` of
 * iproute2 or of busybox. Always holds: that the address is gone is what the kernel or `ip` shows
 * afterwards, never what a change said of itself; each change may be asked for as often as one
 * likes; clients wait for both changes, so that none runs a program more than it needs. Imports
 * core, node and the program driver.
 */
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { UpdateError } from '../core/errors.ts';
import { isErrno } from './fs-atomic.ts';
import { runProgram, type RunEnd } from './run-program.ts';
import { throwIfStopped } from './stopped.ts';

/** Longest run of `ip`, which asks the kernel alone. */
const IP_MS = 4000;
/** Pause between two looks at an IPv6 address that the kernel has not finished with. */
const LOOK_MS = 20;
/** How long it may take to; without duplicate address detection it is a moment. */
const USABLE_MS = 3000;
/** `ip` stands in a folder of system tools, which a user's PATH may lack. */
export const SYSTEM_PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`;

/** `2: eth0    inet 192.0.2.5/24 scope global eth0 ...`, a VLAN perhaps as `eth0.7@eth0`. */
const SHOWN = /^\d+: (?<dev>[^\s@:]+)\S*\s+inet6? (?<cidr>\S+)(?<flags>.*)$/;

/** Which address, and where. */
export interface InterfaceAddressOptions {
  /** IPv4 or IPv6, without brackets. */
  readonly address: string;
  /** 32 or 128 keeps it out of the choice of a sender's address for everything else. */
  readonly prefixLength: number;
  readonly interface: string;
  /** The program with its first arguments; default `ip`. */
  readonly ip?: readonly [string, ...string[]];
  /** Addresses by interface; default: the kernel's, as node:os tells them. */
  readonly interfaces?: () => Readonly<Record<string, readonly { address: string }[] | undefined>>;
}

/** What `ip` shows of the address. */
interface Shown {
  /** Address and prefix length as they are, e.g. `192.0.2.5/24`; usually one. */
  readonly cidrs: readonly string[];
  /** `tentative` until it may be used, `failed` when another machine has it. */
  readonly state: 'usable' | 'tentative' | 'failed';
}

/** The address on its interface. Errors are `service.failed`, or `tool.missing` without `ip`. */
export class InterfaceAddress {
  readonly #options: InterfaceAddressOptions;
  readonly #cidr: string;
  /** Put there by this driver, and not taken away by it since. */
  #added = false;

  constructor(options: InterfaceAddressOptions) {
    this.#options = options;
    this.#cidr = `${options.address}/${String(options.prefixLength)}`;
  }

  /** Whether the interface has it now, whatever its prefix length. */
  async there(signal: AbortSignal): Promise<boolean> {
    return (await this.#show(signal)).cidrs.length > 0;
  }

  /** Puts it there; when this returns, a program can listen on it. */
  async add(signal: AbortSignal): Promise<void> {
    const { address, interface: dev } = this.#options;
    const end = await this.#run(['addr', 'add', this.#cidr, 'dev', dev], signal);
    this.#added = end.status === 0;
    // An IPv4 address is never tentative.
    if (this.#added && isIPv4(address)) return;
    const untilMs = performance.now() + USABLE_MS;
    for (;;) {
      const { cidrs, state } = await this.#show(signal);
      if (cidrs.length === 0) throw this.#failed('put on', end.complaint);
      if (state === 'usable') return;
      if (state === 'failed') throw this.#failed('used on', 'another machine has it');
      if (performance.now() > untilMs) throw this.#failed('used on', 'it stays tentative');
      await sleep(LOOK_MS, undefined, { signal });
    }
  }

  /** Takes it away, with whatever prefix length it is there; returns when it is gone. */
  async remove(signal: AbortSignal): Promise<void> {
    let complaint = '';
    const drop = async (cidr: string): Promise<boolean> => {
      const args = ['addr', 'del', cidr, 'dev', this.#options.interface];
      const end = await this.#run(args, signal);
      if (end.status !== 0) complaint = end.complaint;
      return end.status === 0;
    };
    const dropped = this.#added && (await drop(this.#cidr));
    this.#added = false;
    if (dropped && this.#isSeenToBeGone()) return;
    let left = (await this.#show(signal)).cidrs;
    if (left.length === 0) return;
    for (const cidr of left) await drop(cidr);
    left = (await this.#show(signal)).cidrs;
    if (left.length > 0) throw this.#failed('taken from', complaint);
  }

  /**
   * Whether the interface is up, has other addresses and not this one. An interface that is down or
   * has none at all is not seen this way, and says nothing.
   */
  #isSeenToBeGone(): boolean {
    const { address, interface: dev, interfaces = networkInterfaces } = this.#options;
    const seen = interfaces()[dev] ?? [];
    return isIPv4(address) && seen.length > 0 && seen.every((one) => one.address !== address);
  }

  /** Asked of all interfaces, since one that has gone has no address, and is no error. */
  async #show(signal: AbortSignal): Promise<Shown> {
    const { address, interface: dev } = this.#options;
    const end = await this.#run(['-o', 'addr', 'show', 'to', address], signal);
    if (end.status !== 0) throw this.#failed('looked for on', end.complaint);
    const lines = end.output.split('\n').map((line) => SHOWN.exec(line)?.groups);
    const own = lines.filter((line) => line?.['dev'] === dev);
    const cidrs = own.map((line) => line?.['cidr'] ?? '');
    const flag = (word: string): boolean =>
      own.some((line) => line?.['flags']?.split(/\s+/).includes(word));
    const state = flag('dadfailed') ? 'failed' : flag('tentative') ? 'tentative' : 'usable';
    return { cidrs, state };
  }

  async #run(args: readonly string[], signal: AbortSignal): Promise<RunEnd> {
    const { address, ip = ['ip'] } = this.#options;
    const family = isIPv4(address) ? ['-4'] : ['-6'];
    const limited = AbortSignal.any([signal, AbortSignal.timeout(IP_MS)]);
    const [program, ...first] = ip;
    const argv = [program, ...first, ...family, ...args] as const;
    const env = { PATH: SYSTEM_PATH, LANG: 'C' };
    try {
      const end = await runProgram({ argv, env, signal: limited });
      throwIfStopped(signal);
      if (end.status !== null && !signal.aborted) return end;
      throw this.#failed('managed on', `ip ${args.join(' ')} has not ended in time`);
    } catch (cause) {
      if (!isErrno(cause)) throw cause;
      const message = `${program} cannot be run (${cause.code ?? ''}; Debian package iproute2)`;
      const detail = { tool: program, package: 'iproute2' };
      throw new UpdateError('tool.missing', message, { cause, detail });
    }
  }

  #failed(done: string, why: string): UpdateError {
    const { address, interface: dev } = this.#options;
    const reason = why === '' ? '' : `: ${why}`;
    const message = `the service address ${address} cannot be ${done} ${dev}${reason}`;
    return new UpdateError('service.failed', message, { detail: { address, interface: dev } });
  }
}
