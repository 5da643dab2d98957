/**
 * A program that this node runs as a child process: start, end, log. Always holds: only this very
 * process is ever signalled, by its own handle; the end is told exactly once; what it prints goes
 * to a log of bounded size. The child's standard input stays open as long as this process lives, so
 * that a child that follows it ends with it. Imports its start's
 * priority and its log.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { openChildLog } from './child-log.ts';
import { yieldWhileStarting } from './start-priority.ts';

/** Last characters of the error output that are kept for the reason of an end. */
const TAIL_CHARS = 600;

/** How a child is run. */
export interface ChildOptions {
  /** The Node program that runs `program`. */
  readonly execPath: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Flags of the Node program itself; none by default. */
  readonly nodeFlags?: readonly string[];
  readonly logFile: string;
  /** Called with what the child prints on its standard output. */
  readonly onOutput: (chunk: Buffer) => void;
  /** Called once, when the child has ended and its output is read. */
  readonly onExit: (reason: string) => void;
}

/** A running child. */
export interface ManagedChild {
  readonly pid: number;
  /** Null until it has ended; then why, with the last line that it printed. */
  readonly ended: string | null;
  write(line: string): void;
  /** SIGTERM, and SIGKILL after `graceMs`; returns when it has ended. Idempotent. */
  stop(graceMs: number): Promise<void>;
}

/** Starts the child. A program that cannot be run at all ends at once, with the reason. */
export function startChild(options: ChildOptions): ManagedChild {
  const log = openChildLog(options.logFile);
  const flags = options.nodeFlags ?? [];
  const child = spawn(options.execPath, [...flags, options.program, ...options.args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const exited = Promise.withResolvers<void>();
  const started = child.pid === undefined ? null : yieldWhileStarting(child.pid);
  let ended: string | null = null;
  let tail = '';
  const end = (reason: string) => {
    if (ended !== null) return;
    const last = tail.trim().split('\n').at(-1) ?? '';
    ended = last === '' ? reason : `${reason}: ${last}`;
    started?.();
    exited.resolve();
    options.onExit(ended);
  };
  child.stdout.on('data', options.onOutput);
  child.stderr.on('data', (chunk: Buffer) => {
    log(chunk);
    tail = (tail + chunk.toString('utf8')).slice(-TAIL_CHARS);
  });
  // A child that ended has closed its input: its end is told by 'close' below.
  child.stdin.on('error', () => undefined);
  child.once('error', (error) => end(`could not be started: ${error.message}`));
  child.once('close', (code, signal) =>
    end(signal === null ? `ended with status ${code}` : `was ended by ${signal}`),
  );
  return {
    pid: child.pid ?? -1,
    get ended() {
      return ended;
    },
    write: (line) => void child.stdin.write(line),
    stop: (graceMs) => stopChild(child, exited.promise, graceMs),
  };
}

async function stopChild(child: ChildProcess, exited: Promise<void>, graceMs: number) {
  // Until the failure of a spawn is told, Node takes the child for a running one and sends the
  // signal to whatever number its handle happens to hold, be it 0: this whole process group.
  if (child.pid === undefined) return await exited;
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
  const kill = setTimeout(() => child.kill('SIGKILL'), graceMs);
  try {
    await exited;
  } finally {
    clearTimeout(kill);
  }
}
