/**
 * The desk at the console socket: logs people in and out, and judges every request of theirs.
 * Always holds: nobody passes without a session, a session comes only from a password or a recovery
 * code, and no state of any file makes a login needless; one password is hashed at a time and never
 * on the event loop; a name that nobody has costs the same time as a wrong password; every login,
 * refusal and change is in the audit log with the name of the session, and never with a password or
 * with what was typed as the name of nobody. Imports core, control and the room of access.
 */
import { join } from 'node:path';
import { Ledger } from '../access/ledger.ts';
import { comparePretended, COST, hashPassword, isPassword, type Cost } from '../access/password.ts';
import { Queue } from '../access/queue.ts';
import { isRecoveryCode } from '../access/recovery-code.ts';
import { Sessions, type Session } from '../access/sessions.ts';
import { UsersFile, type User } from '../access/users-file.ts';
import type { Desk, PasswordRequest, Visitor } from '../control/desk.ts';
import type { LoginAnswer, LoginRequest, OperatorAnswer, OperatorView } from '../core/access.ts';
import type { OperatorRequest, RecoverRequest, SessionView } from '../core/access.ts';
import type { ShellAnswer, ShellRequest } from '../core/access.ts';
import type { UserAnswer, UserRequest, UsersView } from '../core/access.ts';
import { passwordRefusal } from '../core/access-policy.ts';
import { permits, type Need } from '../core/access-rules.ts';
import type { Code } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import { Holding } from './access-holder.ts';
import { ShellBook } from './access-shell.ts';
import { recoveryKey, UserAdministration } from './access-users.ts';
import type { AuditLog, Noted } from './audit.ts';

/** What the desk needs of its daemon. */
export interface AccessParts {
  readonly node: NodeId;
  /** Where `users.json` and `access.json` lie. */
  readonly stateDir: string;
  readonly monotonicMs: () => number;
  /** Wall-clock time, for people. */
  readonly at: () => string;
  /** How long a session may be without a key, now. */
  readonly idleMs: () => number;
  readonly updating: () => boolean;
  /** Whether this node opens service shells; absent where it opens none. */
  readonly serviceShell?: boolean;
  readonly audit: Pick<AuditLog, 'note'>;
  /** Tells everyone, as an event. */
  readonly tell: (sentence: string) => void;
  readonly log: (line: string) => void;
  /** What a password costs to check; cheaper in tests. */
  readonly cost?: Cost;
}

/** Logins that may wait for their turn. */
const LOGINS_WAITING_MAX = 8;
const SWEEP_MS = 1_000;

/** The desk of one daemon. */
export class AccessDesk implements Desk, AsyncDisposable {
  readonly #parts: AccessParts;
  readonly #users: UsersFile;
  readonly #ledger: Ledger;
  readonly #cost: Cost;
  readonly #queue = new Queue();
  readonly #sessions: Sessions;
  readonly #holding: Holding;
  readonly #administration: UserAdministration;
  readonly #shells: ShellBook;
  readonly #sessionOf = new WeakMap<Visitor, Session>();
  readonly #timer: NodeJS.Timeout;

