/**
 * An appliance on this machine with a real supervisor, real slots and boot files, and a tiny
 * program in place of the daemon: it takes the lock on its state, notes its boot and stays. Always
 * holds: folder and supervisor go with the test. May import tap, the scripts and the drivers.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import type { NodeId, Slot } from '../../src/core/model.ts';
import { createBoot } from '../../src/drivers/boot-file.ts';
import { createSlots, openSlots } from '../../src/drivers/slots-file.ts';
import { PROJECT_DIR } from '../../scripts/build.ts';
import { makeExt4 } from '../../scripts/image/ext4.ts';
import {
  askPower,
  type PowerStatus,
  type PowerVerb,
} from '../../scripts/supervisor/power-client.ts';
import { SETTINGS_FILE } from '../../scripts/supervisor/settings.ts';

const SLOT_BYTES = 4 * 1024 * 1024;

/** Takes the lock on the state like a daemon, notes its boot and its own path, and stays. */
const PROGRAM = `
import { appendFileSync } from 'node:fs';
import { lockState } from '${join(PROJECT_DIR, 'src/drivers/state-lock.ts')}';
await lockState(process.cwd());
const boot = JSON.parse(process.env.TANDEM_BOOT);
appendFileSync('boots.log', JSON.stringify({ ...boot, program: process.argv[1] }) + '\\n');
setInterval(() => {}, 1000);
`;

/** The settings of its supervisor; the paths of the slots are missing. */
export const SETTINGS = {
  node: 'A',
  config: 'tandem.jsonc',
  bootDir: 'boot',
  slotsDir: 'slots',
  runDir: 'run',
  stateDir: 'state',
  powerSocket: 'power.sock',
  bootLog: 'boot.log',
  consoleLog: 'console.log',
  postMs: 10,
  restartMs: 10,
  watchdogMs: 0,
};

/** What a laid out appliance is to be like. */
export interface Layout {
  /** Slots whose system works, default A; other ones hold rubbish. */
  readonly working?: readonly Slot[];
  readonly node?: NodeId;
  /** Code that follows that of the program. */
  readonly more?: string;
}

/** Lays out an appliance that has not been switched on yet. */
export async function layOut(
  t: Test,
  { working = ['A'], node = 'A', more = '' }: Layout = {},
): Promise<string> {
  // Paths of sockets are short, and the folders of tests are not.
  const dir = await mkdtemp(join(tmpdir(), 'tandem-supervisor-'));
  t.teardown(async () => rm(dir, { recursive: true, force: true }));
  await mkdir(join(dir, 'state'));
  const runtime = `#!/bin/sh\nexec '${process.execPath}' "$@"\n`;
  const image = join(dir, 'system.img');
  await makeExt4({
    out: image,
    label: 'test system',
    sizeBytes: SLOT_BYTES,
    files: [
      { path: '/etc/tandem-release', mode: 0o644, text: '{}' },
      { path: '/usr/bin/node', mode: 0o755, text: runtime },
      { path: '/opt/tandem/tandem.mjs', mode: 0o644, text: PROGRAM + more },
    ],
  });
  await createSlots(join(dir, 'slots'), { system: SLOT_BYTES, storage: 4096 });
  const slots = await openSlots(join(dir, 'slots'));
  const paths = { A: slots.device('system', 'A').path, B: slots.device('system', 'B').path };
  for (const slot of working) {
    await using device = await open(paths[slot], 'r+');
    await device.writeFile(await readFile(image));
  }
  await createBoot(join(dir, 'boot'), { default: 'A' });
  await writeFile(join(dir, SETTINGS_FILE), JSON.stringify({ ...SETTINGS, node, slots: paths }));
  return dir;
}

/** A supervisor as a process. */
export interface Started {
  readonly child: ChildProcess;
  /** What it has complained about. */
  readonly words: () => string;
  readonly ended: Promise<unknown[]>;
}

/** Starts the supervisor of the appliance; returns when it is ready or has ended. */
export async function start(t: Test, dir: string, ...flags: string[]): Promise<Started> {
  const script = join(PROJECT_DIR, 'scripts/supervisor.ts');
  const child = spawn(process.execPath, [script, dir, ...flags], { stdio: 'pipe' });
  let words = '';
  child.stderr.on('data', (text: Buffer) => (words += text.toString()));
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  await Promise.race([once(child.stdout, 'data'), ended]);
  return { child, words: () => words, ended };
}

/** Asks the supervisor; throws when it refuses. */
export async function ask(dir: string, verb: PowerVerb): Promise<PowerStatus> {
  const reply = await askPower(join(dir, 'power.sock'), verb);
  if (!reply.ok) throw new Error(reply.error);
  return reply.status;
}

/** What the program has noted of a boot. */
export interface Seen {
  readonly bootId: string;
  readonly slot: Slot;
  readonly reason: string;
  readonly program: string;
}

/** Waits until the program has noted `count` boots. */
export async function boots(dir: string, count: number): Promise<Seen[]> {
  for (;;) {
    const text = await readFile(join(dir, 'state/boots.log'), 'utf8').catch(() => '');
    const lines = text.split('\n').filter(Boolean);
    if (lines.length >= count) return lines.map((line) => JSON.parse(line) as Seen);
    await sleep(20);
  }
}

/** True while the process runs; a zombie that nobody has reaped yet does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${String(pid)}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** Returns when the process is dead. */
export async function untilDead(pid: number): Promise<void> {
  while (isAlive(pid)) await sleep(10);
}
