/**
 * The users of this node, in one root-only file. Always holds: the file is read anew for each
 * decision, so that what root does to it counts at once; a file that is damaged or that others
 * could have written gives an error and never an empty list, because an empty list invites to make
 * a first user; a file that is missing means that there is no user and that nobody can log in.
 * Imports core and its own folder.
 */
import { ROLES, type Role } from '../core/access.ts';
import { isUserName } from '../core/access-policy.ts';
import { UpdateError } from '../core/errors.ts';
import { isPasswordHash, type PasswordHash } from './password.ts';
import { readPrivate, writePrivate } from './private-file.ts';

/** One user as it is kept. */
export interface User {
  readonly name: string;
  readonly role: Role;
  readonly password: PasswordHash;
  /** ISO 8601, for people. */
  readonly addedAt: string;
  readonly passwordAt: string;
  /**
   * Digest of an open recovery code. It stands here so that one write sets the new password and
   * uses the code up; how long it is valid stands in the ledger.
   */
  readonly recovery?: string;
}

/** Most users of a node. */
export const USERS_MAX = 64;
/** Schema of the file. */
const SCHEMA = 1;

/** The file of the users. One process changes it: the daemon, which holds the lock of the state. */
export class UsersFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * The users, by name. Throws `access.users_damaged` with what is wrong, `state.newer_schema` for
   * the file of a newer program.
   */
  async read(): Promise<readonly User[]> {
    const content = await readPrivate(this.path);
    if ('missing' in content) return [];
    if ('problem' in content) throw this.#damaged(content.problem);
    const { schema, users } = content.value;
    if (typeof schema === 'number' && schema > SCHEMA) {
      const message = `${this.path} has schema ${schema}; this program knows ${SCHEMA}`;
      throw new UpdateError('state.newer_schema', message);
    }
    if (schema !== SCHEMA || !Array.isArray(users)) throw this.#damaged('is no file of users');
    if (users.length > USERS_MAX) throw this.#damaged(`has ${users.length} users`);
    const names = new Set<string>();
    for (const [index, user] of users.entries()) {
      if (!isUser(user)) throw this.#damaged(`has a user that is not valid: entry ${index + 1}`);
      if (names.has(user.name)) throw this.#damaged(`has the user ${user.name} twice`);
      names.add(user.name);
    }
    return users as readonly User[];
  }

  /** Replaces the users, durably; throws `state.io`. */
  async write(users: readonly User[]): Promise<void> {
    const sorted = users.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    await writePrivate(this.path, { schema: SCHEMA, users: sorted });
  }

  #damaged(problem: string): UpdateError {
    const detail = { file: this.path };
    return new UpdateError('access.users_damaged', `${this.path} ${problem}`, { detail });
  }
}

function isUser(value: unknown): value is User {
  const user = value as Partial<User> | null;
  return (
    typeof user === 'object' &&
    user !== null &&
    typeof user.name === 'string' &&
    isUserName(user.name) &&
    ROLES.some((role) => role === user.role) &&
    isPasswordHash(user.password) &&
    typeof user.addedAt === 'string' &&
    typeof user.passwordAt === 'string' &&
    (user.recovery === undefined || /^[0-9a-f]{64}$/.test(user.recovery))
  );
}
