/**
 * What verbs need again and again: options as typed values, JSON output, the address of the daemon.
 * Always holds: a number is a number within its limits, and a path is absolute before it leaves
 * this process, because the daemon runs in another folder. Imports core and the control client.
 */
import { dirname, join, resolve } from 'node:path';
import { ControlClient } from '../control/client.ts';
import { UpdateError } from '../core/errors.ts';
import type { RenderOptions } from './render.ts';
import type { CliIo, VerbOption, VerbValues } from './verb.ts';

/** Where the daemon listens when nothing says otherwise. */
export const SOCKET_PATH = '/run/tandem/control.sock';
/** Name of the console socket, which lies beside the control socket unless it is configured. */
const CONSOLE_SOCKET = 'console.sock';

/** Options of every verb that talks to the daemon. */
export const CLIENT_OPTIONS = {
  socket: {
    type: 'string',
    value: 'PATH',
    help: 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.',
  },
  config: {
    type: 'string',
    value: 'FILE',
    help: 'Configuration that names the socket; default TANDEM_CONFIG.',
  },
} as const satisfies Record<string, VerbOption>;

/** The option of every change that may be asked for again. */
export const KEY_OPTION = {
  'idempotency-key': {
    type: 'string',
    value: 'KEY',
    help: 'The same change with the same KEY is done once, however often it is asked for.',
  },
} as const satisfies Record<string, VerbOption>;

/** The value of `--idempotency-key`; throws `usage.invalid`. */
export function keyOf(values: VerbValues): string | undefined {
  const key = text(values, 'idempotency-key');
  if (key === undefined || /^[\w.-]{1,64}$/.test(key)) return key;
  const accepted = '1 to 64 letters, digits, dots, underscores and hyphens';
  throw new UpdateError('usage.invalid', `--idempotency-key is ${key}; accepted: ${accepted}`);
}

/** The value of a string option. */
export function text(values: VerbValues, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

/** True when a boolean option was given. */
export function flag(values: VerbValues, name: string): boolean {
  return values[name] === true;
}

/** A whole number from `min` to `max`; throws `usage.invalid`. */
export function wholeNumber(
  values: VerbValues,
  name: string,
  limits: { readonly min: number; readonly max: number },
): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const number = /^\d{1,16}$/.test(value) ? Number(value) : NaN;
  if (number >= limits.min && number <= limits.max) return number;
  const expected = `a whole number from ${limits.min} to ${limits.max}`;
  throw new UpdateError('usage.invalid', `--${name} is ${value}; accepted: ${expected}`);
}

/** One of the words; throws `usage.invalid` with the accepted ones. */
export function oneOf<T extends string>(
  values: VerbValues,
  name: string,
  accepted: readonly T[],
): T | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const found = accepted.find((word) => word === value);
  if (found !== undefined) return found;
  const message = `--${name} is ${value}; accepted: ${accepted.join(', ')}`;
  throw new UpdateError('usage.invalid', message);
}

/** The file of an argument as an absolute path. */
export function absolute(path: string): string {
  return resolve(path);
}

/** Prints one JSON value on one line of standard output. */
export function printJson(io: CliIo, value: unknown): void {
  io.out(`${JSON.stringify(value)}\n`);
}

/** Prints lines on standard output. */
export function printLines(io: CliIo, lines: readonly string[]): void {
  io.out(`${lines.join('\n')}\n`);
}

/**
 * A client of the daemon: `--socket`, else `--config`, else TANDEM_SOCKET, else TANDEM_CONFIG, else
 * the default configuration file, else the default socket. Throws what the configuration throws.
 */
export async function connect(values: VerbValues, io: CliIo): Promise<ControlClient> {
  const { control } = await socketPaths(values, io);
  return new ControlClient(control, { caller: io.env['USER'], key: keyOf(values) });
}

