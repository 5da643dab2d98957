/**
 * Key directories of two paired nodes and of a stranger who claims to be node A. May import the
 * driver of the keys.
 */
import { join } from 'node:path';
import { createKeys, PAIR_SCHEMA, writePairRecord } from '../../src/drivers/keys.ts';

/** Keys directories; the stranger pins B, and nobody pins the stranger. */
export interface KeyDirs {
  readonly a: string;
  readonly b: string;
  readonly stranger: string;
}

/** Makes the keys in folders under `dir`. */
export async function makePair(dir: string): Promise<KeyDirs> {
  const dirs = { a: join(dir, 'a'), b: join(dir, 'b'), stranger: join(dir, 'stranger') };
  const [a, b] = await Promise.all([
    createKeys(dirs.a, 'A'),
    createKeys(dirs.b, 'B'),
    createKeys(dirs.stranger, 'A'),
  ]);
  const base = { schema: PAIR_SCHEMA, pair: '0123456789abcdef0123456789abcdef' };
  const pinB = { ...base, node: 'A', peer: { node: 'B', spkiSha256: b.spkiSha256 } } as const;
  await writePairRecord(dirs.a, pinB);
  await writePairRecord(dirs.stranger, pinB);
  const peer = { node: 'A', spkiSha256: a.spkiSha256 } as const;
  await writePairRecord(dirs.b, { ...base, node: 'B', peer });
  return dirs;
}
