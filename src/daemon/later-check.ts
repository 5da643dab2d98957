/**
 * The checks of an update that is to happen later: when it is due, and which of what stands against
 * it now it would only wait for. Always holds: a dry run refuses what the request itself would be
 * refused for, and no more. Pure; imports core and its own folder.
 */
import { asUpdateError } from '../core/errors.ts';
import type { PrecheckRow } from '../core/operator.ts';
import type { TimesGiven } from '../core/schedule-time.ts';
import { zonedText } from '../core/zone-time.ts';
import { bad, good } from './precheck.ts';
import { refusalWaits } from './schedule-rules.ts';

/** When a schedule with these times would be due; throws why there may be none. */
export type DueOf = (times: TimesGiven) => { readonly ms: number; readonly zone: string };

/** An update that is to happen later. */
export interface Later {
  /** Says when it is due, or why there may be no such schedule. */
  readonly row: PrecheckRow;
  /** When it is due; null when there may be no such schedule. */
  readonly dueMs: number | null;
  /** Its file is read anew each time. */
  readonly again: boolean;
}

/** What the times say; null for an update that is to begin at once. */
export function laterOf(times: TimesGiven, due: DueOf | undefined): Later | null {
  const { at, every } = times;
  if (due === undefined || (at ?? every) === undefined) return null;
  const again = every !== undefined;
  try {
    const { ms, zone } = due(times);
    return { row: good('schedule', `it is due at ${zonedText(ms, zone)}`), dueMs: ms, again };
  } catch (cause) {
    const { code, message } = asUpdateError(cause);
    return { row: bad('schedule', code, message), dueMs: null, again };
  }
}

/**
 * A row of the checks as it counts for it. What passes by itself is a warning, since the run waits
 * for that; without its peer a schedule cannot be kept, nor its bundle staged. `ofFile`: the row
 * says what is wrong with the bundle.
 */
export function forLater(row: PrecheckRow, { again }: Later, ofFile = false): PrecheckRow {
  const { name, result, code, detail } = row;
  if (result !== 'failed' || code === null || code === 'pair.peer_unreachable') return row;
  const why = refusalWaits(code)
    ? 'it waits until that has passed'
    : name === 'hooks'
      ? 'they are asked again when it is due'
      : ofFile && again
        ? 'the file is read again when it is due'
        : null;
  return why === null ? row : { ...row, result: 'warning', detail: `${detail}; ${why}` };
}
