/**
 * The parts of the harness that need no emulator: the command line, the serial log, the events, the
 * monitor's protocol, the power controller. Imports the harness and node.
 */
import { duplexPair } from 'node:stream';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import { commandLine, type MachineSpec } from '../../scripts/vm/command-line.ts';
import { EventLog } from '../../scripts/vm/event-log.ts';
import { PowerController } from '../../scripts/vm/power-port.ts';
import { QmpClient } from '../../scripts/vm/qmp.ts';
import { SerialCable } from '../../scripts/vm/serial-cable.ts';
import { SerialLog } from '../../scripts/vm/serial-log.ts';
import { UpdateError } from '../../src/core/errors.ts';

const LONG = { timeoutMs: 20_000 };
const NONE = { timeoutMs: 1 };
const BOOT = { serialFile: 's,log', writeLog: null, loadSnapshot: null, forwards: new Map() };
const PORT = { name: 'p', serve: (): void => undefined };
const SPEC: MachineSpec = { name: 'a', dir: 'd', disk: { path: 'x,y.raw', format: 'raw' } };

t.test('the command line of a machine', async (t) => {
  const plain = commandLine(SPEC, BOOT).join(' ');
  for (const part of [
    '-nodefaults -no-user-config -display none -S',
    '-accel tcg,thread=multi -cpu qemu64,+rdrand -m 256',
    '-no-reboot',
    'fd=4,logfile=s,,log,logappend=on',
    'driver=raw,node-name=disk0,discard=unmap,file.driver=file,file.filename=x,,y.raw',
    'virtio-blk-pci,addr=04,write-cache=on,bootindex=0,drive=disk0',
    '-device i6300esb,addr=05 -action watchdog=reset',
  ]) {
    t.ok(plain.includes(part), part);
  }
  t.notMatch(plain, /kvm|netdev|-kernel|loadvm|virtserial/);
  const kernel = { image: 'k', initrd: 'i', append: 'quiet console=ttyS0' };
  const more = commandLine(
    {
      ...SPEC,
      disk: { path: 'x', format: 'raw', logWrites: true },
      kernel,
      watchdog: false,
      ports: [PORT],
      extra: ['-z'],
    },
    { ...BOOT, writeLog: 'w', loadSnapshot: 'tag' },
  );
  t.equal(more[more.indexOf('-append') + 1], 'quiet console=ttyS0', 'one argument');
  t.ok(more.join(' ').includes('driver=blklogwrites,node-name=logged0,file=disk0'));
  t.ok(more.join(' ').includes('drive=logged0'));
  t.notMatch(more.join(' '), /bootindex/, 'a kernel that is booted directly comes first');
  t.ok(more.includes('virtserialport,bus=ports.0,nr=1,chardev=port0,name=p'));
  t.ok(more.includes('socket,id=port0,fd=5'));
  t.strictSame(more.slice(-3), ['-loadvm', 'tag', '-z']);
  t.notOk(more.join(' ').includes('i6300esb'));
});

t.test('serial lines after the first one', async (t) => {
  const spec = { ...SPEC, ports: [PORT], serials: [PORT, PORT] };
  const args = commandLine(spec, BOOT);
  const lines = args.filter((_arg, i) => args[i - 1] === '-serial');
  t.strictSame(lines, ['chardev:serial0', 'chardev:serial1', 'chardev:serial2']);
  t.ok(args.includes('socket,id=serial1,fd=6'), 'behind monitor, first line and port');
  t.ok(args.includes('socket,id=serial2,fd=7'));
  const four = { ...SPEC, serials: [PORT, PORT, PORT, PORT] };
  t.throws(() => commandLine(four, BOOT), { code: 'usage.invalid', message: /at most 4/ });
});

