/**
 * Runs the programs that DRBD and the file system are worked with. Always holds: each has a time
 * limit and a bound on what it prints; a program that hangs in the kernel is left behind, told as
 * an error, and never waited for; nothing goes through a shell. Imports core.
 */
import { spawn } from 'node:child_process';
import { UpdateError } from '../../src/core/errors.ts';

/** Most that is kept of what a program prints. */
const OUTPUT_CHARS_MAX = 256 * 1024;
/** Longest run of a program that has nothing to wait for. */
const TOOL_MS = 15_000;

/** How a program ended. */
export interface ToolEnd {
  /** Exit status; -1 after a signal. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a call differs in from the usual. */
export interface ToolOptions {
  readonly limitMs?: number;
}

/**
 * Runs a program to its end, whatever its status. Throws `store.io` when it cannot be started or
 * does not end in time.
 */
export async function tryTool(
  name: string,
  args: readonly string[],
  { limitMs = TOOL_MS }: ToolOptions = {},
): Promise<ToolEnd> {
  const child = spawn(name, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const way of ['stdout', 'stderr'] as const) {
    child[way].setEncoding('utf8');
    child[way].on('data', (text: string) => {
      if (said[way].length < OUTPUT_CHARS_MAX) said[way] += text;
    });
  }
  const end = Promise.withResolvers<number>();
  child.once('error', (cause) => {
    end.reject(new UpdateError('store.io', `${name} cannot be run: ${cause.message}`, { cause }));
  });
  child.once('close', (code) => end.resolve(code ?? -1));
  const timer = setTimeout(() => {
    if (child.pid !== undefined) child.kill('SIGKILL');
    child.stdout.destroy();
    child.stderr.destroy();
    const seconds = limitMs / 1000;
    end.reject(new UpdateError('store.io', `${name} ${args.join(' ')} took over ${seconds} s`));
  }, limitMs);
  try {
    return { status: await end.promise, ...said };
  } finally {
    clearTimeout(timer);
  }
}

/** As `tryTool`, and any status but 0 is `store.io` with the program's own words. */
export async function runTool(
  name: string,
  args: readonly string[],
  options?: ToolOptions,
): Promise<string> {
  const ended = await tryTool(name, args, options);
  if (ended.status === 0) return ended.stdout;
  throw new UpdateError('store.io', `${name} ${args.join(' ')}: ${wordsOf(ended)}`);
}

/** The last words of a program that failed, in one line. */
export function wordsOf({ status, stdout, stderr }: ToolEnd): string {
  const lines = `${stdout}\n${stderr}`.split('\n').map((line) => line.trim());
  const last = lines.filter((line) => line !== '').slice(-3);
  return `status ${status}${last.length === 0 ? '' : `, ${last.join('; ').slice(0, 400)}`}`;
}
