/**
 * The section `remote` of the configuration: the control API for other machines. Always holds:
 * without an address there is no such listener; with one it never answers without a client
 * certificate of the authority that is named. Imports core.
 */
import { resolve } from 'node:path';
import { ROLES, type Role } from './core/access.ts';

/** The listener for other machines. */
export interface RemoteConfig {
  /** Host and port. */
  readonly listen: string;
  /** PEM files: certificate of this node, with its chain, and key; who signs clients; revoked. */
  readonly certificate: string;
  readonly key: string;
  readonly ca: string;
  readonly crl: string | null;
  /** Role of a certificate that none of the lists names. */
  readonly role: Role | 'none';
  /** Common names of certificates with these roles. */
  readonly operators: readonly string[];
  readonly administrators: readonly string[];
}

const path = { type: 'string', maxLength: 4096, pattern: '^[^\\u0000]+$' } as const;
const needed = 'none, needed with `listen`';
const names = {
  type: 'array',
  maxItems: 256,
  items: { type: 'string', minLength: 1, maxLength: 64, pattern: '^[\\w.@-]+$' },
  default: [],
} as const;

/** Schema of the section; `address` is the schema of an address. */
export function remoteSchema<A extends object>(address: A) {
  return {
    type: 'object',
    description:
      'The control API for other machines: HTTPS with client certificates, the routes of the ' +
      'control socket. Off while there is no `listen`.',
    additionalProperties: false,
    default: {},
    properties: {
      listen: {
        ...address,
        example: '192.168.1.11:7710',
        derived: 'none: there is no such listener',
        description: 'Address and port of the listener.',
      },
      certificate: {
        ...path,
        derived: needed,
        description: 'PEM file with the certificate of this node, and its chain.',
      },
      key: {
        ...path,
        derived: needed,
        description: 'PEM file with its private key; only its owner may read it.',
      },
      ca: {
        ...path,
        derived: needed,
        description: 'PEM file with the authorities whose client certificates count.',
      },
      crl: {
        ...path,
        derived: 'none',
        description: 'PEM file with the certificates that the authorities have revoked.',
      },
      role: {
        type: 'string',
        enum: ['none', ...ROLES],
        default: 'viewer',
        description: 'Role of a client certificate whose name is in neither list below.',
      },
      operators: {
        ...names,
        description: 'Common names of client certificates with the role operator.',
      },
      administrators: {
        ...names,
        description: 'Common names of client certificates with the role administrator.',
      },
    },
  } as const;
}

/** The section as the schema accepts it. */
export type GivenRemote = Pick<RemoteConfig, 'role' | 'operators' | 'administrators'> &
  Partial<Record<'listen' | 'certificate' | 'key' | 'ca' | 'crl', string>>;

/** Completes the section; null without a listener. Paths are taken from the folder. */
export function completeRemote(given: GivenRemote, folder: string): RemoteConfig | null {
  const { listen, certificate = '', key = '', ca = '', crl, ...roles } = given;
  if (listen === undefined) return null;
  const at = (file: string): string => resolve(folder, file);
  return {
    listen,
    certificate: at(certificate),
    key: at(key),
    ca: at(ca),
    crl: crl === undefined ? null : at(crl),
    ...roles,
  };
}

/** Tells `add` what is missing, doubled, or taken already by one of the other addresses. */
export function checkRemote(
  given: GivenRemote,
  taken: Readonly<Record<string, string>>,
  add: (setting: string, found: string, accepted: string) => void,
): void {
  const { listen } = given;
  if (listen === undefined) return;
  for (const name of ['certificate', 'key', 'ca'] as const) {
    if (given[name] === undefined) add(`remote.${name}`, 'missing', 'a path, with remote.listen');
  }
  for (const [setting, address] of Object.entries(taken)) {
    if (address === listen) {
      add('remote.listen', JSON.stringify(listen), `another address than ${setting}`);
    }
  }
  for (const name of given.operators) {
    if (!given.administrators.includes(name)) continue;
    add('remote.operators', JSON.stringify(name), 'a name that is not in remote.administrators');
  }
}
