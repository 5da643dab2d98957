/**
 * What the daemon offers to its control server about access: who a request comes from, and whether
 * it may do what it asks for. The socket of root and the group needs no login; the console socket
 * lets nothing through that has not passed this interface. Imports only core.
 */
import type {
  LoginAnswer,
  LoginRequest,
  OperatorAnswer,
  OperatorRequest,
  OperatorView,
  RecoverRequest,
  Role,
  SessionView,
  ShellAnswer,
  ShellRequest,
  UserAnswer,
  UserRequest,
  UsersView,
  Via,
} from '../core/access.ts';
import type { Need } from '../core/access-rules.ts';

/** Who a request comes from. */
export interface Visitor {
  /** Of the session; on the control socket what the caller says. */
  readonly name: string;
  readonly via: Via;
  readonly role: Role;
  /** Aborted when the session ends: whatever it still waits for ends with it. Null without one. */
  readonly ended: AbortSignal | null;
}

/** The own password, changed. */
export interface PasswordRequest {
  readonly old: string;
  readonly password: string;
}

/** The one who judges. */
export interface Desk {
  /**
   * Who carries this token. Throws `access.login_required`, or why no login could succeed at all:
   * `access.no_users`, `access.users_damaged`.
   */
  enter(token: string | null): Promise<Visitor>;
  /**
   * Throws `access.role`, `access.idle` or `access.held`. A null need is a request that nobody may
   * make. The free right to change is given to the one who changes.
   */
  permit(visitor: Visitor, need: Need | null, asked: string): void;
  login(request: LoginRequest): Promise<LoginAnswer>;
  recover(request: RecoverRequest): Promise<LoginAnswer>;
  view(visitor: Visitor): SessionView;
  activity(visitor: Visitor): SessionView;
  logout(visitor: Visitor): void;
  changePassword(visitor: Visitor, request: PasswordRequest): Promise<SessionView>;
  users(): Promise<UsersView>;
  changeUser(visitor: Visitor, request: UserRequest): Promise<UserAnswer>;
  operate(visitor: Visitor, request: OperatorRequest): OperatorAnswer;
  /** Allows a shell, or throws `access.shell_off`; notes its begin and its end. */
  shell(visitor: Visitor, request: ShellRequest): ShellAnswer;
  /** Who holds the right to change. */
  operator(): OperatorView | null;
}
