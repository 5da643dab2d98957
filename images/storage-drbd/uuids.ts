/**
 * Generation ids as DRBD keeps them, and what core calls a generation. Always holds: the lowest bit
 * of an id, by which DRBD notes a primary, is no part of it; a copy that never held anything has
 * core's id of such a copy. Source: drbd user's guide 8.4, "Generation Identifiers"; the text is
 * that of `drbdsetup get-gi`. Pure; imports core types.
 */
import { UpdateError } from '../../src/core/errors.ts';
import type { Generation } from '../../src/core/records.ts';
import { NEW_GENERATION } from '../storage/generation.ts';

/** DRBD's id of a copy whose meta-data were just made: UUID_JUST_CREATED in its sources. */
const JUST_CREATED = 4n;
const IDS = /^\s*([0-9A-F]{16}):([0-9A-F]{16}):([0-9A-F]{16}):([0-9A-F]{16}):/im;

/** The ids of a copy; throws `store.io` for words that are none. */
export function parseIds(text: string): Generation {
  const match = IDS.exec(text);
  if (match === null) {
    throw new UpdateError('store.io', `DRBD tells no generation ids: ${text.slice(0, 200)}`);
  }
  const [current = 0n, bitmap = 0n, ...history] = match
    .slice(1)
    .map((word) => BigInt(`0x${word}`) & ~1n);
  const ids = history.filter((id) => id !== 0n);
  return {
    current: current === JUST_CREATED ? NEW_GENERATION : wordOf(current),
    base: bitmap === 0n ? null : wordOf(bitmap),
    history: ids.map(wordOf),
  };
}

const wordOf = (id: bigint): string => id.toString(16).padStart(16, '0');
