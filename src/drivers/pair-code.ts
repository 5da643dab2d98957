/**
 * The one-time code of a pairing as people read and type it: 128 random bits in Crockford's base
 * 32 (26 digits, the two lowest bits zero) and two check digits, in seven groups of four. The
 * check is the number modulo 1021, a prime modulo which 32 has order 204: longer than the code, so
 * every single wrong digit and every exchange of two digits is found; of other errors one in a
 * thousand is not. Always holds: what `decodeCode` returns was a well-formed code. Imports core.
 */
import { randomBytes } from 'node:crypto';
import { UpdateError } from '../core/errors.ts';

/** Bytes of the secret in a code. */
export const SECRET_BYTES = 16;
/** https://www.crockford.com/base32.html: no I, L, O, U. */
const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const SECRET_DIGITS = 26;
const CHECK_DIGITS = 2;
const CODE_DIGITS = SECRET_DIGITS + CHECK_DIGITS;
const CHECK_MODULUS = 1021n;

/** A new secret. */
export const newSecret = (): Buffer => randomBytes(SECRET_BYTES);

/** The code of a secret of 16 bytes: `XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX`. */
export function encodeCode(secret: Buffer): string {
  const value = BigInt(`0x${secret.toString('hex')}`) << 2n;
  const text = digits(value, SECRET_DIGITS) + digits(value % CHECK_MODULUS, CHECK_DIGITS);
  return text.replace(/.{4}(?=.)/g, '$&-');
}

/**
 * The secret of a code as it was typed: case, blanks and hyphens do not count, O is read as 0, I
 * and L as 1. Throws `pair.code_malformed` when digits are missing, foreign or wrong.
 */
export function decodeCode(text: string): Buffer {
  const typed = text
    .slice(0, 200)
    .toUpperCase()
    .replace(/[\s-]/g, '')
    .replace(/O/g, '0')
    .replace(/[IL]/g, '1');
  const foreign = /[^0-9A-HJKMNP-TV-Z]/u.exec(typed);
  if (foreign) throw malformed(`${foreign[0]} is not a digit of a pairing code`);
  if (typed.length !== CODE_DIGITS) {
    throw malformed(`found ${typed.length} digits, expected ${CODE_DIGITS}`);
  }
  const value = valueOf(typed.slice(0, SECRET_DIGITS));
  if (value & 3n || value % CHECK_MODULUS !== valueOf(typed.slice(SECRET_DIGITS))) {
    throw malformed('the check digits do not fit: one or more digits are wrong');
  }
  return Buffer.from((value >> 2n).toString(16).padStart(2 * SECRET_BYTES, '0'), 'hex');
}

function digits(value: bigint, count: number): string {
  let text = '';
  for (let rest = value; text.length < count; rest >>= 5n) {
    text = DIGITS.charAt(Number(rest & 31n)) + text;
  }
  return text;
}

const valueOf = (text: string): bigint =>
  text.split('').reduce((value, digit) => value * 32n + BigInt(DIGITS.indexOf(digit)), 0n);

const malformed = (found: string): UpdateError => new UpdateError('pair.code_malformed', found);
