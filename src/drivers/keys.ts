/**
 * The identity of a node: a self-signed P-256 key and certificate, and the pin of the peer. Files
 * in the keys directory (mode 0700): `node.key` (PKCS #8 PEM, 0600), `node.crt` (PEM), `pair.json`
 * (schema, node, pair id, peer's pin, 0600). Always holds: every file is replaced atomically and
 * durably; `pair.json` exists only once this node is paired; trust is the SHA-256 digest of the
 * peer's public key and nothing else. The X.509 library is loaded only where a key is made, so the
 * daemon never carries it. Imports core, its own parts and, lazily, @peculiar/x509.
 */
import {
  constants,
  createHash,
  createPrivateKey,
  timingSafeEqual,
  webcrypto,
  X509Certificate,
} from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ConnectionOptions, TLSSocket, TlsOptions } from 'node:tls';
import { UpdateError } from '../core/errors.ts';
import { peerOf, type NodeId } from '../core/model.ts';
import { cipherSuites } from './cipher-suites.ts';
import { ioError, readFileLimited, syncDirectory, writeFileAtomic } from './fs-atomic.ts';

/** Name of the private key in the keys directory. */
export const KEY_FILE = 'node.key';
/** Name of the certificate in the keys directory. */
export const CERT_FILE = 'node.crt';
/** Name of the record of the pairing in the keys directory. */
export const PAIR_FILE = 'pair.json';
/** Schema number of `pair.json`. */
export const PAIR_SCHEMA = 1;
/** Longest file that is read from a keys directory. */
const FILE_BYTES_MAX = 64 * 1024;

/** A node's own key and certificate, paired or not. */
export interface NodeKeys {
  readonly keyPem: string;
  readonly certPem: string;
  /** SHA-256 of the DER SubjectPublicKeyInfo, 64 lower-case hexadecimal digits. */
  readonly spkiSha256: string;
}

/** Everything that a paired node needs to talk to its peer. */
export interface PairKeys extends NodeKeys {
  readonly node: NodeId;
  /** Random id of the pair, the same on both nodes: 32 lower-case hexadecimal digits. */
  readonly pair: string;
  /** The one key that the peer may have. */
  readonly peerSpkiSha256: string;
  /** Keys of peers that were replaced; their owners are told so, and never heard. */
  readonly revoked?: readonly string[];
  /** Reads again what the pairing says now; absent where that cannot change. Never rejects. */
  readonly refresh?: () => Promise<void>;
}

/** Where the keys of a node lie: on the data partition, which both slots share. */
export const keysDirOf = (stateDir: string): string => join(stateDir, 'keys');

/** The key of a peer that was replaced. */
export interface RevokedKey {
  readonly spkiSha256: string;
  /** Wall-clock time, for people. */
  readonly at: string;
}

/** Content of `pair.json`; unknown fields of the same schema are ignored. */
export interface PairRecord {
  readonly schema: number;
  readonly node: NodeId;
  readonly pair: string;
  readonly peer: { readonly node: NodeId; readonly spkiSha256: string };
  /** Newest last, at most `REVOKED_MAX`. */
  readonly revoked?: readonly RevokedKey[];
  /** Since when this node knows that its peer has another node in its place. */
  readonly replacedAt?: string;
}
/** Revoked keys that are kept; the oldest ones go first. */
export const REVOKED_MAX = 16;

/** Makes the keys directory, mode 0700 whatever it was before; throws `state.io`. */
export async function makeKeysDir(keysDir: string): Promise<void> {
  try {
    await mkdir(keysDir, { recursive: true, mode: 0o700 });
    await chmod(keysDir, 0o700);
    await syncDirectory(dirname(keysDir));
  } catch (error) {
    throw ioError(error, 'state.io', `the directory ${keysDir} cannot be made`);
  }
}

/**
 * The node's key and certificate; makes them when there are none. Idempotent: existing ones that
 * belong together are returned. A half-made set (power cut between the two files) is made anew,
 * but never when the node is paired: then it throws `pair.keys_damaged`. Throws `state.io` when
 * the directory cannot be written.
 */
export async function createKeys(keysDir: string, node: NodeId): Promise<NodeKeys> {
  await makeKeysDir(keysDir);
  const have = await readNodeKeys(keysDir);
  if (have) return have;
  if ((await readText(join(keysDir, PAIR_FILE))) !== null) {
    throw new UpdateError(
      'pair.keys_damaged',
      `${keysDir} holds ${PAIR_FILE} but no ${KEY_FILE} with a matching ${CERT_FILE}`,
      { detail: { keysDir } },
    );
  }
  const made = await makeCertificate(node);
  await writeFileAtomic(join(keysDir, KEY_FILE), made.keyPem);
  await writeFileAtomic(join(keysDir, CERT_FILE), made.certPem, { mode: 0o644 });
  return made;
}

/** The node's own keys, or null when there are none that belong together. */
export async function readNodeKeys(keysDir: string): Promise<NodeKeys | null> {
  const keyPem = await readText(join(keysDir, KEY_FILE));
  const certPem = await readText(join(keysDir, CERT_FILE));
  if (keyPem === null || certPem === null) return null;
  try {
    const certificate = new X509Certificate(certPem);
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) return null;
    return { keyPem, certPem, spkiSha256: spkiSha256(certificate) };
  } catch {
    return null;
  }
}

/**
 * Keys and pin of a paired node. Throws `pair.not_paired` when the node was never paired,
 * `pair.keys_damaged` when a file is missing or does not fit the others, `state.newer_schema` when
 * a newer program wrote the record.
 */
