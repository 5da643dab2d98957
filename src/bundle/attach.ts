/**
 * Signatures that other tools made, on their way into a list, docs/bundle.md B7.7: the list of
 * another machine, and the files of ssh-keygen, minisign and openssl. Always holds: with a trust
 * root, a signature of a key that it names is good before it is taken; a file that does not name
 * its key is taken for none without one. Imports core.
 */
import { hash } from 'node:crypto';
import { UpdateError } from '../core/errors.ts';
import { parseMinisigFile, parseMinisignSignature } from './minisign.ts';
import { checkEntry, decodeList, type Payload, type SignatureEntry } from './signature.ts';
import { parseSshSignature, unarmor } from './sshsig.ts';
import type { TrustedKey, TrustRoot } from './trust.ts';

/** Size of a bare Ed25519 signature, as `openssl pkeyutl -sign -rawin` writes it. */
const RAW_SIGNATURE_BYTES = 64;

/** A file with signatures of somebody else. */
export interface AttachedFile {
  readonly file: string;
  readonly bytes: Uint8Array;
}

/**
 * The signatures of a detached file over `signed`, a manifest or a trust root. Throws
 * `bundle.invalid_input` for a file that is no signature or belongs to other bytes,
 * `trust.untrusted` for a bad signature of a key that `root` names.
 */
export function attachedEntries(
  attached: AttachedFile,
  signed: Uint8Array,
  payload: Payload,
  root: TrustRoot | undefined,
): readonly SignatureEntry[] {
  const keys = [...(root?.keys.values() ?? [])];
  const entries = entriesOf(attached, signed, payload, keys);
  for (const entry of entries) {
    const trusted = keys.find((key) => key.keyid === entry.keyid);
    const why = trusted && checkEntry(signed, entry, trusted, payload);
    if (why === undefined) continue;
    throw new UpdateError('trust.untrusted', `${attached.file}: the signature ${why}`, {
      detail: { path: attached.file, keyid: entry.keyid },
    });
  }
  return entries;
}

function entriesOf(
  { file, bytes }: AttachedFile,
  signed: Uint8Array,
  payload: Payload,
  keys: readonly TrustedKey[],
): readonly SignatureEntry[] {
  if (bytes.length === RAW_SIGNATURE_BYTES) return [rawEntry(file, bytes, signed, payload, keys)];
  const text = Buffer.from(bytes).toString('latin1');
  if (text.trimStart().startsWith('{')) {
    const list = decodeList(bytes);
    const digest = hash('sha256', signed);
    if (list.manifest === digest) return list.signatures;
    throw badFile(file, `signs what has SHA-256 ${list.manifest}, expected ${digest}`);
  }
  const ssh = unarmor(text);
  if (ssh !== undefined) {
    const found = parseSshSignature(ssh);
    if (found === undefined) throw badFile(file, 'is not an SSH signature by an Ed25519 key');
    return [{ keyid: found.key.keyid, scheme: found.scheme, sig: ssh.toString('base64') }];
  }
  const minisig = parseMinisigFile(text);
  const number = minisig && parseMinisignSignature(minisig)?.keyNumber;
  if (minisig === undefined || number === undefined) {
    throw badFile(file, 'is no signature file of tandem, ssh-keygen, minisign or openssl');
  }
  const key = keys.find((one) => one.keyNumber === number);
  if (key !== undefined) {
    return [{ keyid: key.keyid, scheme: 'minisign', sig: minisig.toString('base64') }];
  }
  throw nameless(file, keys, `minisign key number ${number}`);
}

/** Bare bytes name nobody; the key is the one of the root that they are good for. */
function rawEntry(
  file: string,
  bytes: Uint8Array,
  signed: Uint8Array,
  payload: Payload,
  keys: readonly TrustedKey[],
): SignatureEntry {
  const sig = Buffer.from(bytes).toString('base64');
  for (const key of keys) {
    const entry = { keyid: key.keyid, scheme: 'ed25519', sig };
    if (checkEntry(signed, entry, key, payload) === undefined) return entry;
  }
  throw nameless(file, keys, 'bare signature');
}

function nameless(file: string, keys: readonly TrustedKey[], what: string): UpdateError {
  const why = keys.length === 0 ? 'needs the trust root to name its key' : 'is of an unknown key';
  return badFile(file, `${why} (${what})`);
}

function badFile(path: string, why: string): UpdateError {
  return new UpdateError('bundle.invalid_input', `${path} ${why}`, { detail: { path } });
}
