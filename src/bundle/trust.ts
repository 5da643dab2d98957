/**
 * The trust root of a node: which keys may sign bundles, and how many of them must, docs/bundle.md
 * B3.4. Always holds: a root that came from here has a threshold of at least one and at least that
 * many usable keys; anything less is `trust.no_root`, never "everything is accepted"
 * (CVE-2020-10759 class). Imports core.
 */
import { UpdateError } from '../core/errors.ts';
import { parseStrictJson, type JsonRole } from './json.ts';
import { isScheme, parsePublicKey, SSH_SCHEMES } from './keys.ts';
import type { KeyId, PublicKey, Scheme } from './keys.ts';
import { ROOT_BYTES_MAX, ROOT_KEYS_MAX } from './limits.ts';
import { checkOf } from './schema.ts';
import { readSmallFile } from './source.ts';

/** Schema number of root.json that this program reads and writes. */
export const ROOT_SCHEMA = 1;

/** A key that may sign. */
export interface TrustedKey extends PublicKey {
  readonly scheme: Scheme;
  /** Only for the SSH schemes: the namespace that its signatures must have. */
  readonly namespace?: string;
}

/** Who may sign, made only by `parseTrustRoot`. */
export interface TrustRoot {
  /** Grows with each root; for people and for the choice of a newer one. */
  readonly version: number;
  /** Signatures of that many distinct keys are needed; at least 1. */
  readonly threshold: number;
  readonly keys: ReadonlyMap<KeyId, TrustedKey>;
  /** Named in the root and not accepted any more; kept for a clear message. */
  readonly revoked: ReadonlySet<KeyId>;
}

/** root.json as its bytes are checked, docs/bundle.md B3.4. */
export const rootSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['schema', 'version', 'threshold', 'keys'],
  properties: {
    schema: { const: ROOT_SCHEMA },
    version: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
    threshold: { type: 'integer', minimum: 1, maximum: ROOT_KEYS_MAX },
    keys: {
      type: 'array',
      minItems: 1,
      maxItems: ROOT_KEYS_MAX,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['keyid', 'scheme', 'public'],
        properties: {
          keyid: { type: 'string', pattern: '^[0-9a-f]{64}$' },
          scheme: { type: 'string', pattern: '^[a-z0-9-]{1,32}$' },
          public: { type: 'string', minLength: 1, maxLength: 1024 },
          namespace: { type: 'string', pattern: '^[\\x21-\\x7e]{1,128}$' },
          revoked: { type: 'boolean' },
          name: { type: 'string', pattern: '^[\\x20-\\x7e]{1,64}$' },
        },
      },
    },
  },
} as const;

/** root.json as it stands in the file. */
export interface RootFile {
  readonly schema: typeof ROOT_SCHEMA;
  readonly version: number;
  readonly threshold: number;
  readonly keys: readonly RootKey[];
}

/** A key as it stands in root.json, docs/bundle.md B3.4. */
export interface RootKey {
  readonly keyid: string;
  readonly scheme: string;
  readonly public: string;
  readonly namespace?: string;
  readonly revoked?: boolean;
  /** For people. */
  readonly name?: string;
}

const checkRoot = checkOf(rootSchema);
const ROLE: JsonRole = { code: 'trust.no_root', what: 'the trust root' };

/** The file's content, checked against its schema only; for programs that extend it. */
export function parseRootFile(bytes: Uint8Array): RootFile {
  if (bytes.length > ROOT_BYTES_MAX) {
    throw noRoot(`has ${bytes.length} bytes, expected at most ${ROOT_BYTES_MAX}`);
  }
  return checkRoot(parseStrictJson(bytes, ROLE), ROLE);
}

/** Trust root from the bytes of root.json (B3.4). Throws `trust.no_root` with the reason. */
export function parseTrustRoot(bytes: Uint8Array): TrustRoot {
  const file = parseRootFile(bytes);
  const keys = new Map<KeyId, TrustedKey>();
  const revoked = new Set<KeyId>();
  const seen = new Set<string>();
  for (const entry of file.keys) {
    if (seen.has(entry.keyid)) throw noRoot(`names the key ${entry.keyid} twice`);
    seen.add(entry.keyid);
    // A scheme of a later program: its signatures do not count here, the others still do.
    if (!isScheme(entry.scheme)) continue;
    const key = trustedKey(entry, entry.scheme);
    if (entry.revoked === true) revoked.add(key.keyid);
    else keys.set(key.keyid, key);
  }
  if (keys.size < file.threshold) {
    throw noRoot(`has ${keys.size} usable keys, and its threshold is ${file.threshold}`);
  }
  return { version: file.version, threshold: file.threshold, keys, revoked };
}

function trustedKey(entry: RootKey, scheme: Scheme): TrustedKey {
  const key = parsePublicKey(scheme, entry.public);
  if (key === undefined) throw noRoot(`has no valid ${scheme} key for ${entry.keyid}`);
  if (key.keyid !== entry.keyid) {
    throw noRoot(`says ${entry.keyid} for a key whose id is ${key.keyid}`);
  }
  if (!SSH_SCHEMES.includes(scheme)) return { ...key, scheme };
  if (entry.namespace === undefined) throw noRoot(`has no namespace for the key ${entry.keyid}`);
  return { ...key, scheme, namespace: entry.namespace };
}

/**
 * Trust root from a file. Throws `trust.no_root` with the path and the reason when it is missing,
 * unreadable, empty or not valid: no root means that nothing is accepted.
 */
export async function loadTrustRoot(path: string): Promise<TrustRoot> {
  try {
    return parseTrustRoot(await readSmallFile(path, ROOT_BYTES_MAX));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UpdateError('trust.no_root', why.includes(path) ? why : `${path}: ${why}`, {
      cause,
      detail: { path },
    });
  }
}

function noRoot(why: string): UpdateError {
  return new UpdateError('trust.no_root', `the trust root ${why}`, { detail: { found: why } });
}
