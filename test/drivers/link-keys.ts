/**
 * Keys of two paired nodes and of a stranger, made once per test file. Imports tap's Test type and
 * the drivers of the keys.
 */
import { join } from 'node:path';
import { createKeys, type NodeKeys, type PairKeys } from '../../src/drivers/keys.ts';

export interface LinkKeys {
  readonly a: PairKeys;
  readonly b: PairKeys;
  readonly stranger: NodeKeys;
}

/** Makes the keys in folders under `dir`. */
export async function makeLinkKeys(dir: string): Promise<LinkKeys> {
  const [a, b, stranger] = await Promise.all([
    createKeys(join(dir, 'a'), 'A'),
    createKeys(join(dir, 'b'), 'B'),
    createKeys(join(dir, 'stranger'), 'A'),
  ]);
  const pair = '0123456789abcdef0123456789abcdef';
  return {
    a: { ...a, node: 'A', pair, peerSpkiSha256: b.spkiSha256 },
    b: { ...b, node: 'B', pair, peerSpkiSha256: a.spkiSha256 },
    stranger,
  };
}

/** The keys with a pin that is nobody's. */
export const withWrongPin = (keys: PairKeys): PairKeys => ({
  ...keys,
  peerSpkiSha256: 'ab'.repeat(32),
});
