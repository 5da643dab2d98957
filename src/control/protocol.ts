/**
 * What both ends of the control socket agree on: paths, limits, request bodies and their schemas.
 * Always holds: a body that a client may send is described here, and a value outside its schema
 * never reaches the daemon. Imports core and ajv, which is loaded with the first body.
 */
import type { ErrorObject, ValidateFunction } from 'ajv';
import { UpdateError } from '../core/errors.ts';
import { SETTING_KEYS } from '../core/settings.ts';
import type { Body } from './route.ts';

/** Prefix of every path; a breaking change would get another one. */
export const API = '/v1';
/** Longest request body. */
export const BODY_BYTES_MAX = 64 * 1024;
/** Longest answer that a client reads, but for the event stream. */
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Longest line of the event stream. */
export const EVENT_BYTES_MAX = 64 * 1024;
/** Most rollouts in one answer. */
export const HISTORY_MAX = 1000;
/** Rollouts that a request for the history gets when it names no number. */
export const HISTORY_DEFAULT = 20;
/** A quiet event stream carries an empty line this often, so that both ends see a dead one. */
export const HEARTBEAT_MS = 5_000;
/** A stream without a byte for this long is dead for its reader, who connects again. */
export const SILENCE_MS = 4 * HEARTBEAT_MS;
/** A reader that takes nothing for this long is cut off; it resumes by sequence number. */
export const STALL_MS = 60_000;

const path = { type: 'string', maxLength: 4096, pattern: '^/[^\\u0000]*$' } as const;
const order = { type: 'string', enum: ['active-first', 'standby-first'] } as const;
const onSecondFailure = { type: 'string', enum: ['hold', 'rollback'] } as const;
const formatTarget = { type: 'boolean' } as const;
const ignoreWindow = { type: 'boolean' } as const;
const words = { type: 'string', minLength: 1, maxLength: 128 } as const;
/** When something shall be, as a person types it. */
export const TIME_SCHEMAS = { at: words, every: words, zone: { ...words, maxLength: 64 } } as const;

/** Why something is asked for: a line of text for the audit log. */
export const reason = {
  type: 'string',
  minLength: 1,
  maxLength: 500,
  pattern: '^[^\\u0000-\\u001f]+$',
};
const source = {
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
  properties: {
    path,
    bundle: { type: 'string', pattern: '^[0-9a-f]{64}$' },
    prepared: { type: 'string', pattern: '^prepare-[\\w.-]{1,100}$' },
  },
} as const;
/** What can be prepared: a file, or a bundle that is staged. */
const plainSource = {
  ...source,
  properties: { path: source.properties.path, bundle: source.properties.bundle },
} as const;

/** JSON Schema of `POST /v1/validate`. */
export const VALIDATE_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['path'],
  properties: { path },
} as const;

/** JSON Schema of `POST /v1/jobs`, by the value of `kind`. */
export const JOB_SCHEMAS = {
  stage: {
    type: 'object',
    additionalProperties: false,
    required: ['kind', 'path'],
    properties: { kind: { const: 'stage' }, path, reason },
  },
  prepare: {
    type: 'object',
    additionalProperties: false,
    required: ['kind', 'source'],
    properties: {
      kind: { const: 'prepare' },
      source: plainSource,
      order,
      onSecondFailure,
      reason,
    },
  },
  update: {
    type: 'object',
    additionalProperties: false,
    required: ['kind', 'source'],
    properties: {
      kind: { const: 'update' },
      source,
      order,
      onSecondFailure,
      formatTarget,
      ignoreWindow,
      reason,
    },
  },
  rollback: {
    type: 'object',
    additionalProperties: false,
    required: ['kind'],
    properties: { kind: { const: 'rollback' }, reason },
  },
  commit: {
    type: 'object',
    additionalProperties: false,
    required: ['kind'],
    properties: { kind: { const: 'commit' }, reason },
  },
  verify: {
    type: 'object',
    additionalProperties: false,
    required: ['kind'],
    properties: { kind: { const: 'verify' }, reason },
  },
  resync: {
    type: 'object',
    additionalProperties: false,
    required: ['kind'],
    properties: { kind: { const: 'resync' }, reason },
  },
  resolve: {
    type: 'object',
    additionalProperties: false,
    required: ['kind', 'keep', 'reason'],
    properties: {
      kind: { const: 'resolve' },
      keep: { type: 'string', enum: ['A', 'B'] },
      reason,
    },
  },
  support: {
    type: 'object',
    additionalProperties: false,
    required: ['kind'],
    properties: { kind: { const: 'support' }, reason },
  },
  restart: {
    type: 'object',
    additionalProperties: false,
    required: ['kind'],
    properties: { kind: { const: 'restart' }, force: { type: 'boolean' }, reason },
  },
  shutdown: {
    type: 'object',
    additionalProperties: false,
    required: ['kind'],
    properties: { kind: { const: 'shutdown' }, force: { type: 'boolean' }, reason },
  },
} as const;

/** JSON Schema of `POST /v1/support`. */
export const SUPPORT_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  properties: { reason },
} as const;

/** JSON Schema of `POST /v1/precheck`. */
export const PRECHECK_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['source'],
  properties: { source, ignoreWindow, ...TIME_SCHEMAS },
} as const;

