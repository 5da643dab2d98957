/**
 * The trust root of one key, for demos, benches and tests. Always holds: that key alone signs, and
 * it is nobody's product key. Imports bundle.
 */
import type { SigningKey } from '../../src/bundle/keys.ts';
import { ROOT_SCHEMA, type RootFile } from '../../src/bundle/trust.ts';

/** The first root, in which this key is enough; `name` is shown to people. */
export function trustRootOf(key: Pick<SigningKey, 'keyid' | 'public'>, name: string): RootFile {
  const only = { keyid: key.keyid, scheme: 'ed25519', public: key.public, name } as const;
  return { schema: ROOT_SCHEMA, version: 1, threshold: 1, keys: [only] };
}
