/**
 * The routes of prepared updates: how one stands, and the words that are said of it. Imports its
 * own folder.
 */
import type { PrepareRequest } from '../core/prepare-view.ts';
import { API } from './protocol.ts';
import { route, type Route } from './route.ts';
import { PREPARE_WORD_SCHEMAS } from './schemas-prepare.ts';
import { ref } from './shape.ts';

/** Part of `ROUTES`; read it there. */
export const PREPARE_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: `${API}/prepare`,
    name: 'prepared',
    status: 200,
    summary: 'The prepared update: each stage of each node, and what an install still waits for.',
    answer: { kind: 'json', schema: ref('PrepareView') },
    handle: ({ backend }) => backend.prepared(),
  },
  route<PrepareRequest>({
    method: 'POST',
    path: `${API}/prepare`,
    name: 'sayPrepare',
    status: 200,
    summary: 'A word about it: ignore, heed, authorize, configure, retry or cancel.',
    body: { name: 'PrepareRequest', by: 'do', schemas: PREPARE_WORD_SCHEMAS },
    answer: { kind: 'json', schema: ref('PrepareAnswer') },
    keyed: 'kept',
    handle: ({ backend, body, caller }) => backend.sayPrepare(body, caller),
  }),
];
