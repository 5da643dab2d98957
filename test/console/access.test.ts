/**
 * Who uses a console: the login and its failures, the time without a key, the lock while an update
 * runs, roles and the right to change, recovery codes. And that a password is nowhere but on its
 * way to the daemon.
 */
import t from 'tap';
import { ACTIONS, refusalOf } from '../../console/actions.ts';
import { heardStatus, noFacts, type Facts } from '../../console/facts.ts';
import { keysOf } from '../../console/plain.ts';
import { shownScreen } from '../../console/state.ts';
import type { Role } from '../../src/core/access.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { atLogin, BOB, HELD, lastId, loggedIn, LOGIN_REQUIRED, NO_USERS } from './people.ts';
import { atUsers, person, refusedLogin, withCode } from './people.ts';
import { daemonGone, Led, WORLDS } from './worlds.ts';

const SECRET = 'Tr0ub4dor & horse ';

t.test('a login: what is asked, and what is forgotten', async (t) => {
  const led = atLogin();
  t.equal(shownScreen(led.state), 'login');
  led.press('anna', 'enter', SECRET);
  t.notMatch(led.text(), 'horse', 'nothing of it is shown');
  t.equal(led.text().split('\n').at(-4), '| Password (not shown):');
  led.press('enter');
  t.strictSame(led.asks.at(-1)?.ask, { ask: 'login', user: 'anna', password: SECRET });
  t.notMatch(JSON.stringify(led.state), 'horse', 'nothing of it is kept');
  led.take({ id: lastId(led), answer: { kind: 'session', view: person() } });
  t.equal(shownScreen(led.state), 'overview');
  t.match(led.take({ status: WORLDS.well }).text(), 'anna (operator)  changes: nobody');
});

t.test(
  'a password that was pasted keeps its blanks, and an Enter in it sends nothing',
  async (t) => {
    const led = atLogin().press('anna', 'enter');
    led.take({ key: { paste: ` ${SECRET}\r` }, pageRows: 19 });
    t.match(led.text(), 'Press Enter by itself');
    led.press('enter');
    t.match(led.asks.at(-1)?.ask, { password: ` ${SECRET}` });
  },
);

t.test(
  'a login that is refused: the reason, the wait that goes down, and the next try',
  async (t) => {
    const led = refusedLogin();
    t.match(led.text(), /the name or the password is wrong/);
    t.notMatch(JSON.stringify(led.state), 'a wrong password');
    t.match(led.text(), 'No login is accepted for 0:40');
    t.match(led.take({ passedS: 39 }).text(), 'No login is accepted for 0:01');
    t.notMatch(led.take({ passedS: 1 }).text(), 'No login is accepted for 0:');
    led.press(SECRET, 'enter');
    t.match(led.asks.at(-1)?.ask, { ask: 'login', user: 'anna', password: SECRET });
  },
);

t.test('questions that say again that nobody is logged in disturb no typing', async (t) => {
  const led = atLogin().press('anna', 'enter', 'abc');
  const { dialog } = led.state;
  led.take({ access: LOGIN_REQUIRED }).take({ access: LOGIN_REQUIRED });
  t.equal(led.state.dialog, dialog);
  led.take(daemonGone(5000));
  t.equal(led.state.dialog, dialog);
  t.match(led.text(), 'The daemon does not answer');
  t.notMatch(led.take({ access: LOGIN_REQUIRED }).text(), 'The daemon does not answer');
});

t.test('nobody can log in yet: how the first user is made', async (t) => {
  const led = atLogin().take({ access: NO_USERS });
  t.equal(led.state.dialog, null);
  t.match(led.text(), 'As root run `tandem user add NAME --role administrator` on this node.');
  led.take({ access: LOGIN_REQUIRED });
  t.notMatch(led.text(), 'no user yet', 'once there is one, it may log in');
  t.match(led.state.dialog, { purpose: { use: 'login' } });
});

