/**
 * Recovery codes: 80 random bits in Crockford's base 32 as four groups of four digits, which can be
 * read over a telephone. Always holds: only the digest of a code is kept; it is bound to the name
 * that it was made for. 80 bits cannot be guessed within its validity, so a plain digest will do.
 * Imports nothing.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** https://www.crockford.com/base32.html: no I, L, O, U. */
const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const CODE_DIGITS = 16;

/** A new code, e.g. `7QKD-0M3T-ZX9A-H2PV`. */
export function newRecoveryCode(): string {
  // 32 divides 256, so that every digit is equally likely.
  const digits = [...randomBytes(CODE_DIGITS)].map((byte) => DIGITS.charAt(byte % 32));
  return digits.join('').replace(/.{4}(?=.)/g, '$&-');
}

/** What is kept of a code, in hex. Case, blanks and hyphens do not count; O is 0, I and L are 1. */
export function recoveryDigest(name: string, code: string): string {
  const typed = code
    .slice(0, 200)
    .toUpperCase()
    .replace(/[\s-]/g, '')
    .replace(/O/g, '0')
    .replace(/[IL]/g, '1');
  return createHash('sha256').update(`tandem recovery\0${name}\0${typed}`).digest('hex');
}

/** Whether the code is the one of the digest. */
export function isRecoveryCode(name: string, code: string, digest: string): boolean {
  const found = Buffer.from(recoveryDigest(name, code), 'hex');
  const kept = Buffer.from(digest, 'hex');
  return found.length === kept.length && timingSafeEqual(found, kept);
}
