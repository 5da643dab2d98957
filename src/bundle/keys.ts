/**
 * Keys of the people who sign bundles: public keys in the encodings of the trust root, the
 * key id, and private key files, docs/bundle.md B3.2 and B3.3. Always holds: every key is
 * Ed25519, and its id is computed here from the key itself, never taken from a file. Private keys
 * are made with mode 0600 and never replace an existing file. Imports core.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, hash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../core/errors.ts';
import type { Sha256 } from '../core/model.ts';
import { KEY_FILE_BYTES_MAX } from './limits.ts';
import { quoted } from './quote.ts';
import { fileError, readSmallFile } from './source.ts';

/** How a signature is made and checked; the trust root binds each key to one of them. */
export type Scheme = 'ed25519' | 'sshsig' | 'sshsig-sk' | 'minisign';
/** Signature schemes that this program judges. */
export const SCHEMES: readonly Scheme[] = ['ed25519', 'sshsig', 'sshsig-sk', 'minisign'];
/** Schemes of `ssh-keygen -Y sign`, whose keys are bound to a namespace. */
export const SSH_SCHEMES: readonly Scheme[] = ['sshsig', 'sshsig-sk'];

/** Whether a word names a signature scheme that this program judges. */
export function isScheme(word: string): word is Scheme {
  return (SCHEMES as readonly string[]).includes(word);
}

/** SHA-256 of the public key's DER (SubjectPublicKeyInfo), in hexadecimal (B3.2). */
export type KeyId = Sha256;

/** A public key that may count, with the id that was computed from it. */
export interface PublicKey {
  readonly keyid: KeyId;
  readonly key: KeyObject;
  /** minisign's own name of the key, 8 bytes in hexadecimal; only for that scheme. */
  readonly keyNumber?: string;
  /** What a security key signs for, mostly `ssh:`; only for scheme `sshsig-sk`. */
  readonly application?: string;
}

/** A private key that signs with scheme `ed25519`. */
export interface SigningKey {
  readonly keyid: KeyId;
  readonly privateKey: KeyObject;
  /** As it stands in root.json: base64 of the DER. */
  readonly public: string;
}

/** RFC 8410, section 4: SubjectPublicKeyInfo of an Ed25519 key without its 32 bytes. */
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex');
const RAW_KEY_BYTES = 32;

/** Bytes of canonical base64; undefined for anything else. */
export function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function publicKeyOf(raw: Uint8Array): PublicKey {
  const der = Buffer.concat([SPKI_HEAD, raw]);
  return {
    keyid: hash('sha256', der, 'hex') as KeyId,
    key: createPublicKey({ key: der, format: 'der', type: 'spki' }),
  };
}

/** `ed25519`: base64 of the 44 bytes of the DER. */
function parseDer(text: string): PublicKey | undefined {
  const der = fromBase64(text);
  if (der?.length !== SPKI_HEAD.length + RAW_KEY_BYTES) return undefined;
  if (!der.subarray(0, SPKI_HEAD.length).equals(SPKI_HEAD)) return undefined;
  return publicKeyOf(der.subarray(SPKI_HEAD.length));
}

/** Types of SSH keys by scheme, as they stand in blobs and .pub files. */
export const SSH_KEY_TYPES = {
  sshsig: 'ssh-ed25519',
  'sshsig-sk': 'sk-ssh-ed25519@openssh.com',
} as const;
/** A scheme of `ssh-keygen -Y sign`. */
export type SshScheme = keyof typeof SSH_KEY_TYPES;