t.test('a recovery code survives leaving its form, the new password does not', async (t) => {
  const led = atLogin().press(
    'escape',
    'f',
    'anna',
    'enter',
    'k7qx-9mwd',
    'enter',
    'new secret one',
  );
  led.press('escape').take({ passedS: 400 }).press('f');
  t.match(led.text(), /Recovery code: k7qx-9mwd$/m);
  t.notMatch(JSON.stringify(led.state), 'new secret one');
  led.press('new secret one', 'enter', 'another one', 'enter');
  t.match(led.text(), 'The two passwords differ; type both again.');
  led.press('new secret one', 'enter', 'new secret one', 'enter');
  t.strictSame(led.asks.at(-1)?.ask, {
    ask: 'recover',
    user: 'anna',
    code: 'k7qx-9mwd',
    password: 'new secret one',
  });
  const error = new UpdateError('access.password_weak', 'found 4 characters; accepted: 10 to 128');
  led.take({ id: lastId(led), answer: { kind: 'refused', error: error.report() } });
  t.match(led.text(), 'found 4 characters');
  t.match(led.text(), /Recovery code: k7qx-9mwd$/m, 'the code is there for the next try');
});

t.test(
  'a code that an administrator made is shown until its end, and to nobody else',
  async (t) => {
    const led = withCode();
    t.match(led.text(), 'K7QX-9MWD-22PH');
    led.press('escape', 'escape', 'escape').take({ passedS: 500 }).press('m', 'w', 'n');
    t.match(led.text(), 'K7QX-9MWD-22PH');
    t.match(led.text(), 'It ends in 51:40');
    t.notMatch(new Led(null).text(), 'K7QX');
    led.press('escape', 'o');
    t.notMatch(JSON.stringify(led.state), 'K7QX', 'the next person does not see it');
    const later = withCode();
    for (let quarter = 0; quarter < 10; quarter += 1) later.take({ passedS: 360 }).press('up');
    t.notMatch(later.text(), 'K7QX');
  },
);

t.test('without a login nothing of the pair is known, and nothing is asked', async (t) => {
  const led = loggedIn({}, WORLDS.updated).press('s');
  led.press('escape', 'm', 'o');
  t.strictSame(led.asks.at(-1)?.ask, { ask: 'logout' });
  const asks = led.asks.length;
  led.take({ status: WORLDS.updated });
  const history = { kind: 'history', rollouts: [] } as const;
  led.take({ id: 1, answer: history });
  led.press('escape', 'v', 'u', 's', 'm', '1', 'down', '?', 'escape');
  t.notMatch(led.text(), /2\.0\.0|HEALTHY|node A/);
  t.match(led.state, { facts: { status: null, events: [] }, history: null });
  t.equal(led.asks.length, asks);
});

t.test('time without a key: a warning a minute before, then logged out', async (t) => {
  const led = loggedIn();
  t.notMatch(led.take({ passedS: 539 }).text(), 'logs out in less');
  t.match(led.take({ passedS: 1 }).text(), 'logs out in less than a minute');
  led.take({ status: WORLDS.well });
  t.match(led.text(), 'logs out in less than a minute', 'news are no key');
  t.notMatch(led.press('down').text(), 'logs out in less', 'a key is');
  led.take({ passedS: 599 }).take({ status: WORLDS.well });
  t.equal(shownScreen(led.state), 'overview');
  led.take({ passedS: 1 });
  t.match(led.text(), 'Nobody pressed a key for a while');
  t.strictSame(led.asks.at(-1)?.ask, { ask: 'logout' });
  const control = new Led(WORLDS.well).take({ person: person({ via: 'control', idleS: null }) });
  t.equal(shownScreen(control.take({ passedS: 9e6 }).state), 'overview', 'root is not logged out');
});

t.test('while an update runs it locks instead, and any key asks for the password', async (t) => {
  const led = loggedIn({}, WORLDS.installing).press('r', 'x').take({ passedS: 600 });
  t.equal(shownScreen(led.state), 'progress');
  t.equal(led.state.dialog, null);
  t.match(led.text(), 'anna (operator) LOCKED');
  led.take({ status: WORLDS.trial });
  t.match(led.text(), 'node A is on trial', 'progress goes on');
  const asks = led.asks.length;
  for (const key of ['x', 'p', 'v', 'escape', 'down', 'escape', 'enter', 'escape']) led.press(key);
  t.equal(led.asks.length, asks, 'nothing is done');
  t.equal(shownScreen(led.press('escape', 'escape').state), 'progress');
  led.press(led.state.dialog === null ? 'x' : 'down', SECRET, 'enter');
  t.match(led.asks.at(-1)?.ask, { ask: 'login', user: 'anna', password: SECRET });
  led.take({ id: lastId(led), answer: { kind: 'session', view: person() } });
  t.equal(shownScreen(led.state), 'roles', 'it goes on where it was');
});

