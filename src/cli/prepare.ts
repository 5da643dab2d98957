/**
 * The verbs of prepared updates: begin one, see each stage of each node, ignore a node, try again,
 * authorise and settle its install, give it up. Always holds: none of them writes a slot; what a
 * word changes is a change of the daemon, and its audit log has who said it. Imports core, the
 * control client and its own folder.
 */
import { stat } from 'node:fs/promises';
import type { BundleSource } from '../control/backend.ts';
import { EXIT } from '../core/codes.ts';
import { adviceOf, UpdateError } from '../core/errors.ts';
import { isNode, NODES, type NodeId } from '../core/model.ts';
import type { PrepareRequest } from '../core/prepare-view.ts';
import { REASON_OPTION, reasonOf, why } from './confirm.ts';
import { DETAILED_OPTION, exitOfChange, previewed, PREVIEW_OPTIONS } from './preview.ts';
import { renderPrepare } from './render-prepare.ts';
import { plain, wrap } from './render.ts';
import { absolute, CLIENT_OPTIONS, connect, flag, KEY_OPTION, oneOf } from './values.ts';
import { printJson, printLines, renderOptions } from './values.ts';
import type { CliIo, Verb, VerbOption, VerbValues } from './verb.ts';
import { FOLLOW_OPTIONS, startedJob, wantsWait } from './wait.ts';

const ORDERS = ['active-first', 'standby-first'] as const;
const FAILURES = ['hold', 'rollback'] as const;

const INSTALL_OPTIONS = {
  order: {
    type: 'string',
    value: 'ORDER',
    choices: ORDERS,
    help: 'Which node the install updates first; default as configured.',
  },
  'on-second-failure': {
    type: 'string',
    value: 'WHAT',
    choices: FAILURES,
    help: 'hold or rollback, when the second node fails for good; default as configured.',
  },
} as const satisfies Record<string, VerbOption>;

function installOptions(values: VerbValues) {
  const order = oneOf(values, 'order', ORDERS);
  const onSecondFailure = oneOf(values, 'on-second-failure', FAILURES);
  return {
    ...(order === undefined ? {} : { order }),
    ...(onSecondFailure === undefined ? {} : { onSecondFailure }),
  };
}

async function prepare(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const waits = wantsWait(values);
  const source = await sourceOf(args[0]!);
  const request = { kind: 'prepare', source, ...installOptions(values), ...why(values) } as const;
  const client = await connect(values, io);
  const ended = await previewed(client, request, values, io);
  if (ended !== null) return ended;
  if (io.errIsTerminal) io.err('Checking the request ...\n');
  const job = await client.start(request, io.signal);
  return startedJob(client, job, waits, values, io);
}

/** A file, or the id of a bundle that is staged. */
async function sourceOf(
  word: string,
): Promise<Exclude<BundleSource, { readonly prepared: string }>> {
  const exists = (): Promise<boolean> =>
    stat(word).then(
      () => true,
      () => false,
    );
  if (/^[0-9a-f]{64}$/.test(word) && !(await exists())) return { bundle: word };
  return { path: absolute(word) };
}

async function status(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const client = await connect(values, io);
  const view = await client.prepared(io.signal);
  const { refusal } = view;
  const waits = refusal === null ? EXIT.done : adviceOf(refusal.code).exit;
  const exit = flag(values, 'ready') ? waits : EXIT.done;
  if (flag(values, 'json')) printJson(io, { ...view, exit });
  else printLines(io, renderPrepare(view, renderOptions(io)));
  return exit;
}

async function say(request: PrepareRequest, values: VerbValues, io: CliIo): Promise<number> {
  const client = await connect(values, io);
  const answer = await client.sayPrepare(request, io.signal);
  if (flag(values, 'json')) printJson(io, answer);
  else {
    const options = renderOptions(io);
    printLines(io, wrap(plain(answer.message, options), options.columns));
  }
  return exitOfChange(answer.changed, values);
}

/** A word that names no more than the preparation. */
const plainWord =
  (kind: 'authorize' | 'retry' | 'cancel'): Verb['run'] =>
  (args, values, io) =>
    say({ do: kind, ...idOf(args), ...why(values) }, values, io);

