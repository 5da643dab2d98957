/**
 * What an administrator does with the users of this node: add, remove, role, password, unlock,
 * recovery code. Always holds: a change is on the disk before it is answered, and ends the sessions
 * that it touches; over the console nobody can leave the node without an administrator; each
 * change, a refused one too, is in the audit log. Imports core, control and the room of access.
 */
import type { Ledger } from '../access/ledger.ts';
import { hashPassword, type Cost } from '../access/password.ts';
import { newRecoveryCode, recoveryDigest } from '../access/recovery-code.ts';
import type { Sessions } from '../access/sessions.ts';
import { USERS_MAX, type User, type UsersFile } from '../access/users-file.ts';
import { RECOVERY_S } from '../control/access-protocol.ts';
import type { Visitor } from '../control/desk.ts';
import type { UserAnswer, UserRequest, UsersView, UserView } from '../core/access.ts';
import { isUserName, passwordRefusal, USER_NAME_WORDS } from '../core/access-policy.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { AuditLog } from './audit.ts';

/** What it works on. */
export interface AdministrationParts {
  readonly users: UsersFile;
  readonly ledger: Ledger;
  readonly sessions: Sessions;
  readonly cost: Cost;
  readonly at: () => string;
  readonly audit: Pick<AuditLog, 'note'>;
}

/** What failures of recovery codes are counted under; no user can be called like that. */
export const recoveryKey = (name: string): string => `${name} recovery`;

/** The administration of the users of one node; its caller sees to it that one change runs. */
export class UserAdministration {
  readonly #parts: AdministrationParts;

  constructor(parts: AdministrationParts) {
    this.#parts = parts;
  }

  /** Every user; throws `access.users_damaged`. */
  async view(): Promise<UsersView> {
    const { users, ledger } = this.#parts;
    const views = (await users.read()).map((user) => this.#viewOf(user));
    return { users: views, unknownLockedS: Math.ceil(ledger.waitMs(null) / 1000) };
  }

  /** Changes one, or throws the refusal. */
  async change(visitor: Visitor, request: UserRequest): Promise<UserAnswer> {
    const { audit } = this.#parts;
    const asked = { act: `user ${request.do}`, by: visitor.name, via: visitor.via, reason: null };
    try {
      const answer = await this.#change(visitor, request);
      audit.note(asked, { result: 'done', message: answer.message });
      return answer;
    } catch (error) {
      const { code, message } = asUpdateError(error);
      const name = request.name === undefined ? '' : `${request.name}: `;
      audit.note(asked, { result: 'refused', code, message: `${name}${message}` });
      throw error;
    }
  }

  #change(visitor: Visitor, request: UserRequest): Promise<UserAnswer> {
    switch (request.do) {
      case 'add':
        return this.#add(request);
      case 'remove':
        return this.#remove(visitor, request.name);
      case 'passwd':
        return this.#passwd(request.name, request.password);
      case 'role':
        return this.#role(visitor, request);
      case 'unlock':
        return this.#unlock(request.name ?? null);
      case 'recovery':
        return this.#recovery(request.name, request.validS ?? RECOVERY_S.default);
    }
  }

  async #add({ name, role, password }: UserRequest & { do: 'add' }): Promise<UserAnswer> {
    if (!isUserName(name)) {
      throw new UpdateError('usage.invalid', `the name is not valid; accepted: ${USER_NAME_WORDS}`);
    }
    const users = await this.#parts.users.read();
    if (users.some((user) => user.name === name)) {
      throw new UpdateError('access.user_exists', `${name} is a user already`);
    }
    if (users.length >= USERS_MAX) {
      throw new UpdateError('usage.invalid', `found ${users.length} users, at most ${USERS_MAX}`);
    }
    const at = this.#parts.at();
    const hash = await this.#hash(name, password);
    const user: User = { name, role, password: hash, addedAt: at, passwordAt: at };
    await this.#parts.users.write([...users, user]);
    // Failures under this name, from when nobody had it, are nobody's.
    await this.#forget(name);
    return { message: `${name} is a user now, with the role ${role}`, user: this.#viewOf(user) };
  }

