/**
 * Signers of other tools for the tests, written from docs/bundle.md alone: SSH signatures and
 * minisign signatures with every field at hand. Imports nothing of the program.
 */
import { hash, sign } from 'node:crypto';
import type { ListEntry, TestKey } from './craft.ts';

const string = (bytes: Buffer | string): Buffer => {
  const content = Buffer.from(bytes as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
};

const rawOf = (key: TestKey): Buffer => key.der.subarray(12);

/** Public key as in a .pub file of ssh-keygen. */
export function sshPublic(key: TestKey): string {
  const blob = Buffer.concat([string('ssh-ed25519'), string(rawOf(key))]);
  return `ssh-ed25519 ${blob.toString('base64')}`;
}

export interface SshFields {
  readonly namespace?: string;
  readonly hash?: string;
  readonly version?: number;
  readonly keyType?: string;
  readonly signatureType?: string;
  readonly reserved?: string;
  readonly trailing?: Buffer;
  /** Another SSH string inside the signature blob. */
  readonly inside?: string;
  /** Key that the blob names, when it is not the one that signs. */
  readonly claim?: TestKey;
}

/** The binary signature that `ssh-keygen -Y sign` armors (B3.8). */
export function sshBlob(message: Uint8Array, key: TestKey, fields: SshFields = {}): Buffer {
  const { namespace = 'update@example', hash: name = 'sha512', reserved = '' } = fields;
  const digest = hash(name === 'md5' ? 'md5' : name, message, 'buffer');
  const tail = [string(namespace), string(reserved), string(name)];
  const signed = Buffer.concat([Buffer.from('SSHSIG'), ...tail, string(digest)]);
  const signature = Buffer.concat([
    string(fields.signatureType ?? 'ssh-ed25519'),
    string(sign(null, signed, key.private)),
    ...(fields.inside === undefined ? [] : [string(fields.inside)]),
  ]);
  const version = Buffer.alloc(4);
  version.writeUInt32BE(fields.version ?? 1);
  const publicKey = Buffer.concat([
    string(fields.keyType ?? 'ssh-ed25519'),
    string(rawOf(fields.claim ?? key)),
  ]);
  const parts = [Buffer.from('SSHSIG'), version, string(publicKey), ...tail, string(signature)];
  return Buffer.concat([...parts, fields.trailing ?? Buffer.alloc(0)]);
}

export function sshEntry(message: Uint8Array, key: TestKey, fields: SshFields = {}): ListEntry {
  const sig = sshBlob(message, key, fields).toString('base64');
  return { keyid: key.keyid, scheme: 'sshsig', sig };
}

/** A file as `ssh-keygen -Y sign` writes it. */
export function sshArmor(blob: Buffer): string {
  const lines = blob.toString('base64').match(/.{1,70}/g) ?? [];
  return ['-----BEGIN SSH SIGNATURE-----', ...lines, '-----END SSH SIGNATURE-----', ''].join('\n');
}

const NUMBER = '0123456789abcdef';

/** Public key as in the second line of a .pub file of minisign (B3.3). */
export function minisignPublic(key: TestKey, number = NUMBER): string {
  return Buffer.concat([Buffer.from('Ed'), Buffer.from(number, 'hex'), rawOf(key)]).toString(
    'base64',
  );
}

/** The 74 bytes of a minisign signature (B3.9), prehashed or legacy. */
export function minisignBlob(
  message: Uint8Array,
  key: TestKey,
  algorithm = 'ED',
  number = NUMBER,
): Buffer {
  const signed = algorithm === 'ED' ? hash('blake2b512', message, 'buffer') : message;
  const parts = [Buffer.from(algorithm), Buffer.from(number, 'hex')];
  return Buffer.concat([...parts, sign(null, signed, key.private)]);
}

export function minisignEntry(...args: Parameters<typeof minisignBlob>): ListEntry {
  return {
    keyid: args[1].keyid,
    scheme: 'minisign',
    sig: minisignBlob(...args).toString('base64'),
  };
}

/** A .minisig file. */
export function minisigFile(blob: Buffer, key: TestKey): string {
  const comment = 'timestamp:1 file:manifest.json';
  const global = sign(null, Buffer.concat([blob.subarray(10), Buffer.from(comment)]), key.private);
  const lines = ['untrusted comment: signature', blob.toString('base64')];
  return [...lines, `trusted comment: ${comment}`, global.toString('base64'), ''].join('\n');
}

const APPLICATION = 'ssh:';

/** Entry of a root for a security key (B3.3). */
export function skRootKey(key: TestKey) {
  const type = 'sk-ssh-ed25519@openssh.com';
  const blob = Buffer.concat([string(type), string(rawOf(key)), string(APPLICATION)]);
  const words = { keyid: key.keyid, scheme: 'sshsig-sk', namespace: 'update@example' };
  return { ...words, public: `${type} ${blob.toString('base64')}` };
}

export interface SkFields extends SshFields {
  readonly application?: string;
  readonly flags?: number;
  /** Flags that stand there, when they are not the signed ones. */
  readonly claimFlags?: number;
  readonly counter?: number;
  /** Bytes that are missing at the end of the signature blob. */
  readonly cut?: number;
}

/** What `ssh-keygen -Y sign` armors when a security key has signed (B3.8). */
export function skEntry(message: Uint8Array, key: TestKey, fields: SkFields): ListEntry {
  const { namespace = 'update@example', hash: name = 'sha512', reserved = '' } = fields;
  const { application = APPLICATION, flags = 1, counter = 7 } = fields;
  const type = 'sk-ssh-ed25519@openssh.com';
  const tail = [string(namespace), string(reserved), string(name)];
  const signed = [Buffer.from('SSHSIG'), ...tail, string(hash(name, message, 'buffer'))];
  const touch = (byte: number): Buffer => {
    const bytes = Buffer.alloc(5, byte);
    bytes.writeUInt32BE(counter, 1);
    return bytes;
  };
  const handed = [
    hash('sha256', application, 'buffer'),
    touch(flags),
    hash('sha256', Buffer.concat(signed), 'buffer'),
  ];
  const signature = Buffer.concat([
    string(fields.signatureType ?? type),
    string(sign(null, Buffer.concat(handed), key.private)),
    touch(fields.claimFlags ?? flags),
    ...(fields.inside === undefined ? [] : [string(fields.inside)]),
  ]);
  const version = Buffer.alloc(4);
  version.writeUInt32BE(1);
  const raw = rawOf(fields.claim ?? key);
  const publicKey = Buffer.concat([string(type), string(raw), string(application)]);
  const cut = signature.subarray(0, signature.length - (fields.cut ?? 0));
  const parts = [Buffer.from('SSHSIG'), version, string(publicKey), ...tail, string(cut)];
  const sig = Buffer.concat(parts).toString('base64');
  return { keyid: key.keyid, scheme: 'sshsig-sk', sig };
}
