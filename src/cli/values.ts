/**
 * What verbs need again and again: options as typed values, JSON output, the address of the daemon.
 * Always holds: a number is a number within its limits, and a path is absolute before it leaves
 * this process, because the daemon runs in another folder. Imports core and the control client.
 */
import { resolve } from 'node:path';
import { ControlClient } from '../control/client.ts';
import { UpdateError } from '../core/errors.ts';
import type { CliIo, VerbOption, VerbValues } from './verb.ts';

/** Where the daemon listens when nothing says otherwise. */
export const SOCKET_PATH = '/run/tandem/control.sock';

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
  const number = /^\d{1,15}$/.test(value) ? Number(value) : NaN;
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
  return new ControlClient(await socketPath(values, io), { caller: io.env['USER'] });
}

async function socketPath(values: VerbValues, io: CliIo): Promise<string> {
  const socket = text(values, 'socket');
  if (socket !== undefined) return resolve(socket);
  const given = text(values, 'config');
  const variable = io.env['TANDEM_SOCKET'];
  if (given === undefined && variable) return resolve(variable);
  const file = given ?? (io.env['TANDEM_CONFIG'] || undefined);
  const { CONFIG_PATH, loadConfig } = await import('../config.ts');
  if (file !== undefined) return (await loadConfig(file)).control.socket;
  try {
    return (await loadConfig(CONFIG_PATH)).control.socket;
  } catch (error) {
    if (error instanceof UpdateError && error.code === 'file.not_found') return SOCKET_PATH;
    throw error;
  }
}
