/**
 * Judging a change in place of making it, and telling scripts that there was nothing to do. Always
 * holds: with `--dry-run` nothing is started, whatever else was asked for; the daemon judges by the
 * lines that judge the change itself; exit status 3 comes only with `--detailed-exitcode`. Imports
 * core, the control client and its own folder.
 */
import type { ActRequest, JobRequest } from '../control/backend.ts';
import type { ControlClient } from '../control/client.ts';
import { EXIT } from '../core/codes.ts';
import { adviceOf, UpdateError, type ErrorDetail } from '../core/errors.ts';
import { NODES } from '../core/model.ts';
import type { ChangePreview } from '../core/preview.ts';
import { duration, plain, wrap } from './render.ts';
import { flag, printJson, printLines, renderOptions } from './values.ts';
import type { CliIo, VerbOption, VerbValues } from './verb.ts';

/** The option of every change that says whether it did anything. */
export const DETAILED_OPTION = {
  'detailed-exitcode': {
    type: 'boolean',
    help: 'Exit status 3 when it is so already and there is nothing to do.',
  },
} as const satisfies Record<string, VerbOption>;

/** The options of every change that can be judged without being made. */
export const PREVIEW_OPTIONS = {
  'dry-run': {
    type: 'boolean',
    help: 'Judge it, say what it would do, and change nothing; exit status as if it were done.',
  },
  ...DETAILED_OPTION,
} as const satisfies Record<string, VerbOption>;

/** Throws `usage.invalid` for options that make no sense where nothing is started. */
export function startsNothing(values: VerbValues): void {
  for (const name of ['wait', 'follow', 'detach']) {
    if (!flag(values, name)) continue;
    const message = `--${name} does not go with --dry-run or --estimate: nothing is started`;
    throw new UpdateError('usage.invalid', message);
  }
}

/** What is asked of the daemon. */
type Client = Pick<ControlClient, 'preview' | 'status'>;

/**
 * The exit status where `--dry-run`, `--estimate` or `--detailed-exitcode` end the command here;
 * null when the change is to be made.
 */
export async function previewed(
  client: Client,
  request: JobRequest | ActRequest,
  values: VerbValues,
  io: CliIo,
): Promise<number | null> {
  const [dry, detailed] = [flag(values, 'dry-run'), flag(values, 'detailed-exitcode')];
  const estimate = flag(values, 'estimate');
  if (dry || estimate) startsNothing(values);
  else if (!detailed) return null;
  const preview = await client.preview(request, io.signal);
  const { refusal, changes } = preview;
  const nothing =
    detailed &&
    (refusal === null
      ? !changes
      : isCommitted(request, refusal) || (await isThere(client, refusal, io)));
  if (!dry && !estimate && !nothing) return null;
  const exit = nothing
    ? EXIT.nothingToDo
    : refusal === null
      ? EXIT.done
      : adviceOf(refusal.code).exit;
  if (flag(values, 'json')) printJson(io, { ...preview, exit });
  else printLines(io, lines(preview, { estimate, nothing }, io));
  return exit;
}

function lines(
  { change, refusal, changes, does, estimateS }: ChangePreview,
  { estimate, nothing }: { readonly estimate: boolean; readonly nothing: boolean },
  io: CliIo,
): string[] {
  const options = renderOptions(io);
  const folded = (words: string): string[] => wrap(plain(words, options), options.columns);
  if (refusal !== null && !nothing) {
    const { message, next, code } = refusal;
    const end = `(${code}, exit ${adviceOf(code).exit})`;
    return [...folded(`${change} would be refused: ${message}`), ...folded(`Next: ${next}`), end];
  }
  const said = refusal?.message ?? does ?? '';
  if (!changes) return folded(`Nothing to do: ${said}.`);
  const time = estimateS === null ? 'not known yet' : `about ${duration(estimateS)}`;
  return [...folded(`Would do: ${said}.`), ...(estimate ? [`Time: ${time}.`] : [])];
}

/** A commit where no update waits for one: the version that runs is for good already. */
function isCommitted(
  request: JobRequest | ActRequest,
  { code }: { readonly code: string },
): boolean {
  return 'kind' in request && request.kind === 'commit' && code === 'rollback.unavailable';
}

/** Whether a refusal says that just this version is everywhere already; a newer one is no match. */
export async function isThere(
  client: Pick<Client, 'status'>,
  { code, detail }: { readonly code: string; readonly detail?: ErrorDetail | undefined },
  io: CliIo,
): Promise<boolean> {
  if (code !== 'version.same_or_newer') return false;
  const version = detail?.['version'];
  const { nodes } = await client.status(io.signal);
  return NODES.every((node) => nodes[node].known && nodes[node].system?.version === version);
}

/** The exit status of a word that was said: 3 where that is asked for and it was so already. */
export function exitOfChange(changed: boolean, values: VerbValues): number {
  return !changed && flag(values, 'detailed-exitcode') ? EXIT.nothingToDo : EXIT.done;
}
