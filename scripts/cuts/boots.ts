/**
 * Really boots disks that cuts left: the node whose power was cut alone, through GRUB to the
 * service, against what the checker foretold; then, where that is asked for, its peer too, from the
 * disk of the same moment, until the pair is highly available again. Always holds: the disks that
 * were made are not written to; everything ends with the process. Imports core, the bench and the
 * parts beside it.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asUpdateError } from '../../src/core/errors.ts';
import { NODES, peerOf, type NodeId } from '../../src/core/model.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { AppliancePair, WAIT_MS } from '../pair/appliance-pair.ts';
import { keepEvidence } from '../pair/evidence.ts';
import type { PairDisks, PairWorkshop } from '../pair/workshop.ts';
import { calmWatchdog } from './calm.ts';
import type { Verdict } from './judge.ts';
import type { DrawnPoint } from './points.ts';
import { entriesAt, type NodeTimeline, type Recording } from './recording.ts';
import { cutAt, type Cut } from './timeline.ts';
import { Walker } from './walker.ts';

/** A disk that is to be booted. */
export interface BootCase {
  readonly node: NodeId;
  readonly point: DrawnPoint;
  /** What the checker foretold. */
  readonly verdict: Verdict;
}

/** What came of it. */
export interface BootResult {
  readonly node: NodeId;
  readonly key: string;
  /** What the boot loader said. */
  readonly booted: string;
  /** System that this boot said it is. */
  readonly version: string | null;
  /** Versions of both nodes at the end; null = the peer stayed off. */
  readonly end: Readonly<Record<NodeId, string>> | null;
  /** What was not as it should be; empty = all was. */
  readonly wrong: readonly string[];
  readonly seconds: number;
}

/** What is booted from. */
export interface BootBench {
  readonly dir: string;
  readonly recording: Recording;
  readonly nodes: Readonly<Record<NodeId, NodeTimeline>>;
  readonly workshop: PairWorkshop;
  /** Folder for disks. */
  readonly work: string;
}

const LOOK_MS = 200;
/** Codes of alarms that speak of something lost or damaged on the disk. */
const DAMAGE = /corrupt|boot\.lost|boot\.io|state\.|slot\.io|damaged|newer_schema/;

/** Boots one disk, with its peer afterwards or without. */
export async function bootCut(
  bench: BootBench,
  { node, point, verdict }: BootCase,
  withPeer: boolean,
): Promise<BootResult> {
  const startedMs = performance.now();
  const made = await makeDisks(bench, node, point, withPeer);
  const { workshop } = bench;
  const wrong: string[] = [];
  let booted = 'nothing';
  let version: string | null = null;
  let end: BootResult['end'] = null;
  await using pair = await AppliancePair.open({ workshop, made });
  const ended = new AbortController();
  const calm = keepCalm(pair, ended.signal);
  try {
    await pair.vms.powerOn(node);
    booted = await bootLine(pair, node);
    const { boots } = verdict;
    const foretold = boots ? `${boots.slot} ${boots.reason} ${boots.attempt}` : 'nothing';
    if (booted !== foretold) wrong.push(`the boot loader took ${booted}, foretold ${foretold}`);
    version = await systemLine(pair, node);
    if (version !== verdict.version) wrong.push(`runs ${version}, foretold ${verdict.version}`);
    wrong.push(...damageIn(await firstStatus(pair, node)));
    const said = await pair.run(node, 'tandem status; tandem journal show | tail -n 3; dmesg');
    for (const line of said.output.split('\n')) {
      if (/EXT4-fs error|journal\.corrupt|store\.corrupt|I\/O error/.test(line)) wrong.push(line);
    }
    if (withPeer) {
      await pair.vms.powerOn(peerOf(node));
      end = await endOf(pair, wrong);
    }
  } catch (error) {
    wrong.push(asUpdateError(error).message);
    await keepEvidence(pair, join(bench.dir, 'failed', point.key));
  } finally {
    ended.abort();
    await calm;
  }
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  return { node, key: point.key, booted, version, end, wrong, seconds };
}

