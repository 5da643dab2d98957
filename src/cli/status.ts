/**
 * The verbs that only look: status, cluster status, slots, history. Always holds: they change
 * nothing, and they end with 0 when the daemon answered, whatever it said; only a wait that was
 * asked for can time out. Imports core, the control client and the views.
 */
import { EXIT } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { NODES } from '../core/model.ts';
import type { PairStatus } from '../core/status.ts';
import { findRollout, historyShowVerb } from './history-show.ts';
import { renderAudit } from './render-checks.ts';
import { renderHistory, renderHistoryEntry } from './render-records.ts';
import { renderProgress } from './render-rollout.ts';
import { isReady, renderCluster, renderSlots, renderStatus, trustLines } from './render-status.ts';
import { answered } from './silence.ts';
import { CLIENT_OPTIONS, connect, flag, printJson, printLines } from './values.ts';
import { renderOptions, timeoutSeconds, TIMEOUT_OPTION, wholeNumber } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';
import { waitReady, watchStatus, WATCH_OPTION, type Picture } from './watch.ts';

async function status(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const client = await connect(values, io);
  const picture: Picture = {
    json: (found) => found,
    lines: (found) => {
      const options = renderOptions(io);
      const running = found.rollout !== null && !found.rollout.ended;
      const lines = renderStatus(found, options);
      return running ? [...lines, '', ...renderProgress(found, options)] : lines;
    },
  };
  if (flag(values, 'watch')) return watchStatus(client, picture, values, io);
  return show(await answered(client.status(io.signal), io), picture, values, io);
}

async function cluster(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const [watch, wait] = [flag(values, 'watch'), flag(values, 'wait-ready')];
  if (!wait && timeoutSeconds(values) !== undefined) {
    throw new UpdateError('usage.invalid', '--timeout needs --wait-ready');
  }
  const client = await connect(values, io);
  const picture: Picture = {
    lines: (found) => renderCluster(found, renderOptions(io)),
    json: (found) => {
      const { state, ha, reform, alarms, at, self } = found;
      const reforming = found.reforming ?? null;
      const nodes = NODES.map((node) => {
        const { known, ageMs, heardAt = null } = found.nodes[node];
        return { node, known, ageMs, heardAt };
      });
      const ready = isReady(found);
      return { ready, state, ha, reform, reforming, alarms, at, self, nodes };
    },
  };
  if (watch) return watchStatus(client, picture, values, io);
  const once = (): Promise<PairStatus> => answered(client.status(io.signal), io);
  const found = wait ? await waitReady(client, values, io) : await once();
  return show(found, picture, values, io);
}

function show(found: PairStatus, picture: Picture, values: VerbValues, io: CliIo): number {
  if (flag(values, 'json')) printJson(io, picture.json(found));
  else printLines(io, picture.lines(found));
  return EXIT.done;
}

async function slots(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const client = await connect(values, io);
  const found = await client.slots(io.signal);
  const picture = await client.status(io.signal);
  const { trust } = picture;
  if (flag(values, 'json')) printJson(io, { slots: found, ...(trust && { trust }) });
  else {
    const options = renderOptions(io);
    printLines(io, [...renderSlots(found, options), ...trustLines(picture, options)]);
  }
  return EXIT.done;
}

/** Most entries that can be asked for. */
const HISTORY_SEARCH = 1000;

async function history(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const limit = wholeNumber(values, 'limit', { min: 1, max: HISTORY_SEARCH });
  const client = await connect(values, io);
  const options = renderOptions(io);
  const [id] = args;
  if (flag(values, 'audit')) {
    if (id !== undefined) throw new UpdateError('usage.invalid', '--audit takes no ID');
    const entries = await client.audit(limit, io.signal);
    if (flag(values, 'json')) printJson(io, { entries });
    else printLines(io, renderAudit(entries, options));
    return EXIT.done;
  }
  if (id === undefined) {
    const rollouts = await client.history(limit, io.signal);
    if (flag(values, 'json')) printJson(io, { rollouts });
    else printLines(io, renderHistory(rollouts, options));
    return EXIT.done;
  }
  const rollout = await findRollout(client, id, io);
  if (flag(values, 'json')) printJson(io, rollout);
  else printLines(io, renderHistoryEntry(rollout, options));
  return EXIT.done;
}

async function metrics(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const found = await (await connect(values, io)).metrics(io.signal);
  if (flag(values, 'json')) printJson(io, { text: found });
  else io.out(found);
  return EXIT.done;
}

/** The verbs that only look. */
export const statusVerbs: readonly Verb[] = [
  {
    name: 'status',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Show both nodes, the update that runs or ran last, and alarms.',
    example: 'tandem status --json',
    options: { ...CLIENT_OPTIONS, ...WATCH_OPTION },
    run: status,
  },
  {
    name: 'cluster status',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Show how far the pair has reformed, or wait until it is ready.',
    example: 'tandem cluster status --wait-ready --timeout 300',
    options: {
      ...CLIENT_OPTIONS,
      ...WATCH_OPTION,
      'wait-ready': { type: 'boolean', help: 'Wait until the pair is highly available.' },
      ...TIMEOUT_OPTION,
    },
    run: cluster,
  },
  {
    name: 'slots',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Show what the slots of both nodes hold.',
    example: 'tandem slots',
    options: CLIENT_OPTIONS,
    run: slots,
  },
  {
    name: 'metrics',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Print versions, roles, sync, ages and counters as OpenMetrics text.',
    example: 'tandem metrics',
    options: CLIENT_OPTIONS,
    run: metrics,
  },
  {
    name: 'history',
    args: '[ID]',
    minArgs: 0,
    maxArgs: 1,
    summary: 'List the updates of the pair, or show the log of one.',
    example: 'tandem history --limit 5',
    options: {
      ...CLIENT_OPTIONS,
      limit: { type: 'string', value: 'N', help: 'At most this many; default 20.' },
      audit: { type: 'boolean', help: 'List who asked this node for what, when and why.' },
    },
    run: history,
  },
  historyShowVerb,
];
