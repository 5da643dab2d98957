/**
 * The host of a real machine on files in place of the kernel's: its contract, what the boot loader
 * may say, ways out of a boot that hang, the watchdog. May import tap, node: and the drivers under
 * test.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { BootInfo } from '../../src/core/boot.ts';
import { parseCommandLine } from '../../src/drivers/boot-info.ts';
import { openMachineHost, type MachineHostOptions } from '../../src/drivers/host-machine.ts';
import { hostContract } from '../contracts/host.ts';
import { commandLine, makeMachineTree } from './machine-tree.ts';

const BOOT: BootInfo = { bootId: 'boot-1', slot: 'A', reason: 'default', attempt: 0 };
const TIMES = { commandMs: 5000, goingMs: 1, syncMs: 1, offMs: 1 };

/** Stands for the end of the process. */
class Exit extends Error {
  readonly status: number | null;

  constructor(status: number | null) {
    super(`exit ${status}`);
    this.status = status;
  }
}

async function makeHost(t: Test, boot: BootInfo = BOOT, more: Partial<MachineHostOptions> = {}) {
  const dir = t.testdir({ run: {}, state: {} });
  const tree = await makeMachineTree(dir, boot);
  t.teardown(() => tree[Symbol.dispose]());
  const lines: string[] = [];
  const options: MachineHostOptions = {
    runDir: join(dir, 'run'),
    stateDir: join(dir, 'state'),
    restart: null,
    shutdown: null,
    watchdog: tree.watchdog,
    log: (line) => void lines.push(line),
    roots: tree.roots,
    times: TIMES,
    exit: (status) => {
      throw new Exit(status);
    },
    die: () => {
      throw new Exit(null);
    },
    ...more,
  };
  return { dir, tree, lines, options, open: () => openMachineHost(options) };
}

/** A program that says something on its error output and ends. */
const note = (text: string, status: number): readonly string[] => {
  return ['/bin/sh', '-c', `echo "$0" >&2; exit ${status}`, text];
};

await hostContract(t, 'a machine', async (t, boot) => {
  const { dir, tree, open } = await makeHost(t, boot);
  const host = await open();
  return {
    host,
    reboot: async (reason) => {
      await t.rejects(host.reboot(reason), new Exit(42));
      t.equal(await tree.keys(), 'sub');
      return (await tree.said()).replace('tandem: restart: ', '');
    },
    powerOff: async (reason) => {
      await t.rejects(host.powerOff(reason), new Exit(43));
      t.equal(await tree.keys(), 'suo');
      return (await tree.said()).replace('tandem: power off: ', '');
    },
    hardReset: (reason) => {
      t.throws(() => host.hardReset(reason), new Exit(null));
      t.equal(readFileSync(join(tree.roots.proc, 'sysrq-trigger'), 'latin1'), 'b', 'at once');
      return 'power cycle';
    },
    fed: async () => Promise.resolve(tree.fed().length),
    spoil: async () => {
      await rm(join(dir, 'state'), { recursive: true });
      await writeFile(join(dir, 'state'), '');
    },
  };
});

t.test('what the boot loader may say', async (t) => {
  const boots: readonly Omit<BootInfo, 'bootId'>[] = [
    { slot: 'A', reason: 'default', attempt: 0 },
    { slot: 'B', reason: 'trial', attempt: 2 },
    { slot: 'B', reason: 'attempts-used', attempt: 0 },
    { slot: 'A', reason: 'fallback', attempt: 0 },
  ];
  for (const boot of boots) t.same(parseCommandLine(commandLine(boot)), boot);
  const good = commandLine(boots[0]!);
  t.same(parseCommandLine(good.replace('PARTLABEL=tandem-system-a', '/dev/vda4')), boots[0]);
  t.same(parseCommandLine(`${good.trim()} quiet -- tandem.slot=B`), boots[0], 'words for init');
  t.same(parseCommandLine(`${good.trim()} x="a tandem.slot=B"`), boots[0], 'a quoted text');
  const bad: readonly (readonly [string, string, RegExp])[] = [
    ['nothing', '', /tandem.slot .* is missing, expected A or B/],
    ['another slot', good.replace('slot=A', 'slot=C'), /tandem.slot .* is C/],
    ['a small letter', good.replace('slot=A', 'slot=a'), /tandem.slot .* is a/],
    ['no reason', good.replace('tandem.reason=default', ''), /tandem.reason .* is missing/],
    ['another reason', good.replace('=default', '=luck'), /is luck, expected default, trial/],
    ['no attempt', good.replace('tandem.attempt=0', ''), /tandem.attempt .* is missing/],
    ['an attempt without a trial', good.replace('attempt=0', 'attempt=1'), /is 1, expected 0/],
    ['a trial without an attempt', good.replace('=default', '=trial'), /is 0, expected 1 to 9/],
    ['too many attempts', good.replace(/=default.*=0/, '=trial tandem.attempt=10'), /is 10/],
    ['two slots', `tandem.slot=B ${good}`, /given twice/],
    ['one slot twice', `tandem.slot=A ${good}`, /given twice/],
    ['another root', good.replace('system-a', 'system-b'), /as tandem.slot is A/],
    ['only in quotes', `"${good}"`, /tandem.slot .* is missing/],
  ];
  for (const [name, line, message] of bad) {
    t.throws(() => parseCommandLine(line), { code: 'config.invalid', message }, name);
  }
});

