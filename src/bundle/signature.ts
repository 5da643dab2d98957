/**
 * `manifest.sig`: the list of signatures, how it is written, how it is judged, and how one is made,
 * docs/bundle.md B3. Always holds: the judgement works on the exact manifest bytes and comes before
 * anybody parses them (CVE-2026-28525 class); each known key counts once (CVE-2020-15163), unknown
 * keys and schemes never count, and an empty list never reaches a threshold (CVE-2020-10759).
 * Imports core.
 */
import { hash, sign, verify } from 'node:crypto';
import { UpdateError } from '../core/errors.ts';
import type { Sha256 } from '../core/model.ts';
import { parseStrictJson, type JsonRole } from './json.ts';
import { fromBase64, type KeyId, type SigningKey } from './keys.ts';
import { SIGNATURE_BYTES, SIGNATURES_MAX } from './limits.ts';
import { checkMinisignSignature } from './minisign.ts';
import { checkOf } from './schema.ts';
import { checkSshSignature } from './sshsig.ts';
import type { TrustedKey, TrustRoot } from './trust.ts';

/** One signature as it stands in the list. */
export interface SignatureEntry {
  readonly keyid: string;
  readonly scheme: string;
  /** Base64; what is inside depends on the scheme (B3.7 to B3.9). */
  readonly sig: string;
}

/** Content of `manifest.sig`, and of a detached signature file. */
export interface SignatureList {
  /**
   * SHA-256 of the manifest bytes. Not trusted; tells a damaged bundle from one that is signed by
   * somebody else.
   */
  readonly manifest: string;
  readonly signatures: readonly SignatureEntry[];
}

/** Payload type of the pre-authentication encoding (B3.7). */
export const PAYLOAD_TYPE = 'application/vnd.tandem.manifest.v1+json';

/** manifest.sig as its bytes are checked, docs/bundle.md B3.5. */
export const listSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['manifest', 'signatures'],
  properties: {
    manifest: { type: 'string', pattern: '^[0-9a-f]{64}$' },
    signatures: {
      type: 'array',
      maxItems: SIGNATURES_MAX,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['keyid', 'scheme', 'sig'],
        properties: {
          keyid: { type: 'string', pattern: '^[0-9a-f]{64}$' },
          scheme: { type: 'string', pattern: '^[a-z0-9-]{1,32}$' },
          sig: { type: 'string', pattern: '^[A-Za-z0-9+/=]{1,1024}$' },
        },
      },
    },
  },
} as const;

const checkList = checkOf(listSchema);
const ROLE: JsonRole = { code: 'bundle.damaged', what: 'manifest.sig' };

/** Identity of a bundle: SHA-256 of its manifest bytes. */
export function bundleId(manifest: Uint8Array): Sha256 {
  return hash('sha256', manifest, 'hex') as Sha256;
}

/** The list as text in its one canonical form (B3.5), without padding. */
export function listText(list: SignatureList): string {
  const signatures = list.signatures.map(({ keyid, scheme, sig }) => ({ keyid, scheme, sig }));
  return JSON.stringify({ manifest: list.manifest, signatures });
}

/** The list as the member's 16 KiB (B3.6); throws `bundle.invalid_input` when it does not fit. */
export function encodeSignatures(list: SignatureList): Buffer {
  const text = listText(list);
  const count = list.signatures.length;
  if (count > SIGNATURES_MAX || text.length > SIGNATURE_BYTES - 1) {
    throw new UpdateError(
      'bundle.invalid_input',
      `${count} signatures of ${text.length} bytes do not fit, ` +
        `expected at most ${SIGNATURES_MAX} in ${SIGNATURE_BYTES - 1} bytes`,
    );
  }
  const member = Buffer.alloc(SIGNATURE_BYTES, ' ');
  member.write(text, 0, 'latin1');
  member.write('\n', SIGNATURE_BYTES - 1, 'latin1');
  return member;
}

