/**
 * Records one whole update of a pair under QEMU: from power-on of the factory's disks until the
 * rollout is done and the pair is highly available, with a client that writes all the time. Always
 * holds: the recording appears in its folder only when it is complete; its folder is named by what
 * was recorded, so that it is never taken for one of other programs. Imports core, the bench and
 * the parts beside it.
 */
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UpdateError } from '../../src/core/errors.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import { BUILD_DIR } from '../build.ts';
import { AppliancePair, SHORT_POLICY } from '../pair/appliance-pair.ts';
import { keepEvidence } from '../pair/evidence.ts';
import { FIRST, SECOND } from '../pair/releases.ts';
import { CLIENT_NETWORK, PairWorkshop } from '../pair/workshop.ts';
import {
  indexOf,
  knownImage,
  loadRecording,
  readNodes,
  RECORDING_SCHEMA,
  saveRecording,
  type Moment,
  type Recording,
} from './recording.ts';
import { calmWatchdog } from './calm.ts';
import type { KnownImage } from './facts.ts';
import { AcknowledgedWriter, positionOf } from './writer.ts';

/** Folder of all recordings, one below it for each content. */
export const CUTS_DIR = join(BUILD_DIR, 'cuts');
/** Time between two looks at the logs of both nodes. */
const MOMENT_MS = 50;
/**
 * On a busy computer a node may be silent for longer than one may, and a start may take minutes:
 * nobody takes over for that, and no trial is turned back.
 */
const SETTINGS = {
  fence: 'manual',
  policy: { ...SHORT_POLICY, tries: 5, graceS: 300 },
} as const;
const LOOK_MS = 1000;
/** How often the update is asked for. */
const STARTS = 10;
/** Longest update, some ten times what an idle computer takes. */
const UPDATE_MS = 40 * 60_000;
/** The client goes on writing for so long when the update is done. */
const AFTERWARDS_MS = 3000;
const ROOT_KEY = 'root.key';
const SERVICE_PORT = Number(CLIENT_NETWORK.service.split(':')[1]);

/** A recording and its folder. */
export interface Kept {
  readonly dir: string;
  readonly recording: Recording;
}

