/**
 * The host of the embedded default: its contract, what the boot loader may say, the real exit of a
 * process, kinds of watchdogs, a full disk. May import tap, node: and the drivers under test.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import type { BootInfo } from '../../src/core/boot.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { openHost, parseBootInfo, REBOOT_REASON_FILE } from '../../src/drivers/host-process.ts';
import { hostContract } from '../contracts/host.ts';
import { MemoryHost } from '../memory/host.ts';

const BOOT: BootInfo = { bootId: 'boot-1', slot: 'A', reason: 'default', attempt: 0 };

/** Stands for the end of the process. */
class Exit extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`exit ${status}`);
    this.status = status;
  }
}

const exit = (status: number): never => {
  throw new Exit(status);
};

/** Stands for the end by a signal. */
class Death extends Error {}

const die = (signal: string): never => {
  throw new Death(signal);
};

await hostContract(t, 'in memory', async (_, boot) => {
  const host = new MemoryHost(boot);
  return Promise.resolve({
    host,
    reboot: async (reason) => {
      await host.reboot(reason).catch(() => undefined);
      return host.reboots.join();
    },
    powerOff: async (reason) => {
      await host.powerOff(reason).catch(() => undefined);
      return host.offs.join();
    },
    hardReset: (reason) => {
      t.throws(() => host.hardReset(reason), { name: 'Rebooted' });
      return host.resets.join() === reason ? 'power cycle' : 'nothing';
    },
    fed: async () => Promise.resolve(host.fed),
    spoil: async () => void (await Promise.resolve((host.readOnly = 'read-only'))),
  });
});

await hostContract(t, 'a process', async (t, boot) => {
  const dir = t.testdir({ run: {}, state: {} });
  const pipe = join(dir, 'watchdog');
  await promisify(execFile)('mkfifo', [pipe]);
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  t.teardown(() => closeSync(reader));
  const host = openHost({
    env: { TANDEM_BOOT: JSON.stringify(boot), TANDEM_WATCHDOG: pipe },
    runDir: join(dir, 'run'),
    stateDir: join(dir, 'state'),
    exit,
    die,
  });
  return {
    host,
    reboot: async (reason) => {
      await t.rejects(host.reboot(reason), new Exit(42));
      return readFile(join(dir, 'run', REBOOT_REASON_FILE), 'utf8');
    },
    powerOff: async (reason) => {
      await t.rejects(host.powerOff(reason), new Exit(43));
      return readFile(join(dir, 'run', REBOOT_REASON_FILE), 'utf8');
    },
    hardReset: (reason) => {
      t.throws(() => host.hardReset(reason), new Death('SIGUSR2'));
      return 'power cycle';
    },
    fed: async () => Promise.resolve(countOf(reader)),
    spoil: async () => {
      // The directory of the state is gone, and with it the file that is written.
      await rm(join(dir, 'state'), { recursive: true });
      await writeFile(join(dir, 'state'), '');
    },
  };
});

