/**
 * Every request that the control server answers, and which of them one is. Always holds: what is in
 * no row is refused, and what comes from a client is checked by its row before the daemon sees it.
 * Imports core and its own folder.
 */
import { UpdateError } from '../core/errors.ts';
import { ACCESS_ROUTES } from './access-routes.ts';
import { CHANGE_ROUTES } from './change-routes.ts';
import { LOOK_ROUTES } from './look-routes.ts';
import { PREPARE_ROUTES } from './prepare-routes.ts';
import { API } from './protocol.ts';
import { SCHEDULE_ROUTES } from './schedule-routes.ts';
import { ID_PATTERN } from './query.ts';
import type { Route } from './route.ts';

/** Every request that the server answers. */
export const ROUTES: readonly Route[] = [
  ...LOOK_ROUTES,
  ...PREPARE_ROUTES,
  ...CHANGE_ROUTES,
  ...SCHEDULE_ROUTES,
  ...ACCESS_ROUTES,
];

const PART = new RegExp(ID_PATTERN);

/** How the table of needs names a route. */
export const keyOf = ({ method, path }: Route): string => `${method} ${path}`;

/**
 * The route of a request with the named parts of its path. Throws `usage.invalid`, with HTTP status
 * 404 for an unknown path and 405 for a known path with another method.
 */
export function findRoute(
  method: string,
  pathname: string,
): { readonly route: Route; readonly params: Readonly<Record<string, string>> } {
  const methods: string[] = [];
  for (const route of ROUTES) {
    const params = match(route.path, pathname);
    if (params === null) continue;
    if (route.method === method) return { route, params };
    methods.push(route.method);
  }
  if (methods.length > 0) {
    const message = `${pathname} takes ${methods.join(', ')}, found ${method}`;
    const allow = methods.join(', ');
    throw new UpdateError('usage.invalid', message, { detail: { http: 405, allow } });
  }
  const shown = pathname.length > 100 ? `${pathname.slice(0, 100)}...` : pathname;
  const message = `${shown} is not a path of the control API ${API}`;
  throw new UpdateError('usage.invalid', message, { detail: { http: 404 } });
}

function match(pattern: string, pathname: string): Readonly<Record<string, string>> | null {
  const wanted = pattern.split('/');
  const found = pathname.split('/');
  if (wanted.length !== found.length) return null;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = found[index]!;
    if (part.startsWith(':')) {
      if (!PART.test(value)) return null;
      params[part.slice(1)] = value;
    } else if (part !== value) return null;
  }
  return params;
}
