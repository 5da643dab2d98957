/**
 * Who a request comes from, and whether it may be answered: one gate for each door of the daemon.
 * Always holds: on the console socket nothing is answered before a login but the login itself; what
 * the table of needs does not allow a role is refused; only the control socket, whose mode says who
 * may use it, is not bound by that table. Imports core and its own folder.
 */
import type { IncomingMessage } from 'node:http';
import type { Role } from '../core/access.ts';
import { needOf, ROUTE_NEEDS, wordOf } from '../core/access-rules.ts';
import type { Desk, Visitor } from './desk.ts';
import type { Route } from './route.ts';
import { keyOf } from './routes.ts';
import type { Strangers } from './strangers.ts';

/** One of the doors. */
export interface Gate {
  /** Who asks; throws why nobody does. */
  enter(route: Route, request: IncomingMessage): Promise<Visitor>;
  /** Throws what the visitor may not do here. */
  permit(visitor: Visitor, route: Route, body: unknown): void;
}

/** One who has not logged in yet. */
export const STRANGER: Visitor = { name: 'nobody', via: 'console', role: 'viewer', ended: null };

/** The door of root and the group: its mode is all the proof that it asks for. */
export const CONTROL_GATE: Gate = {
  enter: (_route, request) => {
    const name = callerName(request.headers['x-tandem-caller']);
    return Promise.resolve({ name, via: 'control', role: 'administrator', ended: null });
  },
  permit: () => {},
};

/** The door of everybody: a route that the table does not open needs the token of a session. */
export function consoleGate(desk: () => Desk, strangers: Strangers): Gate {
  return {
    enter: async (route, request) => {
      const need = ROUTE_NEEDS[keyOf(route)];
      if (need !== undefined && 'role' in need && need.role === null) return STRANGER;
      const visitor = await desk().enter(tokenOf(request.headers.authorization));
      strangers.known(request.socket);
      return visitor;
    },
    permit: (visitor, route, body) => {
      if (visitor === STRANGER) return;
      const key = keyOf(route);
      desk().permit(visitor, needOf(key, body), wordOf(key, body));
    },
  };
}

/** Who a certificate is, and what it may do. */
export interface Certified {
  readonly name: string;
  readonly role: Role;
}

/** What makes sense only where a person sits at a console of this node. */
const AT_A_CONSOLE: ReadonlySet<string> = new Set([
  'POST /v1/session',
  'POST /v1/session/recover',
  'POST /v1/session/password',
  'POST /v1/session/activity',
  'DELETE /v1/session',
  'POST /v1/operator',
  'POST /v1/shell',
]);

/** The door of other machines: a certificate is a login that never ends. */
export function remoteGate(
  desk: () => Desk,
  certifiedOf: (request: IncomingMessage) => Certified,
): Gate {
  return {
    enter: (_route, request) => {
      const { name, role } = certifiedOf(request);
      return Promise.resolve({ name, via: 'remote', role, ended: null });
    },
    permit: (visitor, route, body) => {
      const key = keyOf(route);
      const need = AT_A_CONSOLE.has(key) ? null : needOf(key, body);
      desk().permit(visitor, need, wordOf(key, body));
    },
  };
}

/** The token of a request, or null when it has none in the only form that is taken. */
function tokenOf(header: string | undefined): string | null {
  return /^Bearer ([\w-]{1,128})$/.exec(header ?? '')?.[1] ?? null;
}

/**
 * Node cannot read the peer credentials of a unix socket, so the name is the client's claim; what
 * authorises is the mode of the socket. The audit log shows it as such.
 */
function callerName(claimed: string | string[] | undefined): string {
  return typeof claimed === 'string' && /^[\w.-]{1,32}$/.test(claimed) ? claimed : 'local';
}
