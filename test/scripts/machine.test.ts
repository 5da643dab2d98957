/**
 * The machine with a power switch, with real processes and small stand-in programs: reboot, crash
 * restarts, counted attempts of a trial, load failures, power cuts that reach grandchildren in
 * process groups of their own, and the watchdog.
 */
import { readFileSync } from 'node:fs';
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { BootCounter, BootState } from '../../src/core/boot.ts';
import type { Slot } from '../../src/core/model.ts';
import { boundedLog } from '../../scripts/supervisor/log.ts';
import { Machine } from '../../scripts/supervisor/machine.ts';
import { membersOf } from '../../scripts/supervisor/processes.ts';
import type { SupervisorSettings } from '../../scripts/supervisor/settings.ts';

/** The program of a slot: notes its boot, then does what `body` says. */
const program = (body: string): string => `
import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
const boot = JSON.parse(process.env.TANDEM_BOOT);
const seen = { ...boot, root: process.env.TANDEM_ROOT, node: process.env.TANDEM_NODE };
appendFileSync('boots.log', JSON.stringify({ ...seen, args: process.argv.slice(2) }) + '\\n');
${body}
`;
const STAY = 'setInterval(() => {}, 1000);';

interface Seen {
  readonly bootId: string;
  readonly slot: Slot;
  readonly reason: string;
  readonly attempt: number;
  readonly root: string;
  readonly node: string;
  readonly args: readonly string[];
}

const base: BootState = { seq: 1, default: 'A', trial: null, trialId: 0, tries: 2, otherOk: false };
let tokens = 0;

/** An appliance in a temporary folder whose "unpacking" writes a program; null = broken slot. */
async function appliance(
  t: Test,
  programs: Readonly<Record<Slot, string | null>>,
  start: BootState = base,
  watchdogMs = 0,
) {
  const dir = t.testdir({ state: {} });
  const boot: { state: BootState | null; counter: BootCounter | null } = {
    state: start,
    counter: { trialId: 0, used: 0 },
  };
  const settings: SupervisorSettings = {
    node: 'A',
    config: join(dir, 'tandem.jsonc'),
    bootDir: dir,
    slotsDir: dir,
    slots: { A: 'A', B: 'B' },
    runDir: join(dir, 'run'),
    stateDir: join(dir, 'state'),
    powerSocket: join(dir, 'power.sock'),
    bootLog: join(dir, 'boot.log'),
    consoleLog: join(dir, 'console.log'),
    postMs: 10,
    restartMs: 10,
    watchdogMs,
    env: {},
  };
  tokens += 1;
  const token = `machine-test-${String(process.pid)}-${String(tokens)}`;
  const machine = new Machine(settings, token, {
    readBoot: async () => boot,
    saveCounter: async (counter) => void (boot.counter = counter),
    unpack: async (slot, target) => unpack(programs[slot as Slot], target),
    commitMarks: async () => ({ A: 0, B: 5 }),
    log: boundedLog(settings.bootLog, 65_536),
    console: boundedLog(settings.consoleLog, 65_536),
  });
  const seen = async (): Promise<Seen[]> => {
    const text = await readFile(join(settings.stateDir, 'boots.log'), 'utf8').catch(() => '');
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Seen);
  };
  const waitBoots = async (count: number): Promise<Seen[]> => {
    for (;;) {
      const now = await seen();
      if (now.length >= count) return now;
      await sleep(10);
    }
  };
  // Power off comes before the folder is removed.
  const dispose = async (): Promise<void> => void (await machine.off());
  return { dir, machine, settings, boot, token, seen, waitBoots, [Symbol.asyncDispose]: dispose };
}

/** True while the process runs; a zombie that nobody has reaped yet does not. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${String(pid)}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** The folder that a real image would give; the runtime is linked where copying would be slow. */
async function unpack(text: string | null, target: string): Promise<void> {
  if (text === null) throw new Error('not a file system');
  await mkdir(join(target, 'usr/bin'), { recursive: true });
  await mkdir(join(target, 'opt/tandem'), { recursive: true });
  await writeFile(join(target, 'usr/bin/node'), `#!/bin/sh\nexec '${process.execPath}' "$@"\n`);
  await chmod(join(target, 'usr/bin/node'), 0o755);
  await writeFile(join(target, 'opt/tandem/tandem.mjs'), text);
}

