/**
 * The product's command line, run on this computer against an appliance's control socket, as a
 * person or a script at the other end of a network would. Always holds: standard output is kept
 * apart from the words for people, and its JSON lines are read. Imports node alone.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** What a finished command gave back. */
export interface Finished {
  /** Exit status; -1 when a signal ended it. */
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as JSON, line by line; lines that are none are left out. */
  readonly json: readonly Record<string, unknown>[];
}

/** A command line that runs. */
export interface Command {
  readonly done: Promise<Finished>;
  /** Sends a signal to the command's process. */
  signal(name: 'SIGINT' | 'SIGTERM' | 'SIGKILL'): void;
  /** What it printed on standard output so far. */
  readonly stdout: string;
}

/** Runs a program to its end with its output kept. */
export function runCommand(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Command {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  const kept = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (kept.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (kept.err += text));
  const done = once(child, 'close').then((end): Finished => {
    const [exit] = end as [number | null];
    const { out: stdout, err: stderr } = kept;
    return { exit: exit ?? -1, stdout, stderr, json: jsonLines(stdout) };
  });
  return {
    done,
    signal: (name) => {
      if (child.pid !== undefined) child.kill(name);
    },
    get stdout() {
      return kept.out;
    },
  };
}

/** The lines of a text that are JSON objects. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text.split('\n').flatMap((line) => {
    if (!line.startsWith('{')) return [];
    try {
      return [JSON.parse(line) as Record<string, unknown>];
    } catch {
      return [];
    }
  });
}
