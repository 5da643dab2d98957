/**
 * The file of the users: what is written is read again, and a file that is damaged, of a newer
 * program, or open to others gives an error with what is wrong, never an empty list. May import tap
 * and the room of access.
 */
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { hashPassword } from '../../src/access/password.ts';
import { PRIVATE_BYTES_MAX } from '../../src/access/private-file.ts';
import { UsersFile, type User } from '../../src/access/users-file.ts';
import { CHEAP } from './bench.ts';

const AT = '2026-11-21T11:35:48.000Z';
const password = await hashPassword('correct horse battery', CHEAP);
const user = (name: string, changes: object = {}): User => ({
  name,
  role: 'viewer',
  password,
  addedAt: AT,
  passwordAt: AT,
  ...changes,
});

t.test('what is written is read again, and only its owner may', async (t) => {
  const path = join(t.testdir(), 'users.json');
  const file = new UsersFile(path);
  t.strictSame(await file.read(), [], 'no file: no users');
  await file.write([user('ben'), user('anna', { recovery: 'ab'.repeat(32) })]);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.strictSame(
    (await file.read()).map(({ name }) => name),
    ['anna', 'ben'],
  );
  t.notMatch(readFileSync(path, 'utf8'), 'horse');
});

const DAMAGED: readonly (readonly [string, string, RegExp])[] = [
  ['empty', '', /is not JSON/],
  ['cut off', '{"schema":1,"users":[{"name":"an', /is not JSON/],
  ['a list', '[]', /no JSON object/],
  ['another file', '{"a":1}', /no file of users/],
  ['no list', '{"schema":1,"users":{}}', /no file of users/],
  ['null in it', '{"schema":1,"users":[null]}', /not valid: entry 1/],
  [
    'no password',
    `{"schema":1,"users":[${JSON.stringify(user('a', { password: '' }))}]}`,
    /entry 1/,
  ],
  ['a role', `{"schema":1,"users":[${JSON.stringify(user('a', { role: 'root' }))}]}`, /entry 1/],
  ['a name', `{"schema":1,"users":[${JSON.stringify(user('a/b'))}]}`, /entry 1/],
  ['a recovery', `{"schema":1,"users":[${JSON.stringify(user('a', { recovery: 1 }))}]}`, /entry 1/],
  [
    'twice',
    `{"schema":1,"users":[${JSON.stringify(user('a'))},${JSON.stringify(user('a'))}]}`,
    /user a twice/,
  ],
  ['too many', `{"schema":1,"users":[${'1,'.repeat(64)}1]}`, /has 65 users/],
  ['too long', ' '.repeat(PRIVATE_BYTES_MAX + 1), /bytes; accepted/],
];

for (const [name, text, words] of DAMAGED) {
  t.test(`damaged: ${name}`, async (t) => {
    const path = join(t.testdir(), 'users.json');
    writeFileSync(path, text, { mode: 0o600 });
    const file = new UsersFile(path);
    await t.rejects(file.read(), { code: 'access.users_damaged', message: words });
    await t.rejects(file.read(), { message: path, detail: { file: path } });
  });
}

t.test('the file of a newer program is not guessed at', async (t) => {
  const path = join(t.testdir(), 'users.json');
  writeFileSync(path, '{"schema":2,"users":[]}', { mode: 0o600 });
  await t.rejects(new UsersFile(path).read(), { code: 'state.newer_schema' });
});

t.test('a file that others could read or write is not trusted', async (t) => {
  const path = join(t.testdir(), 'users.json');
  const file = new UsersFile(path);
  await file.write([user('anna')]);
  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o777]) {
    chmodSync(path, mode);
    const words = new RegExp(`mode 0${mode.toString(8)}; accepted: 0600`);
    await t.rejects(file.read(), { code: 'access.users_damaged', message: words });
  }
  chmodSync(path, 0o400);
  t.equal((await file.read()).length, 1);
});

t.test('what is no plain file is not read', async (t) => {
  const folder = t.testdir();
  const real = join(folder, 'real.json');
  await new UsersFile(real).write([user('anna')]);
  const link = join(folder, 'link.json');
  symlinkSync(real, link);
  await t.rejects(new UsersFile(link).read(), { message: /is a symbolic link/ });
  const directory = join(folder, 'directory');
  mkdirSync(directory);
  await t.rejects(new UsersFile(directory).read(), { code: 'access.users_damaged' });
  await t.rejects(new UsersFile(join(directory, 'none', 'x')).write([]), { code: 'state.io' });
});
