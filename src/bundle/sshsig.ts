/**
 * Signatures that `ssh-keygen -Y sign` makes, docs/bundle.md B3.8: the armored file, the blob, and
 * the bytes that are really signed. Always holds: only Ed25519 keys, only the namespace that the
 * trust root binds the key to. Source of the layout: PROTOCOL.sshsig of OpenSSH. Imports core.
 */
import { hash, verify } from 'node:crypto';
import { fromBase64, parseSshBlob, type PublicKey } from './keys.ts';

const MAGIC = 'SSHSIG';
const SIGNATURE_BYTES = 64;
const HASHES: readonly string[] = ['sha256', 'sha512'];
const ARMOR = /^-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)-----END SSH SIGNATURE-----$/;

/** What a blob says before it is verified. */
export interface SshSignature {
  readonly key: PublicKey;
  readonly namespace: string;
  readonly reserved: Buffer;
  readonly hash: string;
  readonly signature: Buffer;
}

/** SSH string: length in 4 bytes, big endian, then the bytes (RFC 4251, section 5). */
function sshString(bytes: Buffer | string): Buffer {
  const content = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}

/** All SSH strings in `bytes`; undefined when they do not fill it exactly. */
function sshStrings(bytes: Buffer): Buffer[] | undefined {
  const strings: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return undefined;
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) return undefined;
    strings.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return strings;
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
  const [type, signature, ...rest] = sshStrings(signatureBlob) ?? [];
  if (key === undefined || type?.toString('latin1') !== 'ssh-ed25519') return undefined;
  if (signature?.length !== SIGNATURE_BYTES || rest.length > 0) return undefined;
  const hashText = hashName.toString('latin1');
  if (!HASHES.includes(hashText)) return undefined;
  return { key, namespace: namespace.toString('latin1'), reserved, hash: hashText, signature };
}

/** The bytes that the key signs. */
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

/** Undefined when the signature is good, otherwise the reason. */
export function checkSshSignature(
  message: Uint8Array,
  blob: Buffer,
  trusted: PublicKey & { readonly namespace?: string },
): string | undefined {
  const found = parseSshSignature(blob);
  if (found === undefined) return 'is not an SSH signature of version 1 with an Ed25519 key';
  if (found.key.keyid !== trusted.keyid) return 'was made with another key than it says';
  if (found.namespace !== trusted.namespace) {
    return 'was made for another namespace than the trust root allows';
  }
  const good = verify(null, sshSignedBytes(message, found), trusted.key, found.signature);
  return good ? undefined : 'does not match the manifest';
}

/** Blob from an armored file of `ssh-keygen -Y sign`; undefined when it is not one. */
export function unarmor(text: string): Buffer | undefined {
  const body = ARMOR.exec(text.replaceAll('\r\n', '\n').trim())?.[1];
  return body === undefined ? undefined : fromBase64(body.replaceAll('\n', ''));
}
