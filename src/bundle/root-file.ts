/**
 * Making and extending `root.json`, docs/bundle.md B3.4: the one file that a node needs before it
 * accepts anything. Always holds: what is written was read back by the same parser that a node
 * uses, so a root that was written is a root that is accepted; its version grows. Imports core.
 */
import { createPublicKey } from 'node:crypto';
import { UpdateError } from '../core/errors.ts';
import { fileExists, readSmallFile } from './source.ts';
import { parsePublicKey, parseSshLine, SSH_SCHEMES } from './keys.ts';
import type { Scheme, SigningKey } from './keys.ts';
import { KEY_FILE_BYTES_MAX, ROOT_BYTES_MAX } from './limits.ts';
import { replaceFile, writeAll } from './replace-file.ts';
import {
  parseRootFile,
  parseTrustRoot,
  ROOT_SCHEMA,
  type RootFile,
  type RootKey,
} from './trust.ts';

/** Entry of the trust root for a key that signs with scheme `ed25519`. */
export function rootKeyOf(key: SigningKey, name: string): RootKey {
  return { keyid: key.keyid, scheme: 'ed25519', public: key.public, name };
}

/**
 * Entry for a public key file: SubjectPublicKeyInfo PEM, a line of OpenSSH (`namespace` is needed
 * for it), or a .pub file of minisign. Throws `usage.invalid` when it is none of them.
 */
export async function rootKeyFromFile(
  path: string,
  name: string,
  namespace: string | undefined,
): Promise<RootKey> {
  const text = Buffer.from(await readSmallFile(path, KEY_FILE_BYTES_MAX)).toString('latin1');
  const found = publicTextOf(text);
  const key = found && parsePublicKey(found.scheme, found.public);
  if (found === undefined || key === undefined) {
    throw usage(`${path} is not an Ed25519 public key in PEM, of ssh-keygen or of minisign`);
  }
  const base = { keyid: key.keyid, scheme: found.scheme, public: found.public, name };
  if (!SSH_SCHEMES.includes(found.scheme)) return base;
  if (namespace === undefined) {
    throw usage(`${path} is an SSH key: give the namespace that its signatures must have`);
  }
  return { ...base, namespace };
}

function publicTextOf(
  text: string,
): { readonly scheme: Scheme; readonly public: string } | undefined {
  const lines = text.split(/\r?\n/).filter((line) => line !== '');
  const [first = '', second = ''] = lines;
  const ssh = parseSshLine(first);
  if (ssh !== undefined) return { scheme: ssh.scheme, public: ssh.public };
  if (first.startsWith('untrusted comment:')) return { scheme: 'minisign', public: second };
  if (!first.startsWith('-----BEGIN PUBLIC KEY-----')) return undefined;
  try {
    const der = createPublicKey(text).export({ type: 'spki', format: 'der' });
    return { scheme: 'ed25519', public: der.toString('base64') };
  } catch {
    return undefined;
  }
}

/**
 * The root at `path` with `key` added, not written yet; a new root where there is none. Its version
 * is one higher; the threshold changes when one is given (a new root has 1). Throws `trust.no_root`
 * when the file is no root, `usage.invalid` for a key that it already has and for a threshold that
 * no signatures can reach.
 */
export async function planRoot(
  path: string,
  key: RootKey,
  threshold: number | undefined,
): Promise<RootFile> {
  const old = (await fileExists(path))
    ? parseRootFile(await readSmallFile(path, ROOT_BYTES_MAX))
    : undefined;
  if (old?.keys.some((one) => one.keyid === key.keyid) === true) {
    throw usage(`${path} already has the key ${key.keyid}`);
  }
  const root: RootFile = {
    schema: ROOT_SCHEMA,
    version: (old?.version ?? 0) + 1,
    threshold: threshold ?? old?.threshold ?? 1,
    keys: [...(old?.keys ?? []), key],
  };
  checkUsable(root, path);
  return root;
}

/** What is to be different in the next root. */
export interface RootChange {
  readonly add: readonly RootKey[];
  /** Key ids, or their beginnings, of keys that stay in the file and count no more. */
  readonly revoke: readonly string[];
  /** The same of keys that leave the file. */
  readonly remove: readonly string[];
  readonly threshold?: number;
}

/**
 * The root that follows `old`, or the first one, not written yet; its version is one higher. Throws
 * `usage.invalid` for a key that is added twice or not there, for a revoked key that comes back,
 * and for a root that could not be used.
 */
export function nextRootFile(old: RootFile | undefined, change: RootChange): RootFile {
  const before = old?.keys ?? [];
  const revoked = change.revoke.map((word) => keyNamed(before, word).keyid);
  const removed = change.remove.map((word) => keyNamed(before, word).keyid);
  for (const { keyid } of change.add) {
    const there = before.find((one) => one.keyid === keyid);
    if (there?.revoked === true) throw usage(`the key ${keyid} was revoked and cannot come back`);
    if (there !== undefined) throw usage(`the root already has the key ${keyid}`);
  }
  const kept = before
    .filter(({ keyid }) => !removed.includes(keyid))
    .map((key) => (revoked.includes(key.keyid) ? { ...key, revoked: true } : key));
  const root: RootFile = {
    schema: ROOT_SCHEMA,
    version: (old?.version ?? 0) + 1,
    threshold: change.threshold ?? old?.threshold ?? 1,
    keys: [...kept, ...change.add],
  };
  checkUsable(root, 'the new root');
  return root;
}

/** Fewer digits of a key id than these name no key. */
const PREFIX_DIGITS_MIN = 8;

function keyNamed(keys: readonly RootKey[], word: string): RootKey {
  const found = keys.filter(({ keyid }) => keyid.startsWith(word));
  const [key] = found;
  if (word.length >= PREFIX_DIGITS_MIN && found.length === 1 && key !== undefined) return key;
  const expected = `at least ${PREFIX_DIGITS_MIN} digits of the id of one of its keys`;
  throw usage(`${word} names ${found.length} keys of the root, expected ${expected}`);
}

function checkUsable(root: RootFile, name: string): void {
  try {
    parseTrustRoot(rootText(root));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UpdateError('usage.invalid', `${name} would not be usable: ${why}`, { cause });
  }
}

/** Makes or replaces the root at `path`; durable before return. Throws `file.*`. */
export async function writeRoot(path: string, root: RootFile): Promise<void> {
  await replaceFile(path, (handle) => writeAll(handle, rootText(root), 0));
}

/** Bytes of a root as this program writes it: these are signed. */
export function rootText(root: RootFile): Buffer {
  return Buffer.from(`${JSON.stringify(root, undefined, 2)}\n`);
}

function usage(message: string): UpdateError {
  return new UpdateError('usage.invalid', message);
}
