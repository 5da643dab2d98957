/**
 * The typed confirmation of what cannot be taken back. Always holds: without a terminal, or with
 * `--json`, nothing is asked, and then only `--yes` together with `--reason` counts; a word that is
 * not the one that was asked for changes nothing. Imports core and its own folder.
 */
import { UpdateError } from '../core/errors.ts';
import { flag, text } from './values.ts';
import type { CliIo, VerbOption, VerbValues } from './verb.ts';

/** The option of every verb that the audit log keeps. */
export const REASON_OPTION = {
  reason: { type: 'string', value: 'TEXT', help: 'Why; it stands in the audit log.' },
} as const satisfies Record<string, VerbOption>;

/** Longest reason. */
const REASON_MAX = 500;

/** The text of `--reason`; throws `usage.invalid` for one that is empty, too long or no line. */
export function reasonOf(values: VerbValues): string | undefined {
  const reason = text(values, 'reason')?.trim();
  if (reason === undefined) return undefined;
  // eslint-disable-next-line no-control-regex -- control characters are what is refused here
  const good = reason !== '' && reason.length <= REASON_MAX && !/[\u0000-\u001f]/.test(reason);
  if (good) return reason;
  const accepted = `one line of 1 to ${REASON_MAX}`;
  const message = `--reason has ${reason.length} characters; accepted: ${accepted}`;
  throw new UpdateError('usage.invalid', message);
}

/** The reason as the part of a request that it is. */
export function why(values: VerbValues): { readonly reason?: string } {
  const reason = reasonOf(values);
  return reason === undefined ? {} : { reason };
}

/**
 * Whether `--yes` confirms already; throws `usage.invalid` when it stands without `--reason`, and
 * `confirm.needed` where nobody can be asked. Called before anything is sent.
 */
export function confirmedByOptions(values: VerbValues, io: CliIo): boolean {
  const reason = reasonOf(values);
  if (flag(values, 'yes')) {
    if (reason !== undefined) return true;
    throw new UpdateError('usage.invalid', '--yes needs --reason TEXT here');
  }
  if (io.ask === undefined || flag(values, 'json')) {
    const found = flag(values, 'json') ? '--json asks nothing' : 'there is no terminal';
    throw new UpdateError('confirm.needed', `${found}, and --yes --reason TEXT was not given`);
  }
  return false;
}

/** Asks for the word on the terminal; throws `confirm.wrong` for any other answer. */
export async function typedWord(word: string, io: CliIo): Promise<void> {
  const answer = await io.ask?.(`Type "${word}" to go on: `);
  if (answer?.trim().toLowerCase() === word.toLowerCase()) return;
  throw new UpdateError('confirm.wrong', `the answer was not "${word}"; nothing was changed`);
}
