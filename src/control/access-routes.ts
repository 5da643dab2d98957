/**
 * The routes about access, one row each: sessions, users, the right to change the pair. Always
 * holds: what they answer with is never kept by a client's cache, and a password is in no answer.
 * Imports core and its own folder.
 */
import type { LoginRequest, OperatorRequest, RecoverRequest } from '../core/access.ts';
import type { ShellRequest, UserRequest } from '../core/access.ts';
import {
  checkForce,
  LOGIN_SCHEMA,
  OPERATOR_SCHEMA,
  PASSWORD_SCHEMA,
  RECOVER_SCHEMA,
  SHELL_SCHEMAS,
  USER_SCHEMAS,
} from './access-protocol.ts';
import type { PasswordRequest } from './desk.ts';
import { API, EMPTY_SCHEMA } from './protocol.ts';
import { route, type Answer, type Body, type Route } from './route.ts';
import { constant, object, ref } from './shape.ts';

const json = (name: string): Answer => ({ kind: 'json', schema: ref(name) });
const EMPTY: Body = { name: 'Empty', schema: EMPTY_SCHEMA };

/** Part of `ROUTES`; read it there. */
export const ACCESS_ROUTES: readonly Route[] = [
  route<LoginRequest>({
    method: 'POST',
    path: `${API}/session`,
    name: 'login',
    status: 200,
    summary: 'Logs in; the answer has the token for every later request.',
    body: { name: 'LoginRequest', schema: LOGIN_SCHEMA },
    answer: json('LoginAnswer'),
    handle: ({ desk, body }) => desk().login(body),
  }),
  route<RecoverRequest>({
    method: 'POST',
    path: `${API}/session/recover`,
    name: 'recover',
    status: 200,
    summary: 'Sets a new password with a recovery code, and logs in with it.',
    body: { name: 'RecoverRequest', schema: RECOVER_SCHEMA },
    answer: json('LoginAnswer'),
    handle: ({ desk, body }) => desk().recover(body),
  }),
  {
    method: 'GET',
    path: `${API}/session`,
    name: 'session',
    status: 200,
    summary: 'Who is asking, with which role, and for how long; counts as no activity.',
    answer: json('SessionView'),
    handle: ({ desk, visitor }) => desk().view(visitor),
  },
  {
    method: 'DELETE',
    path: `${API}/session`,
    name: 'logout',
    status: 200,
    summary: 'Logs out.',
    answer: {
      kind: 'json',
      schema: object<{ ended: true }>('The end.', { ended: constant(true) }),
    },
    handle: ({ desk, visitor }) => {
      desk().logout(visitor);
      return { ended: true };
    },
  },
  {
    method: 'POST',
    path: `${API}/session/activity`,
    name: 'activity',
    status: 200,
    summary: 'A person pressed a key: the idle time begins anew. Nothing else does that.',
    body: EMPTY,
    answer: json('SessionView'),
    handle: ({ desk, visitor }) => desk().activity(visitor),
  },
  route<PasswordRequest>({
    method: 'POST',
    path: `${API}/session/password`,
    name: 'changePassword',
    status: 200,
    summary: 'Changes the own password.',
    body: { name: 'PasswordRequest', schema: PASSWORD_SCHEMA },
    answer: json('SessionView'),
    handle: ({ desk, visitor, body }) => desk().changePassword(visitor, body),
  }),
  route<OperatorRequest>({
    method: 'POST',
    path: `${API}/operator`,
    name: 'operator',
    status: 200,
    summary: 'Takes or releases the right to change the pair.',
    body: { name: 'OperatorRequest', schema: OPERATOR_SCHEMA },
    answer: json('OperatorAnswer'),
    handle: ({ desk, visitor, body }) => desk().operate(visitor, checkForce(body)),
  }),
  {
    method: 'GET',
    path: `${API}/users`,
    name: 'users',
    status: 200,
    summary: 'The users of this node.',
    answer: json('UsersView'),
    handle: ({ desk }) => desk().users(),
  },
  route<UserRequest>({
    method: 'POST',
    path: `${API}/users`,
    name: 'changeUser',
    status: 200,
    summary: 'Adds, removes, unlocks a user; sets role or password; makes a recovery code.',
    body: { name: 'UserRequest', by: 'do', schemas: USER_SCHEMAS },
    answer: json('UserAnswer'),
    keyed: 'run',
    handle: ({ desk, visitor, body }) => desk().changeUser(visitor, body),
  }),
  route<ShellRequest>({
    method: 'POST',
    path: `${API}/shell`,
    name: 'shell',
    status: 200,
    summary: 'Allows a service shell and writes its begin down, or its end.',
    body: { name: 'ShellRequest', by: 'do', schemas: SHELL_SCHEMAS },
    answer: json('ShellAnswer'),
    handle: ({ desk, visitor, body }) => desk().shell(visitor, body),
  }),
];
