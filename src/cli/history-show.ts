/**
 * The verb `history show`: the log of one update, or its picture. Always holds: the picture is the
 * one value on standard output, so that it can be kept in a file; it changes nothing. Imports core,
 * the control client and the views.
 */
import type { ControlClient } from '../control/client.ts';
import { EXIT } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import type { RolloutRecord } from '../core/records.ts';
import type { TandemEvent } from '../core/status.ts';
import { renderHistoryEntry } from './render-records.ts';
import { CLIENT_OPTIONS, connect, flag, printJson, printLines, renderOptions } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';

/** How far back a single rollout is looked for. */
const HISTORY_SEARCH = 1000;

/** A rollout by its id; throws `job.unknown`. */
export async function findRollout(
  client: ControlClient,
  id: string,
  io: CliIo,
): Promise<RolloutRecord> {
  const rollouts = await client.history(HISTORY_SEARCH, io.signal);
  const rollout = rollouts.find((entry) => entry.id === id);
  if (rollout === undefined) throw new UpdateError('job.unknown', `there is no rollout ${id}`);
  return rollout;
}

async function show(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const svg = flag(values, 'svg');
  if (svg && flag(values, 'json')) {
    throw new UpdateError('usage.invalid', '--svg does not go with --json');
  }
  const client = await connect(values, io);
  const rollout = await findRollout(client, args[0]!, io);
  if (svg) {
    const events: TandemEvent[] = [];
    for await (const event of client.events({ signal: io.signal })) events.push(event);
    const { at } = await client.status(io.signal);
    const { rolloutSvg } = await import('../daemon/picture.ts');
    io.out(rolloutSvg(rollout, events, Date.parse(at)));
  } else if (flag(values, 'json')) printJson(io, rollout);
  else printLines(io, renderHistoryEntry(rollout, renderOptions(io)));
  return EXIT.done;
}

/** The verb that shows one update. */
export const historyShowVerb: Verb = {
  name: 'history show',
  args: 'ID',
  minArgs: 1,
  maxArgs: 1,
  summary: 'Show the log of one update, or its time line as a picture.',
  example: 'tandem history show update-1a2b3c4d5e --svg',
  options: {
    ...CLIENT_OPTIONS,
    svg: {
      type: 'boolean',
      help: 'Print an SVG picture: nodes, phases, who served, and for how long nobody did.',
    },
  },
  run: show,
};
