/**
 * Limits of the store, and the check of keys. Every list, frame, object and wait in the storage
 * software has its bound here or beside its use. Pure; imports core.
 */
import { UpdateError } from '../../src/core/errors.ts';

/** Largest object. */
export const VALUE_BYTES_MAX = 1024 * 1024;
/** Longest key; keys are plain ASCII, so characters are bytes. */
export const KEY_CHARS_MAX = 200;
/** Most keys that one `list` answers with. */
export const LIST_MAX = 1000;
/** Writes that may wait for their acknowledgement. */
export const PENDING_MAX = 4096;
/** Bytes of values that the waiting writes may hold together. */
export const PENDING_BYTES_MAX = 32 * 1024 * 1024;
/** Space that is left free on the data partition: writes are refused before it is used. */
export const RESERVE_BYTES = 24 * 1024 * 1024;
/** Sync objects under way at a time; bounds what a live write waits behind. */
export const SYNC_WINDOW_BYTES = 2 * 1024 * 1024;

/** Lowest format level of the disk that this program reads and writes; 2 adds compression. */
export const FORMAT_MIN = 1;
/** The highest level; a disk above it is left alone. */
export const FORMAT_MAX = 2;
/** Replication protocols that this program speaks, lowest and highest. */
export const PROTOCOL: readonly [min: number, max: number] = [1, 2];
/** From this protocol on the two sides ask each other questions (talk.ts). */
export const PROTOCOL_TALK = 2;

/** Records that one digest of a comparison stands for, on average. */
export const BUCKET_RECORDS = 256;
/** Items in one answer: the longest keys with their hashes stay below 320 KiB. */
export const ITEMS_MAX = 1000;
/** Bytes of values that a comparison reads per second at most, on each side. */
export const VERIFY_RATE_BPS = 32 * 1024 * 1024;
/** Differences that a report names. */
export const DIFFERENCES_MAX = 100;

const KEY = /^[A-Za-z0-9._~:@+=,/-]{1,200}$/;

/** The key, if it is one; throws `usage.invalid`. */
export function checkKey(key: unknown): string {
  if (typeof key === 'string' && KEY.test(key)) return key;
  throw new UpdateError(
    'usage.invalid',
    `a key has 1 to ${KEY_CHARS_MAX} characters out of A-Z a-z 0-9 . _ ~ : @ + = , / -`,
  );
}

/** The value, if it is not too large; throws `usage.invalid`. */
export function checkValue(value: Buffer): Buffer {
  if (value.length <= VALUE_BYTES_MAX) return value;
  throw new UpdateError(
    'usage.invalid',
    `an object has at most ${VALUE_BYTES_MAX} bytes, this one has ${value.length}`,
  );
}
