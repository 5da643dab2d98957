/**
 * The verbs of the replicated storage: what its two copies are, compare them, make the standby's
 * good, end a split brain. Always holds: what a choice loses is shown before it is asked for; a
 * copy gives way only for a typed word, or for `--yes` with a reason. Imports core, the control
 * client and its own folder.
 */
import type { JobRequest } from '../control/backend.ts';
import { EXIT } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { isNode, NODES, peerOf, type NodeId } from '../core/model.ts';
import type { PairStatus } from '../core/status.ts';
import type { StorageView } from '../core/store.ts';
import { confirmedByOptions, REASON_OPTION, reasonOf, typedWord, why } from './confirm.ts';
import { previewed, PREVIEW_OPTIONS } from './preview.ts';
import { renderChoice, renderSplit, renderVerify } from './render-storage.ts';
import { wrap } from './render.ts';
import { CLIENT_OPTIONS, connect, flag, KEY_OPTION, printJson, printLines } from './values.ts';
import { renderOptions, text } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';
import { FOLLOW_OPTIONS, startedJob, wantsWait } from './wait.ts';

/** Starts a job and, where it is asked for, waits for its end. */
async function start(request: JobRequest, values: VerbValues, io: CliIo): Promise<number> {
  const waits = wantsWait(values);
  const client = await connect(values, io);
  const ended = await previewed(client, request, values, io);
  if (ended !== null) return ended;
  const job = await client.start(request, io.signal);
  return startedJob(client, job, waits, values, io);
}

async function verify(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  return start({ kind: 'verify', ...why(values) }, values, io);
}

async function resync(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  wantsWait(values);
  if (flag(values, 'dry-run')) return start({ kind: 'resync' }, values, io);
  const question =
    'Compare the whole copy of the standby and make it good? ' +
    'There is no high availability until the end.';
  const confirm = flag(values, 'yes') || flag(values, 'json') ? undefined : io.confirm;
  if (confirm !== undefined && !(await confirm(question))) {
    throw new UpdateError('confirm.wrong', 'nothing was started: the answer was not yes');
  }
  return start({ kind: 'resync', ...why(values) }, values, io);
}

async function status(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const client = await connect(values, io);
  const [pair, view] = await Promise.all([client.status(io.signal), client.storage(io.signal)]);
  if (flag(values, 'json')) printJson(io, { ...view, nodes: storesOf(pair) });
  else printLines(io, renderView(pair, view, io));
  return exitOf(view);
}

/** A status that a person has to act on is no success. */
function exitOf({ verify: report, split }: StorageView): number {
  return split !== null || report?.state === 'differs' ? EXIT.pairNotHealthy : EXIT.done;
}

function storesOf({ nodes }: PairStatus): Readonly<Record<NodeId, unknown>> {
  return { A: nodes.A.store, B: nodes.B.store };
}

function renderView({ nodes }: PairStatus, view: StorageView, io: CliIo): string[] {
  const options = renderOptions(io);
  const lines = NODES.flatMap((node) => {
    const { known, store } = nodes[node];
    if (!known || store === null) return [`Node ${node}: UNKNOWN`];
    const { role, copy, connected } = store;
    if (role === 'unknown') return [`Node ${node}: UNKNOWN, its storage does not answer`];
    const joined = connected ? 'connected to the other copy' : 'NOT CONNECTED to the other copy';
    return wrap(`Node ${node}: ${role}, its copy is ${copy}, ${joined}`, options.columns);
  });
  if (view.split !== null) lines.push('', ...renderSplit(view.split, options));
  if (view.verify !== null) return [...lines, '', ...renderVerify(view.verify, options)];
  return [...lines, '', ...wrap('The copies were not compared yet.', options.columns)];
}

async function resolve(_args: readonly string[], given: VerbValues, io: CliIo): Promise<number> {
  // What is asked for here is waited for, so `--timeout` makes sense without another word.
  const dry = flag(given, 'dry-run');
  const values = { ...(dry || flag(given, 'detach') ? {} : { wait: true }), ...given };
  wantsWait(values);
  const keep = text(values, 'keep')?.toUpperCase();
  if (!isNode(keep)) {
    throw new UpdateError('usage.invalid', `--keep is ${keep ?? 'missing'}; accepted: A, B`);
  }
  if (dry) return start({ kind: 'resolve', keep, reason: 'a dry run' }, values, io);
  const agreed = confirmedByOptions(values, io);
  const client = await connect(values, io);
  const { split } = await client.storage(io.signal);
  if (split !== null) {
    for (const line of renderChoice(split, keep, renderOptions(io))) io.err(`${line}\n`);
    if (!agreed) await typedWord(`give up ${peerOf(keep)}`, io);
  }
  // Without a split the daemon says why there is nothing to resolve.
  const reason = reasonOf(values) ?? `confirmed on a terminal: give up ${peerOf(keep)}`;
  return start({ kind: 'resolve', keep, reason }, values, io);
}

const START_OPTIONS = {
  detach: { type: 'boolean', help: 'Print only the id of the job and return.' },
  'dry-run': PREVIEW_OPTIONS['dry-run'],
  ...KEY_OPTION,
} as const;
const WAIT_OPTION = {
  wait: { type: 'boolean', help: 'Wait for its end; exit status of that.' },
  ...START_OPTIONS,
} as const;

/** The verbs of the storage. */
export const storageVerbs: readonly Verb[] = [
  {
    name: 'storage status',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Show both copies of the storage, the newest verify, a split brain.',
    example: 'tandem storage status',
    options: CLIENT_OPTIONS,
    run: status,
  },
  {
    name: 'storage verify',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Compare both copies of the storage while the service goes on; changes nothing.',
    example: 'tandem storage verify --wait',
    options: { ...CLIENT_OPTIONS, ...WAIT_OPTION, ...REASON_OPTION, ...FOLLOW_OPTIONS },
    run: verify,
  },
  {
    name: 'storage resync',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: "Make the standby's copy of the storage equal to the active's.",
    example: 'tandem storage resync --yes --wait --reason verify-found-differences',
    options: {
      ...CLIENT_OPTIONS,
      ...WAIT_OPTION,
      yes: { type: 'boolean', help: 'Do not ask; without a terminal nothing is ever asked.' },
      ...REASON_OPTION,
      ...FOLLOW_OPTIONS,
    },
    run: resync,
  },
  {
    name: 'storage resolve',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'End a split brain: keep one copy, save to a file what only the other one has.',
    example: 'tandem storage resolve --keep A --yes --reason newer-orders',
    options: {
      ...CLIENT_OPTIONS,
      keep: {
        type: 'string',
        value: 'A|B',
        choices: NODES,
        help: 'The node whose copy is kept.',
      },
      ...START_OPTIONS,
      yes: {
        type: 'boolean',
        help: 'Do not ask; needs --reason where a word would be typed.',
      },
      ...REASON_OPTION,
      ...FOLLOW_OPTIONS,
    },
    run: resolve,
  },
];
