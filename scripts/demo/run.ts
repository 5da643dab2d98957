/**
 * One run of the demo from the factory to the judgement. Always holds: the update goes through the
 * real command line, and whatever happens the processes end and the folder goes away, unless it was
 * asked to keep them. Imports core and its own parts.
 */
import { mkdtemp, readFile, readlink, realpath, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { RolloutRecord } from '../../src/core/records.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { createPair, type PairSpec } from '../appliance.ts';
import { programVersion } from '../build.ts';
import { needTool } from '../image/tools.ts';
import { DemoClient } from './client.ts';
import { RunningPair } from './pair.ts';
import { reportOf, type DemoReport } from './report.ts';
import { mib, type Voice } from './say.ts';
import { FIRST, type Scenario } from './scenarios.ts';
import { damage, HARDWARE, openWorkshop, PRODUCT, type Workshop } from './workshop.ts';

/** Begin of the name of the folder that a run works in. */
export const DIR_PREFIX = 'tandem-demo-';
const SPACE_BYTES = 1536 * 1024 * 1024;
/** A pair that was switched on must find itself within this time. */
const START_MS = 90_000;
/** The update command gives up waiting after this time, so that it never outlives a killed demo. */
const UPDATE_S = '900';
/** After the update command has ended. */
const REFORM_MS = 120_000;
const CLIENT_WARM_UP = 20;

/** A short run; the defaults of a real appliance are longer (docs/ARCHITECTURE.md, "Settings"). */
const DEMO_POLICY: PairSpec['policy'] = {
  tries: 2,
  graceS: 5,
  stableS: 3,
  soakS: 3,
  deadmanS: 120,
  retries: 1,
  onSecondFailure: 'hold',
};

/** How a run is asked for. */
export interface RunOptions {
  readonly scenario: Scenario;
  readonly keep: boolean;
  readonly voice: Voice;
  readonly signal: AbortSignal;
}

/**
 * Opens the maintenance console on a pair that runs and has a bundle to be updated with, and ends
 * the pair when the console is left; returns its exit status.
 */
export async function runConsole(options: RunOptions): Promise<number> {
  const { voice, signal } = options;
  await needWorld();
  const dir = await mkdtemp(join(tmpdir(), DIR_PREFIX));
  try {
    const workshop = await prepare(options);
    const running = new RunningPair(await layOut(dir, workshop, options), workshop.programs.tandem);
    try {
      const file = await makeUpdate(dir, workshop, options);
      await running.start();
      voice.step('power', 'both appliances are switched on');
      await running.waitAvailable(START_MS, signal);
      voice.step('console', `of node A; the bundle to choose is ${file}`);
      return await running.console('A', dir);
    } finally {
      await running.stop();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function needWorld(): Promise<void> {
  for (const tool of ['mke2fs', 'debugfs', 'e2fsck', 'ldd'] as const) await needTool(tool);
  await needSpace(tmpdir());
}

/** Runs the scenario; throws what went wrong, and the signal's reason after Ctrl-C. */
export async function runDemo(options: RunOptions): Promise<DemoReport> {
  const { keep, signal } = options;
  await needWorld();
  const dir = await mkdtemp(join(tmpdir(), DIR_PREFIX));
  let kept = false;
  try {
    const workshop = await prepare(options);
    const pair = await layOut(dir, workshop, options);
    const running = new RunningPair(pair, workshop.programs.tandem);
    try {
      const report = await update(running, dir, workshop, options);
      signal.throwIfAborted();
      if (keep) {
        await running.keep();
        kept = true;
      }
      return report;
    } finally {
      await running.stop();
    }
  } finally {
    if (!kept) await rm(dir, { recursive: true, force: true });
  }
}

async function needSpace(dir: string): Promise<void> {
  const { bavail, bsize } = await statfs(dir);
  if (bavail * bsize >= SPACE_BYTES) return;
  const message = `${dir} has ${mib(bavail * bsize)} free, the demo needs ${mib(SPACE_BYTES)}`;
  throw new UpdateError('space.depot', `${message}; TMPDIR names another folder`);
}

async function prepare({ scenario, voice, signal }: RunOptions): Promise<Workshop> {
  const workshop = await openWorkshop();
  const version = await programVersion(workshop.programs.tandem);
  voice.step('programs', `tandem ${version}, storage software, workload: one file each`);
  signal.throwIfAborted();
  for (const release of [FIRST, scenario.release]) {
    const system = await workshop.systemImage(release);
    const storage = await workshop.storageImage(release);
    signal.throwIfAborted();
    const sizes = [(await stat(system.file)).size, (await stat(storage.file)).size];
    const special = [release.system, release.storage].filter((word) => word !== undefined);
    const words = special.length === 0 ? '' : `, ${special.join(', ')} on purpose`;
    const text = `system ${mib(sizes[0]!)}, storage software ${mib(sizes[1]!)}${words}`;
    voice.step('images', `release ${release.version}: ${text}`);
  }
  return workshop;
}

async function layOut(dir: string, workshop: Workshop, { voice, signal }: RunOptions) {
  const trustRoot = join(dir, 'root.json');
  await workshop.trustRoot(trustRoot);
  voice.step('keys', 'a signing key, new and in memory only; its trust root is on both nodes');
  const pair = await createPair(
    {
      dir,
      product: PRODUCT,
      hardware: HARDWARE,
      policy: DEMO_POLICY,
      systemImage: await workshop.systemImage(FIRST),
      storageImage: await workshop.storageImage(FIRST),
      trustRoot,
    },
    signal,
  );
  voice.step('pair', `appliances A and B with release ${FIRST.version}, paired, in ${dir}`);
  return pair;
}

/** Makes the scenario's bundle in `dir`. */
async function makeUpdate(dir: string, workshop: Workshop, { scenario, voice }: RunOptions) {
  const file = join(dir, 'update.bin');
  await workshop.bundle(scenario.release, file, scenario.spoil === 'foreign-key');
  if (scenario.spoil === 'damage') await damage(file);
  const { size } = await stat(file);
  const spoilt = { none: '', damage: ', one bit flipped', 'foreign-key': ' by an unknown key' };
  const text = `${mib(size)}, signed${spoilt[scenario.spoil]}: ${file}`;
  voice.step('bundle', `release ${scenario.release.version}, ${text}`);
  return file;
}

async function update(
  running: RunningPair,
  dir: string,
  workshop: Workshop,
  options: RunOptions,
): Promise<DemoReport> {
  const { scenario, voice, signal, keep } = options;
  const file = await makeUpdate(dir, workshop, options);
  await running.start();
  voice.step('power', 'both appliances are switched on');
  const before = await running.waitAvailable(START_MS, signal);
  voice.step('ready', before.ha.text);
  const client = new DemoClient(running.pair.serviceUrl);
  client.start();
  try {
    await warmUp(client, signal);
    voice.step('client', `writes and reads records at ${running.pair.serviceUrl}`);
    voice.step('update', `tandem update ${file} --wait --follow`);
    const startMs = performance.now();
    const words = ['update', file, '--wait', '--follow', '--yes', '--timeout', UPDATE_S];
    const { exit } = await running.tandem('A', words, signal, true);
    const updateS = (performance.now() - startMs) / 1000;
    voice.step('ended', `exit status ${String(exit)}`);
    const after = await running.waitAvailable(REFORM_MS, signal);
    const ready = await clusterAvailable(running, signal);
    const result = await client.finish(signal);
    const boots = { A: (await running.power('A')).boots, B: (await running.power('B')).boots };
    const rollout = await newestRollout(running, signal);
    const strangers = await strangersOf(running);
    const kept = keep ? dir : null;
    const seen = { before, after, rollout, boots, strangers, ready, client: result };
    return reportOf({ scenario, exit, updateS, kept, ...seen });
  } catch (error) {
    if (!signal.aborted) await tellLogs(running, voice);
    throw error;
  } finally {
    await client.stop();
  }
}

/** The client must have worked before its gaps mean something. */
async function warmUp(client: DemoClient, signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + START_MS;
  while (client.successes < CLIENT_WARM_UP) {
    signal.throwIfAborted();
    if (performance.now() > endMs) {
      throw new UpdateError('service.failed', 'the service answers no request of the client');
    }
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Both nodes must say so; a pair that is held in mixed versions is highly available, too. */
async function clusterAvailable(running: RunningPair, signal: AbortSignal): Promise<boolean> {
  for (const node of NODES) {
    const { exit, stdout } = await running.tandem(node, ['cluster', 'status', '--json'], signal);
    if (exit !== 0 || !(JSON.parse(stdout) as Pick<PairStatus, 'ha'>).ha.ok) return false;
  }
  return true;
}

/** What runs must come from the slot that the boot loader chose: the kernel knows the file. */
async function strangersOf(running: RunningPair): Promise<NodeId[]> {
  const strangers: NodeId[] = [];
  for (const node of NODES) {
    const { pid, boot } = await running.power(node);
    const root = join(running.pair.nodes[node].dir, 'run', `root-${boot?.slot ?? ''}`);
    const file = await readlink(`/proc/${String(pid)}/exe`).catch(() => '');
    if (!file.startsWith(`${await realpath(root)}/`)) strangers.push(node);
  }
  return strangers;
}

async function newestRollout(
  running: RunningPair,
  signal: AbortSignal,
): Promise<RolloutRecord | null> {
  const words = ['history', '--limit', '1', '--json'];
  const { exit, stdout } = await running.tandem('A', words, signal);
  if (exit !== 0) return null;
  return (JSON.parse(stdout) as { rollouts: RolloutRecord[] }).rollouts[0] ?? null;
}

/** The ends of the logs, because the folder goes away. */
async function tellLogs(running: RunningPair, voice: Voice): Promise<void> {
  for (const node of NODES) {
    const { bootLog, consoleLog } = running.pair.nodes[node];
    for (const file of [bootLog, consoleLog]) {
      voice.line(`--- end of ${file}`);
      for (const line of await lastLines(file)) voice.line(line);
    }
  }
}

const LAST_LINES = 15;

async function lastLines(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '(there is none)');
  return text.trimEnd().split('\n').slice(-LAST_LINES);
}
