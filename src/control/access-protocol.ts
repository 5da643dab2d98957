/**
 * Request bodies about access, and their schemas. Always holds: a value outside its schema never
 * reaches the daemon, and a refusal never repeats a password or a code. Imports core and the
 * protocol.
 */
import { ROLES, type OperatorRequest } from '../core/access.ts';
import { reason, usage } from './protocol.ts';
import type { Schema } from './shape.ts';

/** Longest body of a request that nobody has logged in for. */
export const LOGIN_BYTES_MAX = 4 * 1024;

/** What a person types as a name: any short text, so that a mistake is only a wrong name. */
const typedName = { type: 'string', minLength: 1, maxLength: 64 } as const;
const name = { type: 'string', maxLength: 32, pattern: '^[a-z][a-z0-9._-]*$' } as const;
const secret = { type: 'string', minLength: 1, maxLength: 512 } as const;
/** Terminal or address: shown to people, so printable and short. */
const place = { type: 'string', minLength: 1, maxLength: 64, pattern: '^[!-~]+$' } as const;
const role = { type: 'string', enum: ROLES } as const;

function object(required: readonly string[], properties: object): Schema {
  return { type: 'object', additionalProperties: false, required, properties };
}

/** JSON Schema of `POST /v1/session`. */
export const LOGIN_SCHEMA = object(['user', 'password'], {
  user: typedName,
  password: secret,
  tty: place,
  remote: place,
});

/** JSON Schema of `POST /v1/session/recover`. */
export const RECOVER_SCHEMA = object(['user', 'code', 'password'], {
  user: typedName,
  code: secret,
  password: secret,
  tty: place,
  remote: place,
});

/** JSON Schema of `POST /v1/session/password`. */
export const PASSWORD_SCHEMA = object(['old', 'password'], { old: secret, password: secret });

/** JSON Schema of `POST /v1/operator`. */
export const OPERATOR_SCHEMA = object(['do'], {
  do: { type: 'string', enum: ['take', 'release'] },
  force: { type: 'boolean' },
  reason,
});

/** Shortest and longest validity of a recovery code that can be asked for, in seconds. */
export const RECOVERY_S = { min: 300, max: 7 * 24 * 3600, default: 24 * 3600 } as const;

/** JSON Schema of `POST /v1/users`, by the value of `do`. */
export const USER_SCHEMAS = {
  add: object(['do', 'name', 'role', 'password'], {
    do: { const: 'add' },
    name,
    role,
    password: secret,
  }),
  remove: object(['do', 'name'], { do: { const: 'remove' }, name }),
  passwd: object(['do', 'name', 'password'], { do: { const: 'passwd' }, name, password: secret }),
  role: object(['do', 'name', 'role'], { do: { const: 'role' }, name, role }),
  unlock: object(['do'], { do: { const: 'unlock' }, name }),
  recovery: object(['do', 'name'], {
    do: { const: 'recovery' },
    name,
    validS: { type: 'integer', minimum: RECOVERY_S.min, maximum: RECOVERY_S.max },
  }),
} as const;

/** JSON Schema of `POST /v1/shell`, by the value of `do`. */
export const SHELL_SCHEMAS = {
  begin: object(['do', 'reason'], { do: { const: 'begin' }, reason }),
  end: object(['do', 'outcome'], { do: { const: 'end' }, outcome: reason }),
} as const;

/** A rule that no schema has: who takes a right away says why. Throws `usage.invalid`. */
export function checkForce(request: OperatorRequest): OperatorRequest {
  if (request.force !== true || request.reason !== undefined) return request;
  throw usage('force needs a reason');
}
