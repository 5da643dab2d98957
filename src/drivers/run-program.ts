/**
 * Runs an external program once, in a process group of its own, and keeps a bounded part of what it
 * prints. Always holds: when it returns, nothing that the program started in its group is alive,
 * unless the kernel itself cannot end it; no output, however long, and no child that keeps a pipe
 * open makes it wait longer than the signal allows. Imports node.
 */
import { spawn, type ChildProcess } from 'node:child_process';

/** How a program is run. */
export interface RunOptions {
  /** Program and arguments; there is no shell in between. */
  readonly argv: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
  /** Ends the whole group when it is aborted: time limit or caller. */
  readonly signal: AbortSignal;
}

/** How it ended. */
export interface RunEnd {
  /** Exit status; null when a signal ended it. */
  readonly status: number | null;
  /** The beginning of its standard output, at most 4 KiB. */
  readonly output: string;
  /** True when it printed more than that. */
  readonly flooded: boolean;
  /** The last line of its error output, without control characters; empty when there was none. */
  readonly complaint: string;
}

const OUTPUT_BYTES_MAX = 4096;
const COMPLAINT_CHARS_MAX = 300;
/** How long the last output of a program that has ended may take to arrive. */
const DRAIN_TIMEOUT_MS = 200;
/** How long a program that was killed may take to vanish; it may hang in the disk. */
const DEATH_TIMEOUT_MS = 1000;

/** Runs the program. Throws plain errors when it cannot be started; an abort is an end. */
export async function runProgram({ argv, env, signal }: RunOptions): Promise<RunEnd> {
  if (signal.aborted) return { status: null, output: '', flooded: false, complaint: '' };
  const [program, ...args] = argv;
  const child = spawn(program, args, {
    cwd: '/',
    // A group of its own, so that what the program starts can be ended with it.
    detached: true,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = Buffer.alloc(0);
  let total = 0;
  let tail = '';
  child.stdout.on('data', (chunk: Buffer) => {
    total += chunk.length;
    const room = OUTPUT_BYTES_MAX - output.length;
    if (room > 0) output = Buffer.concat([output, chunk.subarray(0, room)]);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString('utf8', Math.max(0, chunk.length - 1024))).slice(-1024);
  });
  const exited = exitOf(child);
  const closed = new Promise<void>((resolve) => void child.once('close', () => resolve()));
  const aborted = Promise.withResolvers<null>();
  const abort = (): void => {
    killGroup(child);
    setTimeout(() => aborted.resolve(null), DEATH_TIMEOUT_MS).unref();
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    const status = await Promise.race([exited, aborted.promise]);
    killGroup(child);
    await Promise.race([closed, delay(DRAIN_TIMEOUT_MS)]);
    const flooded = total > OUTPUT_BYTES_MAX;
    return { status, output: output.toString('utf8'), flooded, complaint: lastLineOf(tail) };
  } finally {
    signal.removeEventListener('abort', abort);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group is gone, or what is left of it belongs to another user.
  }
}

function lastLineOf(text: string): string {
  const lines = text.split('\n').map((line) => line.replaceAll(/\p{Cc}/gu, ' ').trim());
  return (lines.findLast((line) => line !== '') ?? '').slice(0, COMPLAINT_CHARS_MAX);
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}
