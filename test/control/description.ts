/**
 * The description of the API as a judge of answers: each must be what its operation says, and
 * nothing more. Always holds: what a client must take as open (fields, words) is closed here, so
 * that an answer with an undescribed field or word is found. Imports the control room and ajv.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { openApi } from '../../src/control/openapi.ts';
import { findRoute } from '../../src/control/routes.ts';

type Json = Readonly<Record<string, unknown>>;

/** The document, as far as tests read it. */
export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Json>>;
    readonly responses: Readonly<Record<string, Json>>;
  };
}

export interface Operation {
  readonly operationId: string;
  readonly requestBody?: { readonly content: Json };
  readonly parameters?: readonly Json[];
  readonly responses: Readonly<Record<string, Json>>;
}

/** As the daemon serves it. */
export const DOCUMENT = JSON.parse(JSON.stringify(openApi())) as Document;

const DATE_TIME = /^[+-]?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** Closes what is left open to clients. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const { 'x-extensible-enum': known, discriminator: _, ...rest } = value as Json;
  const mapped = Object.entries(rest).map(([key, inner]) => [key, closed(inner)]);
  const schema = Object.fromEntries(mapped) as Record<string, unknown>;
  if (typeof schema['$ref'] === 'string') {
    schema['$ref'] = schema['$ref'].replace('#/components/schemas/', '#/$defs/');
  }
  const isObject = schema['type'] === 'object' || String(schema['type']) === 'object,null';
  if (isObject && 'properties' in schema && !('additionalProperties' in schema)) {
    schema['additionalProperties'] = false;
  }
  if (known === undefined) return schema;
  const nullable = Array.isArray(schema['type']) ? [null] : [];
  return { ...schema, enum: [...(known as unknown[]), ...nullable] };
}

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
ajv.addFormat('date-time', DATE_TIME);
ajv.addSchema({ $id: 'api', $defs: closed(DOCUMENT.components.schemas) as Json });
const compiled = new Map<string, ValidateFunction>();

function validator(schema: Json): ValidateFunction {
  const text = JSON.stringify(closed(schema)).replaceAll('"#/$defs/', '"api#/$defs/');
  const found = compiled.get(text) ?? ajv.compile(JSON.parse(text) as Json);
  compiled.set(text, found);
  return found;
}

/** What is wrong with a value by a named schema; empty when nothing is. */
export function wrongBy(schema: Json, value: unknown): readonly string[] {
  const validate = validator(schema);
  if (validate(value)) return [];
  return (validate.errors ?? []).map(({ instancePath, message, params }) => {
    return `${instancePath} ${message} ${JSON.stringify(params)}`;
  });
}

/** The operation that a request is; null for a path or method that there is not. */
export function operationOf(method: string, target: string): Operation | null {
  try {
    const { route } = findRoute(method, new URL(target, 'http://tandem').pathname);
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    return DOCUMENT.paths[path]?.[method.toLowerCase()] ?? null;
  } catch {
    return null;
  }
}

/** One answer to a request, as it came. */
export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
}

/** What is wrong with an answer by the description; empty when nothing is. */
export function wrongWith(method: string, target: string, answer: Answered): readonly string[] {
  const what = `${method} ${target.slice(0, 80)} ${answer.status}`;
  const operation = operationOf(method, target);
  if (operation === null) {
    const known = [400, 404, 405, 431].includes(answer.status);
    return known ? errorIn(what, answer) : [`${what}: there is no such operation`];
  }
  const described = operation.responses[String(answer.status)];
  if (described === undefined) return [`${what}: the status is not described`];
  if (answer.status >= 400) return errorIn(what, answer);
  const content = described['content'] as Readonly<Record<string, { schema?: Json }>>;
  const type = String(answer.headers['content-type']);
  const media = content[type];
  if (media === undefined) return [`${what}: the type ${type} is not described`];
  if (media.schema === undefined) return [];
  const lines = type.endsWith('ndjson') ? answer.text.split('\n').filter(Boolean) : [answer.text];
  const schema = media.schema;
  return lines.flatMap((line) => {
    return wrongBy(schema, JSON.parse(line)).map((words) => `${what}: ${words}`);
  });
}

function errorIn(what: string, { text }: Answered): readonly string[] {
  const schema = { $ref: '#/components/schemas/ErrorAnswer' };
  const stack = /\bat .*\.[tj]s\b|node:internal|\/src\//.test(text) ? ['a stack'] : [];
  const wrong = [...wrongBy(schema, JSON.parse(text)), ...stack];
  return wrong.map((words) => `${what}: ${words}`);
}
