/**
 * The routes that only look. Always holds: none of them changes anything, and each answers with
 * what is true at this moment or says how old it is. Imports its own folder.
 */
import { sendBytes } from './bytes.ts';
import { ARCHIVE } from './change-routes.ts';
import { streamEvents } from './events.ts';
import { METRICS_TYPE, metricsText } from './metrics.ts';
import { API, HISTORY_DEFAULT, HISTORY_MAX } from './protocol.ts';
import type { QueryField, Route } from './route.ts';
import { list, object, ref, type Schema } from './shape.ts';
import { perNode } from './schemas-pair.ts';

const limit: QueryField = {
  kind: 'number',
  min: 1,
  max: HISTORY_MAX,
  none: HISTORY_DEFAULT,
  description: 'At most this many.',
};

/** An object with one list. */
function listed(name: string, items: Schema): Schema {
  return object<Record<string, unknown>>('What was asked for.', { [name]: list(items) });
}

/** Part of `ROUTES`; read it there. */
export const LOOK_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: `${API}/status`,
    name: 'status',
    status: 200,
    summary: 'Both nodes, the rollout, the reform checklist, alarms; who may change the pair.',
    answer: { kind: 'json', schema: ref('PairStatus') },
    handle: ({ backend, operator }) => ({ ...backend.status(), ...operator() }),
  },
  {
    method: 'GET',
    path: `${API}/slots`,
    name: 'slots',
    status: 200,
    summary: 'Slots of both nodes.',
    answer: { kind: 'json', schema: perNode(list(ref('SlotStatus'))) },
    handle: ({ backend }) => backend.slots(),
  },
  {
    method: 'GET',
    path: `${API}/history`,
    name: 'history',
    status: 200,
    summary: 'Rollouts, newest first.',
    query: { limit },
    answer: { kind: 'json', schema: listed('rollouts', ref('RolloutRecord')) },
    handle: async ({ backend, query }) => ({
      rollouts: await backend.history(Number(query['limit'])),
    }),
  },
  {
    method: 'GET',
    path: `${API}/jobs`,
    name: 'jobs',
    status: 200,
    summary: 'Jobs that the daemon knows.',
    answer: { kind: 'json', schema: listed('jobs', ref('JobStatus')) },
    handle: ({ backend }) => ({ jobs: backend.jobs() }),
  },
  {
    method: 'GET',
    path: `${API}/jobs/:id`,
    name: 'job',
    status: 200,
    summary: 'One job.',
    answer: { kind: 'json', schema: ref('JobStatus') },
    handle: ({ backend, params }) => backend.job(params['id']!),
  },
  {
    method: 'GET',
    path: `${API}/takeover`,
    name: 'takeover',
    status: 200,
    summary: 'What the word that the peer is off would do on this node, and what it costs.',
    answer: { kind: 'json', schema: ref('TakeoverView') },
    handle: ({ backend }) => backend.takeover(),
  },
  {
    method: 'GET',
    path: `${API}/storage`,
    name: 'storage',
    status: 200,
    summary: 'The newest verify of the storage, and both copies while they are split.',
    answer: { kind: 'json', schema: ref('StorageView') },
    handle: ({ backend }) => backend.storage(),
  },
  {
    method: 'GET',
    path: `${API}/power`,
    name: 'power',
    status: 200,
    summary: 'What a restart and a shutdown of this node would do now, and what they cost.',
    answer: {
      kind: 'json',
      schema: object<{ restart: unknown; shutdown: unknown }>('By kind.', {
        restart: ref('PowerView'),
        shutdown: ref('PowerView'),
      }),
    },
    handle: ({ backend }) => backend.power(),
  },
  {
    method: 'GET',
    path: `${API}/support`,
    name: 'supportArchives',
    status: 200,
    summary: 'The support archives that this node keeps.',
    answer: { kind: 'json', schema: ref('SupportView') },
    handle: ({ backend }) => backend.support(),
  },
  {
    method: 'GET',
    path: `${API}/support/:name`,
    name: 'supportArchive',
    status: 200,
    summary: 'A kept support archive as its bytes.',
    answer: ARCHIVE,
    handle: async ({ backend, params, signal, response, stallMs }) => {
      await sendBytes(response, await backend.supportArchive(params['name']!, signal), stallMs);
    },
  },
  {
    method: 'GET',
    path: `${API}/audit`,
    name: 'audit',
    status: 200,
    summary: 'What operators asked this node for, newest first.',
    query: { limit },
    answer: { kind: 'json', schema: listed('entries', ref('AuditEntry')) },
    handle: async ({ backend, query }) => ({
      entries: await backend.audit(Number(query['limit'])),
    }),
  },
  {
    method: 'GET',
    path: `${API}/settings`,
    name: 'settings',
    status: 200,
    summary: 'The settings of this node, and its network.',
    answer: { kind: 'json', schema: ref('SettingsView') },
    handle: ({ backend }) => backend.settings(),
  },
  {
    method: 'GET',
    path: `${API}/bundles`,
    name: 'bundles',
    status: 200,
    summary: 'Bundles that are staged, with the nodes that hold them.',
    answer: { kind: 'json', schema: listed('bundles', ref('StagedBundle')) },
    handle: async ({ backend }) => ({ bundles: await backend.bundles() }),
  },
  {
    method: 'GET',
    path: `${API}/events`,
    name: 'events',
    status: 200,
    summary:
      'Events as NDJSON, oldest first; an empty line is a sign of life. Who was away ' +
      'goes on with the number of the last event that it saw.',
    query: {
      since: {
        kind: 'number',
        min: 0,
        max: Number.MAX_SAFE_INTEGER,
        none: 0,
        description: 'Only events with a higher sequence number.',
      },
      follow: { kind: 'flag', description: 'Stay, and send what comes.' },
      job: { kind: 'id', description: 'Only events of this job.' },
    },
    answer: { kind: 'lines', schema: ref('Event') },
    handle: async ({ backend, query, response, heartbeatMs, stallMs }) => {
      const job = query['job'] === undefined ? null : String(query['job']);
      const [since, follow] = [Number(query['since']), query['follow'] === true];
      await streamEvents(backend, response, { since, job, follow, heartbeatMs, stallMs });
    },
  },
  {
    method: 'GET',
    path: `${API}/metrics`,
    name: 'metrics',
    status: 200,
    summary: 'Versions, roles, phase, sync, ages, boots and rollouts as numbers.',
    answer: { kind: 'text', type: METRICS_TYPE, description: 'OpenMetrics 1.0.' },
    handle: ({ backend }) => metricsText(backend.status(), backend.counters()),
  },
  {
    method: 'GET',
    path: `${API}/openapi.json`,
    name: 'openapi',
    status: 200,
    summary: 'This description.',
    answer: { kind: 'json', schema: { type: 'object', description: 'OpenAPI 3.1.' } },
    handle: ({ describe }) => describe(),
  },
];
