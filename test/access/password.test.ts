/**
 * Passwords as they are kept: what fits, what does not, and entries that are refused because they
 * are damaged or ask for too much. May import tap and the room of access.
 */
import t from 'tap';
import {
  comparePretended,
  COST,
  hashPassword,
  isPassword,
  isPasswordHash,
  type PasswordHash,
} from '../../src/access/password.ts';
import { CHEAP } from './bench.ts';

const PASSWORD = 'correct horse battery';

t.test('a password fits its own entry alone', async (t) => {
  const one = await hashPassword(PASSWORD, CHEAP);
  const other = await hashPassword(PASSWORD, CHEAP);
  t.not(one.salt, other.salt, 'each has a salt');
  t.not(one.hash, other.hash);
  t.ok(await isPassword(PASSWORD, one));
  t.ok(await isPassword(PASSWORD, other));
  for (const wrong of ['', `${PASSWORD} `, PASSWORD.toUpperCase()]) {
    t.notOk(await isPassword(wrong, one), wrong);
  }
  t.equal(await comparePretended(PASSWORD, CHEAP), false);
  t.ok(
    await isPassword('\u00fcber den Wolken', await hashPassword('u\u0308ber den Wolken', CHEAP)),
  );
});

t.test('an entry keeps its own parameters', async (t) => {
  const old = await hashPassword(PASSWORD, { N: 32, r: 1, p: 2 });
  t.match(old, { kdf: 'scrypt', N: 32, r: 1, p: 2 });
  t.ok(await isPassword(PASSWORD, old));
  t.notOk(await isPassword(PASSWORD, { ...old, N: 64 }));
});

t.test('what is used takes 32 MiB', async (t) => {
  t.strictSame(COST, { N: 32768, r: 8, p: 1 });
  const kept = await hashPassword(PASSWORD, COST);
  t.ok(isPasswordHash(kept));
  t.ok(await isPassword(PASSWORD, kept));
});

t.test('a damaged entry is no entry', async (t) => {
  const good = await hashPassword(PASSWORD, CHEAP);
  t.ok(isPasswordHash(good));
  const damaged: readonly Partial<Record<keyof PasswordHash, unknown>>[] = [
    { kdf: 'md5' },
    { N: 0 },
    { N: 1 },
    { N: 33 },
    { N: 2 ** 30 },
    { N: -32 },
    { N: '32' },
    { r: 0 },
    { r: 1e9 },
    { p: 5 },
    { p: 0.5 },
    { salt: '' },
    { salt: 7 },
    { salt: 'AAAA' },
    { hash: 'AAAA' },
    { hash: `${good.hash}\n` },
    { hash: undefined },
  ];
  for (const change of damaged) {
    t.notOk(isPasswordHash({ ...good, ...change }), JSON.stringify(change));
  }
  for (const odd of [null, 7, 'x', []]) t.notOk(isPasswordHash(odd));
});
