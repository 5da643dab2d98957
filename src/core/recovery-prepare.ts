/**
 * What still works, what further steps there are and what it costs, for codes of prepared updates.
 * Part of the tables in recovery.ts. Pure; imports only types of core.
 */
import type { PREPARE_CODES } from './codes-prepare.ts';
import type { CodeRecovery } from './recovery.ts';

const WAITS: CodeRecovery = {
  works: 'Everything. No slot was written, and what is prepared is kept.',
  costs: 'Nothing.',
};

/** For each code of `PREPARE_CODES`. */
export const PREPARE_RECOVERY: Readonly<Record<keyof typeof PREPARE_CODES, CodeRecovery>> = {
  'prepare.unknown': WAITS,
  'prepare.busy': WAITS,
  'prepare.refused': WAITS,
  'prepare.not_ready': {
    ...WAITS,
    steps: [
      'Or go on without that node: `tandem prepare ignore NODE --reason TEXT`.',
      'Wait for it: `tandem job wait ID`.',
    ],
  },
  'prepare.not_authorized': WAITS,
  'prepare.not_configured': WAITS,
  'prepare.outdated': {
    ...WAITS,
    steps: ['A bundle that is staged is not copied again: `tandem stage --list`.'],
  },
  'prepare.stuck': {
    ...WAITS,
    alarm: true,
    steps: ['Or go on without that node: `tandem prepare ignore NODE --reason TEXT`.'],
  },
  'prepare.plan_lost': { ...WAITS, steps: ['Check the disk of the node that is named.'] },
  'updater.unhealthy': {
    works: 'Everything. The updater that the node had goes on working.',
    costs: 'Nothing.',
    steps: [
      'Try again: `tandem prepare retry`.',
      'Or install without it: `tandem update ID` with the id of the bundle.',
    ],
  },
};
