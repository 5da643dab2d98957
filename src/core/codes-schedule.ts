/**
 * Codes of updates that wait: for their time, a maintenance window, people, hooks. Part of the
 * table in codes.ts. Pure; imports only core.
 */
import { EXIT, type CodeEntry } from './exit.ts';

/** Part of `CODES`; read it there. */
export const SCHEDULE_CODES = {
  'window.closed': {
    exit: EXIT.window,
    title: 'No maintenance window is open.',
    next: 'Let it begin in the next one: `tandem update FILE --at window`.',
  },
  'clock.wrong': {
    exit: EXIT.window,
    title: 'The clock is not to be believed, so nothing begins by it.',
    next: 'Set the clocks of both nodes; it goes on by itself.',
  },
  'update.inhibited': {
    exit: EXIT.window,
    title: 'A file in the inhibit directory stops updates.',
    next: 'Let the work end that it stands for, then remove the file that is named.',
  },
  'hook.later': {
    exit: EXIT.window,
    title: 'A hook has asked to be asked again later.',
    next: 'Wait: it is asked again by itself. Or give up: `tandem job cancel ID`.',
  },
  'hook.refused': {
    exit: EXIT.window,
    title: 'A hook refused before the update began; nothing was changed.',
    next: 'Read the words of the hook that is named, and ask again when it agrees.',
  },
  'schedule.deferred': {
    exit: EXIT.deferred,
    title: 'A user has put the update off.',
    next: 'It begins by itself at its new time: `tandem schedule list`.',
  },
  'schedule.informing': {
    exit: EXIT.deferred,
    title: 'People have been told that the update is about to begin.',
    next: 'Answer: `tandem schedule now ID`, or put it off: `tandem schedule defer ID`.',
  },
  'schedule.not_allowed': {
    exit: EXIT.notAuthorised,
    title: 'This update may not be put off any more, or not be cancelled.',
    next: 'See what is allowed: `tandem schedule list`.',
  },
  'schedule.missed': {
    exit: EXIT.pairNotHealthy,
    title: 'The time of the update is long over; nothing could begin then.',
    next: 'Begin it now: `tandem update FILE`.',
  },
  'schedule.unknown': {
    exit: EXIT.usage,
    title: 'There is no such scheduled update.',
    next: 'List them with `tandem schedule list`.',
  },
  'schedule.full': {
    exit: EXIT.usage,
    title: 'There are too many scheduled updates.',
    next: 'See them with `tandem schedule list`, and end one: `tandem schedule cancel ID`.',
  },
} as const satisfies Record<string, CodeEntry>;
