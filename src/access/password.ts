/**
 * Passwords as they are kept: scrypt (RFC 7914) with a salt and with its parameters in each entry,
 * so that they can grow without a new format. Always holds: the work is done in a thread of the
 * pool and never on the event loop; a damaged entry cannot ask for more than a bounded amount of
 * memory and time; the comparison takes the same time wherever the two differ. Imports core.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { normalPassword } from '../core/access-policy.ts';

/** What one password costs to check: memory is 128 * N * r bytes, time grows with N * r * p. */
export interface Cost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** 32 MiB, about a tenth of a second on an appliance. */
export const COST: Cost = { N: 2 ** 15, r: 8, p: 1 };

/** A password as it is kept. */
export interface PasswordHash extends Cost {
  readonly kdf: 'scrypt';
  /** Base64. */
  readonly salt: string;
  readonly hash: string;
}

const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Most memory that an entry may ask for: four times what a new one does. */
const MEMORY_BYTES_MAX = 128 * 1024 * 1024;
const P_MAX = 4;

/** A new entry for a password. */
export async function hashPassword(password: string, cost: Cost): Promise<PasswordHash> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, salt, cost);
  const { N, r, p } = cost;
  return { kdf: 'scrypt', N, r, p, salt: salt.toString('base64'), hash: hash.toString('base64') };
}

/** Whether it is the password of the entry. */
export async function isPassword(password: string, kept: PasswordHash): Promise<boolean> {
  const found = await derive(password, Buffer.from(kept.salt, 'base64'), kept);
  return timingSafeEqual(found, Buffer.from(kept.hash, 'base64'));
}

/**
 * Does the work of a comparison for a name that nobody has, so that the time of the answer does not
 * tell names from no names. Never true.
 */
export async function comparePretended(password: string, cost: Cost): Promise<false> {
  const found = await derive(password, Buffer.alloc(SALT_BYTES), cost);
  timingSafeEqual(found, Buffer.alloc(HASH_BYTES));
  return false;
}

/** Whether a value from a file is an entry that can be used. */
export function isPasswordHash(value: unknown): value is PasswordHash {
  const entry = value as Partial<PasswordHash> | null;
  if (typeof entry !== 'object' || entry === null || entry.kdf !== 'scrypt') return false;
  const { N = 0, r = 0, p = 0, salt, hash } = entry;
  const whole = [N, r, p].every((number) => Number.isSafeInteger(number) && number > 0);
  // N is a power of two above 1 (RFC 7914, section 2).
  const good = whole && N > 1 && Math.log2(N) % 1 === 0 && p <= P_MAX;
  return good && memoryBytes({ N, r, p }) <= MEMORY_BYTES_MAX && isBytes(salt) && isBytes(hash, 32);
}

function isBytes(value: unknown, exactly?: number): boolean {
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/]{16,88}={0,2}$/.test(value)) return false;
  const { length } = Buffer.from(value, 'base64');
  return exactly === undefined ? length >= SALT_BYTES : length === exactly;
}

const memoryBytes = ({ N, r, p }: Cost): number => 128 * r * (N + p);

function derive(password: string, salt: Buffer, cost: Cost): Promise<Buffer> {
  const { N, r, p } = cost;
  // OpenSSL counts a little more than the formula.
  const maxmem = memoryBytes(cost) + 1024 * 1024;
  const text = normalPassword(password);
  return new Promise((resolve, reject) => {
    scrypt(text, salt, HASH_BYTES, { N, r, p, maxmem }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