t.test('the serial cable', async (t) => {
  const cable = new SerialCable();
  const [a, guestA] = duplexPair();
  const [b, guestB] = duplexPair();
  cable.endOf('A').serve(a);
  guestA.write('nobody is there');
  await setImmediate();
  t.strictSame([cable.carriedBytes, cable.lostBytes], [0, 15]);
  cable.endOf('B').serve(b);
  guestB.write('hello');
  const [heard] = (await once(guestA, 'data')) as [Buffer];
  t.equal(heard.toString(), 'hello');
  cable.cut();
  t.equal(cable.isUp, false);
  guestA.write('cut');
  await setImmediate();
  cable.restore();
  guestA.write('whole');
  const [next] = (await once(guestB, 'data')) as [Buffer];
  t.equal(next.toString(), 'whole', 'what was sent meanwhile is lost');
  // The next boot of B has another stream; the old one ends late.
  const [again, guestAgain] = duplexPair();
  cable.endOf('B').serve(again);
  b.destroy();
  guestA.write('new boot');
  const [last] = (await once(guestAgain, 'data')) as [Buffer];
  t.equal(last.toString(), 'new boot');
  // Nobody reads: the line does not wait, and does not fill the memory.
  for (let i = 0; i < 40; i += 1) guestA.write(Buffer.alloc(1024));
  await setImmediate();
  await setImmediate();
  t.ok(cable.lostBytes > 18);
});

t.test('network cards of the command line', async (t) => {
  const [local, remote] = ['/r/1', '/r/2'];
  const link = { kind: 'link', name: 'n0', mac: '52:54:00:00:00:01', local, remote } as const;
  const forwards = [{ hostPort: 0, guestPort: 22 }];
  const user = { kind: 'user', name: 'u0', mac: '52:54:00:00:00:02', forwards } as const;
  const spec = { ...SPEC, nics: [link, user] };
  const args = commandLine(spec, BOOT);
  t.ok(
    args.includes('dgram,id=n0,local.type=unix,local.path=/r/1,remote.type=unix,remote.path=/r/2'),
  );
  t.ok(args.includes('user,id=u0,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:0-:22'));
  t.ok(args.includes('virtio-net-pci,netdev=u0,mac=52:54:00:00:00:02,addr=09,romfile='));
  const service = { hostPort: 0, guestPort: 80, guestAddress: '10.0.2.9' };
  const moved = commandLine({ ...SPEC, nics: [{ ...user, forwards: [service] }] }, BOOT);
  t.ok(moved.some((arg) => arg.endsWith('hostfwd=tcp:127.0.0.1:0-10.0.2.9:80')));
  const again = commandLine(spec, { ...BOOT, forwards: new Map([[22, 40_000]]) });
  t.ok(again.some((arg) => arg.endsWith('hostfwd=tcp:127.0.0.1:40000-:22')));
  const long = { ...link, local: `/${'l'.repeat(107)}` };
  t.throws(() => commandLine({ ...SPEC, nics: [long] }, BOOT), {
    code: 'usage.invalid',
    message: /has 108 bytes, and at most 107/,
  });
  t.throws(() => commandLine({ ...SPEC, nics: [{ ...link, name: 'a,b' }] }, BOOT), {
    code: 'usage.invalid',
  });
  const logged = { path: 'x', format: 'qcow2', logWrites: true } as const;
  t.throws(() => commandLine({ ...SPEC, disk: logged }, BOOT), { code: 'usage.invalid' });
});

