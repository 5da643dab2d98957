/**
 * The routes that change something, or that ask what a change would do. Always holds: a change is
 * answered with 202 and a job, a word of an operator with what it did; each takes an idempotency
 * key. Imports its own folder.
 */
import type { ActRequest, BundleSource, JobRequest, ReplaceRequest } from './backend.ts';
import type { PrecheckOptions, SettingRequest } from './backend.ts';
import { sendBytes } from './bytes.ts';
import {
  ACT_SCHEMAS,
  API,
  CANCEL_SCHEMA,
  EMPTY_SCHEMA,
  JOB_SCHEMAS,
  PRECHECK_SCHEMA,
  REPLACE_SCHEMA,
  SETTING_SCHEMA,
  SUPPORT_SCHEMA,
  VALIDATE_SCHEMA,
} from './protocol.ts';
import { route, type Answer, type Route } from './route.ts';
import { ref } from './shape.ts';

const json = (name: string): Answer => ({ kind: 'json', schema: ref(name) });

/** A support archive as it comes. */
export const ARCHIVE: Answer = {
  kind: 'bytes',
  type: 'application/gzip',
  description: 'A tar archive; one that breaks off is not whole.',
};

/** Part of `ROUTES`; read it there. */
export const CHANGE_ROUTES: readonly Route[] = [
  route<JobRequest>({
    method: 'POST',
    path: `${API}/jobs`,
    name: 'startJob',
    status: 202,
    summary: 'Starts a job; the kinds are those of the schema, stage, update, restart and so on.',
    body: { name: 'JobRequest', by: 'kind', schemas: JOB_SCHEMAS },
    answer: json('JobStatus'),
    keyed: 'kept',
    begins: 'job',
    handle: ({ backend, body, caller }) => backend.start(body, caller),
  }),
  route<JobRequest>({
    method: 'POST',
    path: `${API}/jobs/preview`,
    name: 'previewJob',
    status: 200,
    summary: 'Judges a job as its start would, says what it would do, and begins nothing.',
    body: { name: 'JobRequest', by: 'kind', schemas: JOB_SCHEMAS },
    answer: json('ChangePreview'),
    handle: ({ backend, body, caller }) => backend.previewJob(body, caller),
  }),
  route<ActRequest>({
    method: 'POST',
    path: `${API}/acts/preview`,
    name: 'previewAct',
    status: 200,
    summary: 'Judges a word of an operator, says what it would do, and does nothing.',
    body: { name: 'ActRequest', by: 'act', schemas: ACT_SCHEMAS },
    answer: json('ChangePreview'),
    handle: ({ backend, body }) => backend.previewAct(body),
  }),
  route<{ readonly reason?: string }>({
    method: 'POST',
    path: `${API}/jobs/:id/cancel`,
    name: 'cancelJob',
    status: 202,
    summary: 'Cancels a job, if that is still possible.',
    body: { name: 'CancelRequest', schema: CANCEL_SCHEMA },
    answer: json('JobStatus'),
    keyed: 'kept',
    handle: ({ backend, params, body, caller }) =>
      backend.cancel(params['id']!, caller, body.reason),
  }),
  route<ActRequest>({
    method: 'POST',
    path: `${API}/acts`,
    name: 'act',
    status: 200,
    summary: 'Does what an operator says: switchover, takeover, stand-down, pause or resume.',
    body: { name: 'ActRequest', by: 'act', schemas: ACT_SCHEMAS },
    answer: json('ActAnswer'),
    keyed: 'kept',
    handle: ({ backend, body, caller }) => backend.act(body, caller),
  }),
  route<ReplaceRequest>({
    method: 'POST',
    path: `${API}/pair/replace`,
    name: 'replaceNode',
    status: 202,
    summary: 'Waits for a new node that takes the place of the peer; the code is told once.',
    body: { name: 'ReplaceRequest', schema: REPLACE_SCHEMA },
    answer: json('ReplaceOffer'),
    // The answer holds a secret.
    keyed: 'run',
    handle: ({ backend, body, caller }) => backend.replace(body, caller),
  }),
  route<SettingRequest>({
    method: 'POST',
    path: `${API}/settings`,
    name: 'setSetting',
    status: 200,
    summary: 'Sets one setting of this node.',
    body: { name: 'SettingRequest', schema: SETTING_SCHEMA },
    answer: json('SettingAnswer'),
    keyed: 'kept',
    handle: ({ backend, body, caller }) => backend.set(body, caller),
  }),
  route<{ readonly reason?: string }>({
    method: 'POST',
    path: `${API}/support`,
    name: 'streamSupport',
    status: 200,
    summary: 'A new support archive as its bytes; nothing of it is kept on this node.',
    body: { name: 'SupportRequest', schema: SUPPORT_SCHEMA },
    answer: ARCHIVE,
    handle: async ({ backend, body, caller, signal, response, stallMs }) => {
      const bytes = await backend.supportStream(caller, body.reason, signal);
      await sendBytes(response, bytes, stallMs);
    },
  }),
  route<object>({
    method: 'POST',
    path: `${API}/support/:name/delete`,
    name: 'deleteSupport',
    status: 200,
    summary: 'Deletes a kept support archive.',
    body: { name: 'Empty', schema: EMPTY_SCHEMA },
    answer: json('SupportArchive'),
    keyed: 'kept',
    handle: ({ backend, params, caller }) => backend.deleteSupport(params['name']!, caller),
  }),
  route<{ readonly source: BundleSource } & PrecheckOptions>({
    method: 'POST',
    path: `${API}/precheck`,
    name: 'precheck',
    status: 200,
    summary: 'Every check before an update, with its fix, and an estimate; changes nothing.',
    body: { name: 'PrecheckRequest', schema: PRECHECK_SCHEMA },
    answer: json('PrecheckReport'),
    handle: ({ backend, body: { source, ...options }, signal }) =>
      backend.precheck(source, signal, options),
  }),
  route<{ readonly path: string }>({
    method: 'POST',
    path: `${API}/validate`,
    name: 'validate',
    status: 200,
    summary: 'Checks a bundle against this pair; writes nothing.',
    body: { name: 'ValidateRequest', schema: VALIDATE_SCHEMA },
    answer: json('ValidateReport'),
    handle: ({ backend, body, signal }) => backend.validate(body.path, signal),
  }),
];
