/**
 * The service address of a real machine: an address of its own on a network interface, around a
 * workload that listens on it. It comes before the workload serves and goes after it has stopped,
 * and the neighbours are told. Always holds: when `release` has returned the address is gone from
 * the interface; when a start has returned, so is what an earlier run left there; an address that
 * cannot be served does not stay. Imports core, ports, node and the drivers of addresses.
 */
import { isIPv4 } from 'node:net';
import { UpdateError } from '../core/errors.ts';
import type { ServiceAddress } from '../ports.ts';
import { announceAddress, prepareIpv6 } from './announce-address.ts';
import { InterfaceAddress, SYSTEM_PATH } from './interface-address.ts';
import { runProgram } from './run-program.ts';

/** How long a removal may take that nobody waits for with a limit of its own. */
const REMOVE_MS = 10_000;
const NETWORKS_MS = 4000;

/** What the driver needs to know. */
export interface ArpServiceOptions {
  /** The workload, which listens on the address. */
  readonly workload: ServiceAddress;
  /** IPv4 or IPv6, without brackets and port. */
  readonly address: string;
  /** Null = the address alone: 32, or 128 for IPv6. */
  readonly prefixLength: number | null;
  readonly interface: string;
  readonly log: (line: string) => void;
  /** Programs with their first arguments; default `ip` and `arping`. */
  readonly ip?: readonly [string, ...string[]];
  readonly arping?: readonly [string, ...string[]];
  /** Folder of the kernel's settings for IPv6; for tests. */
  readonly ipv6Conf?: string;
}

/**
 * The service address around `workload`; the workload is its own from now on, and is ended with it.
 * Takes away what an earlier run left on the interface. Throws `tool.missing` without `ip`; an
 * interface that is not there yet is told in the log, and `acquire` fails until it is.
 */
export async function openArpService(options: ArpServiceOptions): Promise<ServiceAddress> {
  const { address, interface: dev, log } = options;
  const service = new ArpService(options);
  if (!isIPv4(address)) {
    const trouble = await prepareIpv6(options.ipv6Conf ?? '/proc/sys/net/ipv6/conf', dev);
    if (trouble !== null) log(`${dev} is not set up for a moving IPv6 address: ${trouble}`);
  }
  try {
    await service.clean();
  } catch (error) {
    if (!(error instanceof UpdateError) || error.code !== 'service.failed') throw error;
    log(error.message);
  }
  return service;
}

class ArpService implements ServiceAddress {
  readonly #options: ArpServiceOptions;
  readonly #address: InterfaceAddress;
  /** What goes on: an acquire, an announcement. A release ends both. */
  #going = new AbortController();
  #announcing: Promise<void> = Promise.resolve();
  #there = false;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: ArpServiceOptions) {
    this.#options = options;
    const { address, prefixLength, interface: dev, ip } = options;
    this.#address = new InterfaceAddress({
      address,
      prefixLength: prefixLength ?? (isIPv4(address) ? 32 : 128),
      interface: dev,
      ...(ip === undefined ? {} : { ip }),
    });
  }

  /** Takes away what is there before anything was acquired. */
  async clean(): Promise<void> {
    const signal = AbortSignal.timeout(REMOVE_MS);
    if (!(await this.#address.there(signal))) return;
    const { address, interface: dev, log } = this.#options;
    log(`${dev} has the service address ${address} of an earlier run; it is taken away`);
    await this.#address.remove(signal);
  }

  held(): boolean {
    return this.#there && this.#options.workload.held();
  }

  async acquire(epoch: number, signal: AbortSignal): Promise<void> {
    const going = this.#going;
    const limited = AbortSignal.any([signal, going.signal]);
    await this.#inTurn(async () => {
      limited.throwIfAborted();
      const fresh = await this.#take(limited);
      try {
        await this.#options.workload.acquire(epoch, limited);
        limited.throwIfAborted();
      } catch (error) {
        if (fresh) await this.#giveBack();
        throw error;
      }
      this.#there = true;
      if (fresh) this.#announce(going.signal);
    });
  }

  async release(): Promise<void> {
    this.#going.abort(new UpdateError('service.failed', 'the service address was released'));
    this.#going = new AbortController();
    await this.#inTurn(async () => {
      try {
        await this.#options.workload.release();
      } finally {
        await this.#address.remove(AbortSignal.timeout(REMOVE_MS));
        this.#there = false;
      }
    });
  }

  async selfTest(signal: AbortSignal): Promise<void> {
    await this.#options.workload.selfTest(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#going.abort(new UpdateError('service.failed', 'the service was stopped for good'));
    await this.#inTurn(async () => {
      await this.#options.workload[Symbol.asyncDispose]();
      await this.#giveBack();
    });
    await this.#announcing;
  }

  /** Puts the address on the interface; returns whether it was not there before. */
  async #take(signal: AbortSignal): Promise<boolean> {
    if (this.#there && (await this.#address.there(signal))) return false;
    if (this.#there) {
      const { address, interface: dev, log } = this.#options;
      log(`${dev} has lost the service address ${address}; it is put there again`);
    }
    await this.#address.add(signal);
    return true;
  }

  /** After a failure the address goes if it can; that it cannot is told to whoever reads logs. */
  async #giveBack(): Promise<void> {
    this.#there = false;
    try {
      await this.#address.remove(AbortSignal.timeout(REMOVE_MS));
    } catch (error) {
      this.#options.log(error instanceof Error ? error.message : String(error));
    }
  }

  /** Beside everything else: nobody who is served has to wait for it. */
  #announce(signal: AbortSignal): void {
    const { address, interface: dev, arping, log } = this.#options;
    const networks = () => networksOf(this.#options, signal);
    const words = {
      address,
      interface: dev,
      networks,
      ...(arping === undefined ? {} : { arping }),
    };
    const tell = async (): Promise<void> => {
      const trouble = await announceAddress(words, signal);
      if (trouble !== null) log(`${address} could not be announced on ${dev}: ${trouble}`);
    };
    this.#announcing = tell();
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    await mine;
  }
}

/** The IPv4 networks of the interface, the service address itself among them. */
async function networksOf(
  { interface: dev, ip = ['ip'] }: ArpServiceOptions,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const [program, ...first] = ip;
  const end = await runProgram({
    argv: [program, ...first, '-4', '-o', 'addr', 'show', 'dev', dev],
    env: { PATH: SYSTEM_PATH, LANG: 'C' },
    signal: AbortSignal.any([signal, AbortSignal.timeout(NETWORKS_MS)]),
  });
  return [...end.output.matchAll(/\binet (\S+)/g)].map((found) => found[1] ?? '');
}
