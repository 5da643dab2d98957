/**
 * The description of the control API, OpenAPI 3.1, made from the table of routes: served by the
 * daemon, written to docs/openapi.json by `npm run docs`, and checked against the daemon by a test.
 * Always holds: it says nothing that the server does not check or do by the same row. Imports core
 * and its own folder.
 */
import { ROUTE_NEEDS, type Need } from '../core/access-rules.ts';
import { CODES, type Code } from '../core/codes.ts';
import { REFUSALS, statusOfCode, type Refusal } from './http-status.ts';
import { API, BODY_BYTES_MAX, HEARTBEAT_MS } from './protocol.ts';
import { ID_PATTERN } from './query.ts';
import type { Answer, Body, QueryField, Route } from './route.ts';
import { keyOf, ROUTES } from './routes.ts';
import { NAMED } from './schemas-answers.ts';
import { ref, type Schema } from './shape.ts';

const INTRODUCTION = `Both nodes of a pair answer alike, and either takes any request: what only \
the active one can do is handed to it.

Three doors lead to the same operations. The control socket (root and its group) needs no login. \
The console socket takes a login first, \`POST ${API}/session\`, whose token goes into \
\`Authorization: Bearer\`. The remote listener is off unless it is configured, and wants a client \
certificate over TLS 1.3; it has neither logins nor service shells. \`x-tandem-role\` is the role \
that an operation needs on the last two, by the word in the body where it depends on that.

A change is a job: it is accepted with 202 and goes on without its client; \`GET ${API}/jobs/ID\` \
and the event stream tell of it. Go by \`error.code\`, never by the words of a message. Fields and \
words are only ever added within ${API}: take a word that is not known for unknown.

An \`Idempotency-Key\` makes a change safe to ask for again: the same key with the same request \
is answered as the first time, with \`idempotency-replayed: true\`, and nothing is done twice; \
with another request it is refused with \`request.key_reused\`. A key counts for the one who \
asks, on the node that was asked, over restarts of its daemon, for 24 hours of its running time \
or until 256 newer ones came. A refused change leaves nothing behind, so its key may be used \
again.

Limits: ${BODY_BYTES_MAX} bytes of body, 8 KiB of head, a number of open requests and requests per \
second for each client; what goes beyond is refused, 413, 431, 503 or 429. \
A body is \`application/json\`; over the network it has to say so.`;

/** Every refusal that any operation may answer with. */
const ALWAYS: readonly Refusal[] = [400, 401, 403, 429, 431, 500, 503];

/** The whole document. */
export function openApi(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of ROUTES) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Tandem control API',
      version: API.replace('/v', ''),
      summary: 'Updates of appliances that work in pairs, one active and one standby.',
      description: INTRODUCTION,
    },
    servers: [
      { url: 'http://tandem', description: 'HTTP on a unix socket; the host is of no account.' },
      {
        url: 'https://{address}',
        description: 'The remote listener, where it is configured.',
        variables: { address: { default: '192.0.2.1:7710' } },
      },
    ],
    tags: [
      { name: 'look', description: 'Changes nothing.' },
      { name: 'change', description: 'Changes the pair or the node.' },
      { name: 'access', description: 'Sessions, users, the right to change the pair.' },
    ],
    security: [{}, { session: [] }, { certificate: [] }],
    paths,
    components: {
      schemas: { ...NAMED, ...bodySchemas() },
      responses: refusals(),
      parameters: { key: KEY },
      securitySchemes: {
        session: { type: 'http', scheme: 'bearer', description: 'The console socket.' },
        certificate: { type: 'mutualTLS', description: 'The remote listener.' },
      },
    },
  };
}

const KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  description: 'Chosen by the client, best at random; 1 to 64 letters, digits, `.`, `_`, `-`.',
  schema: { type: 'string', pattern: '^[\\w.-]{1,64}$' },
};

function operation(route: Route): object {
  const { name, summary, status, answer, body, query = {}, keyed } = route;
  const inPath = [...route.path.matchAll(/:(\w+)/g)].map((match) => match[1]!);
  const parameters = [
    ...inPath.map((part) => ({
      name: part,
      in: 'path',
      required: true,
      schema: { type: 'string', pattern: ID_PATTERN },
    })),
    ...Object.entries(query).map(([part, field]) => parameter(part, field)),
    ...(keyed === undefined ? [] : [{ $ref: '#/components/parameters/key' }]),
  ];
  return {
    operationId: name,
    tags: [tagOf(route)],
    summary,
    ...(keyed === 'run' ? { description: 'Its keys are forgotten when the daemon ends.' } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: requestBody(body) }),
    responses: {
      [status]: response(answer, status),
      ...Object.fromEntries(
        refusalsOf(route).map((one) => [one, { $ref: `#/components/responses/R${one}` }]),
      ),
    },
    'x-tandem-role': roleOf(route),
  };
}