t.test('the serial log: bounded, and a wait goes on after the last match', async (t) => {
  const log = new SerialLog('a', 20);
  const [machine, harness] = duplexPair();
  log.attach(harness);
  const heard: string[] = [];
  const stop = log.listen((bytes) => heard.push(bytes.toString()));
  const first = log.waitFor(/(\d)\n/g, LONG);
  machine.write('1\n2\n');
  t.equal((await first)[1], '1');
  t.equal((await log.waitFor(/(\d)\n/, LONG))[1], '2', 'text that was there already');
  await t.rejects(log.waitFor(/\d/, NONE), { code: 'wait.timed_out', message: /did not show/ });
  const euro = Buffer.from('€\n');
  machine.write(euro.subarray(0, 1));
  machine.write(euro.subarray(1));
  await log.waitFor(/€\n/, LONG);
  t.equal(log.text, '1\n2\n€\n', 'a letter in two pieces');
  machine.write('0123456789'.repeat(3));
  await log.waitFor(/9$/, LONG);
  t.equal(log.text, '0123456789'.repeat(2));
  t.equal(log.unread, '');
  machine.write('end');
  await log.waitFor(/end/, LONG);
  stop();
  machine.write('tail');
  await log.waitFor(/ta/, LONG);
  t.equal(log.unread, 'il');
  log.skip();
  t.equal(log.unread, '');
  t.notMatch(heard.join(''), /tail/);
  await log.write('typed');
  t.equal(String((await once(machine, 'data'))[0]), 'typed');
});

t.test('a wait ends with its signal, with the machine, and begins anew with a boot', async (t) => {
  const log = new SerialLog('a');
  const leave = new AbortController();
  const left = log.waitFor(/x/, { ...LONG, signal: leave.signal });
  const reason = new Error('left');
  leave.abort(reason);
  await t.rejects(left, reason);
  await t.rejects(log.waitFor(/x/, { ...LONG, signal: leave.signal }), reason);
  const waiting = log.waitFor(/x/, LONG);
  log.fail(new UpdateError('tool.failed', 'gone'));
  await t.rejects(waiting, { message: 'gone' });
  await t.rejects(log.waitFor(/x/, LONG), { message: 'gone' });
  await t.rejects(log.write('x'), { code: 'usage.invalid' });
  const [machine, harness] = duplexPair();
  log.attach(harness);
  const again = log.waitFor(/x/, LONG);
  machine.write('x');
  await again;
});

t.test('events are found once each, in their order', async (t) => {
  const log = new EventLog('a');
  const add = (boot: number, name: string, data = {}): void => log.add({ boot, name, data });
  add(1, 'BOOT');
  add(1, 'END', { cause: 'guest-reset' });
  add(2, 'BOOT');
  t.equal((await log.waitFor('BOOT', LONG)).boot, 1);
  t.equal((await log.waitFor('BOOT', LONG)).boot, 2);
  await t.rejects(log.waitFor('END', NONE), { code: 'wait.timed_out', message: /BOOT, END, BOOT/ });
  const second = log.waitFor('END', { ...LONG, fits: ({ data }) => data['cause'] === 'quit' });
  add(2, 'END', { cause: 'watchdog' });
  add(3, 'END', { cause: 'quit' });
  t.equal((await second).boot, 3);
  t.strictSame(log.ends, ['guest-reset', 'watchdog', 'quit']);
});

t.test('the monitor: greeting, events, answers by id, refusals, the end', async (t) => {
  const [emulator, harness] = duplexPair();
  const asked: { execute: string; id: number }[] = [];
  const say = (value: object): void => void emulator.write(`${JSON.stringify(value)}\r\n`);
  emulator.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString().trim().split('\n')) {
      const request = JSON.parse(line) as { execute: string; id: number };
      asked.push(request);
      if (request.execute === 'qmp_capabilities') say({ return: {}, id: request.id });
    }
  });
  const events: string[] = [];
  say({ QMP: { version: {}, capabilities: [] } });
  const client = await QmpClient.connect(harness, (name) => events.push(name));
  const [first, second] = [client.execute('one'), client.execute('two')];
  const refused = client.execute('three');
  const silent = client.execute('four', { a: 1 }, { timeoutMs: 1 });
  await t.rejects(silent, { code: 'tool.failed', message: /did not answer four within 1 ms/ });
  const ids = new Map(asked.map((one) => [one.execute, one.id]));
  say({ event: 'STOP', timestamp: {} });
  say({ return: 2, id: ids.get('two') });
  say({ return: 1, id: ids.get('one') });
  say({ error: { class: 'GenericError', desc: 'no such thing' }, id: ids.get('three') });
  say({ return: 4, id: ids.get('four') });
  t.strictSame(await Promise.all([first, second]), [1, 2]);
  await t.rejects(refused, { code: 'tool.failed', message: 'QEMU refused three: no such thing' });
  t.strictSame(events, ['STOP']);
  const last = client.execute('five');
  emulator.destroy();
  harness.destroy();
  await t.rejects(last, { code: 'tool.failed', message: 'QEMU has ended' });
  await t.rejects(client.execute('six'), { code: 'tool.failed' });
});

