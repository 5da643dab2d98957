/**
 * Keys that are the same in every run, so that a seed alone replays an input. Always holds: nobody
 * trusts them anywhere. Imports node: and the second maker of bundles.
 */
import { createPrivateKey, createPublicKey, hash } from 'node:crypto';
import { sha256, type TestKey } from '../bundle/craft.ts';

/** PKCS #8 around the 32 bytes of an Ed25519 key (RFC 8410, section 7). */
const HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The key with that number. */
export function fixedKey(number: number): TestKey {
  const secret = hash('sha256', `key ${number} of the fuzz targets`, 'buffer');
  const der = Buffer.concat([HEAD, secret]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return { keyid: sha256(spki), private: key, der: spki };
}