  async #remove(visitor: Visitor, name: string): Promise<UserAnswer> {
    const { user, others } = await this.#find(name);
    if (user.role === 'administrator') keepsOne(visitor, name, others);
    await this.#parts.users.write(others);
    await this.#parts.ledger.close(user.recovery);
    await this.#forget(name);
    this.#parts.sessions.endUser(name, 'the user was removed');
    return { message: `${name} is no user any more`, user: null };
  }

  async #passwd(name: string, password: string): Promise<UserAnswer> {
    const { user, others } = await this.#find(name);
    const { recovery, ...kept } = user;
    const hash = await this.#hash(name, password);
    const changed = { ...kept, password: hash, passwordAt: this.#parts.at() };
    await this.#parts.users.write([...others, changed]);
    await this.#parts.ledger.close(recovery);
    await this.#forget(name);
    this.#parts.sessions.endUser(name, 'the password was set by an administrator');
    return { message: `${name} has a new password`, user: this.#viewOf(changed) };
  }

  async #role(visitor: Visitor, { name, role }: UserRequest & { do: 'role' }): Promise<UserAnswer> {
    const { user, others } = await this.#find(name);
    if (user.role === role) {
      return { message: `${name} has the role ${role} already`, user: this.#viewOf(user) };
    }
    if (user.role === 'administrator') keepsOne(visitor, name, others);
    const changed = { ...user, role };
    await this.#parts.users.write([...others, changed]);
    this.#parts.sessions.endUser(name, `the role is ${role} now: log in again`);
    return { message: `${name} has the role ${role} now`, user: this.#viewOf(changed) };
  }

  async #unlock(name: string | null): Promise<UserAnswer> {
    if (name === null) {
      await this.#parts.ledger.reset(null);
      return { message: 'failed logins of unknown names are forgotten', user: null };
    }
    const { user } = await this.#find(name);
    await this.#forget(name);
    return { message: `failed logins of ${name} are forgotten`, user: this.#viewOf(user) };
  }

  async #recovery(name: string, validS: number): Promise<UserAnswer> {
    const { user, others } = await this.#find(name);
    const { ledger, users } = this.#parts;
    const code = newRecoveryCode();
    const changed = { ...user, recovery: recoveryDigest(name, code) };
    // First the time: a code without one is not valid.
    await ledger.open(changed.recovery, validS * 1000);
    await users.write([...others, changed]);
    await ledger.close(user.recovery);
    await ledger.reset(recoveryKey(name));
    const message = `${name} may set a new password once, within ${validS} s that the daemon runs`;
    return { message, user: this.#viewOf(changed), code };
  }

  async #find(name: string): Promise<{ readonly user: User; readonly others: readonly User[] }> {
    const users = await this.#parts.users.read();
    const user = users.find((one) => one.name === name);
    if (user === undefined) throw new UpdateError('access.user_unknown', `${name} is no user`);
    return { user, others: users.filter((one) => one !== user) };
  }

  async #hash(name: string, password: string): Promise<User['password']> {
    const refusal = passwordRefusal(name, password);
    if (refusal !== null) throw new UpdateError('access.password_weak', refusal);
    return hashPassword(password, this.#parts.cost);
  }

  async #forget(name: string): Promise<void> {
    await this.#parts.ledger.reset(name);
    await this.#parts.ledger.reset(recoveryKey(name));
  }

  #viewOf({ name, role, addedAt, passwordAt, recovery }: User): UserView {
    const { ledger, sessions } = this.#parts;
    const leftMs = ledger.leftMs(recovery);
    return {
      name,
      role,
      addedAt,
      passwordAt,
      failures: ledger.count(name),
      lockedS: Math.ceil(ledger.waitMs(name) / 1000),
      recoveryS: leftMs === 0 ? null : Math.ceil(leftMs / 1000),
      sessions: sessions.count(name),
    };
  }
}

/** On the control socket root may do what it wants: it can always add a user again. */
function keepsOne({ via }: Visitor, name: string, others: readonly User[]): void {
  if (via === 'control' || others.some(({ role }) => role === 'administrator')) return;
  throw new UpdateError('access.last_administrator', `${name} is the only administrator`);
}
