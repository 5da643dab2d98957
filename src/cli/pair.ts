/**
 * The verbs `pair init` and `pair join`: two nodes become a pair. Both work without a daemon;
 * `pair replace` (pair-replace.ts) is asked of the one that runs.
 * Always holds: with `--json` each line of standard output is one JSON object; `pair init` prints
 * two, the code and then the pair, because the code is needed while it waits. Imports the
 * configuration and the drivers of pairing lazily.
 */
import type { Config } from '../config.ts';
import { EXIT } from '../core/codes.ts';
import { addressText } from './address.ts';
import { replaceVerb } from './pair-replace.ts';
import { flag, printJson, printLines, text } from './values.ts';
import type { CliIo, Verb, VerbOption, VerbValues } from './verb.ts';

const CONFIG_OPTION: VerbOption = {
  type: 'string',
  value: 'FILE',
  help: 'Configuration file; default TANDEM_CONFIG, else /etc/tandem/tandem.jsonc.',
};

async function init(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const { parseAddress } = await import('../config.ts');
  const config = await configOf(values, io);
  const listen = parseAddress(text(values, 'listen') ?? config.link.listen);
  const { pairInit } = await import('../drivers/pairing.ts');
  const offer = await pairInit({ ...(await ownNode(config)), listen, signal: io.signal });
  const { code, validMs, tries } = offer;
  const validS = Math.round(validMs / 1000);
  const address = addressText(offer.address);
  if (flag(values, 'json')) {
    printJson(io, { code, node: config.node, listen: address, validS, tries });
  } else {
    printLines(io, [code]);
    io.err(
      `Run on the other node: tandem pair join ${address} ${code}\n` +
        `The code is valid for ${validS / 60} minutes; ${tries} wrong codes end it. Waiting ...\n`,
    );
  }
  const { pair, peer } = await offer.done;
  printResult({ pair, peer }, values, io);
  return EXIT.done;
}

async function join(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const { parseAddress } = await import('../config.ts');
  const [where, ...code] = args;
  const address = parseAddress(where ?? '');
  const config = await configOf(values, io);
  const { pairJoin } = await import('../drivers/pairing.ts');
  const own = await ownNode(config);
  const { ownRuns } = await import('../daemon/own-release.ts');
  const { pair, peer } = await pairJoin({
    ...own,
    address,
    code: code.join(' '),
    runs: await ownRuns(config),
    signal: io.signal,
  });
  printResult({ pair, peer }, values, io);
  return EXIT.done;
}

interface Paired {
  readonly pair: string;
  readonly peer: { readonly node: string; readonly spkiSha256: string };
}

function printResult(paired: Paired, values: VerbValues, io: CliIo): void {
  if (flag(values, 'json')) {
    printJson(io, paired);
    return;
  }
  const { pair, peer } = paired;
  printLines(io, [`Paired with node ${peer.node}.`, `Pair ${pair}`, `Key  ${peer.spkiSha256}`]);
}

async function configOf(values: VerbValues, io: CliIo): Promise<Config> {
  const { CONFIG_PATH, loadConfig } = await import('../config.ts');
  return loadConfig(text(values, 'config') ?? (io.env['TANDEM_CONFIG'] || CONFIG_PATH));
}

async function ownNode(config: Config): Promise<{ keysDir: string; node: Config['node'] }> {
  const { keysDirOf } = await import('../drivers/keys.ts');
  return { keysDir: keysDirOf(config.stateDir), node: config.node };
}

/** The verbs of pairing. */
export const pairVerbs: readonly Verb[] = [
  {
    name: 'pair init',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Print a one-time code and wait until the other node joins with it.',
    example: 'tandem pair init --config /etc/tandem/tandem.jsonc',
    options: {
      config: CONFIG_OPTION,
      listen: {
        type: 'string',
        value: 'HOST:PORT',
        help: 'Address to wait on; default link.listen of the configuration.',
      },
    },
    run: init,
  },
  {
    name: 'pair join',
    args: 'ADDRESS CODE',
    minArgs: 2,
    // The groups of the code may be typed with blanks between them.
    maxArgs: 8,
    summary: 'Join the node that waits at ADDRESS with the code that it printed.',
    example: 'tandem pair join 192.0.2.1:7411 3F8K-2M0Q-9ZT4-W1NB-6HDS-PX5V-0K7R',
    options: { config: CONFIG_OPTION },
    run: join,
  },
  replaceVerb,
];
