/**
 * The one error class, made of a code of the table in codes.ts, a sentence that says what was found
 * and what was expected, and structured facts. Pure; imports only the table.
 */
import { CODES, EXIT, isCode, type Code, type ExitStatus } from './codes.ts';

/**
 * Structured facts of an error, for `--json`: what was found, what was expected, on which node, how
 * many bytes are missing.
 */
export type ErrorDetail = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** An error in a form that crosses processes and the wire. */
export interface ErrorReport {
  readonly code: Code;
  readonly message: string;
  readonly next: string;
  readonly detail?: ErrorDetail;
}

/**
 * What the table says of a code that came from outside: records and answers may hold one that only
 * a newer program knows, and then its sentence is all there is.
 */
export function adviceOf(code: string): { readonly exit: ExitStatus; readonly next: string } {
  if (isCode(code)) return CODES[code];
  const next = 'The code is one of a newer program: ask `tandem explain` on a node that runs it.';
  return { exit: EXIT.internal, next };
}

/**
 * Every expected failure. The message says what was found and what was expected; the code's table
 * entry says what to do.
 */
export class UpdateError extends Error {
  override readonly name = 'UpdateError';
  readonly code: Code;
  readonly detail: ErrorDetail | undefined;

  constructor(code: Code, message: string, options?: { cause?: unknown; detail?: ErrorDetail }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = options?.detail;
  }

  get exit(): ExitStatus {
    return CODES[this.code].exit;
  }

  /** The form that goes to another process or to a user. */
  report(): ErrorReport {
    const base = { code: this.code, message: this.message, next: CODES[this.code].next };
    return this.detail === undefined ? base : { ...base, detail: this.detail };
  }

  /**
   * The error again from a report of another process; an unknown code (a newer peer) becomes
   * `internal.bug` with its text.
   */
  static from(report: {
    code: string;
    message: string;
    detail?: ErrorDetail | undefined;
  }): UpdateError {
    const options = report.detail === undefined ? undefined : { detail: report.detail };
    return isCode(report.code)
      ? new UpdateError(report.code, report.message, options)
      : new UpdateError('internal.bug', `${report.code}: ${report.message}`, options);
  }
}

/**
 * Any thrown value as an UpdateError: expected ones unchanged, anything else as `internal.bug` with
 * the original as cause.
 */
export function asUpdateError(error: unknown): UpdateError {
  if (error instanceof UpdateError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new UpdateError('internal.bug', message, { cause: error });
}