t.test(
  'a machine that does not say how it was booted, or cannot restart, is refused',
  async (t) => {
    const spoil = async (name: string, file: string, text: string | null, message: RegExp) => {
      const { dir, open, tree } = await makeHost(t);
      if (text === null) await rm(join(dir, file));
      else await writeFile(join(dir, file), text);
      await t.rejects(open(), { code: 'config.invalid', message }, name);
      t.equal(tree.watched(), false, `${name}: the watchdog was not started`);
    };
    await spoil('no command line', 'proc/cmdline', null, /there is no .*cmdline/);
    await spoil('another command line', 'proc/cmdline', 'ro quiet\n', /tandem.slot/);
    await spoil('no boot id', 'proc/sys/kernel/random/boot_id', null, /there is no .*boot_id/);
    await spoil('an odd boot id', 'proc/sys/kernel/random/boot_id', '../x\n', /no id of its own/);
    await spoil('no way to restart', 'proc/sysrq-trigger', null, /sysrq-trigger cannot be opened/);
    const timeout = 'sys/class/watchdog/watchdog0/timeout';
    await spoil('a quick watchdog', timeout, '9\n', /after 9 s, expected at least 10 s/);
    await spoil('no watchdog', 'dev/watchdog', null, /watchdog.* cannot be opened/);
  },
);

t.test('programs end the boot, and the kernel does when they do not', async (t) => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [note('asked', 0), /\/bin\/sh was asked, but this process was not ended/],
    [note('no init', 3), /\/bin\/sh ended with 3: no init/],
    [['/nowhere/reboot'], /\/nowhere\/reboot cannot be run: .*ENOENT/],
  ];
  for (const [command, said] of cases) {
    const more = { restart: command, shutdown: command };
    const one = await makeHost(t, BOOT, more);
    await t.rejects((await one.open()).reboot('a\ntrial'), new Exit(42));
    t.match(await one.tree.said(), said);
    t.match(await one.tree.said(), /^tandem: restart: a trial\n/, 'one line');
    t.equal(await one.tree.keys(), 'sub');
    const two = await makeHost(t, BOOT, more);
    await t.rejects((await two.open()).powerOff('moved'), new Exit(43));
    t.match(await two.tree.said(), said);
    t.equal(await two.tree.keys(), 'suo');
  }
  const hung = { restart: ['/bin/sleep', '60'], times: { ...TIMES, commandMs: 20 } };
  const { tree, open } = await makeHost(t, BOOT, hung);
  await t.rejects((await open()).reboot('x'), new Exit(42));
  t.match(await tree.said(), /\/bin\/sleep ended with no status in time/);
  t.equal(await tree.keys(), 'sub');
});

t.test('init that ends the process meets no delay, and the watchdog stays on', async (t) => {
  const { tree, options } = await makeHost(t);
  const driver = join(import.meta.dirname, '../../src/drivers/host-machine.ts');
  const program = `
    const { openMachineHost } = await import(${JSON.stringify(driver)});
    const options = JSON.parse(process.argv[1]);
    // As the daemon does, which needs a while for its own end.
    process.on('SIGTERM', () => undefined);
    const host = await openMachineHost({ ...options, log: () => undefined });
    host.feedWatchdog();
    await host.reboot('a trial');
  `;
  const restart = ['/bin/sh', '-c', 'kill -TERM $PPID'];
  const given = { ...options, restart, times: { ...TIMES, goingMs: 100_000 } };
  const args = ['--input-type=module', '--eval', program, JSON.stringify(given)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'ignore'] });
  t.same(await once(child, 'close'), [0, null]);
  t.equal(await tree.keys(), '', 'the kernel was not asked');
  t.equal(tree.fed(), '1', 'fed, and never told to stop');
});

t.test('a watchdog is told of, and one that tells nothing is taken', async (t) => {
  const { dir, tree, lines, options, open } = await makeHost(t);
  t.equal(tree.watched(), false);
  const host = await open();
  t.equal(tree.watched(), true, 'from its opening on');
  t.match(lines, [/\/dev\/watchdog \(i6300ESB timer\): silence restarts the machine after 30 s$/]);
  host.feedWatchdog();
  await rm(join(dir, 'sys'), { recursive: true });
  await open();
  t.match(lines[1], /\(unknown\): silence .* after a time that it does not tell$/);
  const without = await openMachineHost({ ...options, watchdog: null });
  t.doesNotThrow(() => without.feedWatchdog());
  t.equal(lines.length, 2);
});

t.test('a hard reset that the kernel does not take still ends the process', async (t) => {
  const { dir, open, tree } = await makeHost(t);
  // As a trigger that takes nothing: a full device.
  await rm(join(dir, 'proc/sysrq-trigger'));
  await symlink('/dev/full', join(dir, 'proc/sysrq-trigger'));
  const host = await open();
  t.throws(() => host.hardReset('x'.repeat(5000)), new Exit(null));
  t.match(await tree.said(), /^tandem: hard reset: x{888}\n$/);
  await t.rejects(host.reboot('y'), new Exit(42));
  t.match(await tree.said(), /the kernel does not take the key b: .*ENOSPC/);
});
