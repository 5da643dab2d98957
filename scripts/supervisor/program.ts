/**
 * Runs the program of a booted root once, with the environment that a boot loader gives it and with
 * the hardware watchdog beside it. Always holds: it runs in a session of its own, so that a power
 * cut reaches everything in it and Ctrl-C of a terminal does not. Imports core and its own parts.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { realpath, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BootInfo } from '../../src/core/boot.ts';
import { FAILPOINT_BOOT_VARIABLE, FAILPOINT_VARIABLE } from '../../src/drivers/failpoints.ts';
import type { BoundedLog } from './log.ts';
import { watchdogStep, type ProgramEnd, type WatchdogState } from './policy.ts';
import { killFamily, TOKEN_VARIABLE } from './processes.ts';
import type { SupervisorSettings } from './settings.ts';

/** Runtime and program inside an unpacked system image. */
const NODE_PATH = 'usr/bin/node';
const PROGRAM_PATH = 'opt/tandem/tandem.mjs';
/** Folder in the volatile one that survives boots: Node checks it against the program's content. */
export const COMPILE_CACHE = 'compile-cache';
const WATCHDOG_LOOK_MS = 500;

/** Refuses a root without runtime or program, or where a link leads out of it. */
export async function checkRoot(root: string): Promise<void> {
  const inside = `${await realpath(root)}/`;
  for (const path of [NODE_PATH, PROGRAM_PATH]) {
    const real = await realpath(join(root, path));
    if (!real.startsWith(inside) || !(await stat(real)).isFile()) {
      throw new Error(`/${path} is not a file inside the slot`);
    }
  }
}

/** A program that was started. */
export interface RunningProgram {
  /** Null when it could not be executed at all. */
  readonly pid: number | null;
  readonly ended: Promise<ProgramEnd & { readonly bitten: boolean }>;
}

/**
 * A service that mostly waits needs no large nursery: with 1 MiB it idles with 85 instead of 93 MiB
 * resident. V8 takes the flag only from its command line.
 */
const DAEMON_FLAGS = ['--max-semi-space-size=1'] as const;

/** Starts the daemon of the root for this boot; its output goes to the console log. */
export async function startProgram(
  settings: SupervisorSettings,
  root: string,
  boot: BootInfo,
  token: string,
  output: BoundedLog,
): Promise<RunningProgram> {
  if (settings.watchdogMs > 0) await writeFile(watchdogFile(settings), '');
  const program = [join(root, PROGRAM_PATH), 'daemon', '--config', settings.config];
  const args = [...DAEMON_FLAGS, ...program];
  const child = spawn(join(root, NODE_PATH), args, {
    detached: true,
    cwd: settings.stateDir,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environmentOf(settings, root, boot, token),
  });
  child.stdout.on('data', (text: Buffer) => output.write(text.toString()));
  child.stderr.on('data', (text: Buffer) => output.write(text.toString()));
  let bitten = false;
  const watchdog = startWatchdog(settings, () => {
    bitten = true;
    void killFamily({ token, leader: child.pid ?? null });
  });
  const ended = endOf(child).then((end) => {
    watchdog();
    return { ...end, bitten };
  });
  return { pid: child.pid ?? null, ended };
}

/** The node's environment: nothing of the supervisor's own but its language; see `env`, too. */
function environmentOf(
  settings: SupervisorSettings,
  root: string,
  boot: BootInfo,
  token: string,
): NodeJS.ProcessEnv {
  return {
    ...settings.env,
    PATH: `${join(root, 'usr/bin')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    LANG: process.env['LANG'] ?? 'C.UTF-8',
    HOME: settings.stateDir,
    // One arena for all threads: an idle daemon keeps 5 MiB less.
    MALLOC_ARENA_MAX: '1',
    TMPDIR: settings.runDir,
    NODE_COMPILE_CACHE: join(settings.runDir, COMPILE_CACHE),
    TANDEM_BOOT: JSON.stringify(boot),
    TANDEM_ROOT: root,
    TANDEM_NODE: settings.node,
    ...(settings.watchdogMs > 0 ? { TANDEM_WATCHDOG: watchdogFile(settings) } : {}),
    // Both or none: the daemon counts the file only beside the id of this very boot.
    ...(settings.failpoints === undefined
      ? {}
      : {
          [FAILPOINT_VARIABLE]: settings.failpoints,
          [FAILPOINT_BOOT_VARIABLE]: boot.bootId,
        }),
    [TOKEN_VARIABLE]: token,
  };
}

async function endOf(child: ChildProcess): Promise<ProgramEnd> {
  return new Promise((done) => {
    child.once('error', () => done({ code: null, signal: 'none, it cannot be executed' }));
    child.once('exit', (code, signal) => done({ code, signal }));
  });
}

function watchdogFile(settings: SupervisorSettings): string {
  return join(settings.runDir, 'watchdog');
}

/** Every write to the watchdog's file is a feed; returns what stops the looking. */
function startWatchdog(settings: SupervisorSettings, bite: () => void): () => void {
  if (settings.watchdogMs === 0) return () => undefined;
  const file = watchdogFile(settings);
  let state: WatchdogState | null = null;
  let stopped = false;
  const look = async (): Promise<void> => {
    let mark = state?.mark ?? '';
    try {
      const { mtimeNs, size, ino } = await stat(file, { bigint: true });
      mark = `${String(ino)} ${String(size)} ${String(mtimeNs)}`;
    } catch {
      // A file that was removed is not fed.
    }
    const nowMs = performance.now();
    state ??= { mark, sinceMs: nowMs, armed: false };
    const step = watchdogStep(state, mark, nowMs, settings.watchdogMs);
    ({ state } = step);
    if (step.bites && !stopped) bite();
  };
  void look();
  const timer = setInterval(() => void look(), WATCHDOG_LOOK_MS);
  return () => {
    stopped = true;
    clearInterval(timer);
  };
}
