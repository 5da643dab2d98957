/**
 * The appliance boots from its disk through GRUB, with all drivers of a real machine: service,
 * status, watchdog, serial line, SSH, restart. Its peer is off. `npm run test:appliance` runs it.
 * Imports tap and the machines.
 */
import { join } from 'node:path';
import t from 'tap';
import { prepareMaterial } from '../../scripts/appliance/material.ts';
import { BUILD_DIR } from '../../scripts/build.ts';
import type { Machine } from '../../scripts/vm/machine.ts';
import { control, isReset, processorSeconds, RootShell, switchOn, WAIT } from './machines.ts';
import { diskWith, programsFor, restOf, systemImage } from './workshop.ts';
import { shortDir } from '../drivers/short-dir.ts';

t.setTimeout(0);
const dir = shortDir(t);
const material = await prepareMaterial(BUILD_DIR, (line) => t.comment(line));
const controlS = await control(dir, material);
t.comment(`control: kernel and initramfs are up after ${controlS.toFixed(1)} s of processor`);

/** Reports a time since power-on beside the control's. */
function report(what: string, machine: Machine): void {
  const seconds = processorSeconds(machine);
  const times = (seconds / controlS).toFixed(1);
  t.comment(`${what}: ${seconds.toFixed(1)} s of processor, ${times} x control`);
}

const ANSWERS = 'until [ -S /run/tandem/control.sock ]; do usleep 500000; done; tandem status';
const PID = '/run/tandem-service.pid';
/** Kills the service and waits until the next one runs. */
const KILL =
  `old=$(cat ${PID}) && kill -KILL $old && ` +
  `until [ "$(cat ${PID} 2>/dev/null || echo $old)" != $old ]; do usleep 100000; done`;
const SSH_KEY =
  'dropbearkey -t ed25519 -f /tmp/key >/tmp/key.txt && mkdir -p /data/admin/.ssh && ' +
  'grep ^ssh- /tmp/key.txt >/data/admin/.ssh/authorized_keys && ' +
  'mkdir -p /data/etc/ssh/console && cp /data/admin/.ssh/authorized_keys /data/etc/ssh/console';

t.test('from power-on to the service, and again', async (t) => {
  const programs = await programsFor();
  const image = await systemImage(dir, 'good', programs);
  t.comment(`image: ${String(image.sizeBytes)} bytes in ${(image.buildMs / 1000).toFixed(1)} s`);
  // On a machine that is busy with other tests a start takes its time.
  const rest = await restOf(dir, programs);
  const disk = await diskWith(join(dir, 'disks'), image, rest, ['tandem.watchdog=90']);

  await using machine = await switchOn('good', dir, disk);
  await machine.serial.waitFor(/tandem: system 1\.0\.0 is up/, WAIT);
  report('power-on to the system', machine);
  const shell = new RootShell(machine);
  await shell.open();
  report('power-on to the shell', machine);
  const status = await shell.run(ANSWERS);
  report('power-on to `tandem status`, first boot', machine);
  t.match(status, /role +active/);
  t.match(status, /boot +slot A, default/);

  t.match(await shell.run('tandem --version'), /^\d+\.\d+\.\d+\n$/);
  t.match(await shell.run('cat /proc/mounts'), /^\/dev\/vda8 \/data ext4 rw/m);
  t.match(await shell.run('cat /proc/mounts'), /^\/dev\/vda4 \/ squashfs ro/m);
  t.match(await shell.run('dmesg'), /tandem: watchdog armed for 90 s/);
  t.match(await shell.run('ls /run/tandem-boot'), /tries\.env/);
  t.match(await shell.run('touch /etc/x', 1), /Read-only file system/);
  t.match(await shell.run('ip addr show eth0'), /inet 10\.9\.0\.1\/24/);
  t.match(await shell.run('insmod /usr/lib/modules/lru_cache.ko; drbdadm --version'), /DRBDADM/);

  await shell.run(SSH_KEY);
  const asRoot = await shell.run('dbclient -y -i /tmp/key root@127.0.0.1 id -u 2>/dev/null');
  t.equal(asRoot.trim(), '0');
  const console_ = 'dbclient -y -i /tmp/key tandem-console@127.0.0.1';
  t.match(await shell.run(`${console_} ls`, 1), /the maintenance console and nothing else/);

  const holder = `ls -l /proc/$(cat ${PID})/fd`;
  t.match(await shell.run(holder), /\/dev\/watchdog\b/, 'the service has taken the watchdog over');
  t.match(await shell.run('/etc/init.d/tandem status'), /^tandem runs, process \d+$/m);
  await shell.run(KILL);
  t.match(await shell.run('logread'), / tandem: .*the service ended with status 137/);
  t.equal(machine.boots, 1);
  t.equal(machine.events.all.filter(({ name }) => name === 'WATCHDOG').length, 0);

  await shell.run('reboot');
  await machine.events.waitFor('END', { ...WAIT, fits: isReset });
  const again = new RootShell(machine);
  await again.open();
  await again.run(ANSWERS);
  report('power-on to `tandem status`, later boot', machine);

  await again.run('rm /data/etc/root-shell; reboot');
  await machine.events.waitFor('END', { ...WAIT, fits: isReset });
  await machine.serial.waitFor(/the service starts/, WAIT);
  report('power-on to the start of the service', machine);
  // The console draws its first screen once it has asked the terminal and the daemon.
  await machine.serial.waitFor(/Tandem/, WAIT);
  report('power-on to the console on the serial line', machine);
  t.equal(machine.boots, 3);
});
