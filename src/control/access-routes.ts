/**
 * The routes about access, one row each: sessions, users, the right to change the pair. Always
 * holds: what they answer with is never kept by a client's cache, and a password is in no answer.
 * Imports core and its own folder.
 */
import {
  parseLoginBody,
  parseOperatorBody,
  parsePasswordBody,
  parseRecoverBody,
  parseShellBody,
  parseUserBody,
} from './access-protocol.ts';
import { API } from './protocol.ts';
import type { Route } from './route.ts';

/** Part of `ROUTES`; read it there. */
export const ACCESS_ROUTES: readonly Route[] = [
  {
    method: 'POST',
    path: `${API}/session`,
    status: 200,
    summary: 'Logs in; the answer has the token for every later request.',
    handle: async ({ desk, body }) => desk().login(await parseLoginBody(body)),
  },
  {
    method: 'POST',
    path: `${API}/session/recover`,
    status: 200,
    summary: 'Sets a new password with a recovery code, and logs in with it.',
    handle: async ({ desk, body }) => desk().recover(await parseRecoverBody(body)),
  },
  {
    method: 'GET',
    path: `${API}/session`,
    status: 200,
    summary: 'Who is asking, with which role, and for how long; counts as no activity.',
    handle: ({ desk, visitor }) => desk().view(visitor),
  },
  {
    method: 'DELETE',
    path: `${API}/session`,
    status: 200,
    summary: 'Logs out.',
    handle: ({ desk, visitor }) => {
      desk().logout(visitor);
      return { ended: true };
    },
  },
  {
    method: 'POST',
    path: `${API}/session/activity`,
    status: 200,
    summary: 'A person pressed a key: the idle time begins anew. Nothing else does that.',
    handle: ({ desk, visitor }) => desk().activity(visitor),
  },
  {
    method: 'POST',
    path: `${API}/session/password`,
    status: 200,
    summary: 'Changes the own password.',
    handle: async ({ desk, visitor, body }) =>
      desk().changePassword(visitor, await parsePasswordBody(body)),
  },
  {
    method: 'POST',
    path: `${API}/operator`,
    status: 200,
    summary: 'Takes or releases the right to change the pair.',
    handle: async ({ desk, visitor, body }) =>
      desk().operate(visitor, await parseOperatorBody(body)),
  },
  {
    method: 'GET',
    path: `${API}/users`,
    status: 200,
    summary: 'The users of this node.',
    handle: async ({ desk }) => desk().users(),
  },
  {
    method: 'POST',
    path: `${API}/users`,
    status: 200,
    summary: 'Adds, removes, unlocks a user; sets role or password; makes a recovery code.',
    handle: async ({ desk, visitor, body }) =>
      desk().changeUser(visitor, await parseUserBody(body)),
  },
  {
    method: 'POST',
    path: `${API}/shell`,
    status: 200,
    summary: 'Allows a service shell and writes its begin down, or its end.',
    handle: async ({ desk, visitor, body }) => desk().shell(visitor, await parseShellBody(body)),
  },
];
