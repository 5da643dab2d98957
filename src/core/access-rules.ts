/**
 * Which role a request needs: one table for routes, jobs and acts. Always holds: what is not in the
 * table is refused; a test walks every route, kind of job and act, so that none is forgotten. Pure;
 * imports only core.
 *
 * The line between the roles: a viewer looks. An operator does what the daemon judges by itself and
 * what can be taken back: update, roll back, exchange roles, promise to stand down and end that
 * promise. An administrator decides what gives something up for good on a person's word, namely
 * acknowledged writes (takeover), a copy of the data (resync, resolve), the way back (commit) or a
 * node (restart, shutdown), and who may do what.
 */
import { atLeast, type Role, type ShellRequest, type UserWord } from './access.ts';
import type { ActKind } from './operator.ts';
import type { PrepareWordKind } from './prepare-view.ts';

/** What a request needs. */
export interface Need {
  /** Null: nobody has to be logged in. */
  readonly role: Role | null;
  /**
   * `look` is allowed to a session that is idle while an update runs; `ask` wants a person who is
   * there; `change` wants the right to change the pair as well, which one session holds at a time.
   */
  readonly kind: 'look' | 'ask' | 'change';
}

const OPEN: Need = { role: null, kind: 'look' };
const LOOK: Need = { role: 'viewer', kind: 'look' };
const OWN: Need = { role: 'viewer', kind: 'ask' };
const TRY: Need = { role: 'operator', kind: 'ask' };
const OPERATE: Need = { role: 'operator', kind: 'change' };
const DECIDE: Need = { role: 'administrator', kind: 'change' };
const ADMINISTER: Need = { role: 'administrator', kind: 'ask' };

/** Kinds of jobs, `POST /v1/jobs`. */
export const JOB_NEEDS = {
  stage: OPERATE,
  prepare: OPERATE,
  update: OPERATE,
  rollback: OPERATE,
  // Reads both copies, writes to neither.
  verify: OPERATE,
  // The way back is given up.
  commit: DECIDE,
  // Overwrites a copy that differs.
  resync: DECIDE,
  // Throws one of two copies away.
  resolve: DECIDE,
  // An archive of logs; the pair is left alone, so it wants no right to change it.
  support: TRY,
  // A node that is off costs high availability, and `force` the service.
  restart: DECIDE,
  shutdown: DECIDE,
} as const satisfies Readonly<Record<string, Need>>;

/** Words of an operator, `POST /v1/acts`. */
export const ACT_NEEDS: Readonly<Record<ActKind, Need>> = {
  switchover: OPERATE,
  // Costs high availability while it lasts, and nothing once it is ended.
  'stand-down': OPERATE,
  pause: OPERATE,
  resume: OPERATE,
  // May cost writes that the peer has acknowledged.
  takeover: DECIDE,
};

/** What is done with users, `POST /v1/users`. */
export const USER_NEEDS: Readonly<Record<UserWord, Need>> = {
  add: ADMINISTER,
  remove: ADMINISTER,
  passwd: ADMINISTER,
  role: ADMINISTER,
  unlock: ADMINISTER,
  recovery: ADMINISTER,
};

/** A service shell, `POST /v1/shell`: its end is told by the person who is there. */
export const SHELL_NEEDS: Readonly<Record<ShellRequest['do'], Need>> = {
  begin: ADMINISTER,
  end: OWN,
};

/** Words about a prepared update, `POST /v1/prepare`. */
export const PREPARE_NEEDS: Readonly<Record<PrepareWordKind, Need>> = {
  ignore: OPERATE,
  heed: OPERATE,
  configure: OPERATE,
  retry: OPERATE,
  cancel: OPERATE,
  // Whoever prepares does not say by the same right that it may be installed.
  authorize: DECIDE,
};

/** Settings of the node, `POST /v1/settings`. */
export const SETTING_NEEDS: Readonly<Record<string, Need>> = {
  consoleSpeed: TRY,
  dateOrder: TRY,
  timeZone: TRY,
  // How long a console that was left alone stays open.
  idleMin: ADMINISTER,
};