t.test('exit status 42 is a reboot with a new boot id, into the slot of the chooser', async (t) => {
  const body = `if (boot.slot === 'A') setTimeout(() => process.exit(42), 50); else ${STAY}`;
  await using one = await appliance(t, { A: program(body), B: program(STAY) });
  one.machine.on();
  const [first] = await one.waitBoots(1);
  one.boot.state = { ...base, default: 'B' };
  const [, second] = await one.waitBoots(2);
  t.match(first, { slot: 'A', reason: 'default', attempt: 0, node: 'A' });
  t.match(second, { slot: 'B', reason: 'default' });
  t.not(first?.bootId, second?.bootId);
  t.equal(second?.root, join(one.settings.runDir, 'root-B'));
  t.strictSame(second?.args, ['daemon', '--config', one.settings.config]);
  t.match(one.machine.status(), { power: 'on', boots: 2, restarts: 0 });
});

t.test('exit status 43 is off until somebody switches it on', async (t) => {
  const body = `if (boot.slot === 'A') setTimeout(() => process.exit(43), 50); else ${STAY}`;
  await using one = await appliance(t, { A: program(body), B: program(STAY) });
  one.machine.on();
  while (one.machine.status().power === 'on') await sleep(10);
  t.match(one.machine.status(), { power: 'off', pid: null, boot: null, boots: 1 });
  // A firmware that went on would boot again after this time.
  await sleep(5 * one.settings.postMs);
  t.equal((await one.seen()).length, 1);
  t.equal(await one.machine.off(), true, 'off again is nothing new');
  one.boot.state = { ...base, default: 'B' };
  one.machine.on();
  t.match((await one.waitBoots(2))[1], { slot: 'B' });
  t.match(one.machine.status(), { power: 'on', boots: 2 });
});

t.test('a crash restarts within the boot, the third one reboots', async (t) => {
  await using one = await appliance(t, { A: program('process.exit(7);'), B: null });
  one.machine.on();
  const boots = await one.waitBoots(4);
  const ids = boots.slice(0, 4).map((boot) => boot.bootId);
  t.equal(new Set(ids.slice(0, 3)).size, 1, 'three runs in the first boot');
  t.not(ids[3], ids[0], 'then another boot');
});

t.test('the attempts of a trial are counted, then the default slot boots', async (t) => {
  const state: BootState = { ...base, trial: 'B', trialId: 9, tries: 2 };
  const bad = program('process.exit(42);');
  await using one = await appliance(t, { A: program(STAY), B: bad }, state);
  one.machine.on();
  const boots = await one.waitBoots(3);
  t.match(boots, [
    { slot: 'B', reason: 'trial', attempt: 1 },
    { slot: 'B', reason: 'trial', attempt: 2 },
    { slot: 'A', reason: 'attempts-used', attempt: 0 },
  ]);
  t.strictSame(one.boot.counter, { trialId: 9, used: 2 });
});

t.test('a trial that cannot be loaded falls to the default slot at once', async (t) => {
  const state: BootState = { ...base, trial: 'B', trialId: 4, tries: 3 };
  await using one = await appliance(t, { A: program(STAY), B: null }, state);
  one.machine.on();
  const boots = await one.waitBoots(1);
  t.match(boots, [{ slot: 'A', reason: 'fallback', attempt: 0 }]);
  t.strictSame(one.boot.counter, { trialId: 4, used: 3 });
});

t.test('a lost boot state boots the slot that was committed last, as a fallback', async (t) => {
  await using one = await appliance(t, { A: program(STAY), B: program(STAY) });
  one.boot.state = null;
  one.boot.counter = null;
  one.machine.on();
  t.match(await one.waitBoots(1), [{ slot: 'B', reason: 'fallback', attempt: 0 }]);
});

