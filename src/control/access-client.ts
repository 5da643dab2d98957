/**
 * Calls about access: login and logout, users, and the right to change the pair. Always holds: the
 * token of a login never leaves this process but in the header of a request, and a session that the
 * daemon says is over is forgotten here too. Imports core and protocol.
 */
import type {
  LoginAnswer,
  LoginRequest,
  OperatorAnswer,
  OperatorRequest,
  RecoverRequest,
  SessionView,
  ShellAnswer,
  ShellRequest,
  UserAnswer,
  UserRequest,
  UsersView,
} from '../core/access.ts';
import { asUpdateError } from '../core/errors.ts';

/** A password is hashed slowly on purpose, and one at a time. */
const LOGIN_MS = 60_000;

/** What a request carries and when it is given up; without a time the client's own limit holds. */
export interface CallOptions {
  readonly body?: object;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

/** How a client makes one request. */
export type AccessCall = <T>(
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  options: CallOptions,
) => Promise<T>;

/** The part of `ControlClient` that is about access; read it there as `client.access`. */
export class AccessCalls {
  readonly #call: AccessCall;
  readonly #carry: (token: string | null) => void;

  /** `carry` is told which token every later request has to carry. */
  constructor(call: AccessCall, carry: (token: string | null) => void) {
    this.#call = call;
    this.#carry = carry;
  }

  /**
   * Logs in on the console socket; every later call of the client carries the session. Throws
   * `access.denied`, `access.locked`, `access.no_users`, `access.users_damaged`, `daemon.busy`.
   */
  async login(request: LoginRequest, signal?: AbortSignal): Promise<SessionView> {
    return this.#begin('/session', request, signal);
  }

  /**
   * Sets a new password with a recovery code and logs in with it. Throws as `login` does, and
   * `access.recovery_wrong`, `access.password_weak`; only success uses the code up.
   */
  async recover(request: RecoverRequest, signal?: AbortSignal): Promise<SessionView> {
    return this.#begin('/session/recover', request, signal);
  }

  async #begin(path: string, body: object, signal?: AbortSignal): Promise<SessionView> {
    // The session of before is carried until this one is there: who mistypes at a console that is
    // locked goes on looking, and what is asked meanwhile is answered.
    const { token, ...view } = await this.#call<LoginAnswer>('POST', path, {
      body,
      signal,
      timeoutMs: LOGIN_MS,
    });
    this.#carry(token);
    return view;
  }

  /** Ends the session, and forgets it here whatever the daemon says. */
  async logout(signal?: AbortSignal): Promise<void> {
    try {
      await this.#call('DELETE', '/session', { signal });
    } catch (error) {
      if (asUpdateError(error).code !== 'access.login_required') throw error;
    } finally {
      this.#carry(null);
    }
  }

  /**
   * Who I am, and how long for; this is no activity. Without a session it throws
   * `access.login_required`, or `access.no_users` and `access.users_damaged` when no login could
   * succeed: what a login screen asks first.
   */
  async session(signal?: AbortSignal): Promise<SessionView> {
    return this.#call('GET', '/session', { signal });
  }

  /**
   * A person pressed a key: the idle time begins anew. Nothing else counts as activity, so a client
   * sends it for keys alone; once in ten seconds is often enough. Throws `access.login_required`
   * and `access.idle` when it is too late.
   */
  async activity(signal?: AbortSignal): Promise<SessionView> {
    return this.#call('POST', '/session/activity', { body: {}, signal });
  }

  /** Changes the own password; the other sessions of the user end. */
  async changePassword(
    request: { readonly old: string; readonly password: string },
    signal?: AbortSignal,
  ): Promise<SessionView> {
    const timeoutMs = LOGIN_MS;
    return this.#call('POST', '/session/password', { body: request, signal, timeoutMs });
  }

  /** Takes or releases the right to change the pair; throws `access.held`. */
  async operator(request: OperatorRequest, signal?: AbortSignal): Promise<OperatorAnswer> {
    return this.#call('POST', '/operator', { body: request, signal });
  }

  /** Asks for a service shell, or tells its end; throws `access.shell_off`, `access.role`. */
  async shell(request: ShellRequest, signal?: AbortSignal): Promise<ShellAnswer> {
    return this.#call('POST', '/shell', { body: request, signal });
  }

  /** The users of the node; for administrators. */
  async users(signal?: AbortSignal): Promise<UsersView> {
    return this.#call('GET', '/users', { signal });
  }

  /** Changes one of them; throws the refusal. */
  async changeUser(request: UserRequest, signal?: AbortSignal): Promise<UserAnswer> {
    return this.#call('POST', '/users', { body: request, signal, timeoutMs: LOGIN_MS });
  }
}
