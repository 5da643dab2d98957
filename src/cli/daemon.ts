/**
 * The verb `daemon`: the service of this node in the foreground, until SIGTERM or SIGINT. Always
 * holds: the daemon is loaded only here. Imports the configuration and the daemon lazily.
 */
import { EXIT } from '../core/codes.ts';
import { asUpdateError, type UpdateError } from '../core/errors.ts';
import { flag, text } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';

async function run(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const { CONFIG_PATH, loadConfig } = await import('../config.ts');
  const file = text(values, 'config') ?? (io.env['TANDEM_CONFIG'] || CONFIG_PATH);
  try {
    const config = await loadConfig(file);
    const { runDaemon } = await import('../daemon.ts');
    await runDaemon(config, io.signal);
    return EXIT.done;
  } catch (error) {
    return await reportToLog(asUpdateError(error), flag(values, 'json'), io);
  }
}

/** The journal of an init system is told how bad the last words of the service are. */
async function reportToLog(error: UpdateError, json: boolean, io: CliIo): Promise<number> {
  const { isJournal, withPriority } = await import('../daemon/service-log.ts');
  const { reportError } = await import('./run.ts');
  if (!isJournal(io.env['JOURNAL_STREAM'])) return reportError(error, json, io);
  const err = (text: string): void => io.err(withPriority(text, 'error'));
  return reportError(error, json, { ...io, err });
}

/** The verb of the service itself. */
export const daemonVerbs: readonly Verb[] = [
  {
    name: 'daemon',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Run the service of this node in the foreground until SIGTERM.',
    example: 'tandem daemon --config /etc/tandem/tandem.jsonc',
    options: {
      config: {
        type: 'string',
        value: 'FILE',
        help: 'Configuration file; default TANDEM_CONFIG, else /etc/tandem/tandem.jsonc.',
      },
    },
    run,
  },
];
