/**
 * What the desk lets whom do: roles, the one right to change the pair, sessions that look on, and
 * the administration of users. May import tap and the desk.
 */
import t from 'tap';
import { needOf } from '../../src/core/access-rules.ts';
import { openDesk, PASSWORD, ROOT } from './access-bench.ts';

const LOOK = needOf('GET /v1/status', undefined);
const UPDATE = needOf('POST /v1/jobs', { kind: 'update' });
const TAKEOVER = needOf('POST /v1/acts', { act: 'takeover' });
const USERS = needOf('GET /v1/users', undefined);

t.test('each role may do its own, and a refusal says which role is needed', async (t) => {
  await using bench = await openDesk();
  const { desk } = bench;
  for (const role of ['viewer', 'operator', 'administrator'] as const) {
    await bench.add(role.slice(0, 4), role);
  }
  const viewer = await bench.visit('view');
  const operator = await bench.visit('oper');
  desk.permit(viewer, LOOK, 'status');
  t.throws(() => desk.permit(viewer, UPDATE, 'update'), {
    code: 'access.role',
    message: 'update needs the role operator; view has the role viewer',
    detail: { role: 'viewer', needs: 'operator' },
  });
  desk.permit(operator, UPDATE, 'update');
  for (const [need, word] of [
    [TAKEOVER, 'takeover'],
    [USERS, 'users'],
  ] as const) {
    t.throws(() => desk.permit(operator, need, word), { code: 'access.role' }, word);
  }
  const administrator = await bench.visit('admi');
  desk.permit(administrator, USERS, 'users');
  t.throws(() => desk.permit(administrator, null, 'nothing'), { code: 'access.role' });
  t.match(bench.lines().slice(-6), [
    'update view refused access.role',
    'operator take oper done',
    'takeover oper refused access.role',
    'users oper refused access.role',
    'login admi done',
    'nothing admi refused access.role',
  ]);
});

t.test('one session changes the pair; the others are told who', async (t) => {
  await using bench = await openDesk();
  const { desk, clock } = bench;
  await bench.add('anna', 'operator');
  await bench.add('ben', 'operator');
  const [anna, ben] = [await bench.visit('anna', '/dev/ttyS0'), await bench.visit('ben')];
  t.equal(desk.operator(), null);
  desk.permit(anna, UPDATE, 'update');
  clock.ms += 7000;
  const at = '1970-01-01T00:00:00.000Z';
  const holder = { user: 'anna', role: 'operator', where: '/dev/ttyS0', since: at, sinceS: 7 };
  t.strictSame(desk.operator(), holder);
  t.match(desk.view(anna), { operator: true });
  t.match(desk.view(ben), { operator: false });
  const held = {
    code: 'access.held',
    message: 'anna on /dev/ttyS0 holds the right to change the pair, for 7 s now',
    detail: { user: 'anna', where: '/dev/ttyS0', sinceS: 7 },
  };
  t.throws(() => desk.permit(ben, UPDATE, 'update'), held);
  t.throws(() => desk.operate(ben, { do: 'take' }), held);
  t.throws(() => desk.operate(ben, { do: 'release' }), held);
  desk.permit(ben, LOOK, 'status');
  t.match(desk.operate(anna, { do: 'take' }), { changed: false });
  const reason = 'anna left';
  const taken = desk.operate(ben, { do: 'take', force: true, reason });
  t.match(taken, { changed: true, operator: { user: 'ben' } });
  t.match(bench.notes.at(-1), { act: 'operator take', by: 'ben', reason, message: /from anna/ });
  t.match(bench.told.at(-1), /^ben holds .* taken over from anna \(anna left\)$/);
  t.throws(() => desk.permit(anna, UPDATE, 'update'), {
    code: 'access.held',
    detail: { user: 'ben' },
  });
  t.match(desk.operate(ben, { do: 'release' }), { changed: true, operator: null });
  t.match(desk.operate(ben, { do: 'release' }), { changed: false });
});

t.test('the right is taken only from the same or a lower role', async (t) => {
  await using bench = await openDesk();
  const { desk } = bench;
  await bench.add('anna', 'administrator');
  await bench.add('ben', 'operator');
  const [anna, ben] = [await bench.visit('anna'), await bench.visit('ben')];
  desk.operate(anna, { do: 'take' });
  const force = { force: true, reason: 'in a hurry' } as const;
  t.throws(() => desk.operate(ben, { do: 'take', ...force }), {
    code: 'access.role',
    detail: { needs: 'administrator' },
  });
  t.match(bench.lines().at(-1), 'operator take ben refused access.role');
  desk.operate(anna, { do: 'release' });
  desk.operate(ben, { do: 'take' });
  t.match(desk.operate(anna, { do: 'take', ...force }), { changed: true });
});