t.test('a program that a link takes out of the slot is not run', async (t) => {
  await using one = await appliance(t, { A: program(STAY), B: null });
  const parts = join(one.dir, 'outside.mjs');
  await writeFile(parts, program(STAY));
  const settings = { ...one.settings, runDir: join(one.dir, 'run2') };
  const lines: string[] = [];
  const machine = new Machine(settings, `${one.token}-link`, {
    readBoot: async () => one.boot,
    saveCounter: async () => undefined,
    unpack: async (_slot, target) => {
      await mkdir(join(target, 'usr/bin'), { recursive: true });
      await mkdir(join(target, 'opt/tandem'), { recursive: true });
      await copyFile(parts, join(target, 'usr/bin/node'));
      await symlink(parts, join(target, 'opt/tandem/tandem.mjs'));
    },
    commitMarks: async () => ({ A: null, B: null }),
    log: { write: () => undefined, line: (text) => void lines.push(text) },
    console: { write: () => undefined, line: () => undefined },
  });
  machine.on();
  while (!lines.some((line) => line.includes('no slot can be loaded'))) await sleep(10);
  t.match(lines.join('\n'), /slot A cannot be loaded: \/opt\/tandem\/tandem.mjs is not a file/);
  t.strictSame(await one.seen(), []);
  t.equal(machine.status().boot, null);
  t.equal(await machine.off(), true);
});

t.test('a power cut kills grandchildren, wherever they hide', async (t) => {
  // One stays in the group, one leads a session, one drops its environment, one does both.
  const body = `
    const stay = ['-e', 'setInterval(() => {}, 1000)'];
    const kids = [
      spawn(process.execPath, stay),
      spawn(process.execPath, stay, { detached: true, stdio: 'ignore' }),
      spawn(process.execPath, stay, { env: {}, stdio: 'ignore' }),
      spawn(process.execPath, stay, { env: {}, detached: true, stdio: 'ignore' }),
    ];
    writeFileSync('kids.json', JSON.stringify(kids.map((kid) => kid.pid)));
    ${STAY}`;
  await using one = await appliance(t, { A: program(body), B: null });
  one.machine.on();
  const file = join(one.settings.stateDir, 'kids.json');
  let kids: number[] = [];
  while (kids.length !== 4) {
    kids = JSON.parse(await readFile(file, 'utf8').catch(() => '[]')) as number[];
    await sleep(10);
  }
  const leader = one.machine.status().pid;
  const before = await membersOf({ token: one.token, leader });
  t.strictSame(
    kids.filter((kid) => before.includes(kid)),
    kids,
  );
  t.equal(await one.machine.off(), true);
  t.strictSame(kids.filter(isAlive), []);
  t.match(one.machine.status(), { power: 'off', pid: null, boot: null });
  const count = (await one.seen()).length;
  one.machine.on();
  await one.waitBoots(count + 1);
  t.equal(await one.machine.off(), true, 'and it can be switched on again');
});

t.test('a power cut while a slot is loaded spends no attempt of the trial', async (t) => {
  const state: BootState = { ...base, trial: 'B', trialId: 2, tries: 2 };
  await using one = await appliance(t, { A: program(STAY), B: program(STAY) }, state);
  const entered = Promise.withResolvers<void>();
  const machine = new Machine(one.settings, `${one.token}-cut`, {
    readBoot: async () => one.boot,
    saveCounter: async (counter) => void (one.boot.counter = counter),
    unpack: async (_slot, _target, signal) => {
      entered.resolve();
      await sleep(60_000, undefined, { signal });
    },
    commitMarks: async () => ({ A: null, B: null }),
    log: { write: () => undefined, line: () => undefined },
    console: { write: () => undefined, line: () => undefined },
  });
  machine.on();
  await entered.promise;
  t.equal(await machine.off(), true);
  t.strictSame(one.boot.counter, { trialId: 2, used: 1 }, 'this attempt alone is counted');
});

t.test('a watchdog that is fed no more is a power cycle', async (t) => {
  // The first boot feeds once and hangs; the second never feeds, so its watchdog is not armed.
  const body = `
    if (!existsSync('fed')) {
      writeFileSync('fed', '');
      setTimeout(() => writeFileSync(process.env.TANDEM_WATCHDOG, 'x'), 700);
    }
    ${STAY}`;
  await using one = await appliance(t, { A: program(body), B: null }, base, 600);
  one.machine.on();
  const [first, second] = await one.waitBoots(2);
  t.not(first?.bootId, second?.bootId);
  t.equal(one.machine.status().restarts, 0);
  t.match(await readFile(one.settings.bootLog, 'utf8'), /the watchdog was not fed/);
});
