/**
 * The verb of the maintenance console. Always holds: the console itself is loaded only when it is
 * asked for. Imports the control client, its own folder, and the console lazily.
 */
import { EXIT } from '../core/codes.ts';
import { absolute, CLIENT_OPTIONS, connect, flag, text, wholeNumber } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';

async function open(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const client = await connect(values, io);
  const folder = text(values, 'bundles');
  const baud = wholeNumber(values, 'baud', { min: 50, max: 4_000_000 });
  const { runConsole } = await import('../../console/start.ts');
  await runConsole({
    client,
    io,
    readonly: flag(values, 'readonly'),
    plain: flag(values, 'plain'),
    baud,
    bundles: folder === undefined ? undefined : absolute(folder),
  });
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
      bundles: {
        type: 'string',
        value: 'DIR',
        help: 'Look for bundles in this folder too, beside removable media.',
      },
    },
    run: open,
  },
];
