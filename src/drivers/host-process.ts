/**
 * The machine of the embedded default: a process under a supervisor. How the boot came about stands
 * in the variable TANDEM_BOOT, as the boot loader's words stand on a kernel command line; exit
 * status 42 asks for a reboot, 43 for the power to go off, an end by SIGUSR2 for a power cycle.
 * Always holds: what it says about the boot is what it was told, never a guess, and feeding the
 * watchdog never throws, because a watchdog that is not fed does the right thing by itself. Imports
 * core, ports, the drivers of files and node.
 */
import { constants, openSync, writeSync, fstatSync } from 'node:fs';
import { join } from 'node:path';
import type { BootInfo, BootReason } from '../core/boot.ts';
import { UpdateError } from '../core/errors.ts';
import type { Host } from '../ports.ts';
import { createDiskFile, openDiskFile, type DiskFile } from './disk-file.ts';
import { ioError, isErrno, writeFileAtomic } from './fs-atomic.ts';

/** Exit status that asks the supervisor for a reboot. */
export const REBOOT_STATUS = 42;
/** Exit status that asks the supervisor to switch the power off until somebody switches it on. */
export const POWER_OFF_STATUS = 43;
/** Signal by which the program ends itself to have the power cut and restored. */
export const RESET_SIGNAL = 'SIGUSR2';
/** JSON of a BootInfo, from the supervisor. */
export const BOOT_VARIABLE = 'TANDEM_BOOT';
/** Path of the watchdog, or `fd:N` for an inherited file descriptor. */
export const WATCHDOG_VARIABLE = 'TANDEM_WATCHDOG';
/** File in `runDir` that says why the last reboot, or the power off, was asked for. */
export const REBOOT_REASON_FILE = 'reboot-reason';

const BOOT_BYTES_MAX = 4096;
const REASON_BYTES_MAX = 1024;
const PROBE_FILE = 'probe';
const PROBE_BYTES = 4096;
const REASONS: readonly BootReason[] = ['default', 'trial', 'attempts-used', 'fallback'];

/** Where the host finds what its supervisor told it. */
export interface HostOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly runDir: string;
  readonly stateDir: string;
  /** Ends the process; for tests. */
  readonly exit?: (status: number) => never;
  /** Ends the process and its group by the signal; for tests. */
  readonly die?: (signal: NodeJS.Signals) => never;
}

/**
 * The host of this process. Throws `config.invalid` when TANDEM_BOOT is missing or not valid: the
 * program runs under its supervisor only.
 */
export function openHost(options: HostOptions): Host {
  return new ProcessHost(options, parseBootInfo(options.env[BOOT_VARIABLE]));
}

/** What the boot loader said, checked; throws `config.invalid` with what was found. */
export function parseBootInfo(text: string | undefined): BootInfo {
  if (text === undefined || text === '') throw refuse('is not set');
  if (text.length > BOOT_BYTES_MAX) throw refuse(`has ${text.length} characters`);
  let value: Partial<BootInfo> | null;
  try {
    value = JSON.parse(text) as Partial<BootInfo> | null;
  } catch {
    throw refuse('is not JSON');
  }
  const { bootId, slot, reason, attempt } = value ?? {};
  if (typeof bootId !== 'string' || !/^[A-Za-z0-9-]{1,64}$/.test(bootId)) {
    throw refuse('has no valid bootId');
  }
  if (slot !== 'A' && slot !== 'B') throw refuse('has no slot A or B');
  if (reason === undefined || !REASONS.includes(reason)) {
    throw refuse(`has none of the reasons ${REASONS.join(', ')}`);
  }
  const counted = Number.isSafeInteger(attempt) && attempt! >= 0;
  if (!counted || (reason === 'trial') !== attempt! > 0) {
    throw refuse('has no attempt that fits the reason');
  }
  return { bootId, slot, reason, attempt: attempt! };
}

function refuse(found: string): UpdateError {
  return new UpdateError('config.invalid', `${BOOT_VARIABLE} ${found}, expected JSON of the boot`);
}

class ProcessHost implements Host {
  readonly #options: HostOptions;
  readonly #boot: BootInfo;
  readonly #watchdog: { readonly fd: number; readonly position: number | null } | null;
  #probes = 0;

