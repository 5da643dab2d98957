/**
 * The real outside of a command: standard streams, terminal, environment and signals of this
 * process. Always holds: the first SIGINT, SIGTERM or SIGHUP only aborts `signal`, so that a
 * command detaches or a daemon ends in order; a second one has the system's default effect. Imports
 * the shape of a verb.
 */
import { createInterface } from 'node:readline/promises';
import { isatty } from 'node:tty';
import type { CliIo } from './verb.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** A closed pipe (`tandem history | head`) ends the output, not the command with an error. */
const CLOSED_PIPE: ReadonlySet<unknown> = new Set(['EPIPE', 'ERR_STREAM_DESTROYED']);

/** Streams, environment and signals of this process; call it once. */
export function processIo(): CliIo {
  const ended = new AbortController();
  for (const name of SIGNALS) process.once(name, () => ended.abort(name));
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (!CLOSED_PIPE.has(error.code)) throw error;
      ended.abort('EPIPE');
    });
  }
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    errIsTerminal: isatty(process.stderr.fd) && process.env['TERM'] !== 'dumb',
    get columns() {
      // A line that says of no size, as serial ones do, has 0.
      return process.stderr.columns || process.stdout.columns || 80;
    },
    get rows() {
      return process.stderr.rows || 24;
    },
    env: process.env,
    signal: ended.signal,
    ...(process.stdout.isTTY ? {} : { outBytes }),
    ...(process.stdin.isTTY && process.stderr.isTTY ? { confirm, ask, askSecret: secretly } : {}),
    input: () => process.stdin,
  };
}

/** Resolves when the bytes were taken. */
async function outBytes(bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

/** The answer to a question on the terminal; Ctrl-C and end of input mean No. */
async function confirm(question: string): Promise<boolean> {
  return /^y(es)?$/i.test((await ask(`${question} [y/N] `)).trim());
}

/** A line from the terminal without echo. */
async function secretly(question: string): Promise<string> {
  const { askSecret } = await import('./secret.ts');
  return askSecret(question, process.stdin, (text) => void process.stderr.write(text));
}

/** A line from the terminal; empty after Ctrl-C and at the end of input. */
async function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
  try {
    return await Promise.race([terminal.question(question), closed]);
  } finally {
    terminal.close();
  }
}
