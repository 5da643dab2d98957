/**
 * A command line in this process: its words, its outside, what it printed. Imports the command
 * line.
 */
import { Readable } from 'node:stream';
import { runCommand } from '../../src/cli/run.ts';
import type { CliIo } from '../../src/cli/verb.ts';

export interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
  /** Standard output as the one JSON value that it must be. */
  readonly json: () => unknown;
  /** Standard output as one JSON value a line. */
  readonly lines: () => Record<string, unknown>[];
}

export interface Outside {
  readonly env?: Readonly<Record<string, string>>;
  readonly terminal?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  readonly signal?: AbortSignal;
  readonly confirm?: (question: string) => Promise<boolean>;
  readonly ask?: (question: string) => Promise<string>;
  readonly askSecret?: (question: string) => Promise<string>;
  /** Pieces of standard input. */
  readonly input?: readonly string[];
  /** Where bytes go; standard output is a terminal when absent. */
  readonly outBytes?: (bytes: Uint8Array) => Promise<void>;
  /** Called with every piece of standard error. */
  readonly onErr?: (text: string) => void;
}

/** Runs the words as `tandem WORDS`. */
export async function run(words: readonly string[], outside: Outside = {}): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const io: CliIo = {
    out: (text) => void out.push(text),
    err: (text) => {
      err.push(text);
      outside.onErr?.(text);
    },
    errIsTerminal: outside.terminal ?? false,
    columns: outside.columns ?? 80,
    rows: outside.rows ?? 24,
    env: outside.env ?? {},
    signal: outside.signal ?? new AbortController().signal,
    ...(outside.outBytes ? { outBytes: outside.outBytes } : {}),
    ...(outside.confirm ? { confirm: outside.confirm } : {}),
    ...(outside.ask ? { ask: outside.ask } : {}),
    ...(outside.askSecret ? { askSecret: outside.askSecret } : {}),
    input: () => Readable.from((outside.input ?? []).map((text) => Buffer.from(text))),
  };
  const exit = await runCommand(words, io);
  const text = out.join('');
  return {
    exit,
    out: text,
    err: err.join(''),
    json: () => JSON.parse(text) as unknown,
    lines: () =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}
