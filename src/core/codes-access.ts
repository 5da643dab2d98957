/**
 * Codes of access over the console socket: logins, sessions, roles, users. Part of the table in
 * codes.ts. Pure; imports only core.
 */
import { EXIT, type CodeEntry } from './exit.ts';

/** Part of `CODES`; read it there. */
export const ACCESS_CODES = {
  'access.login_required': {
    exit: EXIT.notPermitted,
    title: 'Nobody is logged in here, or the session has ended.',
    next: 'Log in with your name and password.',
  },
  'access.denied': {
    exit: EXIT.notPermitted,
    title: 'The name or the password is wrong.',
    next: 'Try again; an administrator sees the names with `tandem user list`.',
  },
  'access.locked': {
    exit: EXIT.notPermitted,
    title: 'Too many logins have failed; none is accepted for a while.',
    next: 'Wait as long as the message says, or as root run `tandem user unlock NAME`.',
  },
  'access.role': {
    exit: EXIT.notPermitted,
    title: 'The role of this user does not allow it.',
    next: 'Log in as a user with the role that is named.',
  },
  'access.certificate': {
    exit: EXIT.notPermitted,
    title: 'The client certificate has no role on this node.',
    next: 'Add its name to the lists in the section `remote` of the configuration.',
  },
  'access.held': {
    exit: EXIT.notPermitted,
    title: 'Somebody else holds the right to change the pair.',
    next: 'Talk to the one who is named; then take the right over, with a reason.',
  },
  'access.idle': {
    exit: EXIT.notPermitted,
    title: 'The session was idle for too long and may only look on.',
    next: 'Log in again.',
  },
  'access.no_users': {
    exit: EXIT.notPermitted,
    title: 'This node has no user yet, so nobody can log in.',
    next: 'As root run `tandem user add NAME --role administrator` on this node.',
  },
  'access.users_damaged': {
    exit: EXIT.notPermitted,
    title: 'The file of the users cannot be trusted, so nobody can log in.',
    next: 'As root correct the file that is named; or move it away and add the users again.',
  },
  'access.recovery_wrong': {
    exit: EXIT.notPermitted,
    title: 'The recovery code is wrong, used already, or no longer valid.',
    next: 'As root make a new one: `tandem user recovery NAME`.',
  },
  'access.shell_off': {
    exit: EXIT.notPermitted,
    title: 'This node opens no service shell.',
    next: 'Set `console.serviceShell` in the configuration and restart the daemon.',
  },
  'access.password_weak': {
    exit: EXIT.usage,
    title: 'The password is not accepted.',
    next: 'Choose another one, as the message says.',
  },
  'access.user_exists': {
    exit: EXIT.usage,
    title: 'There is a user of this name already.',
    next: 'See the users: `tandem user list`.',
  },
  'access.user_unknown': {
    exit: EXIT.usage,
    title: 'There is no user of this name.',
    next: 'See the users: `tandem user list`.',
  },
  'access.last_administrator': {
    exit: EXIT.notPermitted,
    title: 'Without this user nobody could administer this node at its console.',
    next: 'Make another administrator first; root may do it on the control socket.',
  },
} as const satisfies Record<string, CodeEntry>;
