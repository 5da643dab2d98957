/**
 * The real program on a pseudo terminal: sizes, splits, stalls, hang-ups, the plain mode, and input
 * of every kind. Orders, bytes and screens are asserted, no times.
 */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { pairStatus } from '../memory/backend.ts';
import { Desk } from './desk.ts';
import { WORLDS } from './worlds.ts';

/** A screen of the golden ones, without its marks. */
function golden(name: string): readonly string[] {
  const text = readFileSync(new URL('golden/mono.txt', import.meta.url), 'utf8');
  const [, page = ''] = text.split(`==== ${name} =`);
  const lines = page.split('\n').slice(1, 25);
  return lines.map((line) => line.replaceAll(/[*_]|\[\[|\]\]/g, '').trimEnd());
}

const overview = (lines: readonly string[]): boolean =>
  lines.some((line) => line.startsWith('HEALTHY'));

t.test('the first screen on a vt220, leaving it, and what it leaves behind', async (t) => {
  await using desk = await Desk.open({ term: 'vt220' }, ({ backend }) => {
    backend.pair = WORLDS.well;
  });
  t.strictSame(await desk.until(overview), golden('overview'));
  t.equal(desk.glass.high, 0);
  const { bytes } = desk.glass;
  desk.send('s');
  await desk.untilShown('not now, no other slot');
  desk.send('\x1b');
  await desk.until(overview);
  desk.send('\x1bOA');
  t.ok(bytes < 2200, `${bytes} bytes for the first paint`);
  desk.send('q');
  await desk.untilShown('Leave the console?');
  desk.send('y');
  t.equal((await desk.exit).exitCode, 0);
  t.ok(desk.text.endsWith('\x1b[?25h\x1b[24;1H\r\r\n'), 'cursor is seen, on a line of its own');
});

t.test('an update from the first screen to its end', async (t) => {
  await using desk = await Desk.open({ term: 'xterm-256color', lang: 'C.UTF-8' });
  const { backend } = desk.bench;
  backend.beforeStart = async () => {
    backend.pair = WORLDS.installing;
  };
  await desk.until(overview);
  desk.send('u');
  await desk.untilShown('No bundle was found');
  desk.send('t');
  await desk.untilShown('Path of the bundle');
  desk.send('\x1b[200~/media/usb/update.bin\n\x1b[201~');
  await desk.untilShown('usb/update.bin');
  desk.send('\r\n');
  await desk.untilShown('The update may begin.');
  desk.send('s');
  await desk.untilShown('Type "2.0.0" to go on');
  desk.send('2.0.0');
  await desk.untilShown('on: 2.0.0');
  desk.send('\r');
  await desk.until(() => desk.glass.cursor.column > 26 && desk.glass.cursor.column < 30);
  desk.send('fans are loud');
  await desk.untilShown('fans are loud');
  desk.send('\r');
  await desk.untilShown(/\[▸\] images installed/);
  const start = backend.asked.find(({ what }) => what === 'start');
  t.strictSame(start?.value, {
    kind: 'update',
    source: { path: '/media/usb/update.bin' },
    reason: 'fans are loud',
  });
  t.equal(start?.by, 'tech');
  backend.pair = WORLDS.failed;
  await desk.untilShown('Why: node A: the storage software did not answer');
  await desk.bench.stop();
  await desk.untilShown('the daemon does not answer');
  await desk.bench.start();
  await desk.untilShown('FAILED');
});

t.test('a serial line: no size, and a terminal that answers', async (t) => {
  await using desk = await Desk.open({ term: 'vt220', noSize: true, rows: 31, columns: 97 });
  const lines = await desk.until((all) => overview(all) && all[30]!.startsWith('V View'));
  t.equal(lines[0]!.length, 95, 'the title reaches the right side');
});