/**
 * Both disks at the moment of the cut; the peer's cache survives, since it is cut as well. A peer
 * that stays off has the disk of the factory.
 */
async function makeDisks(
  { dir, recording, nodes, work }: BootBench,
  node: NodeId,
  point: DrawnPoint,
  withPeer: boolean,
): Promise<PairDisks> {
  const peer = peerOf(node);
  const disks = { A: join(work, 'A.img'), B: join(work, 'B.img') };
  disks[peer] = nodes[peer].recorded.start;
  const cuts: [NodeId, Cut][] = [[node, point.cut]];
  if (withPeer) cuts.push([peer, peerCut(recording, nodes, node, point.point.count)]);
  for (const [one, cut] of cuts) {
    const at = join(work, 'walk');
    await rm(at, { recursive: true, force: true });
    await mkdir(at, { recursive: true });
    await using walker = await Walker.open(nodes[one].recorded, at);
    await walker.at(cut);
    disks[one] = join(work, `${one}.img`);
    await walker.copyDisk(disks[one]);
  }
  return { dir: work, disks, rootKey: join(dir, recording.rootKey) };
}

/** What the peer had written when this node had written so many entries. */
export function peerCut(
  recording: Recording,
  nodes: Readonly<Record<NodeId, NodeTimeline>>,
  node: NodeId,
  count: number,
): Cut {
  const peer = peerOf(node);
  const { entries } = nodes[peer];
  const moment = recording.moments.find(
    (one) => entriesAt(nodes[node].entries, one[node]) >= count,
  );
  const peerCount = moment === undefined ? entries.length : entriesAt(entries, moment[peer]);
  return cutAt(entries, { count: peerCount, torn: 0, fate: 'keep' });
}

async function bootLine(pair: AppliancePair, node: NodeId): Promise<string> {
  const { serial } = pair.nodes[node].machine;
  const pattern = /Tandem: slot ([AB]), ([a-z-]+), attempt (\d)/;
  const [, slot, reason, attempt] = await serial.waitFor(pattern, { timeoutMs: WAIT_MS });
  return `${slot} ${reason} ${attempt}`;
}

/**
 * The version that came up. Not the one of the node's status: a node that was about to arm a trial
 * does so when it is up again, and restarts before anybody has asked it.
 */
async function systemLine(pair: AppliancePair, node: NodeId): Promise<string> {
  const { serial } = pair.nodes[node].machine;
  const [, version = ''] = await serial.waitFor(/tandem: system (\S+) is up/, {
    timeoutMs: WAIT_MS,
  });
  return version;
}

async function firstStatus(pair: AppliancePair, node: NodeId): Promise<PairStatus> {
  const endMs = performance.now() + WAIT_MS;
  for (;;) {
    try {
      return await pair.status(node);
    } catch (error) {
      if (performance.now() > endMs) throw error;
      await sleep(LOOK_MS, undefined, { signal: pair.signal });
    }
  }
}

function damageIn({ alarms, state }: PairStatus): readonly string[] {
  const found = alarms
    .filter(({ code }) => DAMAGE.test(code))
    .map(({ code, message }) => {
      return `${code}: ${message}`;
    });
  return state === 'SAFE_MODE' ? [...found, 'safe mode'] : found;
}

/** Waits for the end of what was going on; each node is on a release, and none on trial. */
async function endOf(pair: AppliancePair, wrong: string[]): Promise<Record<NodeId, string>> {
  const { nodes } = await pair.waitAvailable(2 * WAIT_MS);
  const words = { A: '', B: '' };
  for (const node of NODES) {
    const { system, slots } = nodes[node];
    words[node] = system?.version ?? 'nothing known';
    if (slots.some(({ state }) => state === 'trial')) wrong.push(`node ${node} is on trial`);
  }
  return words;
}

async function keepCalm(pair: AppliancePair, signal: AbortSignal): Promise<void> {
  const done = new Map<NodeId, number>();
  while (!signal.aborted) {
    for (const node of NODES) await calmWatchdog(pair.vms.machines[node], node, done);
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}
