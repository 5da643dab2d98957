/**
 * Signatures that `ssh-keygen -Y sign` makes, docs/bundle.md B3.8: the armored file, the blob, and
 * the bytes that are really signed, by a key in a file or by a security key. Always holds: only
 * Ed25519 keys, only the namespace that the trust root binds the key to; a security key was touched
 * for each signature. Sources of the layouts: PROTOCOL.sshsig and PROTOCOL.u2f of OpenSSH. Imports
 * core.
 */
import { hash, verify } from 'node:crypto';
import { fromBase64, parseSshBlob, sshStrings, SSH_KEY_TYPES } from './keys.ts';
import type { PublicKey, SshScheme } from './keys.ts';

const MAGIC = 'SSHSIG';
const SIGNATURE_BYTES = 64;
/** Flags and counter behind the signature of a security key. */
const TOUCH_BYTES = 5;
/** Flag of a security key: somebody touched it for this signature. */
const USER_PRESENT = 0x01;
const HASHES: readonly string[] = ['sha256', 'sha512'];
const ARMOR = /^-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)-----END SSH SIGNATURE-----$/;

/** What a blob says before it is verified. */
export interface SshSignature {
  readonly scheme: SshScheme;
  readonly key: PublicKey;
  readonly namespace: string;
  readonly reserved: Buffer;
  readonly hash: string;
  readonly signature: Buffer;
  /** Flags (1 byte) and counter (4 bytes) that a security key has signed too; else empty. */
  readonly touch: Buffer;
}

/** SSH string: length in 4 bytes, big endian, then the bytes (RFC 4251, section 5). */
function sshString(bytes: Buffer | string): Buffer {
  const content = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}

/** Blob as it stands in `sig`; undefined when it is not an Ed25519 signature of this kind. */
export function parseSshSignature(blob: Buffer): SshSignature | undefined {
  const head = MAGIC.length + 4;
  if (blob.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined;
  if (blob.length < head || blob.readUInt32BE(MAGIC.length) !== 1) return undefined;
  const fields = sshStrings(blob.subarray(head));
  if (fields?.length !== 5) return undefined;
  const [keyBlob, namespace, reserved, hashName, signatureBlob] = fields as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  const key = parseSshBlob(keyBlob);
  if (key === undefined) return undefined;
  const { scheme } = key;
  const touchBytes = scheme === 'sshsig-sk' ? TOUCH_BYTES : 0;
  const end = signatureBlob.length - touchBytes;
  const [type, signature, ...rest] = (end > 0 && sshStrings(signatureBlob.subarray(0, end))) || [];
  if (type?.toString('latin1') !== SSH_KEY_TYPES[scheme]) return undefined;
  if (signature?.length !== SIGNATURE_BYTES || rest.length > 0) return undefined;
  const hashText = hashName.toString('latin1');
  if (!HASHES.includes(hashText)) return undefined;
  const touch = signatureBlob.subarray(end);
  const words = { namespace: namespace.toString('latin1'), reserved, hash: hashText };
  return { scheme, key, ...words, signature, touch };
}

/** The bytes that the key signs, or that ssh-keygen hands to the security key. */
export function sshSignedBytes(
  message: Uint8Array,
  fields: Pick<SshSignature, 'namespace' | 'reserved' | 'hash'>,
): Buffer {
  return Buffer.concat([
    Buffer.from(MAGIC, 'latin1'),
    sshString(fields.namespace),
    sshString(fields.reserved),
    sshString(fields.hash),
    sshString(hash(fields.hash, message, 'buffer')),
  ]);
}

/** What a security key makes of the bytes that it is handed, and signs. */
function touchedBytes(bytes: Buffer, application: string, touch: Buffer): Buffer {
  const name = hash('sha256', Buffer.from(application, 'latin1'), 'buffer');
  return Buffer.concat([name, touch, hash('sha256', bytes, 'buffer')]);
}

/** Undefined when the signature is good, otherwise the reason. */
export function checkSshSignature(
  message: Uint8Array,
  blob: Buffer,
  trusted: PublicKey & { readonly scheme: string; readonly namespace?: string },
): string | undefined {
  const found = parseSshSignature(blob);
  if (found === undefined) return 'is not an SSH signature of version 1 with an Ed25519 key';
  if (found.key.keyid !== trusted.keyid) return 'was made with another key than it says';
  if (found.scheme !== trusted.scheme || found.key.application !== trusted.application) {
    return 'was made with another kind of key than the trust root names';
  }
  if (found.namespace !== trusted.namespace) {
    return 'was made for another namespace than the trust root allows';
  }
  const { application } = found.key;
  const bytes = sshSignedBytes(message, found);
  const signed = application === undefined ? bytes : touchedBytes(bytes, application, found.touch);
  if (!verify(null, signed, trusted.key, found.signature)) return 'does not match what is signed';
  if (application === undefined) return undefined;
  const touched = ((found.touch[0] ?? 0) & USER_PRESENT) !== 0;
  return touched ? undefined : 'was made by a security key that nobody touched';
}

/** Blob from an armored file of `ssh-keygen -Y sign`; undefined when it is not one. */
export function unarmor(text: string): Buffer | undefined {
  const body = ARMOR.exec(text.replaceAll('\r\n', '\n').trim())?.[1];
  return body === undefined ? undefined : fromBase64(body.replaceAll('\n', ''));
}