/** The two sockets of a daemon. */
export interface SocketPaths {
  readonly control: string;
  /** The one that takes a login first. */
  readonly console: string;
}

/**
 * The sockets as `connect` finds them. TANDEM_CONSOLE_SOCKET names the console socket; it lies
 * beside a control socket that was named without a configuration.
 */
export async function socketPaths(values: VerbValues, io: CliIo): Promise<SocketPaths> {
  const found = await configuredPaths(values, io);
  const variable = io.env['TANDEM_CONSOLE_SOCKET'];
  return variable ? { ...found, console: resolve(variable) } : found;
}

async function configuredPaths(values: VerbValues, io: CliIo): Promise<SocketPaths> {
  const socket = text(values, 'socket');
  if (socket !== undefined) return beside(resolve(socket));
  const given = text(values, 'config');
  const variable = io.env['TANDEM_SOCKET'];
  if (given === undefined && variable) return beside(resolve(variable));
  const file = given ?? (io.env['TANDEM_CONFIG'] || undefined);
  const { CONFIG_PATH, loadConfig } = await import('../config.ts');
  const pathsOf = async (path: string): Promise<SocketPaths> => {
    const { control } = await loadConfig(path);
    return { control: control.socket, console: control.consoleSocket };
  };
  if (file !== undefined) return pathsOf(file);
  try {
    return await pathsOf(CONFIG_PATH);
  } catch (error) {
    if (error instanceof UpdateError && error.code === 'file.not_found') {
      return beside(SOCKET_PATH);
    }
    throw error;
  }
}

const beside = (control: string): SocketPaths => ({
  control,
  console: join(dirname(control), CONSOLE_SOCKET),
});

/** How wide and in which characters lines are made for this outside. */
export function renderOptions(io: CliIo): RenderOptions {
  const { env } = io;
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  const columns = Math.max(40, Math.min(io.columns || 80, 240));
  return { columns, unicode: /utf-?8/i.test(locale) };
}

/** The option of every verb that can wait. */
export const TIMEOUT_OPTION = {
  timeout: {
    type: 'string',
    value: 'S',
    help: 'Stop waiting after this many seconds with exit status 40; the job goes on.',
  },
} as const satisfies Record<string, VerbOption>;

/** Longest wait that can be asked for: 30 days. */
const TIMEOUT_S_MAX = 30 * 24 * 3600;

/** The end of a wait: by `--timeout`, or by Ctrl-C. */
export interface Wait extends Disposable {
  readonly signal: AbortSignal;
  /** The error to end with: why the wait was over, or the other error when it was not. */
  readonly end: (other: UpdateError) => UpdateError;
}

/** Seconds of `--timeout`; throws `usage.invalid`. */
export function timeoutSeconds(values: VerbValues): number | undefined {
  return wholeNumber(values, 'timeout', { min: 1, max: TIMEOUT_S_MAX });
}

/** The options with what is left of `--timeout` after so much of it, at least a second. */
export function remaining(values: VerbValues, spentMs: number): VerbValues {
  const timeoutS = timeoutSeconds(values);
  if (timeoutS === undefined) return values;
  return { ...values, timeout: String(Math.max(1, Math.ceil(timeoutS - spentMs / 1000))) };
}

/** Starts the clock of `--timeout`; `what` opens the sentence, e.g. `job 12 still runs`. */
export function waitSignal(values: VerbValues, io: CliIo, what: string): Wait {
  const timeoutS = timeoutSeconds(values);
  const over = new AbortController();
  const timer =
    timeoutS === undefined ? undefined : setTimeout(() => over.abort(), timeoutS * 1000);
  return {
    signal: AbortSignal.any([io.signal, over.signal]),
    end: (other) => {
      if (over.signal.aborted) {
        return new UpdateError('wait.timed_out', `${what} after ${timeoutS} s`);
      }
      return io.signal.aborted ? new UpdateError('wait.detached', `detached: ${what}`) : other;
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