export async function loadKeys(keysDir: string): Promise<PairKeys> {
  const record = await readPairRecord(keysDir);
  if (!record) {
    throw new UpdateError('pair.not_paired', `${keysDir} holds no ${PAIR_FILE}`, {
      detail: { keysDir },
    });
  }
  const own = await readNodeKeys(keysDir);
  if (!own) {
    throw new UpdateError(
      'pair.keys_damaged',
      `${keysDir} is paired, but ${KEY_FILE} and ${CERT_FILE} are missing or do not match`,
      { detail: { keysDir } },
    );
  }
  const revoked = record.revoked?.map(({ spkiSha256 }) => spkiSha256);
  const more = revoked === undefined ? {} : { revoked };
  const { node, pair, peer } = record;
  return { ...own, node, pair, peerSpkiSha256: peer.spkiSha256, ...more };
}

/** The record of the pairing, or null when this node is not paired. Throws as `loadKeys` does. */
export async function readPairRecord(keysDir: string): Promise<PairRecord | null> {
  const text = await readText(join(keysDir, PAIR_FILE));
  return text === null ? null : parsePairRecord(text, keysDir);
}

/** Writes the record of the pairing; durable when it returns. */
export async function writePairRecord(keysDir: string, record: PairRecord): Promise<void> {
  await writeFileAtomic(join(keysDir, PAIR_FILE), `${JSON.stringify(record, null, 2)}\n`);
}

function parsePairRecord(text: string, keysDir: string): PairRecord {
  let value: Partial<PairRecord> | null = null;
  try {
    value = JSON.parse(text) as Partial<PairRecord> | null;
  } catch {
    // Falls through to the one message for every way in which the record can be wrong.
  }
  if (typeof value?.schema === 'number' && value.schema > PAIR_SCHEMA) {
    throw new UpdateError(
      'state.newer_schema',
      `${PAIR_FILE} has schema ${value.schema}, this program knows ${PAIR_SCHEMA}`,
    );
  }
  const { node, peer } = value ?? {};
  const good =
    value?.schema === PAIR_SCHEMA &&
    (node === 'A' || node === 'B') &&
    peer?.node === peerOf(node) &&
    isHex(value.pair, 32) &&
    isHex(peer.spkiSha256, 64) &&
    (value.revoked === undefined || isRevokedList(value.revoked)) &&
    (value.replacedAt === undefined || typeof value.replacedAt === 'string');
  if (!good) {
    throw new UpdateError('pair.keys_damaged', `${join(keysDir, PAIR_FILE)} is damaged`, {
      detail: { keysDir },
    });
  }
  return value as PairRecord;
}

const isRevokedList = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.length <= REVOKED_MAX &&
  value.every((one: Partial<RevokedKey> | null) => isHex(one?.spkiSha256, 64));

const isHex = (value: unknown, digits: number): boolean =>
  typeof value === 'string' && value.length === digits && /^[0-9a-f]+$/.test(value);

/**
 * Options for both ends of a connection between two paired nodes. TLS 1.3 only. The peer must show
 * a certificate, and must prove that it has the key to it, which the handshake itself enforces;
 * `rejectUnauthorized` is off because no authority and no clock decides here: whom the key belongs
 * to is decided by `assertPinned`, which every user of these options must call before it reads or
 * writes a byte. Tickets are off, so that every connection is a fresh handshake with both keys.
 */
export function tlsOptions(keys: NodeKeys) {
  return {
    key: keys.keyPem,
    cert: keys.certPem,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: cipherSuites(),
    requestCert: true,
    rejectUnauthorized: false,
    secureOptions: constants.SSL_OP_NO_TICKET,
  } as const satisfies TlsOptions & ConnectionOptions;
}

/**
 * Throws `pair.wrong_peer` unless the other end of this freshly made connection has the one key
 * that is pinned. A resumed session is refused too: it would not prove the key again.
 */
export function assertPinned(socket: TLSSocket, keys: Pick<PairKeys, 'peerSpkiSha256'>): void {
  const found = socket.isSessionReused() ? null : peerSpkiSha256(socket);
  const good =
    found !== null &&
    timingSafeEqual(Buffer.from(found, 'hex'), Buffer.from(keys.peerSpkiSha256, 'hex'));
  if (good) return;
  throw new UpdateError(
    'pair.wrong_peer',
    `the other side shows ${found === null ? 'no key' : `key ${found.slice(0, 16)}…`}, ` +
      `expected ${keys.peerSpkiSha256.slice(0, 16)}…`,
    { detail: { found: found ?? '', expected: keys.peerSpkiSha256 } },
  );
}

/** Digest of the key that the other end proved, or null when it showed no certificate. */
export function peerSpkiSha256(socket: TLSSocket): string | null {
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? null : spkiSha256(certificate);
}

function spkiSha256(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex');
}

async function makeCertificate(node: NodeId): Promise<NodeKeys> {
  // The library's decorators need the metadata API in place before its first line runs.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=tandem node ${node}`,
    keys,
    signingAlgorithm: algorithm,
    // RFC 5280, 4.1.2.5: 99991231235959Z says that there is no well-defined end.
    notBefore: new Date('1970-01-01T00:00:00Z'),
    notAfter: new Date('9999-12-31T23:59:59Z'),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const lines = pkcs8.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  const certPem = `${certificate.toString('pem')}\n`;
  return {
    keyPem: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
    certPem,
    spkiSha256: spkiSha256(new X509Certificate(certPem)),
  };
}

/** Text of a small file; null when it does not exist. */
async function readText(path: string): Promise<string | null> {
  try {
    return (await readFileLimited(path, FILE_BYTES_MAX)).toString();
  } catch (error) {
    if (error instanceof UpdateError && error.code === 'file.not_found') return null;
    throw error;
  }
}
