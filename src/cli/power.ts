/**
 * The verbs `restart` and `shutdown` of the node that is asked. Always holds: what happens to the
 * service and what it costs is said before anything begins, and the node's name is typed, or `--yes
 * --reason` stands for it; a gap of service is only taken with `--force`. Imports core, the control
 * client and its own folder.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlClient } from '../control/client.ts';
import { EXIT } from '../core/codes.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { PowerKind, PowerView } from '../core/power.ts';
import type { JobStatus } from '../core/status.ts';
import { confirmedByOptions, REASON_OPTION, reasonOf, typedWord } from './confirm.ts';
import { previewed, PREVIEW_OPTIONS } from './preview.ts';
import { plain, wrap } from './render.ts';
import { CLIENT_OPTIONS, connect, flag, KEY_OPTION, printJson, printLines } from './values.ts';
import { renderOptions, timeoutSeconds, waitSignal } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';
import { FOLLOW_OPTIONS, waitForJob, wantsWait } from './wait.ts';

const POLL_MS = 200;
/** A restart with its sync takes minutes at the most; one that takes longer is told as such. */
const RESTART_S = '900';

function verb(kind: PowerKind) {
  return async (_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> => {
    timeoutSeconds(values);
    const detach = flag(values, 'detach') || flag(values, 'no-wait');
    if (detach) wantsWait({ ...values, detach });
    const force = flag(values, 'force');
    const dry = flag(values, 'dry-run');
    const agreed = dry || confirmedByOptions(values, io);
    const client = await connect(values, io);
    const forced = force ? { force } : {};
    const ended = dry ? await previewed(client, { kind, ...forced }, values, io) : null;
    if (ended !== null) return ended;
    const view = (await client.power(io.signal))[kind];
    const { refusal, node } = view;
    if (refusal !== null && !(force && view.forceable)) throw UpdateError.from(refusal);
    for (const line of renderPower(view, io)) io.err(`${line}\n`);
    if (!agreed) await typedWord(view.word, io);
    const reason = reasonOf(values) ?? `confirmed on a terminal: ${kind} of node ${node}`;
    const job = await client.start({ kind, reason, ...forced }, io.signal);
    if (detach) return begun(job, values, io);
    if (kind === 'shutdown') return untilOff(client, job, view, values, io);
    return waitForJob(client, job, { timeout: RESTART_S, ...values, wait: true }, io);
  };
}

/** What happens and what it costs, in lines. */
function renderPower({ does, costs }: PowerView, io: CliIo): string[] {
  const options = renderOptions(io);
  const head = `${does.charAt(0).toUpperCase()}${does.slice(1)}.`;
  const lines = costs.flatMap((cost) => {
    const [first = '', ...more] = wrap(plain(cost, options), options.columns, '  ');
    return [`- ${first.trimStart()}`, ...more];
  });
  return [...wrap(plain(head, options), options.columns), ...lines];
}

function begun(job: JobStatus, values: VerbValues, io: CliIo): number {
  if (flag(values, 'json')) printJson(io, job);
  else printLines(io, [job.id]);
  return EXIT.done;
}

/** The daemon goes away when its node does; nothing is there any more that could say so. */
async function untilOff(
  client: ControlClient,
  started: JobStatus,
  { node }: PowerView,
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  using wait = waitSignal(values, io, `node ${node} is not off yet`);
  let job = started;
  while (job.state === 'running') {
    try {
      job = await client.job(job.id, wait.signal);
      await sleep(POLL_MS, undefined, { signal: wait.signal });
    } catch (error) {
      if (wait.signal.aborted) throw wait.end(asUpdateError(error));
      if (asUpdateError(error).code !== 'daemon.unreachable') throw error;
      const message = `node ${node} goes off; it stays off until somebody switches it on`;
      if (flag(values, 'json')) printJson(io, { ...job, message, exit: EXIT.done });
      else printLines(io, [message]);
      return EXIT.done;
    }
  }
  return waitForJob(client, job, { ...values, wait: true }, io);
}

const POWER_OPTIONS = {
  ...CLIENT_OPTIONS,
  force: { type: 'boolean', help: 'Also where nobody else can serve: the service stops.' },
  yes: { type: 'boolean', help: 'Do not ask for the name of the node; needs --reason.' },
  wait: { type: 'boolean', help: 'Wait for its end; this is the default.' },
  detach: { type: 'boolean', help: 'Print the id of the job and return.' },
  'no-wait': { type: 'boolean', help: 'The same as --detach.' },
  'dry-run': PREVIEW_OPTIONS['dry-run'],
  ...KEY_OPTION,
  ...REASON_OPTION,
} as const;

/** The verbs of a node's power. */
export const powerVerbs: readonly Verb[] = [
  {
    name: 'restart',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Restart this node; a service that it has is handed over first.',
    example: 'tandem restart --yes --reason memory-exchange',
    options: { ...POWER_OPTIONS, ...FOLLOW_OPTIONS },
    run: verb('restart'),
  },
  {
    name: 'shutdown',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Switch this node off; a service that it has is handed over first.',
    example: 'tandem shutdown --yes --reason rack-move',
    options: { ...POWER_OPTIONS, timeout: FOLLOW_OPTIONS.timeout },
    run: verb('shutdown'),
  },
];
