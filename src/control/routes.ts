/**
 * The routes of the control server, one row each. Always holds: a change is answered with 202 and a
 * job, a word of an operator with what it did, and everything that comes from a client is checked
 * before the daemon sees it. Imports core and its own folder.
 */
import { UpdateError } from '../core/errors.ts';
import { ACCESS_ROUTES } from './access-routes.ts';
import { sendBytes } from './bytes.ts';
import { streamEvents } from './events.ts';
import {
  API,
  HISTORY_DEFAULT,
  HISTORY_MAX,
  parseActBody,
  parseCancelBody,
  parseJobBody,
  parsePrecheckBody,
  parseSettingBody,
  parseSupportBody,
  parseValidateBody,
  usage,
} from './protocol.ts';
import type { Route } from './route.ts';

/** Every request that the server answers. */
export const ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: `${API}/status`,
    status: 200,
    summary: 'Both nodes, the rollout, the reform checklist, alarms; who may change the pair.',
    handle: ({ backend, operator }) => ({ ...backend.status(), ...operator() }),
  },
  {
    method: 'GET',
    path: `${API}/slots`,
    status: 200,
    summary: 'Slots of both nodes.',
    handle: async ({ backend }) => backend.slots(),
  },
  {
    method: 'GET',
    path: `${API}/history`,
    status: 200,
    summary: 'Rollouts, newest first; ?limit=N.',
    handle: async ({ backend, query }) => {
      const limit = wholeNumber(query, 'limit', { min: 1, max: HISTORY_MAX });
      return { rollouts: await backend.history(limit ?? HISTORY_DEFAULT) };
    },
  },
  {
    method: 'GET',
    path: `${API}/jobs`,
    status: 200,
    summary: 'Jobs that the daemon knows.',
    handle: ({ backend }) => ({ jobs: backend.jobs() }),
  },
  {
    method: 'GET',
    path: `${API}/jobs/:id`,
    status: 200,
    summary: 'One job.',
    handle: ({ backend, params }) => backend.job(params['id']!),
  },
  {
    method: 'POST',
    path: `${API}/jobs`,
    status: 202,
    summary: 'Starts a job; the kinds are those of the schema, stage, update, restart and so on.',
    handle: async ({ backend, body, caller }) => backend.start(await parseJobBody(body), caller),
  },
  {
    method: 'POST',
    path: `${API}/jobs/:id/cancel`,
    status: 202,
    summary: 'Cancels a job, if that is still possible.',
    handle: async ({ backend, params, body, caller }) => {
      const { reason } = await parseCancelBody(body);
      return backend.cancel(params['id']!, caller, reason);
    },
  },
  {
    method: 'POST',
    path: `${API}/acts`,
    status: 200,
    summary: 'Does what an operator says: switchover, takeover, stand-down, pause or resume.',
    handle: async ({ backend, body, caller }) => backend.act(await parseActBody(body), caller),
  },
  {
    method: 'GET',
    path: `${API}/takeover`,
    status: 200,
    summary: 'What the word that the peer is off would do on this node, and what it costs.',
    handle: ({ backend }) => backend.takeover(),
  },
  {
    method: 'GET',
    path: `${API}/storage`,
    status: 200,
    summary: 'The newest verify of the storage, and both copies while they are split.',
    handle: async ({ backend }) => backend.storage(),
  },
  {
    method: 'GET',
    path: `${API}/power`,
    status: 200,
    summary: 'What a restart and a shutdown of this node would do now, and what they cost.',
    handle: ({ backend }) => backend.power(),
  },
  {
    method: 'GET',
    path: `${API}/support`,
    status: 200,
    summary: 'The support archives that this node keeps.',
    handle: async ({ backend }) => backend.support(),
  },
  {
    method: 'POST',
    path: `${API}/support`,
    status: 200,
    summary: 'A new support archive as its bytes; nothing of it is kept on this node.',
    handle: async ({ backend, body, caller, signal, response, stallMs }) => {
      const { reason } = await parseSupportBody(body);
      await sendBytes(response, await backend.supportStream(caller, reason, signal), stallMs);
    },
  },
  {
    method: 'GET',
    path: `${API}/support/:name`,
    status: 200,
    summary: 'A kept support archive as its bytes.',
    handle: async ({ backend, params, signal, response, stallMs }) => {
      await sendBytes(response, await backend.supportArchive(params['name']!, signal), stallMs);
    },
  },
  {
    method: 'POST',
    path: `${API}/support/:name/delete`,
    status: 200,
    summary: 'Deletes a kept support archive.',
    handle: async ({ backend, params, caller }) => backend.deleteSupport(params['name']!, caller),
  },
  {
    method: 'GET',
    path: `${API}/audit`,
    status: 200,
    summary: 'What operators asked this node for, newest first; ?limit=N.',
    handle: async ({ backend, query }) => {
      const limit = wholeNumber(query, 'limit', { min: 1, max: HISTORY_MAX });
      return { entries: await backend.audit(limit ?? HISTORY_DEFAULT) };
    },
  },
  {
    method: 'GET',
    path: `${API}/settings`,
    status: 200,
    summary: 'The settings of this node, and its network.',
    handle: async ({ backend }) => backend.settings(),
  },
  {
    method: 'POST',
    path: `${API}/settings`,
    status: 200,
    summary: 'Sets one setting of this node.',
    handle: async ({ backend, body, caller }) => backend.set(await parseSettingBody(body), caller),
  },
  {
    method: 'GET',
    path: `${API}/bundles`,
    status: 200,
    summary: 'Bundles that are staged, with the nodes that hold them.',
    handle: async ({ backend }) => ({ bundles: await backend.bundles() }),
  },
  {
    method: 'POST',
    path: `${API}/precheck`,
    status: 200,
    summary: 'Every check before an update, with its fix, and an estimate; changes nothing.',
    handle: async ({ backend, body, signal }) => {
      const { source } = await parsePrecheckBody(body);
      return backend.precheck(source, signal);
    },
  },
  {
    method: 'POST',
    path: `${API}/validate`,
    status: 200,
    summary: 'Checks a bundle against this pair; writes nothing.',
    handle: async ({ backend, body, signal }) => {
      const { path } = await parseValidateBody(body);
      return backend.validate(path, signal);
    },
  },
  {
    method: 'GET',
    path: `${API}/events`,
    status: 200,
    summary: 'Events as NDJSON; ?since=SEQ, ?follow=1, ?job=ID.',
    handle: async ({ backend, query, response, heartbeatMs, stallMs }) => {
      const since = wholeNumber(query, 'since', { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? 0;
      const follow = query.get('follow') === '1';
      const job = query.get('job');
      const options = { since, job, follow, heartbeatMs, stallMs };
      await streamEvents(backend, response, options);
    },
  },
  ...ACCESS_ROUTES,
];

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
    throw new UpdateError('usage.invalid', message, { detail: { http: 405 } });
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
      if (!/^[\w.-]{1,128}$/.test(value)) return null;
      params[part.slice(1)] = value;
    } else if (part !== value) return null;
  }
  return params;
}

function wholeNumber(
  query: URLSearchParams,
  name: string,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const number = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (number >= min && number <= max) return number;
  throw usage(`${name} is ${text.slice(0, 40)}; accepted: a whole number from ${min} to ${max}`);
}
