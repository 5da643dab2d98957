/**
 * What a verb of the command line is: a row of the table in src/cli/table.ts, from which help,
 * parsing, completion and man page are made. A verb never touches argv, the standard
 * streams or the exit status itself: it gets and returns them. Imports nothing.
 */

/** Time as a command sees it; monotonic. */
export interface CliClock {
  readonly nowMs: () => number;
  /** Rejects when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** The outside of a command: streams, terminal, environment, and the signal of Ctrl-C. */
export interface CliIo {
  /** Results: with `--json` one JSON object, nothing else. */
  readonly out: (text: string) => void;
  /** Bytes to standard output, as fast as they are taken; absent when that is a terminal. */
  readonly outBytes?: (bytes: Uint8Array) => Promise<void>;
  /** Progress, log lines and error sentences. */
  readonly err: (text: string) => void;
  /** Whether a person looks at `err`. */
  readonly errIsTerminal: boolean;
  readonly columns: number;
  /** Lines of the terminal; a view that is redrawn in place never has more. */
  readonly rows?: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Real time when absent. */
  readonly clock?: CliClock;
  /** Asks a person, default No; absent where nobody can answer, and then nothing is asked. */
  readonly confirm?: (question: string) => Promise<boolean>;
  /** Asks a person for a line of text; absent where nobody can answer. */
  readonly ask?: (question: string) => Promise<string>;
  /** The same without echo. */
  readonly askSecret?: (question: string) => Promise<string>;
  /** Standard input, for what a script hands over. */
  readonly input?: () => AsyncIterable<Uint8Array>;
}

/** One option of a verb; its name is the key in the row. */
export interface VerbOption {
  readonly type: 'string' | 'boolean';
  /** May be given more than once; the values come as an array. */
  readonly multiple?: boolean;
  /** Name of the value in the usage line, e.g. FILE. */
  readonly value?: string;
  /** Words that are accepted, for completion. */
  readonly choices?: readonly string[];
  readonly help: string;
}

/** Values of the options that were given, by their names. */
export type VerbValues = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** One row of the table of verbs. */
export interface Verb {
  /** `update`, or `bundle make`. */
  readonly name: string;
  /** Positional arguments as shown, e.g. `FILE|ID`. */
  readonly args: string;
  readonly minArgs: number;
  readonly maxArgs: number;
  readonly summary: string;
  /** One complete example command line. */
  readonly example: string;
  readonly options: Readonly<Record<string, VerbOption>>;
  /**
   * Does the work and returns the exit status. Throws UpdateError for failures: the caller prints
   * them (as JSON on `out` with `--json`) and takes the exit status from the code.
   */
  readonly run: (args: readonly string[], values: VerbValues, io: CliIo) => Promise<number>;
}
