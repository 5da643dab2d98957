/**
 * JSON Schema checks: a schema becomes a function at its first use, so a command that reads no
 * bundle never pays for the compiler; a built program finds the function made
 * (scripts/precompiled.ts). Always holds: a value that passed has the schema's type. Imports ajv
 * and core.
 */
import { Ajv, type ErrorObject } from 'ajv';
import type { FromSchema, JSONSchema } from 'json-schema-to-ts';
import { UpdateError } from '../core/errors.ts';
import type { JsonRole } from './json.ts';
import { quoted } from './quote.ts';

/** How schemas are read here; strictTuples asks for minItems beside items: every tuple has both. */
export const SCHEMA_OPTIONS = { strict: true, allErrors: false, ownProperties: true } as const;

let ajv: Ajv | undefined;

/**
 * The value with the schema's type; throws an error with the role's code that names the place, what
 * is wrong there, and the accepted values where there is a list of them.
 */
export type Check<T> = (value: unknown, role: JsonRole) => T;

/** Check for `schema`; compiled when it is first called. */
export function checkOf<const S extends JSONSchema>(schema: S): Check<FromSchema<S>> {
  let validate: ReturnType<Ajv['compile']> | undefined;
  return (value, role) => {
    ajv ??= new Ajv(SCHEMA_OPTIONS);
    validate ??= ajv.compile(schema as object);
    if (validate(value)) return value as FromSchema<S>;
    const why = sentence(validate.errors?.[0]);
    throw new UpdateError(role.code, `${role.what}: ${why}`, { detail: { found: why } });
  };
}

function sentence(error: ErrorObject | undefined): string {
  if (error === undefined) return 'it does not fit the schema';
  const place = error.instancePath === '' ? 'the top level' : error.instancePath;
  const params = error.params as Readonly<Record<string, unknown>>;
  const extra = params['additionalProperty'];
  if (typeof extra === 'string') return `${place} has the unknown field ${quoted(extra)}`;
  const allowed = params['allowedValues'];
  const list = Array.isArray(allowed) ? ` (${allowed.join(', ')})` : '';
  return `${place} ${error.message ?? 'does not fit the schema'}${list}`;
}