/** The recording of what the tree makes now; it is made when it is not there. */
export async function recordUpdate(say: (line: string) => void): Promise<Kept> {
  const workshop = await PairWorkshop.open(say);
  const dir = join(CUTS_DIR, workshop.digest);
  const there = await loadRecording(dir);
  if (there !== null) return { dir, recording: there };
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true });
  // Paths of sockets are short.
  const work = await mkdtemp(join(tmpdir(), 'tandem-cuts-'));
  try {
    const recording = await record(workshop, work, dir, say);
    await saveRecording(dir, recording);
    return { dir, recording };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function record(
  workshop: PairWorkshop,
  work: string,
  dir: string,
  say: (line: string) => void,
): Promise<Recording> {
  const images = await imagesOf(workshop);
  const bundle = await workshop.bundle(SECOND);
  const moments: Moment[] = [];
  let written: Pick<Recording, 'nodes' | 'acknowledged' | 'rootKey'>;
  {
    await using pair = await AppliancePair.open({
      workshop,
      dir: work,
      disks: 'logged',
      settings: SETTINGS,
      say,
    });
    const { machines } = pair.vms;
    const writer = new AcknowledgedWriter(machines, SERVICE_PORT);
    const ended = new AbortController();
    const calm = new Map<NodeId, number>();
    const watching = watchLogs(pair, ended.signal, async (moment) => {
      moments.push(moment);
      for (const node of NODES) await calmWatchdog(machines[node], node, calm);
    });
    try {
      await runUpdate(pair, bundle, writer, say);
    } catch (error) {
      await keepEvidence(pair, join(CUTS_DIR, 'failed'));
      throw error;
    } finally {
      await writer.stop();
      ended.abort();
      await watching;
    }
    await pair.vms.cutPower();
    const nodes = { A: await keep(pair, work, dir, 'A'), B: await keep(pair, work, dir, 'B') };
    await cp(pair.made.rootKey, join(dir, ROOT_KEY));
    written = { nodes, acknowledged: writer.writes, rootKey: ROOT_KEY };
  }
  const title = `${FIRST.version} to ${SECOND.version}, ${written.acknowledged.length} writes`;
  const head = { schema: RECORDING_SCHEMA, title, images, moments, ...written };
  const recording: Recording = { ...head, index: { A: [], B: [] } };
  const { A, B } = await readNodes(dir, recording);
  return { ...recording, index: { A: indexOf(A), B: indexOf(B) } };
}

async function runUpdate(
  pair: AppliancePair,
  bundle: string,
  writer: AcknowledgedWriter,
  say: (line: string) => void,
): Promise<void> {
  await pair.powerOn();
  const before = await pair.waitAvailable();
  writer.start();
  const active = before.nodes.B.serving ? 'B' : 'A';
  say(`the pair is highly available, node ${active} serves`);
  const path = await pair.push(active, bundle);
  await beginUpdate(pair, active, path, say);
  say(`the update ended: ${await endOfRollout(pair)}`);
  const after = await pair.waitAvailable();
  for (const node of NODES) {
    const version = after.nodes[node].system?.version;
    if (version === SECOND.version) continue;
    throw new UpdateError('tool.failed', `node ${node} runs ${version ?? 'nothing known'}`);
  }
  say('the update is done');
  await sleep(AFTERWARDS_MS);
}

/** Starts the update, again where a node was silent for a while on a busy computer. */
async function beginUpdate(
  pair: AppliancePair,
  active: NodeId,
  path: string,
  say: (line: string) => void,
): Promise<void> {
  for (let left = STARTS; ; left -= 1) {
    const { exit, stdout, stderr } = await pair.tandem(active, 'update', path, '--yes', '--detach')
      .done;
    if (exit === 0) return;
    const words = `${stdout}${stderr}`.slice(-2000);
    const message = `the update ended with status ${String(exit)}: ${words}`;
    if (left <= 1) throw new UpdateError('tool.failed', message);
    say(message);
    await pair.waitAvailable();
  }
}

/** Waits for the end of a rollout, and returns the phase that it ended in. */
async function endOfRollout(pair: AppliancePair): Promise<string> {
  const endMs = performance.now() + UPDATE_MS;
  for (;;) {
    for (const node of NODES) {
      // On a busy computer a word of a node may take long: whoever answers says how it goes.
      const { rollout = null } = (await pair.status(node).catch(() => null)) ?? {};
      if (rollout?.ended === true) return rollout.phase;
    }
    if (performance.now() > endMs) throw new UpdateError('wait.timed_out', 'no end of the update');
    await sleep(LOOK_MS, undefined, { signal: pair.signal });
  }
}

async function imagesOf(workshop: PairWorkshop): Promise<readonly KnownImage[]> {
  const images: KnownImage[] = [];
  for (const release of [FIRST, SECOND]) {
    const { version } = release;
    const system = await workshop.systemImage(release);
    const storage = await workshop.storageImage(release);
    images.push(knownImage(system.file, { class: 'system', version }));
    images.push(knownImage(storage.file, { class: 'storage', version }));
  }
  return images;
}

async function watchLogs(
  pair: AppliancePair,
  signal: AbortSignal,
  tell: (moment: Moment) => Promise<void>,
): Promise<void> {
  const { A, B } = pair.vms.machines;
  while (!signal.aborted) {
    await tell({ A: await positionOf(A), B: await positionOf(B) });
    await sleep(MOMENT_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** Takes the disk of a node as it was at the start, and its logs, into the recording's folder. */
async function keep(
  pair: AppliancePair,
  work: string,
  dir: string,
  node: NodeId,
): Promise<Recording['nodes'][NodeId]> {
  const start = `${node}.start.img`;
  await move(join(work, start), join(dir, start));
  const logs: string[] = [];
  for (const path of pair.vms.machines[node].writeLogs) {
    const log = `${node}-${basename(path)}`;
    await move(path, join(dir, log));
    logs.push(log);
  }
  return { start, logs };
}

/** Renames a file, or copies it to another file system. */
async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch {
    await cp(from, to);
    await rm(from);
  }
}
