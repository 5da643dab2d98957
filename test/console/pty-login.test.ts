/**
 * The real program on a pseudo terminal before a daemon that wants a login: with screens and line
 * by line. A password is never echoed, on the screen or by the system; who sits where is told.
 */
import t from 'tap';
import { seatOf } from '../../console/run.ts';
import { until } from '../control/harness.ts';
import { openDesk, PASSWORD } from '../daemon/access-bench.ts';
import { Desk } from './desk.ts';

t.test('a login on a screen', async (t) => {
  await using bench = await openDesk();
  await bench.add('anna', 'operator');
  const control = { desk: bench.desk, login: true };
  await using desk = await Desk.open({ term: 'vt220', control });
  await desk.untilShown('| User:');
  desk.send('an');
  await desk.untilShown('| User: an');
  desk.send('na');
  await desk.untilShown('| User: anna');
  desk.send('\r');
  await desk.until(() => desk.glass.cursor.column > 20);
  desk.send(PASSWORD);
  // A burst of letters is a paste; the Enter is a key of its own.
  await new Promise((resolve) => setTimeout(resolve, 200));
  desk.send('\r');
  // On a busy machine both may have come in one piece, and then it is wanted once more.
  await desk.untilShown(/anna \(operator\)|Press Enter by itself/);
  if (desk.glass.lines().some((line) => line.includes('Press Enter by itself'))) desk.send('\r');
  await desk.untilShown('anna (operator)  changes: nobody');
  t.notMatch(desk.text, PASSWORD);
  t.notMatch(desk.text, PASSWORD.slice(0, 4));
  desk.send('mw');
  await desk.untilShown(/Logged in +anna, operator, \/dev\/pts\/\d+/);
  desk.send('o');
  await desk.untilShown('| User:');
  // The screen is empty at once; the daemon is told meanwhile.
  await until(() => bench.lines().some((line) => line.startsWith('logout')));
  t.match(
    bench.lines().filter((line) => line.startsWith('log')),
    ['login anna done', 'logout anna done'],
  );
});

/** A console line by line at which the viewer anna has typed a wrong password. */
async function mistyped(bench: Awaited<ReturnType<typeof openDesk>>): Promise<Desk> {
  await bench.add('anna', 'viewer');
  const desk = await Desk.open({ term: 'dumb', control: { desk: bench.desk, login: true } });
  await desk.untilSaid('User:');
  desk.send('anna\n');
  await desk.untilSaid('Password (not shown):');
  desk.send('not the right one\n');
  await desk.untilSaid('the name or the password is wrong');
  return desk;
}

t.test('a login line by line', async (t) => {
  await using bench = await openDesk();
  await using desk = await mistyped(bench);
  desk.send(`${PASSWORD}\n`);
  await desk.untilSaid('HEALTHY');
  t.notMatch(desk.text, 'not the right one');
  t.notMatch(desk.text, PASSWORD);
  desk.send('roles\n');
  await desk.untilSaid('[X] Exchange the roles: node B serves: not now, needs operator');
  t.match(desk.text, /\nroles\r?\n/, 'other lines are shown as they are typed');
  desk.send('esc\n');
  desk.send('quit\n');
  await desk.untilSaid('Leave the console?');
  desk.send('y\n');
  t.equal((await desk.exit).exitCode, 0);
  // eslint-disable-next-line no-control-regex -- control characters are what must not be there
  t.notMatch(desk.text, /[\x00-\x08\x0b\x0c\x0e-\x1f]/);
  t.match(bench.lines().at(-1), 'logout anna done', 'who leaves is logged out');
});

t.test('who never logged in has not succeeded', async (t) => {
  await using bench = await openDesk();
  await using desk = await mistyped(bench);
  // The end of the input.
  desk.send('\x04');
  t.equal((await desk.exit).exitCode, 51);
  t.match(desk.text, /nobody has logged in[^]*access\.login_required, exit 51/);
});

t.test('where somebody sits', async (t) => {
  t.strictSame(seatOf('/dev/ttyS0', undefined), { tty: '/dev/ttyS0' });
  t.strictSame(seatOf('/dev/pts/3', '192.0.2.44 50122 192.0.2.7 22'), {
    tty: '/dev/pts/3',
    remote: '192.0.2.44',
  });
  t.strictSame(seatOf('pipe with blanks', 'x'.repeat(65)), {});
  t.strictSame(seatOf(null, ''), {});
});
