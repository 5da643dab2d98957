/**
 * The end of a line is the end of a login: a hang-up of a terminal, a break and a pulled adapter on
 * a port that the console opened itself. The next person has to log in.
 */
import t, { type Test } from 'tap';
import { openDesk, PASSWORD } from '../daemon/access-bench.ts';
import { Desk } from './desk.ts';
import { noTerminals, SerialDesk } from './serial-desk.ts';

/** What both kinds of desks can do. */
interface Terminal {
  send(text: string): void;
  untilShown(words: string): Promise<unknown>;
}

async function door(t: Test) {
  const bench = await openDesk();
  t.teardown(() => bench[Symbol.asyncDispose]());
  await bench.add('anna', 'operator');
  const logins = (): readonly string[] => bench.lines().filter((line) => line.startsWith('log'));
  return { control: { desk: bench.desk, login: true }, logins };
}

/** Types as a person does: Enter by itself. */
async function logIn(desk: Terminal): Promise<void> {
  await desk.untilShown('| User:');
  desk.send('\x1b[200~anna\x1b[201~');
  await desk.untilShown('| User: anna');
  desk.send('\r');
  await new Promise((resolve) => setTimeout(resolve, 200));
  desk.send(PASSWORD);
  await new Promise((resolve) => setTimeout(resolve, 200));
  desk.send('\r');
  await desk.untilShown('anna (operator)');
}

t.test('a terminal that hangs up', async (t) => {
  const { control, logins } = await door(t);
  await using desk = await Desk.open({ term: 'xterm', control });
  await logIn(desk);
  desk.hangUp();
  t.equal((await desk.exit).exitCode, 0);
  t.strictSame(logins(), ['login anna done', 'logout anna done']);
});

const skip = await noTerminals();

t.test('a break, and an adapter that is pulled', { skip }, async (t) => {
  const { control, logins } = await door(t);
  await using desk = await SerialDesk.open({ control });
  await desk.untilShown('Press Enter.');
  desk.send('\r');
  await logIn(desk);
  desk.send('\0');
  await desk.until(() => logins().length === 2);
  await desk.untilShown('Press Enter.');
  desk.send('\r');
  await logIn(desk);
  await desk.unplug();
  await desk.until(() => logins().length === 4);
  desk.text = '';
  await desk.plug();
  await desk.untilSaid('Press Enter.');
  desk.send('\r');
  await desk.untilShown('| User:');
  const all = ['login anna done', 'logout anna done'];
  t.strictSame(logins(), [...all, ...all]);
});