/** A field of the body names the row of another table. */
interface ByWord {
  readonly field: string;
  readonly needs: Readonly<Record<string, Need>>;
  /** Stands before the word, for people. */
  readonly prefix?: string;
}

/** Method and path, as the routes of the control server have them. */
export const ROUTE_NEEDS: Readonly<Record<string, Need | ByWord>> = {
  'GET /v1/status': LOOK,
  'GET /v1/slots': LOOK,
  'GET /v1/history': LOOK,
  'GET /v1/jobs': LOOK,
  'GET /v1/jobs/:id': LOOK,
  'POST /v1/jobs': { field: 'kind', needs: JOB_NEEDS },
  'POST /v1/jobs/preview': TRY,
  'POST /v1/jobs/:id/cancel': OPERATE,
  'POST /v1/acts': { field: 'act', needs: ACT_NEEDS },
  'POST /v1/acts/preview': TRY,
  // A node loses its place for good.
  'POST /v1/pair/replace': DECIDE,
  'GET /v1/schedules': LOOK,
  // They lead to nothing that the same role could not ask for at once.
  'POST /v1/schedules': OPERATE,
  'POST /v1/schedules/:id/answer': OPERATE,
  'GET /v1/takeover': LOOK,
  'GET /v1/storage': LOOK,
  'GET /v1/prepare': LOOK,
  'POST /v1/prepare': { field: 'do', needs: PREPARE_NEEDS, prefix: 'prepare' },
  'GET /v1/audit': LOOK,
  'GET /v1/events': LOOK,
  'GET /v1/bundles': LOOK,
  'GET /v1/power': LOOK,
  'GET /v1/metrics': LOOK,
  'GET /v1/openapi.json': LOOK,
  'GET /v1/settings': LOOK,
  'POST /v1/settings': { field: 'key', needs: SETTING_NEEDS, prefix: 'settings set' },
  'GET /v1/support': LOOK,
  'POST /v1/support': TRY,
  'GET /v1/support/:name': TRY,
  'POST /v1/support/:name/delete': TRY,
  // They read a file by its path and run hooks, which is more than looking.
  'POST /v1/precheck': TRY,
  'POST /v1/validate': TRY,
  'POST /v1/session': OPEN,
  'POST /v1/session/recover': OPEN,
  'GET /v1/session': LOOK,
  'DELETE /v1/session': LOOK,
  'POST /v1/session/activity': OWN,
  'POST /v1/session/password': OWN,
  'POST /v1/operator': TRY,
  'GET /v1/users': ADMINISTER,
  'POST /v1/users': { field: 'do', needs: USER_NEEDS, prefix: 'user' },
  'POST /v1/shell': { field: 'do', needs: SHELL_NEEDS, prefix: 'shell' },
};

/** For what is in no table: nobody may. */
const NEVER = null;

/**
 * What a request needs, by method and path of its route and the words in its body; null for what no
 * table has, which nobody may.
 */
export function needOf(route: string, body: unknown): Need | null {
  const row = own(ROUTE_NEEDS, route);
  if (row === undefined) return NEVER;
  if (!('needs' in row)) return row;
  const word: unknown = (body as Readonly<Record<string, unknown>> | null | undefined)?.[row.field];
  return (typeof word === 'string' ? own(row.needs, word) : undefined) ?? NEVER;
}

/** A request in one word or two, for people: `update`, `takeover`, `cancel`, `user add`. */
export function wordOf(route: string, body: unknown): string {
  const row = own(ROUTE_NEEDS, route);
  const parts = route.split('/').filter((part) => !part.startsWith(':'));
  const last = parts.at(-1) ?? route;
  if (row === undefined || !('needs' in row)) return last;
  const word: unknown = (body as Readonly<Record<string, unknown>> | null | undefined)?.[row.field];
  if (typeof word !== 'string' || !Object.hasOwn(row.needs, word)) return last;
  return row.prefix === undefined ? word : `${row.prefix} ${word}`;
}

/** Whether a role is enough; a watching session may only look. */
export function permits(need: Need, role: Role, watching: boolean): boolean {
  if (need.role !== null && !atLeast(role, need.role)) return false;
  return !watching || need.kind === 'look';
}

function own<T>(table: Readonly<Record<string, T>>, word: string): T | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}
