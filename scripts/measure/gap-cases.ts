/**
 * The rows of the gap benchmark: what is done to the pair, what is measured of it, and the target.
 * Always holds: every case begins and ends with a pair that is highly available; a gap is the
 * longest time between two acknowledged writes. Imports core and its own parts.
 */
import { readdir, readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlClient } from '../../src/control/client.ts';
import { peerOf, type NodeId } from '../../src/core/model.ts';
import type { GapPair } from './gap-pair.ts';

/** What one run of a case found. */
export interface GapFound {
  readonly value: number;
  /** More figures of the same run, by name. */
  readonly more?: Readonly<Record<string, number>>;
}

/** One row. */
export interface GapCase {
  readonly name: string;
  readonly unit: 'ms' | '%';
  /** The median may be at most this; null = shown without a judgement. */
  readonly target: number | null;
  readonly run: (pair: GapPair) => Promise<GapFound>;
}

/** What no gap can be shorter than, while the disk does nothing for so long. */
const DISK = 'ms the longest flush of the disk';
/** How long nothing is done, to see what a gap is without a cause. */
const QUIET_MS = 4000;
/** Records of the resync, and their size: as a pair that holds files would have them. */
const RESYNC_RECORDS = 64;
const RESYNC_BYTES = 64 * 1024;
/** Records that both copies hold before, so that a full copy would be seen. */
const STORE_RECORDS = 512;

/** The longest gap from now until the pair is ready again. */
async function gapOf(pair: GapPair, act: (serving: NodeId) => Promise<void>): Promise<GapFound> {
  const serving = await pair.ready();
  pair.writer.takeGap();
  pair.disk.takeLongest();
  await act(serving);
  await pair.ready();
  const value = pair.writer.takeGap();
  return { value, more: { [DISK]: Math.round(pair.disk.takeLongest()) } };
}

/** Ids of everything that runs on a node, the daemon first. */
async function processesOf(pair: GapPair, node: NodeId): Promise<number[]> {
  const { pid } = await pair.running.power(node);
  if (pid === null) throw new Error(`nothing runs on node ${node}`);
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
    // proc(5): the name in parentheses may hold anything; state and parent follow it.
    parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
  }
  const found = [pid];
  for (const one of found) {
    for (const [child, parent] of parents) if (parent === one) found.push(child);
  }
  return found;
}

/** All that runs on a node stands still. */
async function stop(pair: GapPair, node: NodeId): Promise<void> {
  for (const pid of await processesOf(pair, node)) {
    try {
      process.kill(pid, 'SIGSTOP');
    } catch {
      // It has just ended by itself.
    }
  }
}

async function serves(pair: GapPair, node: NodeId): Promise<void> {
  await pair.until(node, (status) => status.nodes[node].serving);
}

async function switchover(pair: GapPair): Promise<GapFound> {
  return gapOf(pair, async (serving) => {
    const client = new ControlClient(pair.pair.nodes[serving].controlSocket);
    await client.act({ act: 'switchover', reason: 'benchmark' });
    await serves(pair, peerOf(serving));
  });
}

/**
 * Killed: every process of the appliance, which stays off; its connections end. Silent: it stands
 * still and its connections stay open, as those of a machine that lost its power.
 */
async function takeover(pair: GapPair, how: 'killed' | 'silent'): Promise<GapFound> {
  return gapOf(pair, async (serving) => {
    if (how === 'silent') await stop(pair, serving);
    else await pair.power(serving, 'off');
    await serves(pair, peerOf(serving));
    if (how === 'killed') await pair.power(serving, 'on');
  });
}

async function standbyReboot(pair: GapPair, promised: boolean): Promise<GapFound> {
  return gapOf(pair, async (serving) => {
    const standby = peerOf(serving);
    const say = async (on: boolean): Promise<void> => {
      const client = new ControlClient(pair.pair.nodes[standby].controlSocket);
      await client.act({ act: 'stand-down', on, reason: 'benchmark' });
    };
    if (promised) {
      await say(true);
      await pair.until(serving, (status) => {
        return status.nodes[standby].standDown && !status.nodes[standby].admitted;
      });
      // The holder writes down that it counts on the promise, at the latest with the next beat.
      await sleep(400);
    }
    const before = await pair.running.power(standby);
    await pair.power(standby, 'reset');
    await pair.until(serving, (status) => {
      const { known, boot } = status.nodes[standby];
      return known && boot?.id !== before.boot?.bootId;
    });
    if (promised) await say(false);
  });
}

/** A reboot that costs nothing: what its longest gap has beyond that of a quiet time. */
async function plannedReboot(pair: GapPair): Promise<GapFound> {
  const before = await quiet(pair);
  const { value, more: found } = await standbyReboot(pair, true);
  const more = {
    ...found,
    'ms in all': Math.round(value),
    'ms when quiet': Math.round(before.value),
  };
  return { value: Math.max(0, value - before.value), more };
}

