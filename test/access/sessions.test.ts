/**
 * Sessions: tokens, idleness, looking on while an update runs, and the right to change, all in
 * virtual time. May import tap, fast-check and the room of access.
 */
import { assert, base64String, oneof, property, string } from 'fast-check';
import t from 'tap';
import { Sessions, SESSIONS_MAX, type Session } from '../../src/access/sessions.ts';

const S = 1000;
const IDLE_MS = 600 * S;

interface World {
  ms: number;
  updating: boolean;
  idleMs: number;
}

function open(): { world: World; sessions: Sessions; told: string[] } {
  const world: World = { ms: 0, updating: false, idleMs: IDLE_MS };
  const told: string[] = [];
  const sessions = new Sessions({
    nowMs: () => world.ms,
    idleMs: () => world.idleMs,
    updating: () => world.updating,
    onEnd: ({ user }, why, held) => void told.push(`${user}: ${why}${held ? ' (held)' : ''}`),
  });
  return { world, sessions, told };
}

const required = { code: 'access.login_required' };

t.test('a token is its session, and nothing else is', async (t) => {
  const { sessions } = open();
  const anna = sessions.begin('anna', 'viewer', '/dev/ttyS0');
  const ben = sessions.begin('ben', 'operator', null);
  t.match(anna.token, /^[A-Za-z0-9_-]{43}$/);
  t.not(anna.token, ben.token);
  t.equal(sessions.find(anna.token), anna.session);
  t.equal(sessions.find(ben.token).user, 'ben');
  t.throws(() => sessions.find(null), required);
  const { token } = anna;
  const near = [token.slice(1), `${token}=`, `${token}A`, ` ${token}`, token.toUpperCase(), ''];
  for (const word of near) t.throws(() => sessions.find(word), required, word);
  assert(
    property(oneof(string(), base64String(), string({ maxLength: 43 })), (word) => {
      try {
        sessions.find(word);
        return false;
      } catch (error) {
        return (error as { code?: string }).code === 'access.login_required';
      }
    }),
    { numRuns: 500 },
  );
});

t.test('a session ends without a key, and only a key prevents that', async (t) => {
  const { world, sessions, told } = open();
  const { session, token } = sessions.begin('anna', 'viewer', null);
  world.ms = IDLE_MS - 1;
  t.equal(sessions.find(token), session, 'being asked for is no key');
  t.equal(sessions.leftMs(session), 1);
  world.ms += 1;
  t.throws(() => sessions.find(token), { ...required, message: /no key for 600 s/ });
  t.ok(session.ended.aborted, 'what it waited for ends');
  t.strictSame(told, ['anna: the session ended: no key for 600 s']);

  const next = sessions.begin('anna', 'viewer', null);
  world.ms += IDLE_MS - 1;
  sessions.touch(next.session);
  world.ms += IDLE_MS - 1;
  t.equal(sessions.find(next.token), next.session);
  world.idleMs = 60 * S;
  t.throws(() => sessions.find(next.token), required, 'a shorter time counts at once');
});

t.test('while an update runs an idle session looks on until some time after it', async (t) => {
  const { world, sessions, told } = open();
  const { session, token } = sessions.begin('anna', 'operator', null);
  sessions.hold(session);
  world.updating = true;
  world.ms = IDLE_MS;
  t.ok(sessions.find(token).watching);
  t.equal(sessions.holder, null, 'it gave the right back');
  t.throws(() => sessions.touch(session), { code: 'access.idle' });
  world.ms = 20 * IDLE_MS;
  t.ok(sessions.find(token).watching, 'as long as the update runs');
  world.updating = false;
  world.ms += IDLE_MS - 1;
  t.ok(sessions.find(token).watching, 'and its outcome is seen');
  world.ms += 1;
  t.throws(() => sessions.find(token), required);
  t.strictSame(told, [
    'anna: no key for 600 s: it may look on while the update runs (held)',
    'anna: the session ended: no key for 600 s',
  ]);
});

t.test('an update that is held for days is not looked on for ever', async (t) => {
  const { world, sessions } = open();
  const { token } = sessions.begin('anna', 'operator', null);
  world.updating = true;
  for (world.ms = 0; world.ms < 24 * 3600 * S; world.ms += 300 * S) sessions.find(token);
  t.throws(() => sessions.find(token), required);
});

t.test('the right to change ends with its session, however that ends', async (t) => {
  const { world, sessions } = open();
  const begin = (): Session => {
    const { session } = sessions.begin('anna', 'operator', null);
    sessions.hold(session);
    return session;
  };
  t.equal(sessions.end(begin(), 'out'), true);
  t.equal(sessions.holder, null);
  begin();
  sessions.endUser('anna', 'removed');
  t.equal(sessions.holder, null);
  begin();
  world.ms += IDLE_MS;
  sessions.sweep();
  t.equal(sessions.holder, null);
  const other = sessions.begin('ben', 'operator', null).session;
  begin();
  t.equal(sessions.end(other, 'out'), false, 'another one does not take it along');
  t.equal(sessions.holder?.session.user, 'anna');
});

t.test('one session too many ends the one that is idle for longest', async (t) => {
  const { world, sessions, told } = open();
  const all = Array.from({ length: SESSIONS_MAX }, (_, n) => {
    world.ms = n;
    return sessions.begin(`user${n}`, 'viewer', null);
  });
  sessions.touch(all[0]!.session);
  sessions.begin('anna', 'viewer', null);
  t.match(told, [/^user1: too many sessions/]);
  t.equal(sessions.find(all[0]!.token).user, 'user0');
  t.throws(() => sessions.find(all[1]!.token), { ...required, message: /too many/ });
});

t.test('the sessions of a user end together, but for the one that asked', async (t) => {
  const { sessions, told } = open();
  const one = sessions.begin('anna', 'viewer', null);
  const two = sessions.begin('anna', 'viewer', null);
  const ben = sessions.begin('ben', 'viewer', null);
  t.equal(sessions.count('anna'), 2);
  sessions.endUser('anna', 'the password was changed', one.session);
  t.equal(sessions.count('anna'), 1);
  t.equal(sessions.find(one.token), one.session);
  t.equal(sessions.find(ben.token), ben.session);
  t.throws(() => sessions.find(two.token), { ...required, message: /password was changed/ });
  t.strictSame(told, ['anna: the password was changed']);
});