function idOf([id]: readonly string[]): { readonly id?: string } {
  return id === undefined ? {} : { id };
}

async function ignore(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const node = nodeOf(args[0]!);
  const reason = reasonOf(values);
  if (reason === undefined) {
    throw new UpdateError('usage.invalid', 'prepare ignore needs --reason TEXT: say why');
  }
  return say({ do: 'ignore', node, reason }, values, io);
}

async function heed(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  return say({ do: 'heed', node: nodeOf(args[0]!), ...why(values) }, values, io);
}

async function configure(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const options = installOptions(values);
  return say({ do: 'configure', ...idOf(args), ...options, ...why(values) }, values, io);
}

function nodeOf(word: string): NodeId {
  const node = word.toUpperCase();
  if (isNode(node)) return node;
  throw new UpdateError('usage.invalid', `found node ${word}; accepted: ${NODES.join(', ')}`);
}

const WORD_OPTIONS = {
  ...CLIENT_OPTIONS,
  ...DETAILED_OPTION,
  ...KEY_OPTION,
  ...REASON_OPTION,
} as const;

const wordVerb = (
  name: string,
  args: string,
  rest: Pick<Verb, 'summary' | 'example' | 'run'> & Partial<Pick<Verb, 'options'>>,
): Verb => ({
  name: `prepare ${name}`,
  args,
  minArgs: args.startsWith('[') ? 0 : 1,
  maxArgs: 1,
  ...rest,
  options: { ...WORD_OPTIONS, ...rest.options },
});

/** The verbs of prepared updates. */
export const prepareVerbs: readonly Verb[] = [
  {
    name: 'prepare',
    args: 'FILE|ID',
    minArgs: 1,
    maxArgs: 1,
    summary: 'Do ahead on both nodes all that an install needs; no slot is written.',
    example: 'tandem prepare /media/usb/update.bin --wait --timeout 3600',
    options: {
      ...CLIENT_OPTIONS,
      ...INSTALL_OPTIONS,
      wait: { type: 'boolean', help: 'Wait until all is prepared; failed stages are retried.' },
      ...FOLLOW_OPTIONS,
      detach: { type: 'boolean', help: 'Print only the id and return.' },
      ...PREVIEW_OPTIONS,
      ...KEY_OPTION,
      ...REASON_OPTION,
    },
    run: prepare,
  },
  {
    name: 'prepare status',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Show each stage of each node, and what an install still waits for.',
    example: 'tandem prepare status --ready',
    options: {
      ...CLIENT_OPTIONS,
      ready: {
        type: 'boolean',
        help: 'Exit status that an install would be refused with now; 0 when it may begin.',
      },
    },
    run: status,
  },
  wordVerb('ignore', 'NODE', {
    summary: 'Go on without a node that cannot be prepared; its install is slower.',
    example: 'tandem prepare ignore B --reason disk-is-being-replaced',
    run: ignore,
  }),
  wordVerb('heed', 'NODE', {
    summary: 'Let an ignored node count again.',
    example: 'tandem prepare heed B --reason disk-replaced',
    run: heed,
  }),
  wordVerb('retry', '[ID]', {
    summary: 'Run failed stages again at once; what is done stays.',
    example: 'tandem prepare retry --reason space-was-made',
    run: plainWord('retry'),
  }),
  wordVerb('authorize', '[ID]', {
    summary: 'Allow one install of what is prepared.',
    example: 'tandem prepare authorize --reason change-4711',
    run: plainWord('authorize'),
  }),
  wordVerb('configure', '[ID]', {
    summary: 'Settle how it is installed; the plan is frozen with that.',
    example: 'tandem prepare configure --order standby-first',
    options: INSTALL_OPTIONS,
    run: configure,
  }),
  wordVerb('cancel', '[ID]', {
    summary: 'Give up what is prepared; the bundle stays staged.',
    example: 'tandem prepare cancel --reason wrong-release',
    run: plainWord('cancel'),
  }),
];
