/**
 * The fields of requests, checked: whatever comes over the socket is anything at first. Pure;
 * imports core and the limits.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { KEY_CHARS_MAX, LIST_MAX } from './limits.ts';

/** An epoch; throws `usage.invalid`, as all of these do. */
export function epochOf(epoch: unknown): number {
  if (Number.isSafeInteger(epoch) && (epoch as number) >= 0) return epoch as number;
  throw new UpdateError('usage.invalid', 'an epoch is a whole number from 0');
}

/** The bytes of a value. */
export function bytesOf(value: unknown): Buffer {
  if (typeof value === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(value)) {
    return Buffer.from(value, 'base64');
  }
  throw new UpdateError('usage.invalid', 'a value is bytes in base64');
}

/** A key, or the beginning of one. */
export function textOf(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'string' && value.length <= KEY_CHARS_MAX) return value;
  throw new UpdateError('usage.invalid', 'prefix and after are keys or beginnings of keys');
}

/** Words of a person. */
export function lineOf(value: unknown): string {
  if (typeof value === 'string' && value.length <= 500) return value;
  throw new UpdateError('usage.invalid', 'by and reason are lines of at most 500 characters');
}

/** How many keys a list may have. */
export function limitOf(value: unknown): number {
  if (value === undefined) return LIST_MAX;
  if (Number.isSafeInteger(value) && (value as number) > 0) {
    return Math.min(value as number, LIST_MAX);
  }
  throw new UpdateError('usage.invalid', `a limit is a whole number from 1 to ${LIST_MAX}`);
}
