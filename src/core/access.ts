/**
 * Who may use this node over the console socket, as the daemon and its clients speak of it: roles,
 * logins, sessions, users, and the one holder of the right to change the pair
 * (docs/ARCHITECTURE.md, "Access"). Keys are only ever added. Pure; imports only core.
 */

/** Each role may do what those before it may. */
export const ROLES = ['viewer', 'operator', 'administrator'] as const;

/** What a user may do: look; run the pair; decide what costs data, and who may do what. */
export type Role = (typeof ROLES)[number];

/** Whether a role is at least another one. */
export function atLeast(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

/**
 * Where a request came in: `control` proves itself by the mode of the socket, without a login;
 * `remote` by a client certificate.
 */
export type Via = 'control' | 'console' | 'remote';

/** `POST /v1/session`. `tty` and `remote` are for people: where this user sits. */
export interface LoginRequest {
  readonly user: string;
  readonly password: string;
  /** Terminal, e.g. `/dev/ttyS0`. */
  readonly tty?: string;
  /** Address of an SSH client. */
  readonly remote?: string;
}

/** `POST /v1/session/recover`: a new password, proved by a recovery code; it logs in, too. */
export interface RecoverRequest extends LoginRequest {
  /** As it was shown; case, blanks and hyphens do not count. */
  readonly code: string;
}

/** Who is logged in, and for how long. */
export interface SessionView {
  /** On the control socket the name that the caller gave. */
  readonly user: string;
  readonly role: Role;
  readonly via: Via;
  readonly node: 'A' | 'B';
  /** Terminal or address, as the client said. */
  readonly where: string | null;
  /** Seconds without a key after which it ends; null on the control socket. */
  readonly idleS: number | null;
  /** Seconds left of them now. */
  readonly leftS: number | null;
  /** Idle for too long while an update runs: it may look on, nothing else, until it ends. */
  readonly watching: boolean;
  /** Whether this session holds the right to change the pair. */
  readonly operator: boolean;
}

/** The answer to a login. The token goes into `Authorization: Bearer TOKEN`. */
export interface LoginAnswer extends SessionView {
  readonly token: string;
}

/** Who holds the right to change the pair over the console socket. */
export interface OperatorView {
  readonly user: string;
  readonly role: Role;
  readonly where: string | null;
  /** For people; with a wrong clock it is wrong. */
  readonly since: string;
  readonly sinceS: number;
}

/** `POST /v1/operator`. `force` takes it from another holder, and wants a reason. */
export interface OperatorRequest {
  readonly do: 'take' | 'release';
  readonly force?: boolean;
  readonly reason?: string;
}

/** The answer to it. */
export interface OperatorAnswer {
  /** False when it was so already. */
  readonly changed: boolean;
  readonly message: string;
  readonly operator: OperatorView | null;
}

/** `POST /v1/users`: what an administrator does with the users of this node. */
export type UserRequest =
  | {
      readonly do: 'add';
      readonly name: string;
      readonly role: Role;
      readonly password: string;
    }
  | { readonly do: 'remove'; readonly name: string }
  | { readonly do: 'passwd'; readonly name: string; readonly password: string }
  | { readonly do: 'role'; readonly name: string; readonly role: Role }
  /** Forgets the failed logins of this name; without a name those of unknown names. */
  | { readonly do: 'unlock'; readonly name?: string }
  /** A code with which the user sets a new password, valid for so many seconds of running. */
  | { readonly do: 'recovery'; readonly name: string; readonly validS?: number };

/** Words of `POST /v1/users`. */
export type UserWord = UserRequest['do'];

/** The answer to it. */
export interface UserAnswer {
  readonly message: string;
  /** The user as it is now; null when it was removed. */
  readonly user: UserView | null;
  /** `recovery`: shown this once, only its digest is kept. */
  readonly code?: string;
}

/** `POST /v1/shell`: a service shell begins, or the one of this session is over. */
export type ShellRequest =
  | { readonly do: 'begin'; readonly reason: string }
  /** How it ended, for the audit log. */
  | { readonly do: 'end'; readonly outcome: string };

/** The answer to it. */
export interface ShellAnswer {
  /** Whether a shell of this session is open now. */
  readonly open: boolean;
}

/** One user of this node. */
export interface UserView {
  readonly name: string;
  readonly role: Role;
  /** For people: when it was added, and when its password was set. */
  readonly addedAt: string;
  readonly passwordAt: string;
  /** Failed logins since the last good one. */
  readonly failures: number;
  /** Seconds for which no login is accepted; 0 when it is not locked. */
  readonly lockedS: number;
  /** Seconds left of an open recovery code, counted while the daemon runs; null without one. */
  readonly recoveryS: number | null;
  /** Its sessions now. */
  readonly sessions: number;
}

/** `GET /v1/users`. */
export interface UsersView {
  readonly users: readonly UserView[];
  /** Seconds for which no login with an unknown name is accepted. */
  readonly unknownLockedS: number;
}
