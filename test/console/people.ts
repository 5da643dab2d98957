/**
 * People at consoles, and what the daemon answers them: sessions of each role, restarts, support
 * archives, users; and consoles that were led to each of the screens about them. Imports the
 * console's test parts and core.
 */
import type { ErrorReport } from '../../src/core/errors.ts';
import type { OperatorView, SessionView, UsersView } from '../../src/core/access.ts';
import type { PairStatus } from '../../src/core/status.ts';
import type { PowerView, PowerViews } from '../../src/core/power.ts';
import type { SupportView } from '../../src/core/support.ts';
import { AT, settingsView } from '../memory/backend.ts';
import { daemonGone, Led, WORLDS } from './worlds.ts';

/** Somebody who is logged in on the console socket. */
export function person(changes: Partial<SessionView> = {}): SessionView {
  return {
    user: 'anna',
    role: 'operator',
    via: 'console',
    node: 'A',
    where: '/dev/ttyS0',
    idleS: 600,
    leftS: 600,
    watching: false,
    operator: false,
    ...changes,
  };
}

/** Bob, who holds the right to change. */
export const BOB: OperatorView = {
  user: 'bob',
  role: 'administrator',
  where: '192.0.2.44',
  since: AT,
  sinceS: 60,
};

/** The pair while Bob may change it. */
export const HELD: PairStatus = { ...WORLDS.well, operator: BOB };

export const LOGIN_REQUIRED: ErrorReport = {
  code: 'access.login_required',
  message: 'nobody is logged in',
  next: 'Log in.',
};

export const NO_USERS: ErrorReport = {
  code: 'access.no_users',
  message: 'node A has no user yet',
  next: 'As root run `tandem user add NAME --role administrator` on this node.',
};

const restart: PowerView = {
  kind: 'restart',
  node: 'A',
  refusal: null,
  forceable: false,
  handsOverTo: 'B',
  does: 'node A hands the service to node B, then restarts',
  costs: ['There is no high availability until node A is back and in sync.'],
  word: 'A',
};

/** Node A may restart, and may go off only by force. */
export const POWER: PowerViews = {
  restart,
  shutdown: {
    ...restart,
    kind: 'shutdown',
    refusal: {
      code: 'switchover.refused',
      message: 'node B is not admitted, so nobody could take the service',
      next: 'Wait until it is.',
    },
    forceable: true,
    handsOverTo: null,
    does: 'node A goes off and stays off',
    costs: ['The service stops until somebody switches node A on.'],
  },
};

/** Two archives. */
export const SUPPORT: SupportView = {
  node: 'A',
  dir: '/data/tandem/support',
  keptMax: 5,
  bytesMax: 64 * 1024 * 1024,
  archives: [
    { name: 'support-7f3a91c2d0.tar.gz', bytes: 7_000_000, at: AT },
    { name: 'support-01.tar.gz', bytes: 90_000, at: AT },
  ],
};

/** Anna, and Bob who forgot his password. */
export const USERS: UsersView = {
  unknownLockedS: 0,
  users: [
    {
      name: 'anna',
      role: 'administrator',
      addedAt: AT,
      passwordAt: AT,
      failures: 0,
      lockedS: 0,
      recoveryS: null,
      sessions: 1,
    },
    {
      name: 'bob',
      role: 'viewer',
      addedAt: AT,
      passwordAt: AT,
      failures: 6,
      lockedS: 40,
      recoveryS: 1200,
      sessions: 0,
    },
  ],
};

/** A console before its login. */
export function atLogin(): Led {
  return new Led(null).take({ access: LOGIN_REQUIRED });
}

/** A console at which somebody is logged in. */
export function loggedIn(changes: Partial<SessionView> = {}, world: PairStatus = WORLDS.well): Led {
  return atLogin()
    .take({ person: person(changes) })
    .take({ status: world });
}

/** The number of the newest ask. */
export const lastId = (led: Led): number => led.asks.at(-1)?.id ?? 0;

/** A login that the daemon refuses, and makes the next one wait. */
export function refusedLogin(): Led {
  const led = atLogin().press('anna', 'enter', 'a wrong password', 'enter');
  const error: ErrorReport = {
    code: 'access.denied',
    message: 'the name or the password is wrong; no login is accepted for 40 s',
    next: 'Try again.',
    detail: { waitS: 40 },
  };
  return led.take({ id: lastId(led), answer: { kind: 'refused', error } });
}

export function atPower(): Led {
  const led = new Led(WORLDS.well).press('m', 'p');
  return led.take({ id: lastId(led), answer: { kind: 'power', views: POWER } });
}

export function atSupport(): Led {
  const led = new Led(WORLDS.well).press('m', 'b');
  return led.take({ id: lastId(led), answer: { kind: 'support', view: SUPPORT } });
}

export function atSettings(): Led {
  const led = new Led(WORLDS.well).press('m', 'e');
  return led.take({ id: lastId(led), answer: { kind: 'settings', view: settingsView() } });
}

export function atUsers(): Led {
  const led = loggedIn({ role: 'administrator' }).press('m', 'w', 'n');
  return led.take({ id: lastId(led), answer: { kind: 'users', view: USERS } });
}

/** The console of an administrator who has made a code for Bob. */
export function withCode(): Led {
  const led = atUsers().press('down', 'r', 'yes', 'enter');
  const made = { user: 'bob', code: 'K7QX-9MWD-22PH', leftS: 3600 };
  return led.take({ id: lastId(led), answer: { kind: 'recovery', made } });
}

/** What is looked at beside the pair itself. */
export const PEOPLE_SIGHTS: Readonly<Record<string, () => Led>> = {
  login: atLogin,
  'login, refused and made to wait': () => refusedLogin().take({ passedS: 3 }),
  'login, no user yet': () => new Led(null).take({ access: NO_USERS }),
  'login, daemon gone': () => atLogin().press('escape').take(daemonGone(5000)),
  'login, logged out by time': () => loggedIn().take({ passedS: 600 }),
  'login, session ended': () => loggedIn().take({ access: LOGIN_REQUIRED }),
  'recovery code is typed': () => atLogin().press('escape', 'f', 'anna', 'enter', 'k7qx-9mwd'),
  'overview, logged in': () => loggedIn({ operator: true }),
  'overview, about to log out': () => loggedIn({}, HELD).take({ passedS: 545 }),
  'locked while an update runs': () => loggedIn({}, WORLDS.installing).take({ passedS: 600 }),
  'locked, unlocking': () => loggedIn({}, WORLDS.installing).take({ passedS: 600 }).press('x'),
  more: () => loggedIn({}, WORLDS.silent).press('m'),
  'what to do about an alarm': () => new Led(WORLDS.safeMode).press('a'),
  'roles, as a viewer': () => loggedIn({ role: 'viewer' }, HELD).press('r'),
  who: () => loggedIn({}, HELD).press('m', 'w'),
  'force the right to change': () => loggedIn({}, HELD).press('m', 'w', 'f'),
  users: atUsers,
  'users, recovery code': withCode,
  power: atPower,
  'confirm a restart': () => atPower().press('x', 'a', 'enter', 'new memory'),
  'confirm a shutdown by force': () => atPower().press('d'),
  'support bundles': () => atSupport().press('down'),
  'how to get a support bundle': () => atSupport().press('g'),
  settings: () => atSettings().press('down'),
  'a setting is changed': () => atSettings().press('down', 'enter', 'clear', '0', 'enter', 'enter'),
};
