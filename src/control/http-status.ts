/**
 * Which HTTP status an error is answered with. Always holds: a client goes by the code in the body;
 * the status is its class for what stands between them. Imports core.
 */
import { CODES, EXIT, type Code, type ExitStatus } from '../core/codes.ts';
import type { UpdateError } from '../core/errors.ts';

/** Every status of a refusal, with what it means in a few words. */
export const REFUSALS = {
  400: 'The request is not valid.',
  401: 'No login, certificate or password that counts.',
  403: 'Not permitted.',
  404: 'There is no such thing.',
  405: 'The path takes another method.',
  409: 'Not now: the pair is busy, not healthy, or its peer does not answer.',
  413: 'The body is too long.',
  415: 'The body is said to be something other than JSON.',
  422: 'Understood and refused; the code says why.',
  429: 'Too many: requests of this client, or failed logins. `retry-after` has the seconds.',
  431: 'The head of the request is too long.',
  500: 'The node failed; its log says more.',
  503: 'The daemon has too many open requests.',
  507: 'There is no room.',
} as const;

/** Any of these. */
export type Refusal = keyof typeof REFUSALS;

const BY_CODE: Partial<Record<Code, Refusal>> = {
  'job.unknown': 404,
  'file.not_found': 404,
  'daemon.busy': 503,
  'daemon.rate_limited': 429,
  'access.login_required': 401,
  'access.denied': 401,
  'access.locked': 429,
  'request.key_reused': 422,
  'schedule.unknown': 404,
  'schedule.not_allowed': 403,
};

const BY_CLASS: Partial<Record<ExitStatus, Refusal>> = {
  [EXIT.internal]: 500,
  [EXIT.usage]: 400,
  [EXIT.notAuthorised]: 401,
  [EXIT.notPermitted]: 403,
  [EXIT.pairNotHealthy]: 409,
  [EXIT.noSpace]: 507,
};

/** Statuses of a request that is not understood. */
const READING: readonly Refusal[] = [404, 405, 413, 415, 431];

/** The status of a code where nothing else is said. */
export function statusOfCode(code: Code): Refusal {
  return BY_CODE[code] ?? BY_CLASS[CODES[code].exit] ?? 422;
}

/** The status of an error; what reads requests says some of them in its detail. */
export function httpStatus(error: UpdateError): Refusal {
  const given = error.detail?.['http'];
  return READING.find((status) => status === given) ?? statusOfCode(error.code);
}