t.test('a serial line: no size, and no answer', async (t) => {
  const options = { term: 'vt100', noSize: true, mute: true, rows: 30, columns: 100 };
  await using desk = await Desk.open(options);
  const lines = await desk.until((all) => overview(all) && all[23]!.startsWith('V View'));
  t.equal(lines[0]!.length, 78);
  desk.send('\x1b[30;100R');
  desk.send('\x0c');
  await desk.until((all) => all[0]!.length > 0);
  t.notOk(desk.bench.backend.asked.length, 'an answer of the terminal presses nothing');
});

t.test('a terminal that changes its size, and Ctrl-L after noise', async () => {
  await using desk = await Desk.open({ term: 'xterm' });
  await desk.until(overview);
  desk.resize(24, 60);
  await desk.untilShown('80x24 is needed');
  desk.resize(24, 100);
  await desk.until((lines) => overview(lines) && lines[0]!.length > 90);
  await desk.glass.write('\x1b[5;5Hnoise on the line\x0e\x1b[7m');
  desk.send('\x0c');
  await desk.until((lines) => overview(lines) && !lines.join('').includes('noise'));
});

t.test('a stalled line costs one frame, and shows the newest state afterwards', async (t) => {
  await using desk = await Desk.open({ term: 'vt220' });
  const { backend } = desk.bench;
  await desk.until(overview);
  const before = desk.glass.bytes;
  desk.stall();
  // Each wants the whole screen drawn anew; the system takes some 64 KiB before the line is full.
  for (let round = 0; round < 250; round += 1) {
    desk.send('\x0c');
    await new Promise((resolve) => setTimeout(resolve, 8));
  }
  backend.pair = WORLDS.silent;
  desk.send('v');
  await new Promise((resolve) => setTimeout(resolve, 1500));
  desk.release();
  await desk.untilShown('UNKNOWN, silent for over 10 s');
  const bytes = desk.glass.bytes - before;
  t.ok(bytes < 70_000, `${bytes} bytes of the 250,000 that were wanted`);
  desk.send('\x1b');
  await desk.untilShown('ALONE');
});

t.test('a hang-up ends it', async (t) => {
  await using desk = await Desk.open({ term: 'vt220' });
  await desk.until(overview);
  desk.hangUp();
  t.equal((await desk.exit).exitCode, 0);
});

t.test('plain mode: line by line, no control sequence', async (t) => {
  await using desk = await Desk.open({ term: 'dumb' }, ({ backend }) => {
    backend.pair = WORLDS.updated;
  });
  await desk.untilSaid('HEALTHY');
  desk.send('slots\n');
  await desk.untilSaid('[B] Roll back to 1.0.0');
  desk.send('b\n');
  await desk.untilSaid('Same as: tandem rollback');
  desk.send('1.0.0\n');
  desk.send('it hums\n');
  await desk.untilSaid('rollback r1 has begun');
  t.match(desk.bench.backend.asked, [{ value: { kind: 'rollback', reason: 'it hums' } }]);
  desk.send('nonsense\n');
  await desk.untilSaid('"nonsense" is no choice here');
  desk.send('esc\n');
  desk.send('quit\n');
  desk.send('y\n');
  t.equal((await desk.exit).exitCode, 0);
  // eslint-disable-next-line no-control-regex -- control characters are what must not be there
  t.notMatch(desk.text, /[\x00-\x08\x0b\x0c\x0e-\x1f]/);
});

t.test('random input presses nothing that changes anything', async (t) => {
  await using desk = await Desk.open({ term: 'vt220' }, ({ backend }) => {
    backend.pair = pairStatus({ ...WORLDS.updated });
  });
  await desk.until(overview);
  let state = 12345;
  for (let heap = 0; heap < 60; heap += 1) {
    let text = '';
    for (let count = 0; count < 60; count += 1) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const byte = state >>> 24;
      // Ctrl-C and then Y would be a person's way out.
      text += byte === 0x03 ? 'z' : String.fromCharCode(byte);
    }
    desk.send(text);
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  for (let back = 0; back < 14; back += 1) {
    desk.send('\x1b');
    await new Promise((resolve) => setTimeout(resolve, 80));
  }
  await desk.until(overview);
  const changes = desk.bench.backend.asked.filter(({ what }) => what !== 'precheck');
  t.strictSame(changes, []);
});
