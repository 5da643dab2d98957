/**
 * What befalls a pair in stories: power cuts, processes that are killed or stand still, each at a
 * phase of the rollout; and how a rollout may end after it (docs/ARCHITECTURE.md, "Phases", "When
 * something dies"). Always holds: a process is killed by its id, found below the daemon that the
 * supervisor names; chance comes from a seed. Imports core and the bench.
 */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { Bench } from './harness.ts';

/** One kind of fault. */
export const FAULTS = [
  'reset',
  'reset-both',
  'kill-daemon',
  'kill-installer',
  'kill-storage',
  'kill-workload',
  'stall',
] as const;
/** A word of the table above. */
export type FaultKind = (typeof FAULTS)[number];

/** A fault, where it strikes and when. */
export interface Fault {
  readonly kind: FaultKind;
  readonly node: NodeId;
  /** Phase at whose begin the delay starts. */
  readonly phase: string;
  readonly delayMs: number;
}

/** How long a stalled daemon stands still: the link gives up, the watchdog does not yet. */
const STALL_MS = 2500;
/** Part of the command line by which a child of the daemon is known. */
const CHILDREN: Partial<Record<FaultKind, string>> = {
  'kill-installer': '__installer',
  'kill-storage': '/storage.mjs',
  'kill-workload': '/records.mjs',
};

/** A generator of numbers in [0, 1) from a seed (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Id of a child of the node's daemon whose command line holds `word`; null when there is none. */
export async function childOf(bench: Bench, node: NodeId, word: string): Promise<number | null> {
  const { pid: daemon } = await bench.running.power(node);
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (parent !== daemon) continue;
    const words = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (words.includes(word)) return Number(name);
  }
  return null;
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    // It has just ended by itself.
    return false;
  }
}

async function stall(pid: number): Promise<boolean> {
  if (!send(pid, 'SIGSTOP')) return false;
  await sleep(STALL_MS);
  return send(pid, 'SIGCONT');
}

/** Strikes now; false when there was nothing to strike. */
export async function strike(bench: Bench, kind: FaultKind, node: NodeId): Promise<boolean> {
  if (kind === 'reset-both') {
    await Promise.all(NODES.map(async (one) => bench.power(one, 'reset')));
    return true;
  }
  if (kind === 'reset') {
    await bench.power(node, 'reset');
    return true;
  }
  const child = CHILDREN[kind];
  const { pid } = await bench.running.power(node);
  const target = child === undefined ? pid : await childOf(bench, node, child);
  if (target === null) return false;
  return kind === 'stall' ? stall(target) : send(target, 'SIGKILL');
}

/** Phases before service is with the first node's new version. */
const FIRST_TURN = /^(STAGE|INSTALL1|DRAIN1|DOWN1|ACT1|TRIAL1|SYNC1|COMMIT1|ADMIT1)$/;
/** Those of them from which the delay of a fault may lead into the soak. */
const NEAR_SOAK = /^(TRIAL1|SYNC1|COMMIT1|ADMIT1)$/;

/**
 * Ends in which a rollout may rest after one fault. One that struck before anything was armed
 * changes nothing; a node that restarts in the soak is not trusted with its new version.
 */
export function endsAfter({ phase }: Pick<Fault, 'phase'>): readonly string[] {
  if (!FIRST_TURN.test(phase)) return ['DONE', 'ROLLED_BACK', 'HOLD_MIXED'];
  return NEAR_SOAK.test(phase) ? ['DONE', 'FAILED', 'ROLLED_BACK'] : ['DONE', 'FAILED'];
}

/** Exit statuses of an end. */
export const EXITS: Readonly<Record<string, readonly number[]>> = {
  DONE: [0],
  FAILED: [30, 31],
  ROLLED_BACK: [30, 31, 32],
  HOLD_MIXED: [32],
};