t.test('a lock that the daemon has set lasts until the daemon ends the session', async (t) => {
  const led = loggedIn({}, WORLDS.installing).take({ person: person({ watching: true }) });
  t.equal(shownScreen(led.state), 'progress');
  led.take(daemonGone(5000));
  t.equal(shownScreen(led.state), 'progress', 'silence is no end');
  led.take({ status: WORLDS.updated });
  t.match(led.text(), /DONE +Both nodes run 2\.0\.0/, 'how it ended is seen');
  t.equal(shownScreen(led.take({ access: LOGIN_REQUIRED }).state), 'login');
  const idle = new UpdateError('access.idle', 'idle').report();
  t.equal(shownScreen(loggedIn({}, WORLDS.installing).take({ access: idle }).state), 'progress');
  t.equal(shownScreen(loggedIn().take({ access: idle }).state), 'progress');
});

t.test('a session that the daemon has ended', async (t) => {
  const led = loggedIn().press('m').take({ access: LOGIN_REQUIRED });
  t.equal(shownScreen(led.state), 'login');
  t.match(led.text(), 'The session has ended, as it does when the daemon restarts');
  const refused = loggedIn().press('l', 'a');
  refused.take({ id: lastId(refused), answer: { kind: 'refused', error: LOGIN_REQUIRED } });
  t.equal(shownScreen(refused.state), 'login', 'an ask that is refused for it, too');
});

const facts = (role: Role, operator = false): Facts => ({
  ...heardStatus(noFacts(false), HELD),
  person: person({ role, operator }),
});

t.test('what each role may do, and why not', async (t) => {
  for (const action of ACTIONS) {
    t.match(refusalOf(action, facts('viewer')), /^needs (operator|administrator), anna is viewer$/);
  }
  t.equal(refusalOf('switchover', facts('operator')), 'bob holds the right to change the pair');
  t.equal(refusalOf('switchover', facts('operator', true)), null);
  t.equal(refusalOf('commit', facts('operator')), 'needs administrator, anna is operator');
  t.equal(refusalOf('force-operator', facts('operator')), null);
  t.equal(refusalOf('take-operator', facts('operator')), 'bob holds it');
  t.equal(refusalOf('release-operator', facts('operator')), 'you do not hold it');
  t.equal(refusalOf('support', facts('operator')), null, 'no change of the pair');
  t.equal(refusalOf('recovery', facts('administrator')), null);
  const free = { ...facts('operator'), status: WORLDS.well };
  t.equal(refusalOf('switchover', free), null, 'a free right is given to the one who changes');
});

t.test('the right to change: take, give back, force with a reason', async (t) => {
  const take = loggedIn().press('m', 'w', 't', 'yes', 'enter', 'enter');
  t.match(take.asks.at(-1)?.ask, { ask: 'change', plan: { do: 'take-operator' }, reason: '' });
  const back = loggedIn({ operator: true }).press('m', 'w', 'g', 'yes', 'enter', 'enter');
  t.match(back.asks.at(-1)?.ask, { plan: { do: 'release-operator' } });
  const force = loggedIn({}, HELD).press('m', 'w', 'f', BOB.user, 'enter', 'enter');
  t.match(force.text(), 'Something has to stand here', 'it wants a reason');
  force.press('bob is asleep', 'enter');
  t.match(force.asks.at(-1)?.ask, {
    plan: { do: 'force-operator', from: 'bob' },
    reason: 'bob is asleep',
  });
});

t.test('users: a code and an unlock are asked for the chosen one', async (t) => {
  const led = atUsers().press('2', 'u', 'yes', 'enter');
  t.match(led.asks.at(-1)?.ask, { plan: { do: 'unlock', user: 'bob' } });
  const none = loggedIn({ role: 'operator' }).press('m', 'w', 'n');
  t.equal(shownScreen(none.state), 'who');
  t.match(none.text(), 'needs administrator');
});

t.test('line by line a password is the line as it is', async (t) => {
  const led = atLogin().press('anna', 'enter');
  t.strictSame(keysOf(' se cret ', led.state), [
    { name: 'clear' },
    { paste: ' se cret ' },
    { name: 'enter' },
  ]);
  t.strictSame(keysOf('esc', led.state), [{ name: 'escape' }]);
  const locked = loggedIn({}, WORLDS.installing).take({ passedS: 600 });
  t.strictSame(keysOf('cancel', locked.state), [{ name: 'enter' }]);
});
