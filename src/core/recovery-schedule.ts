/**
 * What still works, what further steps there are and what it costs, for codes of updates that wait.
 * Title and first step are in the table of codes. Part of the tables in recovery.ts. Pure; imports
 * only types of core.
 */
import type { SCHEDULE_CODES } from './codes-schedule.ts';
import type { CodeRecovery } from './recovery.ts';

const NOTHING = 'Nothing.';
const UNTOUCHED: CodeRecovery = {
  works: 'Everything. Nothing was written, the pair goes on as before.',
  costs: NOTHING,
};
const LATER: CodeRecovery = { works: 'Everything, on the version that runs.', costs: 'Time.' };
/** Shown by the daemon while it holds an update up. */
const HELD: CodeRecovery = { ...LATER, alarm: true };

/** Part of the table in recovery.ts; read it there. */
export const SCHEDULE_RECOVERY: Readonly<Record<keyof typeof SCHEDULE_CODES, CodeRecovery>> = {
  'window.closed': {
    ...HELD,
    steps: [
      'See the windows (`automation.windows`): `tandem config check`.',
      'Or begin it now all the same: `tandem update FILE --ignore-window --reason TEXT`.',
    ],
  },
  'clock.wrong': {
    ...HELD,
    steps: [
      'See what waits: `tandem schedule list`.',
      'Or begin it now, whatever the clock says: `tandem update FILE --ignore-window`.',
    ],
  },
  'update.inhibited': {
    ...HELD,
    steps: ['See which file it is, and on which node: `tandem status`.'],
  },
  'hook.later': { ...HELD, steps: ['See which hook it is, and why: `tandem status`.'] },
  'hook.refused': {
    ...UNTOUCHED,
    steps: ['See what every check says: `tandem update FILE --dry-run`.'],
    alarm: true,
  },
  'schedule.deferred': LATER,
  'schedule.informing': { ...LATER, steps: ['See which ones there are: `tandem schedule list`.'] },
  'schedule.not_allowed': UNTOUCHED,
  'schedule.missed': {
    ...LATER,
    steps: ['A repetition comes again at its next time: `tandem schedule list`.'],
  },
  'schedule.unknown': UNTOUCHED,
  'schedule.full': UNTOUCHED,
};
