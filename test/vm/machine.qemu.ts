/**
 * A machine under a real QEMU, with the guest of one sector: boots, resets, power cuts, watchdog,
 * the folder's lock, and a harness that is killed. Imports the harness and node.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Machine, type MachineSpec } from '../../scripts/vm/machine.ts';
import { carrier } from './carrier.ts';
import { makeGuestDisk } from './guest.ts';
import { shortDir } from '../drivers/short-dir.ts';

/** Software emulation on a busy computer; the guest answers in a quarter of a second otherwise. */
const WAIT = { timeoutMs: 30_000 };
const READY = /guest ready\n/;
const HOLDER = fileURLToPath(new URL('holder.ts', import.meta.url));

async function specIn(dir: string, more: Partial<MachineSpec> = {}): Promise<MachineSpec> {
  const path = `${dir}/disk.raw`;
  await makeGuestDisk(path);
  return { name: 'guest', dir: `${dir}/vm`, disk: { path, format: 'raw' }, ...more };
}

t.test('a boot is seen from its first byte, and the guest hears what is typed', async (t) => {
  await using machine = await Machine.start(await specIn(shortDir(t)));
  t.equal(machine.power, 'on');
  await machine.serial.waitFor(READY, WAIT);
  t.equal(machine.serial.text, 'guest ready\n', 'nothing is lost and nothing is added');
  await machine.serial.write('xyz');
  t.equal((await machine.serial.waitFor(/x(y)z/, WAIT))[1], 'y');
  await machine.serial.write('q2');
  t.equal(
    (await machine.serial.waitFor(/\w/, WAIT))[0],
    'q',
    'a wait goes on after the last match',
  );
  await machine.serial.write('w3Ag3');
  await machine.serial.waitFor(/wrote\n3A\n/, WAIT);
  await machine.quit();
  t.equal(machine.power, 'off');
  t.equal(await readFile(machine.serialFile, 'utf8'), machine.serial.text);
  await t.rejects(machine.serial.write('x'), { code: 'usage.invalid' });
  await t.rejects(machine.qmp('query-status'), { code: 'usage.invalid' });
});

t.test('a reset goes on in a fresh process, with the disk of that moment', async (t) => {
  await using machine = await Machine.start(await specIn(shortDir(t)));
  await machine.serial.waitFor(READY, WAIT);
  const { pid } = machine;
  await machine.serial.write('w5Zr');
  await machine.serial.waitFor(/wrote\n/, WAIT);
  await machine.serial.waitFor(READY, WAIT);
  t.equal(machine.boots, 2);
  t.not(machine.pid, pid);
  t.strictSame(machine.events.ends, ['guest-reset']);
  await machine.serial.write('g5');
  await machine.serial.waitFor(/5Z\n/, WAIT);
  await machine.serial.write('p');
  const { data } = await machine.events.waitFor('END', { ...WAIT, fits: (e) => e.boot === 2 });
  t.equal(data['cause'], 'guest-shutdown');
  t.equal(machine.isSwitchedOn, false, 'a guest that powers off stays off');
  await machine.powerOn();
  await machine.serial.waitFor(READY, WAIT);
  t.equal(machine.boots, 3);
});

t.test('a machine that shall end with its reset stays off', async (t) => {
  await using machine = await Machine.start(await specIn(shortDir(t), { resets: 'end' }));
  await machine.serial.waitFor(READY, WAIT);
  await machine.serial.write('r');
  await machine.events.waitFor('END', WAIT);
  t.equal(machine.power, 'off');
  t.equal(machine.isSwitchedOn, false);
  t.equal(machine.boots, 1);
});

t.test('the watchdog is told apart from a reset', async (t) => {
  await using machine = await Machine.start(await specIn(shortDir(t)));
  await machine.serial.waitFor(READY, WAIT);
  await machine.serial.write('d');
  await machine.serial.waitFor(/armed\n/, WAIT);
  t.equal((await machine.events.waitFor('WATCHDOG', WAIT)).data['action'], 'reset');
  await machine.serial.waitFor(READY, WAIT);
  t.strictSame(machine.events.ends, ['watchdog']);
});