/** The list from a text that may have white space around it. Throws `bundle.damaged`. */
export function decodeList(bytes: Uint8Array): SignatureList {
  return checkList(parseStrictJson(bytes, ROLE), ROLE);
}

/** The list from the member's bytes; refuses any other form than B3.5 and B3.6. */
export function decodeSignatures(member: Uint8Array): SignatureList {
  const list = decodeList(member);
  if (!encodeSignatures(list).equals(member)) {
    throw new UpdateError('bundle.damaged', 'manifest.sig is not in its canonical form');
  }
  return list;
}

/** DSSE pre-authentication encoding of the manifest (B3.7). */
export function preAuthEncoding(manifest: Uint8Array): Buffer {
  const head = `DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${manifest.length} `;
  return Buffer.concat([Buffer.from(head, 'latin1'), manifest]);
}

/** Signature of a manifest with scheme `ed25519`. */
export function signManifest(manifest: Uint8Array, key: SigningKey): SignatureEntry {
  const sig = sign(null, preAuthEncoding(manifest), key.privateKey).toString('base64');
  return { keyid: key.keyid, scheme: 'ed25519', sig };
}

/** Undefined when `entry`, whose key id is that of `trusted`, is good; otherwise the reason. */
export function checkEntry(
  manifest: Uint8Array,
  entry: SignatureEntry,
  trusted: TrustedKey,
): string | undefined {
  if (entry.scheme !== trusted.scheme) {
    return `has scheme ${entry.scheme}, the trust root binds the key to ${trusted.scheme}`;
  }
  const blob = fromBase64(entry.sig);
  if (blob === undefined) return 'is not in canonical base64';
  switch (trusted.scheme) {
    case 'ed25519': {
      const good = verify(null, preAuthEncoding(manifest), trusted.key, blob);
      return good ? undefined : 'does not match the manifest';
    }
    case 'sshsig':
      return checkSshSignature(manifest, blob, trusted);
    case 'minisign':
      return checkMinisignSignature(manifest, blob, trusted);
  }
}

/**
 * Judges the signatures over the exact manifest bytes (B3.10) and returns the ids of the distinct
 * trusted keys that signed. Throws `bundle.damaged` when the list names another manifest than this
 * one, and `trust.untrusted` with a reason per signature below the threshold.
 */
export function verifySignatures(
  manifest: Uint8Array,
  list: SignatureList,
  root: TrustRoot,
): readonly KeyId[] {
  const found = bundleId(manifest);
  if (list.manifest !== found) {
    throw new UpdateError(
      'bundle.damaged',
      `the manifest has SHA-256 ${found}, expected ${list.manifest} as in manifest.sig`,
      { detail: { found, expected: list.manifest } },
    );
  }
  const signers = new Set<KeyId>();
  const reasons: string[] = [];
  for (const entry of list.signatures) {
    const trusted = root.keys.get(entry.keyid as KeyId);
    const reason =
      trusted === undefined ? unknownKey(entry, root) : checkEntry(manifest, entry, trusted);
    if (reason === undefined && trusted !== undefined) signers.add(trusted.keyid);
    else reasons.push(`key ${entry.keyid.slice(0, 16)}: the signature ${reason ?? ''}`);
  }
  // The root's parser holds threshold >= 1; asked again here, where it decides.
  if (root.threshold >= 1 && signers.size >= root.threshold) return [...signers];
  const counted = `${signers.size} of ${list.signatures.length} signatures count`;
  const why = reasons.length === 0 ? '' : ` (${reasons.slice(0, 3).join('; ')})`;
  throw new UpdateError(
    'trust.untrusted',
    `${counted}, expected ${root.threshold} of distinct trusted keys${why}`,
    {
      detail: {
        found: signers.size,
        expected: root.threshold,
        signatures: list.signatures.length,
        reasons,
      },
    },
  );
}

function unknownKey(entry: SignatureEntry, root: TrustRoot): string {
  return root.revoked.has(entry.keyid as KeyId)
    ? 'is of a key that is revoked'
    : 'is of a key that the trust root does not name';
}
