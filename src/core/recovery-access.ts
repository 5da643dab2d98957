/**
 * What still works, what further steps there are and what it costs, for codes of access over the
 * console socket. Title and first step are in the table of codes. Part of the tables in
 * recovery.ts. Pure; imports only types of core.
 */
import type { ACCESS_CODES } from './codes-access.ts';
import type { CodeRecovery } from './recovery.ts';

const UNTOUCHED: CodeRecovery = {
  works: 'Everything. The pair goes on as before; nothing was changed.',
  costs: 'Nothing.',
};
const CONTROL = 'As root the command line works without a login, also now: `tandem status`.';
const LOCKED_OUT: CodeRecovery = { ...UNTOUCHED, steps: [CONTROL] };

/** Part of the table in recovery.ts; read it there. */
export const ACCESS_RECOVERY: Readonly<Record<keyof typeof ACCESS_CODES, CodeRecovery>> = {
  'access.login_required': {
    ...UNTOUCHED,
    steps: [
      'A restart of the daemon ends every session; what runs goes on.',
      'Without a password: as root make a recovery code, `tandem user recovery NAME`.',
    ],
  },
  'access.denied': {
    ...UNTOUCHED,
    steps: [
      'Users and passwords are of this node alone: the peer may have others.',
      'Without a password: as root make a recovery code, `tandem user recovery NAME`.',
    ],
  },
  'access.locked': LOCKED_OUT,
  'access.role': LOCKED_OUT,
  'access.certificate': LOCKED_OUT,
  'access.held': {
    ...UNTOUCHED,
    steps: ['The holder is in the status; the right also ends with the session of the holder.'],
  },
  'access.idle': UNTOUCHED,
  'access.no_users': LOCKED_OUT,
  'access.users_damaged': LOCKED_OUT,
  'access.recovery_wrong': {
    ...UNTOUCHED,
    steps: ['See whether one is open, and for how long: `tandem user list`.'],
  },
  'access.shell_off': LOCKED_OUT,
  'access.password_weak': UNTOUCHED,
  'access.user_exists': UNTOUCHED,
  'access.user_unknown': UNTOUCHED,
  'access.last_administrator': UNTOUCHED,
};