t.test('power is cut at once, and a frozen machine can be cut too', async (t) => {
  await using machine = await Machine.start(await specIn(shortDir(t)));
  await machine.serial.waitFor(READY, WAIT);
  const { pid } = machine;
  await machine.cutPower();
  t.equal(isAlive(pid), false, 'the process is gone when the cut returns');
  t.equal(machine.power, 'off');
  await machine.cutPower();
  await machine.powerOn();
  await machine.powerOn();
  await machine.serial.waitFor(READY, WAIT);
  await machine.freeze();
  await machine.serial.write('abc');
  await t.rejects(machine.serial.waitFor(/a/, { timeoutMs: 300 }), { code: 'wait.timed_out' });
  await machine.unfreeze();
  await machine.serial.waitFor(/abc/, WAIT);
  await machine.freeze();
  // Operations on power follow one another, whoever asks for them and however quickly.
  await Promise.all([machine.cutPower(), machine.powerOn(), machine.cutPower()]);
  t.equal(machine.power, 'off');
  t.strictSame(machine.events.ends.slice(0, 2), ['power-cut', 'power-cut']);
});

t.test('an emulator that dies ends every wait; the machine can be started again', async (t) => {
  await using machine = await Machine.start(await specIn(shortDir(t)));
  await machine.serial.waitFor(READY, WAIT);
  const waits = [machine.serial.waitFor(/never/, WAIT), machine.events.waitFor('NEVER', WAIT)];
  const ends = Promise.allSettled(waits);
  process.kill(machine.pid ?? 0, 'SIGKILL');
  for (const end of await ends) t.match(end, { reason: { code: 'tool.failed', message: /died/ } });
  t.strictSame(machine.events.ends, ['died']);
  t.equal(machine.isSwitchedOn, false);
  await machine.powerOn();
  await machine.serial.waitFor(READY, WAIT);
});

t.test('a cable that is cut stays cut over a boot', async (t) => {
  const dir = shortDir(t);
  const [local, remote, mac] = [`${dir}/1`, `${dir}/2`, '52:54:00:00:00:01'];
  const link = { kind: 'link', name: 'pair0', mac, local, remote } as const;
  const forwards = [{ hostPort: 0, guestPort: 22 }];
  const user = { kind: 'user', name: 'host0', mac: '52:54:00:00:00:02', forwards } as const;
  await using machine = await Machine.start(await specIn(dir, { nics: [link, user] }));
  await machine.serial.waitFor(READY, WAIT);
  t.equal(await carrier(machine), 1);
  const port = machine.forwardedPort(22);
  t.ok(port > 1023);
  await machine.cutLink('pair0');
  t.equal(await carrier(machine), 0);
  await machine.cutPower();
  await machine.powerOn();
  await machine.serial.waitFor(READY, WAIT);
  t.equal(await carrier(machine), 0);
  t.equal(machine.forwardedPort(22), port, 'a forwarded port stays over boots');
  await machine.restoreLink('pair0');
  t.equal(await carrier(machine), 1);
  await t.rejects(machine.cutLink('pair1'), { code: 'usage.invalid' });
});

t.test('what cannot start says why', async (t) => {
  const dir = shortDir(t);
  const spec = await specIn(dir);
  const none = { path: `${dir}/none`, format: 'raw' } as const;
  await t.rejects(Machine.start({ ...spec, disk: none }), {
    code: 'tool.failed',
    message: /No such file/,
  });
  await t.rejects(Machine.start({ ...spec, extra: ['-wrong'] }), { message: /invalid option/ });
  await t.rejects(Machine.start({ ...spec, name: 'a b' }), { code: 'usage.invalid' });
  const path = process.env['PATH'];
  process.env['PATH'] = dir;
  try {
    await t.rejects(Machine.start(spec), {
      code: 'tool.missing',
      message: /qemu-system-x86_64 is not installed \(Debian package qemu-system-x86\)/,
    });
  } finally {
    process.env['PATH'] = path;
  }
  await using machine = await Machine.start(spec);
  await t.rejects(Machine.start(spec), { code: 'state.locked', message: /in use by process \d+/ });
  t.equal(machine.power, 'on', 'the second harness has not disturbed the first one');
});

t.test('a harness that is killed takes its machine along, and its folder is free', async (t) => {
  const spec = await specIn(shortDir(t));
  const file = `${spec.dir}.json`;
  await writeFile(file, JSON.stringify(spec));
  const harness = spawn(process.execPath, [HOLDER, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface(harness.stdout), 'line')) as [string];
  const pid = Number(line);
  t.equal(isAlive(pid), true);
  await t.rejects(Machine.start(spec), { code: 'state.locked' });
  harness.kill('SIGKILL');
  await once(harness, 'exit');
  for (let looks = 0; looks < 500 && isAlive(pid); looks += 1) await sleep(20);
  t.equal(isAlive(pid), false);
  await using machine = await Machine.start(spec);
  await machine.serial.waitFor(READY, WAIT);
});

function isAlive(pid: number | null): boolean {
  try {
    process.kill(pid ?? 0, 0);
    return true;
  } catch {
    return false;
  }
}