  private constructor(parts: AccessParts, ledger: Ledger) {
    this.#parts = parts;
    this.#ledger = ledger;
    this.#users = new UsersFile(join(parts.stateDir, 'users.json'));
    this.#cost = parts.cost ?? COST;
    const { monotonicMs: nowMs, idleMs, updating } = parts;
    this.#sessions = new Sessions({
      nowMs,
      idleMs,
      updating,
      onEnd: ({ user }, why, held) => {
        const message = held ? `${why}; the right to change the pair is free` : why;
        this.#note('logout', user, { result: 'done', message });
        if (held) parts.tell(`${user} holds the right to change the pair no more: ${why}`);
      },
    });
    const sessionOf = (visitor: Visitor): Session | null => this.#sessionOf.get(visitor) ?? null;
    this.#holding = new Holding(this.#sessions, sessionOf, parts);
    this.#administration = new UserAdministration({
      users: this.#users,
      ledger,
      sessions: this.#sessions,
      cost: this.#cost,
      at: parts.at,
      audit: parts.audit,
    });
    this.#shells = new ShellBook(parts);
    this.#timer = setInterval(() => {
      this.#sessions.sweep();
      void ledger.tick();
    }, SWEEP_MS);
    this.#timer.unref();
  }

  /** Opens the desk; files that are missing or damaged show when somebody logs in. */
  static async open(parts: AccessParts): Promise<AccessDesk> {
    const path = join(parts.stateDir, 'access.json');
    return new AccessDesk(parts, await Ledger.open(path, parts.monotonicMs, parts.log));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#queue.run(() => this.#ledger[Symbol.asyncDispose]());
  }

  async enter(token: string | null): Promise<Visitor> {
    let session: Session;
    try {
      session = this.#sessions.find(token);
    } catch (error) {
      await this.#someUsers();
      throw error;
    }
    const { user: name, role, ended } = session;
    const visitor: Visitor = { name, via: 'console', role, ended };
    this.#sessionOf.set(visitor, session);
    return visitor;
  }

  permit(visitor: Visitor, need: Need | null, asked: string): void {
    try {
      this.#judge(visitor, need, asked);
    } catch (error) {
      // A key in a console that looks on is no attempt at anything.
      if (error instanceof UpdateError && error.code !== 'access.idle') {
        const { code, message } = error;
        const { name: by, via } = visitor;
        this.#parts.audit.note({ act: asked, by, via, reason: null }, refusedWith(code, message));
      }
      throw error;
    }
    // A machine holds nothing: a person who comes later need not wait for it.
    const person = visitor.via !== 'remote';
    if (need?.kind === 'change' && person) this.#holding.claim(visitor, asked);
  }

  #judge(visitor: Visitor, need: Need | null, asked: string): void {
    const { name, role } = visitor;
    if (need === null) throw new UpdateError('access.role', `nobody may do this here: ${asked}`);
    const watching = this.#sessionOf.get(visitor)?.watching ?? visitor.via !== 'remote';
    if (!permits(need, role, false)) {
      const detail = { role, needs: need.role ?? 'nobody' };
      const message = `${asked} needs the role ${need.role}; ${name} has the role ${role}`;
      throw new UpdateError('access.role', message, { detail });
    }
    if (!permits(need, role, watching)) {
      throw new UpdateError('access.idle', `${asked}: the session of ${name} may only look on`);
    }
    if (need.kind === 'change') this.#holding.check(visitor);
  }

  async login(request: LoginRequest): Promise<LoginAnswer> {
    const { user: name, password } = request;
    // Who has to wait anyway takes no place in the queue, so a flood of such leaves it to others.
    this.#checkLock((await this.#userOf(name))?.name ?? null);
    return this.#queue.run(async () => {
      const user = await this.#userOf(name);
      const key = user?.name ?? null;
      this.#checkLock(key);
      const good =
        user === null
          ? await comparePretended(password, this.#cost)
          : await isPassword(password, user.password);
      const where = whereOf(request);
      if (!good || user === null) {
        throw await this.#failed(key, key, 'login', where, 'access.denied');
      }
      await this.#ledger.reset(key);
      return this.#begin('login', user, where);
    }, LOGINS_WAITING_MAX);
  }

  async recover(request: RecoverRequest): Promise<LoginAnswer> {
    const { user: name, code, password } = request;
    const known = await this.#userOf(name);
    this.#checkLock(known === null ? null : recoveryKey(name));
    return this.#queue.run(async () => {
      const user = await this.#userOf(name);
      // Apart from the failed logins, which somebody else may have caused.
      const key = user === null ? null : recoveryKey(user.name);
      this.#checkLock(key);
      const good = isRecoveryCode(name, code, user?.recovery ?? '0'.repeat(64));
      const where = whereOf(request);
      if (!good || user === null || this.#ledger.leftMs(user.recovery) === 0) {
        throw await this.#failed(
          key,
          user?.name ?? null,
          'recover',
          where,
          'access.recovery_wrong',
        );
      }
      await this.#setPassword(user, password);
      this.#sessions.endUser(user.name, 'the password was set anew with a recovery code');
      await Promise.all([this.#ledger.reset(user.name), this.#ledger.reset(key)]);
      return this.#begin('recover', user, where);
    }, LOGINS_WAITING_MAX);
  }

  async changePassword(visitor: Visitor, request: PasswordRequest): Promise<SessionView> {
    const { name } = visitor;
    const session = this.#sessionOf.get(visitor);
    if (session === undefined) {
      throw new UpdateError('usage.invalid', 'the control socket has no password of its own');
    }
    await this.#queue.run(async () => {
      const user = await this.#userOf(name);
      if (user === null) throw new UpdateError('access.user_unknown', `${name} was removed`);
      this.#checkLock(name);
      if (!(await isPassword(request.old, user.password))) {
        throw await this.#failed(name, name, 'password', session.where, 'access.denied');
      }
      await this.#setPassword(user, request.password);
      this.#sessions.endUser(name, 'the password was changed', session);
      this.#note('password', name, { result: 'done', message: 'changed by its user' });
    }, LOGINS_WAITING_MAX);
    return this.view(visitor);
  }

  /** One write sets the password and uses up a recovery code. */
  async #setPassword(user: User, password: string): Promise<void> {
    const refusal = passwordRefusal(user.name, password);
    if (refusal !== null) throw new UpdateError('access.password_weak', refusal);
    const { recovery, ...kept } = user;
    const hash = await hashPassword(password, this.#cost);
    const changed = { ...kept, password: hash, passwordAt: this.#parts.at() };
    const others = (await this.#users.read()).filter(({ name }) => name !== user.name);
    await this.#users.write([...others, changed]);
    await this.#ledger.close(recovery);
  }

  #begin(act: string, { name, role }: User, where: string | null): LoginAnswer {
    const { session, token } = this.#sessions.begin(name, role, where);
    const message = `${role}${where === null ? '' : ` on ${where}`}`;
    this.#note(act, name, { result: 'done', message });
    return { ...this.#viewOf(session), token };
  }

  view(visitor: Visitor): SessionView {
    const session = this.#sessionOf.get(visitor);
    if (session !== undefined) return this.#viewOf(session);
    const { name: user, role, via } = visitor;
    const never = { where: null, idleS: null, leftS: null, watching: false, operator: false };
    return { user, role, via, node: this.#parts.node, ...never };
  }

  #viewOf(session: Session): SessionView {
    const { user, role, where, watching } = session;
    const idleS = Math.round(this.#parts.idleMs() / 1000);
    const leftS = Math.ceil(this.#sessions.leftMs(session) / 1000);
    const operator = this.#sessions.holder?.session === session;
    const { node } = this.#parts;
    return { user, role, via: 'console', node, where, idleS, leftS, watching, operator };
  }

  activity(visitor: Visitor): SessionView {
    const session = this.#sessionOf.get(visitor);
    if (session !== undefined) this.#sessions.touch(session);
    return this.view(visitor);
  }

  logout(visitor: Visitor): void {
    const session = this.#sessionOf.get(visitor);
    if (session === undefined) return;
    const held = this.#sessions.end(session, 'you have logged out');
    const message = held ? 'logged out; the right to change the pair is free' : 'logged out';
    this.#note('logout', visitor.name, { result: 'done', message });
    if (held) this.#parts.tell(`${visitor.name} released the right to change the pair`);
  }

  users(): Promise<UsersView> {
    return this.#administration.view();
  }

  changeUser(visitor: Visitor, request: UserRequest): Promise<UserAnswer> {
    return this.#queue.run(() => this.#administration.change(visitor, request));
  }

  operate(visitor: Visitor, request: OperatorRequest): OperatorAnswer {
    return this.#holding.operate(visitor, request);
  }

  shell(visitor: Visitor, request: ShellRequest): ShellAnswer {
    return this.#shells.take(visitor, request);
  }

  operator(): OperatorView | null {
    return this.#holding.view();
  }

  /** The users, of which there is at least one; throws why nobody can log in. */
  async #someUsers(): Promise<readonly User[]> {
    const users = await this.#users.read();
    if (users.length > 0) return users;
    throw new UpdateError('access.no_users', `node ${this.#parts.node} has no user yet`);
  }

  async #userOf(name: string): Promise<User | null> {
    return (await this.#someUsers()).find((user) => user.name === name) ?? null;
  }

  #checkLock(key: string | null): void {
    const waitS = Math.ceil(this.#ledger.waitMs(key) / 1000);
    if (waitS > 0) throw locked(waitS);
  }

  /** Counts a failure and returns what to throw. `name` is null for the name of nobody. */
  async #failed(
    key: string | null,
    name: string | null,
    act: string,
    where: string | null,
    code: 'access.denied' | 'access.recovery_wrong',
  ): Promise<UpdateError> {
    const by = name ?? 'unknown name';
    const waitS = Math.ceil((await this.#ledger.fail(key)) / 1000);
    const from = where === null ? '' : ` on ${where}`;
    this.#note(act, by, { result: 'refused', code, message: `failed${from}` });
    const word = code === 'access.denied' ? 'the name or the password' : 'the recovery code';
    if (waitS === 0) return new UpdateError(code, `${word} is wrong`);
    const message = `no login is accepted for ${waitS} s`;
    this.#note('lock-out', by, { result: 'done', code: 'access.locked', message });
    return new UpdateError(code, `${word} is wrong; ${message}`, { detail: { waitS } });
  }

  #note(act: string, by: string, noted: Noted): void {
    this.#parts.audit.note({ act, by, via: 'console', reason: null }, noted);
  }
}

function refusedWith(code: Code, message: string): Noted {
  return { result: 'refused', code, message };
}

function locked(waitS: number): UpdateError {
  const message = `no login is accepted for another ${waitS} s`;
  return new UpdateError('access.locked', message, { detail: { waitS } });
}

function whereOf({ tty, remote }: LoginRequest): string | null {
  if (remote === undefined) return tty ?? null;
  return tty === undefined ? remote : `${tty} from ${remote}`;
}
