/**
 * The verb `pair replace`: a new or re-imaged node takes the place of the peer. Always holds: what
 * it costs is said before the word is asked for; with `--json` each line of standard output is one
 * JSON object, the code and then the end of the job; Ctrl-C ends the wait and never the job.
 * Imports core, the control client and its own folder.
 */
import type { ReplaceRequest } from '../control/backend.ts';
import { EXIT } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { isNode, type NodeId } from '../core/model.ts';
import type { ReplaceOffer } from '../core/replace.ts';
import { addressText } from './address.ts';
import { confirmedByOptions, REASON_OPTION, reasonOf, typedWord } from './confirm.ts';
import { plain, wrap } from './render.ts';
import { CLIENT_OPTIONS, connect, flag, printJson, printLines } from './values.ts';
import { renderOptions, text } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';
import { FOLLOW_OPTIONS, sinceSeq, waitForJob } from './wait.ts';
import { timeoutSeconds } from './values.ts';

async function replace(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const node = args[0]?.toUpperCase();
  if (!isNode(node)) {
    throw new UpdateError('usage.invalid', `NODE is ${args[0] ?? 'missing'}; accepted: A, B`);
  }
  const detach = flag(values, 'detach');
  if (detach && flag(values, 'follow')) {
    throw new UpdateError('usage.invalid', '--detach does not go with --follow');
  }
  timeoutSeconds(values);
  sinceSeq(values);
  const listen = await listenOf(values);
  const agreed = confirmedByOptions(values, io);
  const client = await connect(values, io);
  for (const line of costs(node, io)) io.err(`${line}\n`);
  const word = `replace ${node}`;
  if (!agreed) await typedWord(word, io);
  const reason = reasonOf(values) ?? `confirmed on a terminal: ${word}`;
  const request: ReplaceRequest = { node, reason, ...(listen === undefined ? {} : { listen }) };
  const offer = await client.replace(request, io.signal);
  show(offer, values, io);
  return detach ? EXIT.done : waitForJob(client, offer.job, values, io);
}

async function listenOf(values: VerbValues): Promise<ReplaceRequest['listen']> {
  const given = text(values, 'listen');
  if (given === undefined) return undefined;
  const { parseAddress } = await import('../config.ts');
  return parseAddress(given);
}

/** What a replacement costs, in lines. */
function costs(node: NodeId, io: CliIo): string[] {
  const { columns } = renderOptions(io);
  return [
    ...wrap(`Node ${node} loses its place: its key is revoked and never heard again.`, columns),
    ...wrap(`What only node ${node} holds is lost. The service of this node goes on.`, columns),
    ...wrap('The old node must be off, and stay off until its image was written anew.', columns),
  ];
}

function show(offer: ReplaceOffer, values: VerbValues, io: CliIo): void {
  const { code, host, port, validS, tries, node, version, job } = offer;
  const address = addressText({ host, port });
  if (flag(values, 'json')) {
    printJson(io, { code, node, listen: address, validS, tries, version, job: job.id });
    return;
  }
  const options = renderOptions(io);
  printLines(io, [code]);
  const runs = version === null ? '' : `, which must run ${plain(version, options)}`;
  io.err(
    `On the new node ${node}${runs}: tandem pair join ${address} ${code}\n` +
      `The code is valid for ${validS / 60} minutes; ${tries} wrong codes end it. Job ${job.id}.\n`,
  );
}

/** The verb that gives the place of a node to another one. */
export const replaceVerb: Verb = {
  name: 'pair replace',
  args: 'NODE',
  minArgs: 1,
  maxArgs: 1,
  summary: 'Give the place of the other node, which is off, to a new or re-imaged one.',
  example: 'tandem pair replace B --yes --reason disk-exchange',
  options: {
    ...CLIENT_OPTIONS,
    listen: {
      type: 'string',
      value: 'HOST:PORT',
      help: 'Address to wait on for the new node; default link.bulk of the configuration.',
    },
    detach: { type: 'boolean', help: 'Return with the code; the job goes on.' },
    ...FOLLOW_OPTIONS,
    yes: { type: 'boolean', help: 'Do not ask for the typed word; needs --reason.' },
    ...REASON_OPTION,
  },
  run: replace,
};
