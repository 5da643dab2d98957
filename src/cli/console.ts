/**
 * The verb of the maintenance console. Always holds: the console itself is loaded only when it is
 * asked for. Imports the control client, its own folder, and the console lazily.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EXIT } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { SETTING_RULES, SETTINGS_FILE, type SettingKey } from '../core/settings.ts';
import { connectConsole, LOGIN_OPTION } from './connect.ts';
import { absolute, CLIENT_OPTIONS, flag, oneOf, text, wholeNumber } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';

/** How a line is told to wait; the console has the same words. */
const FLOWS = ['none', 'xonxoff', 'rtscts'] as const;

/** Longest copy of the settings; it has a few numbers. */
const SETTINGS_BYTES_MAX = 4096;

/** The speed that is set on this node: the daemon keeps its settings beside its sockets. */
async function speedBeside(socketPath: string): Promise<number | undefined> {
  try {
    const text = await readFile(join(dirname(socketPath), SETTINGS_FILE), 'utf8');
    if (text.length > SETTINGS_BYTES_MAX) return undefined;
    const { consoleSpeed } = JSON.parse(text) as Partial<Record<SettingKey, unknown>>;
    return SETTING_RULES.consoleSpeed.read(String(consoleSpeed)) ?? undefined;
  } catch {
    // The daemon was not up yet, or is an older one.
    return undefined;
  }
}

async function open(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  if (flag(values, 'json')) {
    throw new UpdateError('usage.invalid', '--json does not go with console: it is for people');
  }
  const { client } = await connectConsole(values, io);
  const folder = text(values, 'bundles');
  const serial = text(values, 'serial');
  const baud = wholeNumber(values, 'baud', { min: 50, max: 4_000_000 });
  const flow = oneOf(values, 'flow', FLOWS);
  const { runConsole } = await import('../../console/start.ts');
  const seen = new Set<string>();
  await runConsole({
    onAccess: (at) => void seen.add(at),
    client,
    io,
    readonly: flag(values, 'readonly'),
    plain: flag(values, 'plain'),
    serial: serial === undefined ? undefined : absolute(serial),
    term: text(values, 'term'),
    baud: baud ?? (serial === undefined ? undefined : await speedBeside(client.socketPath)),
    flow,
    bundles: folder === undefined ? undefined : absolute(folder),
  });
  // A login that failed is no success, whoever gave up then.
  if (seen.has('out') && !seen.has('in') && !io.signal.aborted) {
    throw new UpdateError('access.login_required', 'nobody has logged in');
  }
  return EXIT.done;
}

/** The verb of the console. */
export const consoleVerbs: readonly Verb[] = [
  {
    name: 'console',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Open the maintenance console on this terminal.',
    example: 'tandem console --readonly',
    options: {
      ...CLIENT_OPTIONS,
      ...LOGIN_OPTION,
      readonly: { type: 'boolean', help: 'Look only: every change is refused by this console.' },
      plain: {
        type: 'boolean',
        help: 'Line by line, without screens: for TERM=dumb, screen readers and logs.',
      },
      baud: {
        type: 'string',
        value: 'N',
        help: 'Speed of the line, where the system does not know it; output keeps to it.',
      },
      serial: {
        type: 'string',
        value: 'PATH',
        help: 'Serve consoles on this serial port, which has no login program; 9600 baud.',
      },
      term: {
        type: 'string',
        value: 'WORD',
        help: 'What the terminal is, instead of TERM; vt100 on a serial port.',
      },
      flow: {
        type: 'string',
        value: 'WORD',
        help: 'Flow control of the line: none, xonxoff or rtscts.',
      },
      bundles: {
        type: 'string',
        value: 'DIR',
        help: 'Look for bundles in this folder too, beside removable media.',
      },
    },
    run: open,
  },
];