function countOf(fd: number): number {
  try {
    return readSync(fd, Buffer.alloc(100));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
}

t.test('what the boot loader may say', async (t) => {
  t.same(parseBootInfo(JSON.stringify({ ...BOOT, later: true })), BOOT);
  const bad: readonly (readonly [string, unknown])[] = [
    ['nothing', undefined],
    ['an empty word', ''],
    ['no JSON', 'A'],
    ['null', 'null'],
    ['too much', `"${'x'.repeat(5000)}"`],
    ['no boot id', JSON.stringify({ ...BOOT, bootId: '' })],
    ['a boot id with a path', JSON.stringify({ ...BOOT, bootId: '../x' })],
    ['another slot', JSON.stringify({ ...BOOT, slot: 'C' })],
    ['another reason', JSON.stringify({ ...BOOT, reason: 'luck' })],
    ['an attempt without a trial', JSON.stringify({ ...BOOT, attempt: 1 })],
    ['a trial without an attempt', JSON.stringify({ ...BOOT, reason: 'trial' })],
    ['half an attempt', JSON.stringify({ ...BOOT, reason: 'trial', attempt: 0.5 })],
  ];
  for (const [name, text] of bad) {
    t.throws(() => parseBootInfo(text as string | undefined), { code: 'config.invalid' }, name);
  }
});

t.test('a reboot ends the process with status 42, its output is complete', async (t) => {
  const dir = t.testdir({ run: {}, state: {} });
  const driver = join(import.meta.dirname, '../../src/drivers/host-process.ts');
  const program = `
    const { openHost } = await import(${JSON.stringify(driver)});
    const [runDir, stateDir] = process.argv.slice(1);
    const host = openHost({ env: process.env, runDir, stateDir });
    setInterval(() => undefined, 1000);
    console.log('x'.repeat(100000));
    await host.reboot('a trial');
    console.log('never');
  `;
  const args = ['--input-type=module', '--eval', program, join(dir, 'run'), join(dir, 'state')];
  const env = { ...process.env, TANDEM_BOOT: JSON.stringify(BOOT) };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [status] = await once(child, 'close');
  t.equal(status, 42);
  t.equal(output.length, 100_001);
  t.equal(await readFile(join(dir, 'run', REBOOT_REASON_FILE), 'utf8'), 'a trial\n');
});

t.test('a hard reset ends a process that cannot exit, by SIGUSR2', async (t) => {
  const dir = t.testdir();
  await promisify(execFile)('mkfifo', [join(dir, 'fifo')]);
  const driver = join(import.meta.dirname, '../../src/drivers/host-process.ts');
  const program = `
    const { open } = await import('node:fs');
    const { openHost } = await import(${JSON.stringify(driver)});
    const [dir] = process.argv.slice(1);
    process.on('SIGUSR2', () => console.log('handled'));
    // A thread that never comes back: a process that exits would wait for it.
    open(dir + '/fifo', 'r', () => undefined);
    openHost({ env: process.env, runDir: dir, stateDir: dir }).hardReset('x'.repeat(5000));
  `;
  const env = { ...process.env, TANDEM_BOOT: JSON.stringify(BOOT) };
  const args = ['--input-type=module', '--eval', program, dir];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [output, words] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (words += chunk.toString()));
  t.same(await once(child, 'close'), [null, 'SIGUSR2']);
  t.equal(output, '');
  t.match(words, /hard reset: x{1024}\n/);
});

t.test('a reason that cannot be written does not keep a node from its reboot', async (t) => {
  const dir = t.testdir();
  const env = { TANDEM_BOOT: JSON.stringify(BOOT) };
  const host = openHost({ env, runDir: join(dir, 'none'), stateDir: dir, exit });
  await t.rejects(host.reboot('x'), new Exit(42));
});

t.test('watchdogs: a file does not grow, a closed pipe does no harm', async (t) => {
  const dir = t.testdir({ file: '' });
  const file = join(dir, 'file');
  const make = (watchdog: string) =>
    openHost({
      env: { TANDEM_BOOT: JSON.stringify(BOOT), TANDEM_WATCHDOG: watchdog },
      runDir: dir,
      stateDir: dir,
    });
  const host = make(file);
  for (let n = 0; n < 3; n += 1) host.feedWatchdog();
  t.equal(await readFile(file, 'utf8'), '1');
  const fd = openSync(file, 'r+');
  make(`fd:${fd}`).feedWatchdog();
  closeSync(fd);
  make('').feedWatchdog();
  t.throws(() => make(join(dir, 'none')), { code: 'config.invalid' });
  const pipe = join(dir, 'pipe');
  await promisify(execFile)('mkfifo', [pipe]);
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  const piped = make(pipe);
  closeSync(reader);
  t.doesNotThrow(() => piped.feedWatchdog());
});

t.test('the probe is written in place, and made whole when it is not', async (t) => {
  const dir = t.testdir({ probe: 'short' });
  const env = { TANDEM_BOOT: JSON.stringify(BOOT) };
  const host = openHost({ env, runDir: dir, stateDir: dir });
  const { signal } = new AbortController();
  await host.checkWritable(signal);
  const first = await stat(join(dir, 'probe'));
  t.equal(first.size, 4096);
  await host.checkWritable(signal);
  const second = await stat(join(dir, 'probe'));
  t.same([second.size, second.ino], [4096, first.ino]);
  t.match(await readFile(join(dir, 'probe'), 'utf8'), /^boot-1 2\n/);
  await mkdir(join(dir, 'folder/probe'), { recursive: true });
  const other = openHost({ env, runDir: dir, stateDir: join(dir, 'folder') });
  await t.rejects(other.checkWritable(signal), { code: 'health.check' });
  t.ok(new UpdateError('health.check', 'x').exit > 0);
});