function tagOf(route: Route): string {
  if (/\/(session|operator|users|shell)/.test(route.path)) return 'access';
  return route.keyed === undefined ? 'look' : 'change';
}

/** The statuses of the refusals of an operation, in their order. */
export function refusalsOf({ method, path, keyed, answer }: Route): readonly Refusal[] {
  const named = path.includes(':');
  const works = method === 'POST' || answer.kind === 'bytes';
  return [
    ...ALWAYS,
    ...(named || works ? [404, 409, 422, 507] : []),
    ...(method === 'GET' && !works && !named ? [409, 422] : []),
    ...(method === 'POST' ? [413, 415] : []),
    ...(keyed !== undefined && !works ? [422] : []),
  ]
    .map((status) => status as Refusal)
    .toSorted((a, b) => a - b);
}

function parameter(name: string, field: QueryField): object {
  const { description } = field;
  const schema =
    field.kind === 'number'
      ? { type: 'integer', minimum: field.min, maximum: field.max, default: field.none }
      : field.kind === 'flag'
        ? { type: 'string', enum: ['0', '1'], default: '0' }
        : { type: 'string', pattern: ID_PATTERN };
  return { name, in: 'query', description, schema };
}

function requestBody(body: Body): object {
  return { required: true, content: { 'application/json': { schema: ref(body.name) } } };
}

/** The schemas of bodies, by name; one that goes by a word has one for each word beside it. */
function bodySchemas(): Readonly<Record<string, Schema>> {
  const found: Record<string, Schema> = {};
  for (const { body } of ROUTES) {
    if (body === undefined) continue;
    if ('schema' in body) {
      found[body.name] = body.schema;
      continue;
    }
    const words = Object.keys(body.schemas);
    const nameOf = (word: string): string => `${body.name}.${word}`;
    for (const word of words) found[nameOf(word)] = body.schemas[word]!;
    const mapping = words.map((word) => [word, `#/components/schemas/${nameOf(word)}`]);
    found[body.name] = {
      oneOf: words.map((word) => ref(nameOf(word))),
      discriminator: { propertyName: body.by, mapping: Object.fromEntries(mapping) },
    };
  }
  return found;
}

function response(answer: Answer, status: number): object {
  const headers = { 'x-request-id': { schema: { type: 'string' } } };
  switch (answer.kind) {
    case 'json': {
      const description = status === 202 ? 'Accepted; it goes on by itself.' : 'Done.';
      return { description, headers, content: { 'application/json': { schema: answer.schema } } };
    }
    case 'lines': {
      const beat = `an empty one every ${HEARTBEAT_MS / 1000} s where nothing happens`;
      const description = `One JSON value a line, ${beat}.`;
      const content = { 'application/x-ndjson': { schema: answer.schema } };
      return { description, headers, content };
    }
    case 'bytes':
    case 'text':
      return { description: answer.description, headers, content: { [answer.type]: {} } };
  }
}

/** One response for each status, with the codes that it may carry. */
function refusals(): Readonly<Record<string, object>> {
  const codes = Object.keys(CODES) as Code[];
  return Object.fromEntries(
    Object.entries(REFUSALS).map(([status, words]) => {
      const own = codes.filter((code) => String(statusOfCode(code)) === status);
      const schema = ref('ErrorAnswer');
      const shown = own.length === 0 ? ['usage.invalid'] : own;
      return [
        `R${status}`,
        {
          description: words,
          content: { 'application/json': { schema } },
          'x-tandem-codes': shown,
        },
      ];
    }),
  );
}

/** The role that an operation needs where roles count; by word where it depends on the body. */
function roleOf(route: Route): string | Readonly<Record<string, string>> {
  const row = ROUTE_NEEDS[keyOf(route)]!;
  if (!('needs' in row)) return roleWord(row);
  return Object.fromEntries(Object.entries(row.needs).map(([key, need]) => [key, roleWord(need)]));
}

const roleWord = ({ role }: Need): string => role ?? 'none';
