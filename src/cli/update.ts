/**
 * The verbs that check or change the pair: validate, stage, update, rollback, commit. Always holds:
 * a change is a job of the daemon and never the work of this process; nothing is asked where nobody
 * can answer; paths are absolute before they are sent. Imports core, the control client and its own
 * folder.
 */
import { stat } from 'node:fs/promises';
import type { BundleSource, JobRequest } from '../control/backend.ts';
import { EXIT } from '../core/codes.ts';
import { adviceOf, asUpdateError, UpdateError } from '../core/errors.ts';
import type { TimesGiven } from '../core/schedule-time.ts';
import { REASON_OPTION, why } from './confirm.ts';
import { isThere, previewed, PREVIEW_OPTIONS, startsNothing } from './preview.ts';
import { renderEstimate, renderPrecheck } from './render-checks.ts';
import { renderStaged, renderValidate } from './render-records.ts';
import { isLater, LATER_OPTIONS, laterRequest, MANNER_OPTIONS } from './schedule.ts';
import { mannerOf, updateLater } from './schedule.ts';
import { absolute, CLIENT_OPTIONS, connect, flag, KEY_OPTION, oneOf } from './values.ts';
import { printJson, printLines, renderOptions } from './values.ts';
import type { CliIo, Verb, VerbOption, VerbValues } from './verb.ts';
import { FOLLOW_OPTIONS, startedJob, wantsWait } from './wait.ts';

const ORDERS = ['active-first', 'standby-first'] as const;
const FAILURES = ['hold', 'rollback'] as const;

const CHANGE_OPTIONS = {
  ...CLIENT_OPTIONS,
  wait: { type: 'boolean', help: 'Wait for the end; the exit status is that of the job.' },
  ...FOLLOW_OPTIONS,
  detach: { type: 'boolean', help: 'Print only the id of the job and return.' },
  yes: { type: 'boolean', help: 'Do not ask; without a terminal nothing is ever asked.' },
  ...PREVIEW_OPTIONS,
  ...KEY_OPTION,
  ...REASON_OPTION,
} as const satisfies Record<string, VerbOption>;

async function validate(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const client = await connect(values, io);
  const report = await client.validate(absolute(args[0]!), io.signal);
  const exit = report.ok || report.code === null ? EXIT.done : adviceOf(report.code).exit;
  if (flag(values, 'json')) printJson(io, { ...report, exit });
  else printLines(io, renderValidate(report, renderOptions(io)));
  return report.ok ? EXIT.done : exit === EXIT.done ? EXIT.internal : exit;
}

/** Sends a change, then returns, detaches or waits, as the options say. */
async function change(
  request: JobRequest,
  question: string,
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const waits = wantsWait(values);
  why(values);
  const client = await connect(values, io);
  if (request.kind !== 'update') {
    const ended = await previewed(client, request, values, io);
    if (ended !== null) return ended;
  }
  const confirm = flag(values, 'yes') || flag(values, 'json') ? undefined : io.confirm;
  if (confirm !== undefined && !(await confirm(question))) {
    throw new UpdateError('confirm.wrong', 'nothing was started: the answer was not yes');
  }
  if (io.errIsTerminal) io.err('Checking the request ...\n');
  const asked: JobRequest = { ...request, ...why(values) };
  const job = await client.start(asked, io.signal).catch(async (cause: unknown) => {
    const error = asUpdateError(cause);
    if (io.signal.aborted) throw startError(error);
    const there = flag(values, 'detailed-exitcode') && (await isThere(client, error, io));
    if (!there) throw error;
    return error;
  });
  if (job instanceof UpdateError) return nothingToDo(job, values, io);
  return startedJob(client, job, waits, values, io);
}

/** It is everywhere already, and the script wants to be told so. */
function nothingToDo(error: UpdateError, values: VerbValues, io: CliIo): number {
  if (flag(values, 'json')) printJson(io, { error: error.report(), exit: EXIT.nothingToDo });
  else printLines(io, [`Nothing to do: ${error.message}.`]);
  return EXIT.nothingToDo;
}

/** An interrupted start: only the daemon knows whether the job has begun. */
function startError(error: UpdateError): UpdateError {
  if (error.code !== 'wait.detached') return error;
  const message =
    'interrupted before the daemon accepted or refused; `tandem job list` shows whether a job runs';
  return new UpdateError('wait.detached', message, { cause: error });
}

async function stage(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const [file] = args;
  if (flag(values, 'list') === (file !== undefined)) {
    const message = 'give the bundle that is to be staged, or --list for those that are';
    throw new UpdateError('usage.invalid', message);
  }
  if (file === undefined) return staged(values, io);
  const path = absolute(file);
  return change({ kind: 'stage', path }, `Copy ${path} to both nodes?`, values, io);
}

/** The bundles that an update can be started from by their id. */
async function staged(values: VerbValues, io: CliIo): Promise<number> {
  const bundles = await (await connect(values, io)).bundles(io.signal);
  if (flag(values, 'json')) printJson(io, { bundles });
  else printLines(io, renderStaged(bundles, renderOptions(io)));
  return EXIT.done;
}