/** JSON Schema of `POST /v1/pair/replace`. */
export const REPLACE_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['node'],
  properties: {
    node: { type: 'string', enum: ['A', 'B'] },
    listen: {
      type: 'object',
      additionalProperties: false,
      required: ['host', 'port'],
      properties: {
        host: { type: 'string', minLength: 1, maxLength: 253, pattern: '^[0-9A-Za-z.:_-]+$' },
        port: { type: 'integer', minimum: 0, maximum: 65535 },
      },
    },
    reason,
  },
} as const;

/** JSON Schema of `POST /v1/settings`. */
export const SETTING_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['key', 'value'],
  properties: {
    key: { type: 'string', enum: SETTING_KEYS },
    value: { type: 'string', minLength: 1, maxLength: 100 },
    reason,
  },
} as const;

/** JSON Schema of `POST /v1/jobs/:id/cancel`. */
export const CANCEL_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  properties: { reason },
} as const;

const job = { type: 'string', pattern: '^[\\w.-]{1,128}$' } as const;

/** JSON Schema of `POST /v1/acts`, by the value of `act`. */
export const ACT_SCHEMAS = {
  switchover: {
    type: 'object',
    additionalProperties: false,
    required: ['act'],
    properties: { act: { const: 'switchover' }, reason },
  },
  takeover: {
    type: 'object',
    additionalProperties: false,
    required: ['act', 'peer', 'reason'],
    properties: {
      act: { const: 'takeover' },
      peer: { type: 'string', enum: ['A', 'B'] },
      reason,
    },
  },
  'stand-down': {
    type: 'object',
    additionalProperties: false,
    required: ['act', 'on'],
    properties: { act: { const: 'stand-down' }, on: { type: 'boolean' }, reason },
  },
  pause: {
    type: 'object',
    additionalProperties: false,
    required: ['act'],
    properties: { act: { const: 'pause' }, job, reason },
  },
  resume: {
    type: 'object',
    additionalProperties: false,
    required: ['act'],
    properties: { act: { const: 'resume' }, job, reason },
  },
} as const;

/** JSON Schema of a body that says nothing. */
export const EMPTY_SCHEMA = { type: 'object', additionalProperties: false } as const;

/** The body when it is what its route takes; throws `usage.invalid` with what is accepted. */
export async function checkRouteBody(wanted: Body, body: unknown): Promise<unknown> {
  if ('by' in wanted) return checkBodyBy(wanted, body);
  return checkBody(wanted.name, wanted.schema, body);
}

/** The same with a schema that goes by the word in one of the body's fields. */
async function checkBodyBy(
  { name, by: field, schemas }: Extract<Body, { readonly by: string }>,
  body: unknown,
): Promise<unknown> {
  const word: unknown = (body as Readonly<Record<string, unknown>> | null)?.[field];
  const schema = typeof word === 'string' && Object.hasOwn(schemas, word) && schemas[word];
  if (schema) return checkBody(`${name} ${word}`, schema, body);
  throw usage(`${field} is ${shown(word)}; accepted: ${Object.keys(schemas).join(', ')}`);
}

const compiled = new Map<string, ValidateFunction>();

async function checkBody(name: string, schema: object, body: unknown): Promise<unknown> {
  let validate = compiled.get(name);
  if (validate === undefined) {
    const { Ajv } = await import('ajv');
    validate = new Ajv({ verbose: true }).compile(schema);
    compiled.set(name, validate);
  }
  if (validate(body)) return body;
  throw usage(sentence(validate.errors?.[0]));
}

/** What a pattern stands for, for people. */
const PATTERN_WORDS: Readonly<Record<string, string>> = {
  [path.pattern]: 'an absolute path',
  [reason.pattern]: 'one line of text',
  [job.pattern]: 'an id: letters, digits, dots, underscores and hyphens',
  [source.properties.bundle.pattern]: '64 hexadecimal digits',
  [source.properties.prepared.pattern]: 'the id of a prepared update',
};

/** Fields of which an error never repeats what was found. */
const SECRETS: ReadonlySet<string> = new Set(['password', 'old', 'code', 'user']);

function sentence(error: ErrorObject | undefined): string {
  if (error === undefined) return 'the request body is not valid';
  const at = error.instancePath.slice(1).replaceAll('/', '.') || 'the request body';
  if (error.keyword === 'additionalProperties') {
    return `${String(error.params['additionalProperty'])} is not a field of ${at}`;
  }
  if (error.keyword === 'required') {
    return `${String(error.params['missingProperty'])} is missing in ${at}`;
  }
  if (SECRETS.has(at)) return `${at} ${error.message ?? 'is not valid'}`;
  if (error.keyword === 'enum') {
    const accepted = (error.params['allowedValues'] as unknown[]).join(', ');
    return `${at} is ${shown(error.data)}; accepted: ${accepted}`;
  }
  if (error.keyword === 'minProperties' || error.keyword === 'maxProperties') {
    const fields = Object.keys((error.parentSchema?.['properties'] ?? {}) as object).join(', ');
    return `${at} is ${shown(error.data)}; accepted: one of the fields ${fields}`;
  }
  const words = error.keyword === 'pattern' ? PATTERN_WORDS[String(error.schema)] : undefined;
  if (words !== undefined) return `${at} is ${shown(error.data)}; accepted: ${words}`;
  return `${at} is ${shown(error.data)}; it ${error.message ?? 'is not valid'}`;
}

function shown(value: unknown): string {
  const text = value === undefined ? 'missing' : textOf(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/** JSON can be nested deeper than the stack of the one who writes it. */
function textOf(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return 'nested too deeply';
  }
}

/** A refused request. */
export function usage(message: string): UpdateError {
  return new UpdateError('usage.invalid', message);
}
