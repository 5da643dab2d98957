/**
 * Keys of the serial line, made from what both nodes hold since their pairing: ECDH between the two
 * P-256 keys of the pair, then HKDF with the pair id, fresh numbers of both sides and the versions
 * that both speak. No further secret is stored. A node holds only the digest of its peer's key, so
 * the key itself comes over the line and counts only when it has the pinned digest. Always holds:
 * each direction has a key of its own, each pair of fresh numbers another two. What crosses the
 * line is authentic; it is not secret. Sources: NIST SP 800-56A (static keys on both sides), RFC
 * 5869, RFC 2104 (section 5: half of the digest is enough). Imports core and the keys.
 */
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  ECDH,
  hkdfSync,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto';
import { UpdateError } from '../core/errors.ts';
import { peerOf, type NodeId } from '../core/model.ts';
import type { PairKeys } from './keys.ts';

/** Bytes of a public key on the line: a compressed point (SEC 1, 2.3.3). */
export const POINT_BYTES = 33;
/** Bytes of the fresh number that each side draws for one session. */
export const NONCE_BYTES = 16;
/** Bytes of the authentication code of a frame. */
export const MAC_BYTES = 16;

/** DER of a SubjectPublicKeyInfo with a P-256 key, up to its uncompressed point (RFC 5480). */
const SPKI_HEAD = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');
const CURVE = 'prime256v1';
const KEY_BYTES = 32;
const INFO = 'tandem-serial/1';

/** What one side says of itself at the beginning of a session. */
export interface Introduction {
  readonly nonce: Buffer;
  /** Highest version of the line's protocol that it speaks. */
  readonly version: number;
}

/** The codes of one session, for both directions. */
export interface SessionKeys {
  /** Code of what this node sends. */
  sign(bytes: Buffer): Buffer;
  /** Whether the peer of this session has sent these bytes. */
  verify(bytes: Buffer, mac: Buffer): boolean;
}

/** Own identity on the line, and the way from the peer's key to keys of a session. */
export class SerialIdentity {
  /** Own public key as it goes over the line. */
  readonly point: Buffer;
  readonly #node: NodeId;
  readonly #pair: Buffer;
  readonly #privateKey: KeyObject;
  readonly #keys: Pick<PairKeys, 'peerSpkiSha256' | 'refresh'>;
  /** The agreed secret; it is the same as long as the keys are, so it is made once. */
  #secret: Buffer | null = null;
  /** Pin of the key that the secret was made with. */
  #madeWith = '';

  /** Throws `pair.keys_damaged` when the key is not one of those that `createKeys` makes. */
  constructor(keys: PairKeys) {
    this.#node = keys.node;
    this.#pair = Buffer.from(keys.pair, 'hex');
    this.#keys = keys;
    this.#privateKey = createPrivateKey(keys.keyPem);
    const spki = createPublicKey(keys.keyPem).export({ type: 'spki', format: 'der' });
    if (!spki.subarray(0, SPKI_HEAD.length).equals(SPKI_HEAD)) {
      throw new UpdateError('pair.keys_damaged', 'the key of this node is not a P-256 key');
    }
    this.point = convert(spki.subarray(SPKI_HEAD.length), 'compressed');
  }

  /** Whether this is the peer's key: `own` = this node's, as when a line leads back to itself. */
  judge(point: Buffer): 'peer' | 'own' | 'other' {
    if (point.equals(this.point)) return 'own';
    const spki = spkiOf(point);
    if (spki === null) return 'other';
    const found = createHash('sha256').update(spki).digest('hex');
    if (found !== this.#keys.peerSpkiSha256) {
      // The peer may have been replaced; it introduces itself again.
      void this.#keys.refresh?.();
      return 'other';
    }
    if (this.#secret === null || this.#madeWith !== found) {
      const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
      this.#secret = diffieHellman({ privateKey: this.#privateKey, publicKey });
      this.#madeWith = found;
    }
    return 'peer';
  }

  /** Keys of the session between these two; null before the peer's key was judged. */
  sessionKeys(own: Introduction, peer: Introduction): SessionKeys | null {
    if (this.#secret === null) return null;
    const [a, b] = this.#node === 'A' ? [own, peer] : [peer, own];
    const versions = Buffer.from([a.version, b.version]);
    const info = Buffer.concat([Buffer.from(INFO), versions, a.nonce, b.nonce]);
    const made = hkdfSync('sha256', this.#secret, this.#pair, info, 2 * KEY_BYTES);
    const keys = { A: Buffer.from(made, 0, KEY_BYTES), B: Buffer.from(made, KEY_BYTES) };
    return {
      sign: (bytes) => mac(keys[this.#node], bytes),
      verify: (bytes, found) =>
        found.length === MAC_BYTES && timingSafeEqual(mac(keys[peerOf(this.#node)], bytes), found),
    };
  }
}

function mac(key: Buffer, bytes: Buffer): Buffer {
  return createHmac('sha256', key).update(bytes).digest().subarray(0, MAC_BYTES);
}

/** The key's DER as its digest is made of it, or null when the point is not on the curve. */
function spkiOf(point: Buffer): Buffer | null {
  try {
    return Buffer.concat([SPKI_HEAD, convert(point, 'uncompressed')]);
  } catch {
    return null;
  }
}

function convert(point: Buffer, form: 'compressed' | 'uncompressed'): Buffer {
  return ECDH.convertKey(point, CURVE, undefined, undefined, form) as Buffer;
}
