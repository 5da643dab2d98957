/**
 * The desk: logins and their refusals, waits after failures over a restart, recovery codes without
 * a clock, and what stands in the audit log. May import tap, node: and the desk.
 */
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { UpdateError } from '../../src/core/errors.ts';
import { openDesk, PASSWORD, ROOT, type DeskBench } from './access-bench.ts';

const S = 1000;
const NEXT = 'another lamp in the cellar';

/** The code of a refusal and its message. */
async function refusal(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error = await work.then(
    () => null,
    (one: UpdateError) => one,
  );
  return { code: error?.code ?? 'none', message: error?.message ?? '' };
}

const wrong = (bench: DeskBench, user: string): Promise<{ code: string; message: string }> =>
  refusal(bench.desk.login({ user, password: 'not this one' }));

t.test('without a user nobody gets in, and the code says how to make one', async (t) => {
  await using bench = await openDesk();
  const { desk } = bench;
  const none = { code: 'access.no_users', message: /node A has no user yet/ };
  await t.rejects(desk.login({ user: 'root', password: '' }), none);
  await t.rejects(desk.enter(null), none);
  await t.rejects(desk.recover({ user: 'a', code: 'x', password: NEXT }), none);
  t.strictSame(await desk.users(), { users: [], unknownLockedS: 0 });
});

t.test('a login gives a token, and the token is the session', async (t) => {
  await using bench = await openDesk();
  const { desk, clock } = bench;
  await bench.add('anna', 'operator');
  const seat = { tty: '/dev/ttyS0', remote: '192.0.2.7' };
  const { token, ...view } = await desk.login({ user: 'anna', password: PASSWORD, ...seat });
  t.strictSame(view, {
    user: 'anna',
    role: 'operator',
    via: 'console',
    node: 'A',
    where: '/dev/ttyS0 from 192.0.2.7',
    idleS: 600,
    leftS: 600,
    watching: false,
    operator: false,
  });
  const visitor = await desk.enter(token);
  t.match(visitor, { name: 'anna', role: 'operator', via: 'console' });
  clock.ms += 100 * S;
  t.match(desk.view(visitor), { leftS: 500 });
  t.match(desk.activity(visitor), { leftS: 600 });
  desk.logout(visitor);
  await t.rejects(desk.enter(token), { code: 'access.login_required', message: /logged out/ });
  t.strictSame(bench.lines(), ['user add root done', 'login anna done', 'logout anna done']);
  t.match(bench.notes[1], { via: 'console', message: 'operator on /dev/ttyS0 from 192.0.2.7' });
  t.notMatch(JSON.stringify(bench.notes), 'horse');
  t.notMatch(JSON.stringify(bench.notes), token);
});

t.test('a restart of the daemon ends every session', async (t) => {
  await using bench = await openDesk();
  await bench.add('anna', 'viewer');
  const { token } = await bench.desk.login({ user: 'anna', password: PASSWORD });
  await bench.restart();
  await t.rejects(bench.desk.enter(token), { code: 'access.login_required' });
});

t.test('a wrong name and a wrong password are told alike', async (t) => {
  await using bench = await openDesk();
  await bench.add('anna', 'viewer');
  const [name, password] = [await wrong(bench, 'nobody'), await wrong(bench, 'anna')];
  t.equal(password.code, 'access.denied');
  t.strictSame(name, password);
  t.strictSame(bench.lines().slice(1), [
    'login unknown name refused access.denied',
    'login anna refused access.denied',
  ]);
  t.notMatch(JSON.stringify(bench.notes), 'nobody', 'what was typed might be a password');
});

t.test('failures make wait, over a restart too, and others go on', async (t) => {
  await using bench = await openDesk();
  await bench.add('anna', 'administrator');
  await bench.add('ben', 'viewer');
  const told: string[] = [];
  for (let n = 0; n < 5; n++) told.push((await wrong(bench, 'anna')).code);
  t.strictSame(
    told,
    Array.from({ length: 5 }, () => 'access.denied'),
  );
  const good = { user: 'anna', password: PASSWORD };
  await t.rejects(bench.desk.login(good), { code: 'access.locked', detail: { waitS: 5 } });
  await bench.visit('ben');
  t.match((await bench.desk.users()).users[0], { name: 'anna', failures: 5, lockedS: 5 });
  await bench.restart();
  await t.rejects(bench.desk.login(good), { code: 'access.locked', detail: { waitS: 5 } });
  bench.clock.ms += 5 * S;
  t.equal(
    (await wrong(bench, 'anna')).message,
    'the name or the password is wrong; no login is accepted for 10 s',
  );
  bench.clock.ms += 10 * S;
  t.match(await bench.desk.login(good), { user: 'anna' }, 'a good login resets');
  t.equal((await wrong(bench, 'anna')).message, 'the name or the password is wrong');
  const lines = bench.lines();
  t.equal(lines.filter((line) => line === 'lock-out anna done access.locked').length, 2);
  t.equal(lines.filter((line) => line.startsWith('login anna refused')).length, 7);
});

t.test('unknown names wait together, and are unlocked together', async (t) => {
  await using bench = await openDesk();
  await bench.add('anna', 'viewer');
  for (const name of ['a', 'b', 'c', 'd', '__proto__']) await wrong(bench, name);
  t.equal((await wrong(bench, 'f')).code, 'access.locked');
  t.match(await bench.desk.users(), { unknownLockedS: 5 });
  await bench.visit('anna');
  await bench.desk.changeUser(ROOT, { do: 'unlock' });
  t.equal((await wrong(bench, 'f')).code, 'access.denied');
});