t.test('a monitor that says nonsense or nothing is given up', async (t) => {
  const [emulator, harness] = duplexPair();
  const connecting = QmpClient.connect(harness, () => undefined);
  emulator.write('what?\n');
  await t.rejects(connecting, { code: 'tool.failed', message: /not QMP/ });
  const [, mute] = duplexPair();
  await t.rejects(
    QmpClient.connect(mute, () => undefined, NONE),
    { message: /greet within 1 ms/ },
  );
});

/** A machine as the power controller sees it. */
class Lamp {
  isSwitchedOn = true;
  switched = 0;
  async cutPower(): Promise<void> {
    this.switched += 1;
    await setImmediate();
    this.isSwitchedOn = false;
  }
  async powerOn(): Promise<void> {
    this.switched += 1;
    if (this.switched > 2) throw new UpdateError('tool.failed', 'no\npower');
    this.isSwitchedOn = true;
  }
}

t.test('the power controller obeys a node about its peer only', async (t) => {
  const lamps = { A: new Lamp(), B: new Lamp() };
  const controller = new PowerController((node) => lamps[node]);
  const ask = (line: string): Promise<string | null> => controller.answer('A', line);
  t.equal(await ask('1 status B 0'), '1 0 on');
  t.equal(await ask('2 self-test B 0'), '2 0');
  t.equal(lamps.B.switched, 0);
  t.equal(await ask('3 off B 7'), '3 0');
  t.equal(lamps.B.isSwitchedOn, false);
  t.equal(await ask('4 status B 7'), '4 0 off');
  t.equal(await ask('5 on B 7'), '5 0');
  t.equal(await ask('6 on B 7'), '6 1 no power', 'one line, whatever the reason');
  t.equal(await ask('7 off A 7'), '7 1 a node switches its peer only');
  t.equal(await ask('8 off C 7'), '8 1 there is no node C');
  for (const line of ['', 'off B 7', '9 kill B 7', '9 off B', '9 off B 7 ', '9  off B 7']) {
    t.equal(await ask(line), '- 2 this is not a request', JSON.stringify(line));
  }
  t.equal(lamps.A.switched, 0);
  t.equal(lamps.B.switched, 3);
  t.strictSame(controller.requests[2], {
    from: 'A',
    action: 'off',
    node: 'B',
    epoch: 7,
    status: 0,
  });
  controller.mode = 'refuses';
  t.equal(await ask('a off B 8'), 'a 1 the controller refuses');
  controller.mode = 'silent';
  t.equal(await ask('b off B 8'), null);
  t.equal(lamps.B.switched, 3);
});

t.test('the power controller over a port: lines in pieces, answers in order', async (t) => {
  const lamps = { A: new Lamp(), B: new Lamp() };
  const controller = new PowerController((node) => lamps[node]);
  const [guest, harness] = duplexPair();
  controller.portOf('B').serve(harness);
  const answers = new SerialLog('answers');
  answers.attach(guest);
  guest.write('x1 off A 3\nx2 sta');
  guest.write(`tus A 3\r\n${'z'.repeat(5000)}`);
  guest.write('\nx3 self-test A 0\n');
  await answers.waitFor(/x3 0\n/, LONG);
  t.equal(answers.text, 'x1 0\nx2 0 off\n- 2 this is not a request\nx3 0\n');
});