/** All SSH strings in `bytes` (RFC 4251, section 5); undefined when they do not fill it exactly. */
export function sshStrings(bytes: Buffer): Buffer[] | undefined {
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

/**
 * Public key blob of SSH: type and key (RFC 8709, section 4); of a security key the application
 * too (PROTOCOL.u2f of OpenSSH).
 */
export function parseSshBlob(
  blob: Buffer,
): (PublicKey & { readonly scheme: SshScheme }) | undefined {
  const [type, raw, application, ...rest] = sshStrings(blob) ?? [];
  if (raw?.length !== RAW_KEY_BYTES || rest.length > 0) return undefined;
  const name = type?.toString('latin1');
  if (name === SSH_KEY_TYPES.sshsig && application === undefined) {
    return { ...publicKeyOf(raw), scheme: 'sshsig' };
  }
  const text = application?.toString('latin1');
  if (name !== SSH_KEY_TYPES['sshsig-sk'] || text === undefined) return undefined;
  if (!/^[\x21-\x7e]{1,255}$/.test(text)) return undefined;
  return { ...publicKeyOf(raw), scheme: 'sshsig-sk', application: text };
}

/** A line of a .pub file of ssh-keygen, with or without a comment; undefined for another type. */
export function parseSshLine(
  line: string,
): (PublicKey & { readonly scheme: SshScheme; readonly public: string }) | undefined {
  const [type = '', text = ''] = line.trim().split(/\s+/, 2);
  const blob = fromBase64(text);
  const key = blob && parseSshBlob(blob);
  if (key === undefined || SSH_KEY_TYPES[key.scheme] !== type) return undefined;
  return { ...key, public: `${type} ${text}` };
}

function sshKey(scheme: SshScheme): (text: string) => PublicKey | undefined {
  return (text) => {
    const key = parseSshLine(text);
    return key?.scheme === scheme ? key : undefined;
  };
}

/** `minisign`: base64 of `Ed`, 8 bytes of key number, 32 bytes of key: line 2 of a .pub file. */
function parseMinisign(text: string): PublicKey | undefined {
  const bytes = fromBase64(text);
  if (bytes?.length !== 10 + RAW_KEY_BYTES || bytes.toString('latin1', 0, 2) !== 'Ed') {
    return undefined;
  }
  return { ...publicKeyOf(bytes.subarray(10)), keyNumber: bytes.toString('hex', 2, 10) };
}

const PARSERS = {
  ed25519: parseDer,
  sshsig: sshKey('sshsig'),
  'sshsig-sk': sshKey('sshsig-sk'),
  minisign: parseMinisign,
} as const satisfies Record<Scheme, (text: string) => PublicKey | undefined>;

/** Public key in the encoding of its scheme (B3.3); undefined when it is not one. */
export function parsePublicKey(scheme: Scheme, text: string): PublicKey | undefined {
  return PARSERS[scheme](text);
}

function signingKeyOf(privateKey: KeyObject): SigningKey {
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return {
    keyid: hash('sha256', der, 'hex') as KeyId,
    privateKey,
    public: der.toString('base64'),
  };
}

/** A fresh key that only lives in memory. */
export function generateSigningKey(): SigningKey {
  return signingKeyOf(generateKeyPairSync('ed25519').privateKey);
}

/**
 * Private key from a PEM file (PKCS #8, Ed25519, not encrypted). Throws `file.*`, and
 * `usage.invalid` when it is another kind of key.
 */
export async function loadSigningKey(path: string): Promise<SigningKey> {
  const pem = await readSmallFile(path, KEY_FILE_BYTES_MAX);
  let key: KeyObject;
  try {
    key = createPrivateKey(Buffer.from(pem));
  } catch (cause) {
    throw new UpdateError(
      'usage.invalid',
      `${path} is not a private key, expected an unencrypted PKCS #8 PEM file`,
      { cause, detail: { path } },
    );
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    const found = key.asymmetricKeyType ?? 'unknown';
    throw new UpdateError('usage.invalid', `${path} is a key of type ${found}, expected ed25519`, {
      detail: { path, found, expected: 'ed25519' },
    });
  }
  return signingKeyOf(key);
}

/** Where the two files of a new key pair are. */
export interface KeyFiles {
  readonly key: SigningKey;
  /** Private, mode 0600, PKCS #8 PEM. */
  readonly keyPath: string;
  /** Public, SubjectPublicKeyInfo PEM. */
  readonly publicPath: string;
}

/**
 * Makes `DIR/NAME.key` and `DIR/NAME.pub` for a fresh key, both durable before return. Never
 * replaces a file: throws `usage.invalid` when one of them exists.
 */
export async function writeSigningKey(
  dir: string,
  name: string,
  key: SigningKey = generateSigningKey(),
): Promise<KeyFiles> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new UpdateError(
      'usage.invalid',
      `the key name ${quoted(name)} is not valid, expected letters, digits, dot, dash, underscore`,
    );
  }
  const keyPath = join(dir, `${name}.key`);
  const publicPath = join(dir, `${name}.pub`);
  await mkdir(dir, { recursive: true });
  const publicKey = createPublicKey(key.privateKey);
  await createOnce(keyPath, 0o600, key.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await createOnce(publicPath, 0o644, publicKey.export({ type: 'spki', format: 'pem' }));
  return { key, keyPath, publicPath };
}

async function createOnce(path: string, mode: number, content: string | Buffer): Promise<void> {
  try {
    await using handle = await open(path, 'wx', mode);
    await handle.writeFile(content);
    await handle.sync();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(cause, path);
    throw new UpdateError('usage.invalid', `${path} exists already and is not replaced`, {
      cause,
      detail: { path },
    });
  }
}
