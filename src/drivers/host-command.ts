/**
 * A machine that is restarted and switched off by its own programs, where an init system runs the
 * daemon: the port Host, with these two ways out of a boot in place of an exit status. Always
 * holds: a program that fails or cannot be started does not keep the node in its boot, since then
 * the exit status asks as it does without one. Imports core, ports, node and the program driver.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../ports.ts';
import { runProgram } from './run-program.ts';

/** A program that asks the init system returns at once. */
const COMMAND_MS = 10_000;
/** How long the init system may take to end this process. */
const GOING_MS = 60_000;

/** The programs, with their arguments; null leaves it to the exit status. */
export interface HostCommands {
  readonly restart: readonly string[] | null;
  readonly shutdown: readonly string[] | null;
}

/** `host` with these programs; `goingMs` is for tests. */
export function commandHost(
  host: Host,
  { restart, shutdown }: HostCommands,
  log: (line: string) => void,
  goingMs: number = GOING_MS,
): Host {
  const by = async (command: readonly string[] | null): Promise<void> => {
    const [program, ...args] = command ?? [];
    if (program === undefined) return;
    if (await ran([program, ...args], log)) await sleep(goingMs);
  };
  return {
    boot: () => host.boot(),
    reboot: async (reason) => {
      await by(restart);
      return host.reboot(reason);
    },
    powerOff: async (reason) => {
      await by(shutdown);
      return host.powerOff(reason);
    },
    hardReset: (reason) => host.hardReset(reason),
    nowMs: () => host.nowMs(),
    monotonicMs: () => host.monotonicMs(),
    feedWatchdog: () => host.feedWatchdog(),
    checkWritable: (signal) => host.checkWritable(signal),
  };
}

/** True when the program said that it is done. */
async function ran(
  argv: readonly [string, ...string[]],
  log: (line: string) => void,
): Promise<boolean> {
  const signal = AbortSignal.timeout(COMMAND_MS);
  try {
    const { status, complaint } = await runProgram({ argv, env: process.env, signal });
    if (status === 0) return true;
    log(`${argv[0]} ended with ${status ?? 'no status in time'}: ${complaint}`);
  } catch (error) {
    log(`${argv[0]} cannot be run: ${error instanceof Error ? error.message : String(error)}`);
  }
  return false;
}