async function put(pair: GapPair, key: string, body: Buffer): Promise<void> {
  for (;;) {
    const status = await new Promise<number>((done) => {
      const url = `${pair.pair.serviceUrl}/records/${key}`;
      const call = request(url, { method: 'PUT' }, (response) => {
        response.resume().on('end', () => done(response.statusCode ?? 0));
      });
      call.on('error', () => done(0));
      call.end(body);
    });
    if (status >= 200 && status < 300) return;
    await sleep(20);
  }
}

/** Content that neither a format nor a wire can make smaller. */
function noise(seed: number, bytes: number): Buffer {
  const words = new Uint32Array(bytes / 4);
  let state = seed | 1;
  for (let at = 0; at < words.length; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  return Buffer.from(words.buffer);
}

/**
 * The standby is switched off, some records change, it comes back: what passed the cable of the
 * replication until it was level, in percent above what changed.
 */
async function resync(pair: GapPair): Promise<GapFound> {
  const serving = await pair.ready();
  const standby = peerOf(serving);
  if ((await pair.storeInfo(serving)).storeBytes < STORE_RECORDS * RESYNC_BYTES) {
    for (let at = 0; at < STORE_RECORDS; at += 1) {
      await put(pair, `bulk-${String(at)}`, noise(at + 1, RESYNC_BYTES));
    }
  }
  await pair.writer.pause();
  await pair.power(standby, 'off');
  await pair.until(serving, (status) => !status.nodes[standby].known);
  const seed = Math.floor(Math.random() * 2 ** 31);
  for (let at = 0; at < RESYNC_RECORDS; at += 1) {
    await put(pair, `bulk-${String(at)}`, noise(seed + at, RESYNC_BYTES));
  }
  const before = pair.wires.storage.bytes;
  await pair.power(standby, 'on');
  await pair.until(serving, (status) => status.nodes[standby].store?.copy === 'current');
  const moved = pair.wires.storage.bytes - before;
  const changed = RESYNC_RECORDS * RESYNC_BYTES;
  pair.writer.resume();
  await pair.ready();
  const { storeBytes } = await pair.storeInfo(serving);
  return {
    value: (moved / changed - 1) * 100,
    more: { 'bytes changed': changed, 'bytes moved': moved, 'bytes in the store': storeBytes },
  };
}

/** How long the status shows a standby that is dead and silent as if it were known. */
async function freshness(pair: GapPair): Promise<GapFound> {
  const serving = await pair.ready();
  const standby = peerOf(serving);
  const startMs = performance.now();
  await stop(pair, standby);
  await pair.until(serving, (status) => !status.nodes[standby].known);
  const value = performance.now() - startMs;
  // Its peer fences it, and it gets its power back.
  await pair.until(serving, (status) => status.nodes[standby].known);
  await pair.ready();
  return { value };
}

/** The bundle there and the rollback back; two rows of one run. */
async function update(pair: GapPair): Promise<GapFound> {
  const there = await gapOf(pair, async (serving) => {
    await pair.tandem(serving, 'update', pair.bundle, '--wait', '--yes', '--json');
  });
  const back = await gapOf(pair, async (serving) => {
    await pair.tandem(serving, 'rollback', '--wait', '--yes', '--json');
  });
  return {
    value: there.value,
    more: { ...there.more, 'ms in the rollback': Math.round(back.value) },
  };
}

async function quiet(pair: GapPair): Promise<GapFound> {
  return gapOf(pair, async () => sleep(QUIET_MS));
}

/** The rows, in their order. */
export const GAP_CASES: readonly GapCase[] = [
  { name: 'nothing happens', unit: 'ms', target: null, run: quiet },
  { name: 'planned switchover', unit: 'ms', target: 250, run: switchover },
  {
    name: 'takeover, active killed (kill -9 of all of it)',
    unit: 'ms',
    target: 3000,
    run: async (pair) => takeover(pair, 'killed'),
  },
  {
    name: 'takeover, active silent (no end of a connection)',
    unit: 'ms',
    target: 3000,
    run: async (pair) => takeover(pair, 'silent'),
  },
  { name: 'whole update, its longest gap', unit: 'ms', target: 250, run: update },
  {
    name: 'standby reboot after its stand-down, beyond quiet',
    unit: 'ms',
    target: 50,
    run: plannedReboot,
  },
  {
    name: 'standby loses its power (it is fenced first, R4)',
    unit: 'ms',
    target: 3000,
    run: async (pair) => standbyReboot(pair, false),
  },
  { name: 'resync after a reboot, moved beyond changed', unit: '%', target: 1, run: resync },
  { name: 'status of a silent peer turns unknown', unit: 'ms', target: 3000, run: freshness },
];
