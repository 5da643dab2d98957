/**
 * The host of a real machine: the boot as the boot loader told it on the kernel command line, ways
 * out of it by the machine's own programs, and the hardware watchdog. Always holds: a restart or a
 * shutdown that hangs is ended by the kernel itself after a while, and a hard reset asks nobody
 * else; the watchdog is never switched off (watchdog-device.ts). Imports core, ports, node, the
 * drivers of the kernel's files and the host of a process, which knows probes and feeding.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host, ServiceLog } from '../ports.ts';
import { readBootInfo } from './boot-info.ts';
import {
  BOOT_VARIABLE,
  openHost,
  POWER_OFF_STATUS,
  REBOOT_STATUS,
  WATCHDOG_VARIABLE,
} from './host-process.ts';
import { runProgram } from './run-program.ts';
import { openSysrq, type Sysrq } from './sysrq.ts';
import { watchdogFacts } from './watchdog-device.ts';

/** Times of the way out of a boot. Whoever asked cuts the power after 15 s of its own. */
export interface LeaveTimes {
  /** A program that asks init returns at once. */
  readonly commandMs: number;
  /** How long init may take to end this process. */
  readonly goingMs: number;
  /** The kernel syncs its disks beside us; it does not say when it has done so. */
  readonly syncMs: number;
  /** How long the kernel may take to switch off. */
  readonly offMs: number;
}

const TIMES: LeaveTimes = { commandMs: 4000, goingMs: 6000, syncMs: 1000, offMs: 10_000 };

/** What the host needs to know. */
export interface MachineHostOptions {
  readonly runDir: string;
  readonly stateDir: string;
  /** Programs, with their arguments; null = the kernel is asked at once. */
  readonly restart: readonly string[] | null;
  readonly shutdown: readonly string[] | null;
  /** Device of the hardware watchdog; null = there is none. */
  readonly watchdog: string | null;
  readonly log: ServiceLog;
  /** Folders and files of the kernel; for tests. */
  readonly roots?: MachineRoots;
  readonly times?: LeaveTimes;
  /** Ends the process; for tests. */
  readonly exit?: (status: number) => never;
  /** Ends the process with a signal that it cannot catch; for tests. */
  readonly die?: () => never;
}

/** Where the kernel's files are. */
export interface MachineRoots {
  /** `/proc` */
  readonly proc: string;
  /** `/sys` */
  readonly sys: string;
  /** `/dev` */
  readonly dev: string;
}

/** The machine's own. */
export const MACHINE_ROOTS: MachineRoots = { proc: '/proc', sys: '/sys', dev: '/dev' };

/**
 * The host of this machine; opens the watchdog, which runs from then on. Throws `config.invalid`
 * when the kernel command line does not say how the boot came about, when the kernel cannot restart
 * the machine, and when the watchdog is not there or too quick.
 */
export async function openMachineHost(options: MachineHostOptions): Promise<Host> {
  const { runDir, stateDir, watchdog, log } = options;
  const { proc, sys, dev } = options.roots ?? MACHINE_ROOTS;
  const boot = await readBootInfo(proc);
  const sysrq = openSysrq(join(proc, 'sysrq-trigger'), join(dev, 'kmsg'));
  const env = { [BOOT_VARIABLE]: JSON.stringify(boot) };
  if (watchdog === null) {
    return new MachineHost(openHost({ env, runDir, stateDir }), sysrq, options);
  }
  const { identity, timeoutS } = await watchdogFacts(watchdog, sys);
  const inner = openHost({ env: { ...env, [WATCHDOG_VARIABLE]: watchdog }, runDir, stateDir });
  const after = timeoutS === null ? 'after a time that it does not tell' : `after ${timeoutS} s`;
  log(
    `watchdog ${watchdog} (${identity ?? 'unknown'}): silence restarts the machine ${after}`,
    'info',
  );
  return new MachineHost(inner, sysrq, options);
}

class MachineHost implements Host {
  readonly #inner: Host;
  readonly #sysrq: Sysrq;
  readonly #options: MachineHostOptions;

  constructor(inner: Host, sysrq: Sysrq, options: MachineHostOptions) {
    this.#inner = inner;
    this.#sysrq = sysrq;
    this.#options = options;
  }

  boot(): ReturnType<Host['boot']> {
    return this.#inner.boot();
  }

  async reboot(reason: string): Promise<never> {
    this.#sysrq.say(`restart: ${reason}`);
    await this.#byProgram(this.#options.restart);
    await this.#byKernel('b');
    return this.#exit(REBOOT_STATUS);
  }

  async powerOff(reason: string): Promise<never> {
    this.#sysrq.say(`power off: ${reason}`);
    await this.#byProgram(this.#options.shutdown);
    await this.#byKernel('o');
    await sleep(this.#times.offMs);
    return this.#exit(POWER_OFF_STATUS);
  }

  hardReset(reason: string): never {
    this.#sysrq.say(`hard reset: ${reason}`);
    try {
      this.#sysrq.press('b');
    } catch {
      // Then the watchdog does it, since nobody feeds it any more.
    }
    return (this.#options.die ?? killed)();
  }

  nowMs(): number {
    return this.#inner.nowMs();
  }

  monotonicMs(): number {
    return this.#inner.monotonicMs();
  }

  feedWatchdog(): void {
    this.#inner.feedWatchdog();
  }

  async checkWritable(signal: AbortSignal): Promise<void> {
    await this.#inner.checkWritable(signal);
  }

  get #times(): LeaveTimes {
    return this.#options.times ?? TIMES;
  }

  /** Returns when the program failed, or when init has not ended this process in time. */
  async #byProgram(command: readonly string[] | null): Promise<void> {
    const [program, ...args] = command ?? [];
    if (program === undefined) return;
    const { commandMs, goingMs } = this.#times;
    // What init asks for has been done: service and storage were let go before.
    const going = (): void => void this.#exit(0);
    process.once('SIGTERM', going);
    try {
      const signal = AbortSignal.timeout(commandMs);
      const end = await runProgram({ argv: [program, ...args], env: process.env, signal });
      if (end.status === 0) {
        await sleep(goingMs);
        this.#sysrq.say(`${program} was asked, but this process was not ended`);
      } else {
        const status = end.status ?? 'no status in time';
        this.#sysrq.say(`${program} ended with ${status}: ${end.complaint}`);
      }
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      this.#sysrq.say(`${program} cannot be run: ${words}`);
    } finally {
      process.off('SIGTERM', going);
    }
  }

  /** The kernel is given time to write what it holds; no disk can keep it from the last key. */
  async #byKernel(key: 'b' | 'o'): Promise<void> {
    try {
      this.#sysrq.press('s');
      this.#sysrq.press('u');
      await sleep(this.#times.syncMs);
      this.#sysrq.press(key);
    } catch (error) {
      this.#sysrq.say(`the kernel does not take the key ${key}: ${String(error)}`);
    }
  }

  #exit(status: number): never {
    return (this.#options.exit ?? ((status: number): never => process.exit(status)))(status);
  }
}

/** Leaves without waiting for threads that hang in a disk. */
function killed(): never {
  process.kill(process.pid, 'SIGKILL');
  return process.abort();
}