  constructor(options: HostOptions, boot: BootInfo) {
    this.#options = options;
    this.#boot = boot;
    this.#watchdog = openWatchdog(options.env[WATCHDOG_VARIABLE]);
  }

  boot(): BootInfo {
    return this.#boot;
  }

  async reboot(reason: string): Promise<never> {
    return this.#leave(reason, REBOOT_STATUS);
  }

  async powerOff(reason: string): Promise<never> {
    return this.#leave(reason, POWER_OFF_STATUS);
  }

  /** The reason is for people; that it cannot be written must not keep the node from its way. */
  async #leave(reason: string, status: number): Promise<never> {
    const text = `${reason.slice(0, REASON_BYTES_MAX)}\n`;
    await writeFileAtomic(join(this.#options.runDir, REBOOT_REASON_FILE), text).catch(() => null);
    const exit = this.#options.exit ?? ((status: number): never => process.exit(status));
    return exit(status);
  }

  hardReset(reason: string): never {
    const die = this.#options.die ?? dieBySignal;
    try {
      // Not to a file: it is a disk that hangs in some of the cases that lead here.
      writeSync(2, `hard reset: ${reason.slice(0, REASON_BYTES_MAX)}\n`);
    } catch {
      // Nobody reads any more; the reset matters more than its reason.
    }
    return die(RESET_SIGNAL);
  }

  nowMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now();
  }

  feedWatchdog(): void {
    if (this.#watchdog === null) return;
    try {
      writeSync(this.#watchdog.fd, '1', this.#watchdog.position);
    } catch {
      // The watchdog acts when it is not fed; nothing better can be done from here.
    }
  }

  async checkWritable(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      // A disk that hangs cannot be interrupted, but it need not be waited for.
      await Promise.race([this.#writeProbe(), aborted]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async #writeProbe(): Promise<void> {
    const path = join(this.#options.stateDir, PROBE_FILE);
    try {
      // Opened each time: a file that was opened before its partition went away can be written.
      await using probe = await openProbe(path);
      this.#probes += 1;
      const bytes = Buffer.alloc(PROBE_BYTES, `${this.#boot.bootId} ${this.#probes}\n`);
      await probe.write(0, bytes);
      await probe.sync();
      const back = await probe.read(0, PROBE_BYTES);
      if (!bytes.equals(back)) {
        throw new UpdateError('health.check', `${path} does not hold what was written to it`);
      }
    } catch (error) {
      throw ioError(error, 'health.check', `The data partition cannot be written, ${path}`);
    }
  }
}

/**
 * A signal and no exit status: leaving with a status waits for the threads that work on files, and
 * one of them may hang in the disk. Under a supervisor this process leads its group, which dies at
 * once with it; what left the group is the supervisor's to find.
 */
function dieBySignal(signal: NodeJS.Signals): never {
  process.removeAllListeners(signal);
  try {
    process.kill(-process.pid, signal);
  } catch {
    process.kill(process.pid, signal);
  }
  return process.abort();
}

/** Made once and then written in place, so that a full disk is no failed health check. */
async function openProbe(path: string): Promise<DiskFile> {
  try {
    const found = await openDiskFile(path, { maxBytes: PROBE_BYTES });
    if (found.sizeBytes === PROBE_BYTES) return found;
    await found[Symbol.asyncDispose]();
  } catch (error) {
    if (!isErrno(error) || error.code !== 'ENOENT') throw error;
  }
  await createDiskFile(path, PROBE_BYTES);
  return openDiskFile(path, { maxBytes: PROBE_BYTES });
}

/**
 * A device or a pipe is fed by one byte each time; in a regular file the first byte is written
 * again, so that it does not grow.
 */
function openWatchdog(
  where: string | undefined,
): { readonly fd: number; readonly position: number | null } | null {
  if (where === undefined || where === '') return null;
  try {
    const inherited = /^fd:(\d{1,4})$/.exec(where);
    const flags = constants.O_WRONLY | constants.O_NONBLOCK;
    const fd = inherited === null ? openSync(where, flags) : Number(inherited[1]);
    return { fd, position: fstatSync(fd).isFile() ? 0 : null };
  } catch (error) {
    throw ioError(error, 'config.invalid', `The watchdog ${where} cannot be opened`);
  }
}
