/**
 * Signatures that `minisign` makes, docs/bundle.md B3.9: the signature file and the 74 bytes that
 * matter, prehashed (`ED`, BLAKE2b-512) or legacy (`Ed`). Always holds: the key number in the
 * signature is that of the trusted key. The comments are not used: they say nothing that the signed
 * manifest does not say. Source of the layout: the "Signature format" of minisign's manual.
 * Imports core.
 */
import { hash, verify } from 'node:crypto';
import { fromBase64, type PublicKey } from './keys.ts';

const BLOB_BYTES = 74;

/** What a blob says before it is verified. */
export interface MinisignSignature {
  readonly prehashed: boolean;
  /** 8 bytes in hexadecimal. */
  readonly keyNumber: string;
  readonly signature: Buffer;
}

/** Blob as it stands in `sig`; undefined when it is not one. */
export function parseMinisignSignature(blob: Buffer): MinisignSignature | undefined {
  const algorithm = blob.toString('latin1', 0, 2);
  if (blob.length !== BLOB_BYTES || (algorithm !== 'Ed' && algorithm !== 'ED')) return undefined;
  return {
    prehashed: algorithm === 'ED',
    keyNumber: blob.toString('hex', 2, 10),
    signature: blob.subarray(10),
  };
}

/** Undefined when the signature is good, otherwise the reason. */
export function checkMinisignSignature(
  message: Uint8Array,
  blob: Buffer,
  trusted: PublicKey,
): string | undefined {
  const found = parseMinisignSignature(blob);
  if (found === undefined) return 'is not a minisign signature';
  if (found.keyNumber !== trusted.keyNumber) return 'was made with another key than it says';
  const signed = found.prehashed ? hash('blake2b512', message, 'buffer') : message;
  const good = verify(null, signed, trusted.key, found.signature);
  return good ? undefined : 'does not match what is signed';
}

/** Blob from a .minisig file; undefined when it is not one. */
export function parseMinisigFile(text: string): Buffer | undefined {
  const [comment, line] = text.replaceAll('\r\n', '\n').split('\n', 2);
  if (comment?.startsWith('untrusted comment:') !== true || line === undefined) return undefined;
  const blob = fromBase64(line.trim());
  return blob !== undefined && parseMinisignSignature(blob) !== undefined ? blob : undefined;
}
