/**
 * Consoles on a serial port that the program opens by itself: greeting, sizes, break, a port that
 * is missing, locked or unplugged, lines without a system that echoes them. Orders and screens are
 * asserted, no times.
 */
import { join } from 'node:path';
import t from 'tap';
import { runSerial, type SerialOptions } from '../../console/serial.ts';
import { openSerialPort } from '../../src/drivers/serial-port.ts';
import { noTerminals, SerialDesk } from './serial-desk.ts';

const skip = await noTerminals();
const count = (text: string, part: string): number => text.split(part).length - 1;

await t.test('Enter opens a console, leaving it greets again', { skip }, async (t) => {
  await using desk = await SerialDesk.open({ rows: 30, columns: 100 });
  await desk.untilLogged('serves ');
  await desk.untilShown('Press Enter.');
  desk.send('suq\x1b[A');
  desk.send('\r\n');
  await desk.untilShown('HEALTHY');
  await desk.until(() => desk.glass.lines()[29]!.startsWith('V View'));
  t.equal(desk.glass.lines()[0]!.length, 98, 'the terminal has said how large it is');
  t.equal(desk.glass.high, 0);
  desk.send('v');
  await desk.untilShown('Details');
  desk.send('q');
  desk.send('\x1b');
  await desk.untilShown('HEALTHY');
  desk.send('q');
  await desk.untilShown('Leave the console?');
  desk.send('y');
  await desk.until(() => count(desk.text, 'Press Enter.') === 2);
  t.equal(await desk.end(), 0);
  t.equal(count(desk.log, 'serves'), 1, desk.log);
});

await t.test('a terminal that answers nothing has 80x24', { skip }, async (t) => {
  const args = ['--term', 'vt100', '--baud', '115200', '--flow', 'xonxoff'];
  await using desk = await SerialDesk.open({ args, rows: 30, columns: 100, mute: true });
  await desk.untilSaid('Press Enter.');
  desk.send('\r');
  await desk.untilShown('HEALTHY');
  t.match(desk.glass.lines()[23], /^V View/);
  t.equal(desk.glass.lines()[0]!.length, 78);
});

await t.test('a terminal that is too small, and one that is exchanged', { skip }, async () => {
  await using desk = await SerialDesk.open({ rows: 40, columns: 120 });
  await desk.untilSaid('Press Enter.');
  desk.glass.resize(20, 70);
  desk.send('\r');
  await desk.untilSaid('This terminal has 70x20, 80x24 is needed');
  await desk.untilSaid('HEALTHY');
  desk.send('quit\r');
  await desk.untilSaid('Leave the console?');
  desk.send('y\r');
  await desk.until(() => count(desk.text, 'Press Enter.') === 2);
  desk.glass.resize(30, 100);
  desk.send('\r');
  await desk.until(() => desk.glass.lines()[29]!.startsWith('V View'));
  desk.glass.resize(36, 110);
  desk.send('\x0c');
  // Ctrl-L asks again how large it is.
  await desk.until(() => desk.glass.lines()[0]!.length === 108);
  await desk.until(() => desk.glass.lines()[35]!.startsWith('V View'));
});

await t.test('a break ends the console that is open', { skip }, async (t) => {
  await using desk = await SerialDesk.open();
  await desk.untilSaid('Press Enter.');
  desk.send('\0\r\0');
  await desk.untilShown('HEALTHY');
  t.equal(count(desk.text, 'Press Enter.'), 1, 'one while nobody is there says nothing');
  desk.send('s');
  await desk.untilShown('Slots');
  desk.send('\0');
  await desk.until(() => count(desk.text, 'Press Enter.') === 2);
  t.ok(desk.text.lastIndexOf('\x1b[?25h') > desk.text.lastIndexOf('Slots'), 'the cursor is seen');
  desk.send('\r');
  await desk.untilShown('Overview');
});

await t.test('a port that is missing, locked, unplugged, and back', { skip }, async (t) => {
  await using desk = await SerialDesk.open({ unplugged: true });
  await desk.untilLogged('trying again');
  t.match(desk.log, /ttyS9: .*No such file/);
  await desk.plug();
  await desk.untilSaid('Press Enter.');
  await t.rejects(openSerialPort(desk.path, 115_200), { message: /lock/i });
  desk.send('\r');
  await desk.untilShown('HEALTHY');
  await desk.unplug();
  await desk.untilLogged('is gone; waiting');
  const other = await SerialDesk.open({ unplugged: true });
  await other[Symbol.asyncDispose]();
  desk.text = '';
  await desk.plug();
  await desk.untilSaid('Press Enter.');
  desk.send('\r');
  await desk.untilShown('HEALTHY');
  const lines = desk.log.trim().split('\n');
  t.ok(lines.length <= 5, `it says each thing once:\n${desk.log}`);
  t.equal(await desk.end(), 0);
});

await t.test('what can never be a port is refused, and not tried again', { skip }, async (t) => {
  const file = join(t.testdir({ tty: 'a file' }), 'tty');
  for (const path of [file, t.testdirName, '/dev/null']) {
    let said = '';
    const io = { err: (text: string) => (said += text), signal: AbortSignal.timeout(10_000) };
    const options = { io, path, kind: null, baud: 9600, flow: 'none', retryMs: 1 };
    await t.rejects(runSerial(options as unknown as SerialOptions), {
      code: 'console.no_port',
      message: `${path} is no serial port: it is a file or a device without a line`,
    });
    t.equal(said, '', 'the sentence is that of the error');
  }
});

await t.test(
  'lines on a port: echo, editing, a paste, no control sequence',
  { skip },
  async (t) => {
    await using desk = await SerialDesk.open({ args: ['--term', 'dumb', '--baud', '115200'] });
    await desk.untilSaid('Press Enter.');
    desk.send('\r');
    await desk.untilSaid('HEALTHY');
    desk.send('slx');
    await desk.untilSaid('slx');
    desk.send('\x7f');
    await desk.untilSaid('slx\b \b');
    desk.send('ots\r\n');
    await desk.untilSaid('slx\b \bots\r\n');
    await desk.untilSaid('no other slot');
    desk.send('nonsense\r');
    await desk.untilSaid('"nonsense" is no choice here');
    const before = desk.text.length;
    desk.send('x'.repeat(2 ** 17));
    await desk.untilSaid('x'.repeat(4096));
    t.ok(desk.text.length - before < 5000, 'what is pasted is bounded');
    desk.send('\x15');
    desk.send('esc\r');
    desk.send('quit\r');
    await desk.untilSaid('Leave');
    desk.send('y\r');
    await desk.until(() => count(desk.text, 'Press Enter.') === 2);
    // eslint-disable-next-line no-control-regex -- control characters are what must not be there
    t.notMatch(desk.text.replaceAll('\b \b', ''), /[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\xff]/);
    t.notMatch(desk.text.replaceAll('\r\n', ''), /[\r\n]/, 'each line ends with CR LF');
  },
);