t.test('a file that cannot be trusted closes the door, and opens nothing', async (t) => {
  await using bench = await openDesk();
  const { desk, folder } = bench;
  await bench.add('anna', 'administrator');
  const inside = await bench.visit('anna');
  const path = join(folder, 'users.json');
  const text = readFileSync(path, 'utf8');
  const attempts: readonly (() => Promise<unknown>)[] = [
    () => desk.login({ user: 'anna', password: PASSWORD }),
    () => desk.recover({ user: 'anna', code: 'x', password: NEXT }),
    () => desk.enter(null),
    () => desk.enter('A'.repeat(43)),
    () => desk.users(),
    () =>
      desk.changeUser(inside, { do: 'add', name: 'eve', role: 'administrator', password: NEXT }),
  ];
  for (const damaged of ['', '{"schema":1,"users":[{}]}', text.slice(0, -20)]) {
    writeFileSync(path, damaged);
    for (const attempt of attempts) await t.rejects(attempt(), { code: 'access.users_damaged' });
  }
  writeFileSync(path, text);
  chmodSync(path, 0o644);
  for (const attempt of attempts) await t.rejects(attempt(), { code: 'access.users_damaged' });
  rmSync(path);
  await t.rejects(desk.enter(null), { code: 'access.no_users' });
});

t.test('a recovery code sets a new password once, whatever was failed before', async (t) => {
  await using bench = await openDesk();
  const { desk } = bench;
  await bench.add('anna', 'administrator');
  for (let n = 0; n < 6; n++) await wrong(bench, 'anna');
  const before = await desk.changeUser(ROOT, { do: 'recovery', name: 'anna' });
  t.match(before, { code: /^[0-9A-Z]{4}(-[0-9A-Z]{4}){3}$/, user: { recoveryS: 24 * 3600 } });
  const made = await desk.changeUser(ROOT, { do: 'recovery', name: 'anna', validS: 3600 });
  const code = made.code!;
  const answer = { user: 'anna', password: NEXT };
  const no = { code: 'access.recovery_wrong' };
  await t.rejects(desk.recover({ ...answer, code: before.code! }), no, 'the newer one counts');
  await t.rejects(desk.recover({ ...answer, user: 'ben', code }), no, 'of another name');
  await t.rejects(desk.recover({ ...answer, code, password: 'short' }), {
    code: 'access.password_weak',
  });
  const typed = code.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'i');
  t.match(await desk.recover({ ...answer, code: typed }), { user: 'anna', operator: false });
  await t.rejects(desk.recover({ ...answer, code }), no, 'it is used');
  t.equal((await refusal(desk.login({ user: 'anna', password: PASSWORD }))).code, 'access.denied');
  t.match(await desk.login({ user: 'anna', password: NEXT }), { user: 'anna' });
  t.match((await desk.users()).users[0], { recoveryS: null, failures: 0 });
  t.notMatch(readFileSync(join(bench.folder, 'users.json'), 'utf8'), code);
  t.notMatch(JSON.stringify(bench.notes), code);
});

t.test('a recovery code lives in the daemon until its time is over', async (t) => {
  await using bench = await openDesk();
  await bench.add('anna', 'administrator');
  const make = async (): Promise<string> => {
    const request = { do: 'recovery', name: 'anna', validS: 3600 } as const;
    return (await bench.desk.changeUser(ROOT, request)).code!;
  };
  const code = await make();
  bench.clock.ms += 1800 * S;
  await bench.restart();
  t.match((await bench.desk.users()).users[0], { recoveryS: 1740 }, 'a start costs a minute');
  const answer = { user: 'anna', password: NEXT, code };
  bench.clock.ms += 1739 * S;
  t.match(await bench.desk.recover(answer), { user: 'anna' });
  const late = { ...answer, code: await make() };
  bench.clock.ms += 3600 * S;
  await t.rejects(bench.desk.recover(late), { code: 'access.recovery_wrong' });
});

t.test('wrong codes make wait apart from wrong passwords', async (t) => {
  await using bench = await openDesk();
  await bench.add('anna', 'viewer');
  await bench.desk.changeUser(ROOT, { do: 'recovery', name: 'anna' });
  const answer = { user: 'anna', password: NEXT, code: '0000-0000-0000-0000' };
  for (let n = 0; n < 5; n++) await refusal(bench.desk.recover(answer));
  t.equal((await refusal(bench.desk.recover(answer))).code, 'access.locked');
  t.ok(await bench.visit('anna'));
});

t.test('one changes the own password, and the other sessions end', async (t) => {
  await using bench = await openDesk();
  const { desk } = bench;
  await bench.add('anna', 'viewer');
  const [one, two] = [await bench.visit('anna'), await bench.visit('anna')];
  const request = { old: PASSWORD, password: NEXT };
  await t.rejects(desk.changePassword(one, { ...request, old: 'x' }), { code: 'access.denied' });
  await t.rejects(desk.changePassword(one, { ...request, password: 'anna' }), {
    code: 'access.password_weak',
  });
  await t.rejects(desk.changePassword(ROOT, request), { code: 'usage.invalid' });
  t.match(await desk.changePassword(one, request), { user: 'anna' });
  t.ok(two.ended?.aborted);
  t.notOk(one.ended?.aborted);
  t.equal((await refusal(desk.login({ user: 'anna', password: PASSWORD }))).code, 'access.denied');
});

t.test('more logins than may wait are told to come again', async (t) => {
  await using bench = await openDesk();
  await bench.add('anna', 'viewer');
  const all = await Promise.all(Array.from({ length: 12 }, () => wrong(bench, 'anna')));
  const count = (code: string): number => all.filter((one) => one.code === code).length;
  t.equal(count('daemon.busy'), 4);
  t.equal(count('access.denied'), 5, 'each was counted before the next was judged');
  t.equal(count('access.locked'), 3);
});
