/**
 * Signatures: `manifest.sig`, how it is written and judged, and how one is made, docs/bundle.md B3;
 * what is signed is a manifest or a new trust root. Always holds: the judgement works on the exact
 * bytes and comes before anybody parses them (CVE-2026-28525 class); each known key counts once
 * (CVE-2020-15163), unknown keys and schemes never count, and an empty list never reaches a
 * threshold (CVE-2020-10759). Imports core.
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

/**
 * Payload types of the pre-authentication encoding (B3.7): a signature of a manifest is none of a
 * trust root.
 */
export const PAYLOAD_TYPES = {
  manifest: 'application/vnd.tandem.manifest.v1+json',
  root: 'application/vnd.tandem.root.v1+json',
} as const;
/** What a signature is made over. */
export type Payload = keyof typeof PAYLOAD_TYPES;

/** Schema of one signature, in this list and in that of a new trust root. */
export const entrySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['keyid', 'scheme', 'sig'],
  properties: {
    keyid: { type: 'string', pattern: '^[0-9a-f]{64}$' },
    scheme: { type: 'string', pattern: '^[a-z0-9-]{1,32}$' },
    sig: { type: 'string', pattern: '^[A-Za-z0-9+/=]{1,1024}$' },
  },
} as const;

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
      items: entrySchema,
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

/** DSSE pre-authentication encoding of these bytes (B3.7): what scheme `ed25519` signs. */
export function preAuthEncoding(bytes: Uint8Array, payload: Payload = 'manifest'): Buffer {
  const type = PAYLOAD_TYPES[payload];
  const head = `DSSEv1 ${type.length} ${type} ${bytes.length} `;
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes]);
}

/** Signature with scheme `ed25519`. */
export function signBytes(bytes: Uint8Array, key: SigningKey, payload: Payload): SignatureEntry {
  const sig = sign(null, preAuthEncoding(bytes, payload), key.privateKey).toString('base64');
  return { keyid: key.keyid, scheme: 'ed25519', sig };
}

/** Signature of a manifest with scheme `ed25519`. */
export function signManifest(manifest: Uint8Array, key: SigningKey): SignatureEntry {
  return signBytes(manifest, key, 'manifest');
}

/** Undefined when `entry`, whose key id is that of `trusted`, is good; otherwise the reason. */
export function checkEntry(
  bytes: Uint8Array,
  entry: SignatureEntry,
  trusted: TrustedKey,
  payload: Payload = 'manifest',
): string | undefined {
  if (entry.scheme !== trusted.scheme) {
    return `has scheme ${entry.scheme}, the trust root binds the key to ${trusted.scheme}`;
  }
  const blob = fromBase64(entry.sig);
  if (blob === undefined) return 'is not in canonical base64';
  switch (trusted.scheme) {
    case 'ed25519': {
      const good = verify(null, preAuthEncoding(bytes, payload), trusted.key, blob);
      return good ? undefined : 'does not match what is signed';
    }
    // These tools sign a file as it is; no bytes are a manifest and a trust root (B3.12).
    case 'sshsig':
    case 'sshsig-sk':
      return checkSshSignature(bytes, blob, trusted);
    case 'minisign':
      return checkMinisignSignature(bytes, blob, trusted);
  }
}

/** Who signed, and why the other signatures do not count. */
export interface Counted {
  /** Distinct keys of the root whose signatures are good. */
  readonly signers: readonly KeyId[];
  /** One sentence for each signature that does not count. */
  readonly reasons: readonly string[];
}

/** The signatures that count (B3.10). Whether they are enough is the caller's question. */
export function countSigners(
  bytes: Uint8Array,
  entries: readonly SignatureEntry[],
  root: TrustRoot,
  payload: Payload = 'manifest',
): Counted {
  const signers = new Set<KeyId>();
  const reasons: string[] = [];
  for (const entry of entries) {
    const trusted = root.keys.get(entry.keyid as KeyId);
    const reason =
      trusted === undefined ? unknownKey(entry, root) : checkEntry(bytes, entry, trusted, payload);
    if (reason === undefined && trusted !== undefined) signers.add(trusted.keyid);
    else reasons.push(`key ${entry.keyid.slice(0, 16)}: the signature ${reason ?? ''}`);
  }
  return { signers: [...signers], reasons };
}

/** Whether so many distinct keys are enough; the root's parser holds threshold >= 1. */
export function reaches({ signers }: Counted, { threshold }: TrustRoot): boolean {
  return threshold >= 1 && signers.length >= threshold;
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
  const counted = countSigners(manifest, list.signatures, root);
  if (reaches(counted, root)) return counted.signers;
  const { signers, reasons } = counted;
  const why = reasons.length === 0 ? '' : ` (${reasons.slice(0, 3).join('; ')})`;
  throw new UpdateError(
    'trust.untrusted',
    `${signers.length} of ${list.signatures.length} signatures count, ` +
      `expected ${root.threshold} of distinct keys of trust root ${root.version}${why}`,
    {
      detail: {
        found: signers.length,
        expected: root.threshold,
        root: root.version,
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