async function update(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const word = args[0]!;
  const order = oneOf(values, 'order', ORDERS);
  const onSecondFailure = oneOf(values, 'on-second-failure', FAILURES);
  const source = await updateSource(word);
  const request: JobRequest & { kind: 'update' } = {
    kind: 'update',
    source,
    ...(order === undefined ? {} : { order }),
    ...(onSecondFailure === undefined ? {} : { onSecondFailure }),
    ...mannerOf(values),
  };
  const { kind: _update, source: _same, ...manner } = request;
  if ('prepared' in source && (order ?? onSecondFailure) !== undefined) {
    const message = `${word} has its options already; see \`tandem prepare configure\``;
    throw new UpdateError('usage.invalid', message);
  }
  const later = isLater(values) ? laterRequest(source, manner, values) : null;
  if (flag(values, 'dry-run') || flag(values, 'estimate')) {
    return dryRun(request.source, later ?? {}, values, io);
  }
  if (later !== null) return updateLater(later, values, io);
  const what =
    'path' in source
      ? source.path
      : `the ${'prepared' in source ? 'prepared update' : 'staged bundle'} ${word.slice(0, 18)}`;
  return change(request, `Update both nodes with ${what}? Each one restarts.`, values, io);
}

/** A file, or the id of a staged bundle or of a prepared update where no file has that name. */
async function updateSource(word: string): Promise<BundleSource> {
  const isPrepared = /^prepare-[\w.-]{1,100}$/.test(word);
  const isId = isPrepared || /^[0-9a-f]{64}$/.test(word);
  if (!isId || (await exists(word))) return { path: absolute(word) };
  return isPrepared ? { prepared: word } : { bundle: word };
}

/** Checks and estimate alone; nothing is started, whatever else was asked for. */
async function dryRun(
  source: BundleSource,
  { at, every, zone }: TimesGiven,
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  startsNothing(values);
  wantsWait(values);
  const client = await connect(values, io);
  if (io.errIsTerminal) io.err('Checking the request ...\n');
  const manner = {
    ...(flag(values, 'ignore-window') ? { ignoreWindow: true } : {}),
    ...(at === undefined ? {} : { at }),
    ...(every === undefined ? {} : { every }),
    ...(zone === undefined ? {} : { zone }),
  };
  const report = await client.precheck(source, io.signal, manner);
  const { code, version } = report;
  const refused = code === null ? null : { code, detail: version === null ? {} : { version } };
  const there = flag(values, 'detailed-exitcode') && refused !== null;
  const nothing = there && (await isThere(client, refused, io));
  const refusedExit = code === null ? EXIT.done : adviceOf(code).exit;
  const exit = nothing ? EXIT.nothingToDo : refusedExit;
  const options = renderOptions(io);
  if (flag(values, 'json')) printJson(io, { ...report, exit });
  else if (nothing) printLines(io, [`Nothing to do: ${report.message}.`]);
  else {
    const checks = flag(values, 'dry-run') || !report.ok ? renderPrecheck(report, options) : [];
    const estimate = flag(values, 'estimate') ? renderEstimate(report.estimate, options) : [];
    printLines(io, [...checks, ...estimate]);
  }
  return exit;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function rollback(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const question = 'Return both nodes to the old version? Each one restarts.';
  return change({ kind: 'rollback' }, question, values, io);
}

async function commit(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const question = 'Make the new version permanent? Then the old one cannot be returned to.';
  return change({ kind: 'commit' }, question, values, io);
}

/** The verbs of an update of the pair. */
export const updateVerbs: readonly Verb[] = [
  {
    name: 'validate',
    args: 'FILE',
    minArgs: 1,
    maxArgs: 1,
    summary: 'Check a bundle against this pair; nothing is written.',
    example: 'tandem validate /media/usb/update.bin',
    options: CLIENT_OPTIONS,
    run: validate,
  },
  {
    name: 'stage',
    args: '[FILE]',
    minArgs: 0,
    maxArgs: 1,
    summary: 'Copy a bundle to both nodes and verify it there; no slot is written.',
    example: 'tandem stage /media/usb/update.bin --wait',
    options: {
      ...CHANGE_OPTIONS,
      list: { type: 'boolean', help: 'List the bundles that are staged, and where; no FILE.' },
    },
    run: stage,
  },
  {
    name: 'update',
    args: 'FILE|ID',
    minArgs: 1,
    maxArgs: 1,
    summary: 'Update the pair from a bundle file or a staged bundle.',
    example: 'tandem update /media/usb/update.bin --wait --follow',
    options: {
      ...CHANGE_OPTIONS,
      order: {
        type: 'string',
        value: 'ORDER',
        choices: ORDERS,
        help: 'active-first or standby-first; default as configured.',
      },
      'dry-run': {
        type: 'boolean',
        help: 'Make every check, print each with its fix, and change nothing.',
      },
      estimate: { type: 'boolean', help: 'Print how long it will take, and start nothing.' },
      'on-second-failure': {
        type: 'string',
        value: 'WHAT',
        choices: FAILURES,
        help: 'hold or rollback, when the second node fails for good; default as configured.',
      },
      ...MANNER_OPTIONS,
      ...LATER_OPTIONS,
    },
    run: update,
  },
  {
    name: 'rollback',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Return the pair to the old version, until `tandem commit`.',
    example: 'tandem rollback --wait --yes',
    options: {
      ...CHANGE_OPTIONS,
      estimate: { type: 'boolean', help: 'Print how long it will take, and start nothing.' },
    },
    run: rollback,
  },
  {
    name: 'commit',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Make the new version permanent on both nodes.',
    example: 'tandem commit --wait --yes',
    options: CHANGE_OPTIONS,
    run: commit,
  },
];
