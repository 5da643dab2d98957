/**
 * The verbs of an operator: switchover, takeover, stand-down. Always holds: a takeover says what it
 * costs before it asks, and asks for a typed word; a switchover waits until the other node serves,
 * unless it is told not to. Imports core, the control client and its own folder.
 */
import type { ControlClient } from '../control/client.ts';
import { UpdateError } from '../core/errors.ts';
import { peerOf, type NodeId } from '../core/model.ts';
import type { ActAnswer, TakeoverView } from '../core/operator.ts';
import type { PairStatus } from '../core/status.ts';
import { confirmedByOptions, REASON_OPTION, reasonOf, typedWord, why } from './confirm.ts';
import { exitOfChange, previewed, PREVIEW_OPTIONS } from './preview.ts';
import { duration, plain, wrap } from './render.ts';
import { CLIENT_OPTIONS, connect, flag, KEY_OPTION, printJson, printLines } from './values.ts';
import { renderOptions, TIMEOUT_OPTION, timeoutSeconds } from './values.ts';
import type { CliIo, Verb, VerbOption, VerbValues } from './verb.ts';
import { waitUntil } from './watch.ts';

const POLL_MS = 250;
/** A switchover takes a moment; one that takes longer than this is told as such. */
const SWITCHOVER_S = '60';

const YES_OPTION = {
  yes: { type: 'boolean', help: 'Do not ask; needs --reason where a word would be typed.' },
} as const satisfies Record<string, VerbOption>;

function print(answer: ActAnswer, values: VerbValues, io: CliIo): number {
  if (flag(values, 'json')) printJson(io, answer);
  else printLines(io, wrap(plain(answer.message, renderOptions(io)), renderOptions(io).columns));
  return exitOfChange(answer.changed, values);
}

async function switchover(
  _args: readonly string[],
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  timeoutSeconds(values);
  const reason = why(values);
  const detach = flag(values, 'no-wait');
  if (detach && flag(values, 'wait')) {
    throw new UpdateError('usage.invalid', '--no-wait does not go with --wait');
  }
  const client = await connect(values, io);
  const request = { act: 'switchover', ...reason } as const;
  const ended = await previewed(client, request, values, io);
  if (ended !== null) return ended;
  const confirm = flag(values, 'yes') || flag(values, 'json') ? undefined : io.confirm;
  const question = 'Exchange the roles of both nodes? Clients see a short gap.';
  if (confirm !== undefined && !(await confirm(question))) {
    throw new UpdateError('confirm.wrong', 'nothing was started: the answer was not yes');
  }
  const answer = await client.act(request, io.signal);
  const { to } = answer;
  if (detach || to === undefined) return print(answer, values, io);
  await untilServes(client, to, { timeout: SWITCHOVER_S, ...values }, io);
  return print({ ...answer, serving: to, message: `node ${to} serves now` }, values, io);
}

/**
 * Waits until the node serves, and says so when the daemon is silent meanwhile; throws
 * `switchover.abandoned` when the node was lost on the way, `wait.timed_out`, `wait.detached`.
 */
export async function untilServes(
  client: Pick<ControlClient, 'status'>,
  to: NodeId,
  values: VerbValues,
  io: CliIo,
): Promise<void> {
  const until = (found: PairStatus): boolean => {
    if (found.nodes[to].known && found.nodes[to].serving) return true;
    const lost = abandoned(found, to);
    if (lost !== null) throw lost;
    return false;
  };
  const waits = `node ${to} does not serve yet`;
  await waitUntil(client, { waits, everyMs: POLL_MS, until }, values, io);
}

/** The old holder serves alone: the link was lost before the other one had the service. */
function abandoned({ nodes }: PairStatus, to: NodeId): UpdateError | null {
  const from = peerOf(to);
  if (!nodes[from].serving || nodes[to].known) return null;
  const message = `node ${to} does not answer any more; node ${from} goes on serving`;
  return new UpdateError('switchover.abandoned', message);
}

async function takeover(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const dry = flag(values, 'dry-run');
  const agreed = dry || confirmedByOptions(values, io);
  const client = await connect(values, io);
  const view = await client.takeover(io.signal);
  const asked = { act: 'takeover', peer: view.peer, reason: 'a dry run' } as const;
  const ended = dry ? await previewed(client, asked, values, io) : null;
  if (ended !== null) return ended;
  if (view.refusal === null && !view.needless) {
    for (const line of renderTakeover(view, io)) io.err(`${line}\n`);
    if (!agreed) await typedWord(view.word, io);
  }
  const reason = reasonOf(values) ?? `confirmed on a terminal: ${view.word}`;
  const answer = await client.act({ act: 'takeover', peer: view.peer, reason }, io.signal);
  return print(answer, values, io);
}

/** What a takeover does and costs, in lines. */
function renderTakeover(view: TakeoverView, io: CliIo): string[] {
  const options = renderOptions(io);
  const heard =
    view.lastHeardS === null
      ? `Node ${view.peer} was never heard since this daemon started.`
      : `Node ${view.peer} was last heard ${duration(view.lastHeardS)} ago (${view.lastHeardAt}).`;
  const costs = view.costs.flatMap((cost) => {
    const [first = '', ...more] = wrap(plain(cost, options), options.columns, '  ');
    return [`- ${first.trimStart()}`, ...more];
  });
  return [...wrap(`Takeover: ${plain(view.does, options)}.`, options.columns), heard, ...costs];
}

async function standDown(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const on = !flag(values, 'end');
  const request = { act: 'stand-down', on, ...why(values) } as const;
  const client = await connect(values, io);
  const ended = await previewed(client, request, values, io);
  return ended ?? print(await client.act(request, io.signal), values, io);
}

/** The verbs of an operator. */
export const operatorVerbs: readonly Verb[] = [
  {
    name: 'switchover',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Exchange the roles of the two nodes, and wait until the other one serves.',
    example: 'tandem switchover --yes --reason fan-exchange',
    options: {
      ...CLIENT_OPTIONS,
      wait: { type: 'boolean', help: 'Wait until the other node serves; this is the default.' },
      'no-wait': { type: 'boolean', help: 'Return as soon as the switchover has begun.' },
      timeout: {
        ...TIMEOUT_OPTION.timeout,
        help: 'Stop waiting after this many seconds with exit status 40; default 60.',
      },
      yes: { type: 'boolean', help: 'Do not ask; without a terminal nothing is ever asked.' },
      ...PREVIEW_OPTIONS,
      ...KEY_OPTION,
      ...REASON_OPTION,
    },
    run: switchover,
  },
  {
    name: 'takeover',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Say that the peer is off for sure: this node goes on, or takes over, alone.',
    example: 'tandem takeover --yes --reason unplugged',
    options: {
      ...CLIENT_OPTIONS,
      ...YES_OPTION,
      ...PREVIEW_OPTIONS,
      ...KEY_OPTION,
      ...REASON_OPTION,
    },
    run: takeover,
  },
  {
    name: 'stand-down',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Let this standby promise not to take over, for maintenance, or end the promise.',
    example: 'tandem stand-down --reason disk-check',
    options: {
      ...CLIENT_OPTIONS,
      end: { type: 'boolean', help: 'End the promise: this node may take over again.' },
      ...PREVIEW_OPTIONS,
      ...KEY_OPTION,
      ...REASON_OPTION,
    },
    run: standDown,
  },
];