t.test('the control socket needs no right, and may free it', async (t) => {
  await using bench = await openDesk();
  const { desk } = bench;
  await bench.add('anna', 'operator');
  desk.operate(await bench.visit('anna'), { do: 'take' });
  t.throws(() => desk.operate(ROOT, { do: 'take' }), { code: 'usage.invalid' });
  t.throws(() => desk.operate(ROOT, { do: 'release' }), { code: 'access.held' });
  const force = { force: true, reason: 'anna went home' } as const;
  t.match(desk.operate(ROOT, { do: 'release', ...force }), { changed: true, operator: null });
  t.match(desk.view(ROOT), { user: 'root', role: 'administrator', via: 'control', idleS: null });
  desk.logout(ROOT);
});

t.test('the right falls back with its session, and everybody hears of it', async (t) => {
  await using bench = await openDesk();
  const { desk, clock } = bench;
  await bench.add('anna', 'operator');
  const visitor = await bench.visit('anna');
  desk.operate(visitor, { do: 'take' });
  desk.logout(visitor);
  t.equal(desk.operator(), null);
  t.match(bench.told.at(-1), 'anna released the right to change the pair');
  desk.operate(await bench.visit('anna'), { do: 'take' });
  clock.ms += 600_000;
  t.equal(desk.operator(), null);
  t.match(bench.notes.at(-1), {
    act: 'logout',
    by: 'anna',
    message: /no key for 600 s; the right/,
  });
});

t.test('an idle console looks on while an update runs', async (t) => {
  await using bench = await openDesk();
  const { desk, clock } = bench;
  await bench.add('anna', 'operator');
  const { token } = await desk.login({ user: 'anna', password: PASSWORD });
  clock.updating = true;
  clock.ms += 600_000;
  const visitor = await desk.enter(token);
  t.match(desk.view(visitor), { watching: true, leftS: 0 });
  desk.permit(visitor, LOOK, 'status');
  t.throws(() => desk.permit(visitor, UPDATE, 'update'), { code: 'access.idle' });
  t.throws(() => desk.activity(visitor), { code: 'access.idle' });
  clock.idleMin = 60;
  t.match(desk.view(visitor), { watching: true }, 'a longer time brings nobody back');
});

t.test('users are added, changed and removed, and their sessions end', async (t) => {
  await using bench = await openDesk();
  const { desk } = bench;
  await bench.add('anna', 'administrator');
  const again = { do: 'add', name: 'anna', role: 'viewer', password: PASSWORD } as const;
  await t.rejects(desk.changeUser(ROOT, again), { code: 'access.user_exists' });
  await t.rejects(desk.changeUser(ROOT, { ...again, name: 'Anna' }), { code: 'usage.invalid' });
  await t.rejects(desk.changeUser(ROOT, { ...again, name: 'ben', password: '1234567890' }), {
    code: 'access.password_weak',
  });
  for (const word of ['remove', 'unlock', 'recovery'] as const) {
    const request = { do: word, name: 'nobody' };
    await t.rejects(desk.changeUser(ROOT, request), { code: 'access.user_unknown' }, word);
  }
  await bench.add('ben', 'viewer');
  const anna = await bench.visit('anna');
  const first = await bench.visit('ben');
  t.match(await desk.changeUser(anna, { do: 'role', name: 'ben', role: 'viewer' }), {
    message: /already/,
  });
  t.notOk(first.ended?.aborted);
  await desk.changeUser(anna, { do: 'role', name: 'ben', role: 'operator' });
  t.ok(first.ended?.aborted);
  const second = await bench.visit('ben');
  t.equal(second.role, 'operator');
  await desk.changeUser(anna, { do: 'passwd', name: 'ben', password: 'a new one for ben' });
  t.ok(second.ended?.aborted);
  const request = { user: 'ben', password: 'a new one for ben' };
  const { token } = await desk.login(request);
  t.match((await desk.users()).users[1], { name: 'ben', sessions: 1 });
  t.match(await desk.changeUser(anna, { do: 'remove', name: 'ben' }), { user: null });
  await t.rejects(desk.enter(token), { code: 'access.login_required', message: /was removed/ });
  await t.rejects(desk.login(request), { code: 'access.denied' });
  t.match(bench.notes.at(-2), { act: 'user remove', by: 'anna', via: 'console' });
});

t.test('over the console nobody leaves the node without an administrator', async (t) => {
  await using bench = await openDesk();
  const { desk } = bench;
  await bench.add('anna', 'administrator');
  await bench.add('ben', 'operator');
  const anna = await bench.visit('anna');
  const last = { code: 'access.last_administrator' };
  await t.rejects(desk.changeUser(anna, { do: 'remove', name: 'anna' }), last);
  await t.rejects(desk.changeUser(anna, { do: 'role', name: 'anna', role: 'viewer' }), last);
  await desk.changeUser(anna, { do: 'role', name: 'ben', role: 'administrator' });
  await desk.changeUser(anna, { do: 'remove', name: 'anna' });
  await desk.changeUser(ROOT, { do: 'remove', name: 'ben' });
  t.strictSame((await desk.users()).users, [], 'root may');
});
