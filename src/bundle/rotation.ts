/**
 * `roots.json`: new trust roots on their way to the nodes, in a bundle or beside one, and how a
 * node comes from its root to a newer one, docs/bundle.md B3.11 to B3.13. Always holds: each root
 * is the next version of the one before and signed by a threshold of the keys of both; the old
 * keys' signatures are judged on the exact bytes before anybody parses them; a root that this
 * program could not use is refused, so no node is ever left without one; versions never go back.
 * Imports core.
 */
import { hash } from 'node:crypto';
import { UpdateError, type ErrorDetail } from '../core/errors.ts';
import type { ManifestRoot } from '../core/manifest.ts';
import type { Sha256 } from '../core/model.ts';
import { parseStrictJson, type JsonRole } from './json.ts';
import { fromBase64 } from './keys.ts';
import { ROOT_BYTES_MAX, ROOT_SIGNATURES_MAX, ROOTS_BYTES_MAX, ROOTS_MAX } from './limits.ts';
import { checkOf } from './schema.ts';
import { countSigners, entrySchema, reaches, type SignatureEntry } from './signature.ts';
import { parseTrustRoot, type TrustRoot } from './trust.ts';

/** A new trust root with its signatures, before anybody judged them. */
export interface RootLink {
  /** What its bytes must say; not trusted. */
  readonly version: number;
  /** Exact bytes of its `root.json`. */
  readonly root: Uint8Array;
  readonly signatures: readonly SignatureEntry[];
}

const rootsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['sha256', 'roots'],
  properties: {
    sha256: { type: 'string', pattern: '^[0-9a-f]{64}$' },
    roots: {
      type: 'array',
      minItems: 1,
      maxItems: ROOTS_MAX,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['version', 'root', 'signatures'],
        properties: {
          version: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
          root: { type: 'string', minLength: 1, maxLength: Math.ceil(ROOT_BYTES_MAX / 3) * 4 },
          signatures: { type: 'array', maxItems: ROOT_SIGNATURES_MAX, items: entrySchema },
        },
      },
    },
  },
} as const;

const checkRoots = checkOf(rootsSchema);
const ROLE: JsonRole = { code: 'bundle.damaged', what: 'roots.json' };

/** The bytes of `roots.json` in its one canonical form (B3.11). */
export function encodeRoots(links: readonly RootLink[]): Buffer {
  const roots = links.map(({ version, root, signatures }) => ({
    version,
    root: Buffer.from(root).toString('base64'),
    signatures: signatures.map(({ keyid, scheme, sig }) => ({ keyid, scheme, sig })),
  }));
  const text = JSON.stringify(roots);
  const bytes = Buffer.from(`{"sha256":"${hash('sha256', text)}","roots":${text}}\n`, 'latin1');
  if (links.length > 0 && links.length <= ROOTS_MAX && bytes.length <= ROOTS_BYTES_MAX) {
    return bytes;
  }
  throw new UpdateError(
    'bundle.invalid_input',
    `${links.length} trust roots of ${bytes.length} bytes do not fit, ` +
      `expected 1 to ${ROOTS_MAX} in ${ROOTS_BYTES_MAX} bytes`,
  );
}

/** The roots of a `roots.json`, not judged. Throws `bundle.damaged` for any other form. */
export function decodeRoots(bytes: Uint8Array): readonly RootLink[] {
  if (bytes.length > ROOTS_BYTES_MAX) {
    throw damaged(`has ${bytes.length} bytes, expected at most ${ROOTS_BYTES_MAX}`);
  }
  const found = checkRoots(parseStrictJson(bytes, ROLE), ROLE);
  const links = found.roots.map(({ version, root, signatures }): RootLink => {
    const content = fromBase64(root);
    if (content === undefined) throw damaged('has a root that is not in canonical base64');
    return { version, root: content, signatures };
  });
  if (!encodeRoots(links).equals(bytes)) throw damaged('is not in its canonical form');
  const gap = links.some((link, i) => i > 0 && link.version !== (links[i - 1]?.version ?? 0) + 1);
  if (gap) throw damaged('names versions that do not follow each other');
  return links;
}

/** What a manifest says of a `roots.json` (B3.14). Throws `bundle.damaged` when it is none. */
export function manifestRoot(bytes: Uint8Array): ManifestRoot {
  const version = decodeRoots(bytes).at(-1)?.version ?? 0;
  return { version, sizeBytes: bytes.length, sha256: hash('sha256', bytes) as Sha256 };
}

/** Where new roots lead to. */
export interface Followed {
  readonly root: TrustRoot;
  /** Exact bytes of the newest `root.json`; null when there was nothing newer. */
  readonly bytes: Uint8Array | null;
}

/**
 * From a root to the newest one of `links` (B3.13). What is not newer is passed over. Throws
 * `trust.rotation` when a version is missing, or a root is not signed by enough of the keys of the
 * one before and of its own, or is no root.
 */
export function followRoots(from: TrustRoot, links: readonly RootLink[]): Followed {
  let followed: Followed = { root: from, bytes: null };
  for (const link of links) {
    if (link.version <= followed.root.version) continue;
    followed = { root: nextRoot(followed.root, link), bytes: link.root };
  }
  return followed;
}

function nextRoot(old: TrustRoot, link: RootLink): TrustRoot {
  if (link.version !== old.version + 1) {
    const detail = { found: link.version, expected: old.version + 1 };
    throw refused(
      link,
      `and this node has ${old.version}: the versions between are missing`,
      detail,
    );
  }
  // Before the old keys have spoken for these bytes nothing in them is read.
  checkSigners(link, old, 'old');
  let next: TrustRoot;
  try {
    next = parseTrustRoot(link.root);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw refused(link, `and cannot be used: ${why}`, undefined, cause);
  }
  if (next.version !== link.version) {
    const detail = { found: next.version, expected: link.version };
    throw refused(link, `and its own bytes say ${next.version}`, detail);
  }
  checkSigners(link, next, 'new');
  return next;
}

function checkSigners(link: RootLink, by: TrustRoot, whose: 'old' | 'new'): void {
  const counted = countSigners(link.root, link.signatures, by, 'root');
  if (reaches(counted, by)) return;
  const { signers, reasons } = counted;
  const why = reasons.length === 0 ? '' : ` (${reasons.slice(0, 3).join('; ')})`;
  const found = `with ${signers.length} signatures of ${whose} keys`;
  const detail = { found: signers.length, expected: by.threshold, keys: whose, reasons };
  throw refused(link, `${found}, expected ${by.threshold} of distinct ones${why}`, detail);
}

function refused(
  { version }: RootLink,
  why: string,
  detail?: ErrorDetail,
  cause?: unknown,
): UpdateError {
  return new UpdateError('trust.rotation', `the new trust root has version ${version} ${why}`, {
    detail: { version, ...detail },
    cause,
  });
}

function damaged(why: string): UpdateError {
  return new UpdateError('bundle.damaged', `roots.json ${why}`, { detail: { found: why } });
}
