/**
 * The verbs `config check` and `config example`: both work without a daemon. Imports the
 * configuration lazily.
 */
import { EXIT } from '../core/codes.ts';
import { flag, printJson, printLines } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';

async function check(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const { CONFIG_PATH, loadConfig } = await import('../config.ts');
  const file = args[0] ?? (io.env['TANDEM_CONFIG'] || CONFIG_PATH);
  const config = await loadConfig(file);
  if (flag(values, 'json')) printJson(io, { ok: true, file, config });
  else printLines(io, [`${file}: valid, node ${config.node} of product ${config.product}`]);
  return EXIT.done;
}

async function example(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const { exampleConfig } = await import('../config-example.ts');
  if (flag(values, 'json')) printJson(io, { example: exampleConfig() });
  else io.out(exampleConfig());
  return EXIT.done;
}

/** The verbs of the configuration file. */
export const configVerbs: readonly Verb[] = [
  {
    name: 'config check',
    args: '[FILE]',
    minArgs: 0,
    maxArgs: 1,
    summary: 'Check a configuration file; an error names line and values.',
    example: 'tandem config check /etc/tandem/tandem.jsonc',
    options: {},
    run: check,
  },
  {
    name: 'config example',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Print a commented configuration with every setting.',
    example: 'tandem config example',
    options: {},
    run: example,
  },
];
