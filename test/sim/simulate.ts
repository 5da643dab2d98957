/**
 * `npm run simulate`: very many seeds of the simulator, in pieces. SEEDS sets the goal (200,000
 * when not given), `--jobs N` how many processes work, `--for SECONDS` when to stop; the next run
 * goes on where this one ended. Progress is in build/simulate.json: which batches are done, the sum
 * of their counts, the seeds that failed. Always holds: a batch counts once it is done and as a
 * whole, so a run that is killed loses at most the batches under way; counts belong to one state of
 * the tree, and another one begins anew. `SEED=n` plays one seed and prints its trace. Only run by
 * hand.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { play } from './play.ts';
import { add, noTally, words, type Tally } from './tally.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FILE = `${ROOT}build/simulate.json`;
const GOAL = 200_000;
/** Seeds of a batch: some seconds of work. */
const BATCH = 500;
/** So many failed seeds are enough to look at. */
const FAILED_MAX = 20;
const MESSAGE_CHARS_MAX = 2000;
/** What a run depends on: the core, the simulator, and what it takes from elsewhere. */
const TREE = [
  'src/core/*.ts',
  'test/sim/*.ts',
  'test/memory/*.ts',
  'images/storage/generation.ts',
  'src/updater/report.ts',
  'src/daemon/operator-rules.ts',
];

interface Failed {
  readonly seed: number;
  readonly message: string;
}

/** What one batch came to. */
interface Result {
  readonly tree: string;
  readonly sum: Tally;
  readonly failed: readonly Failed[];
  readonly cpuMs: number;
}

interface Progress {
  readonly tree: string;
  /** First seeds of the batches that are done. */
  readonly batches: number[];
  readonly sum: Tally;
  readonly failed: Failed[];
  cpuMs: number;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

const grouped = (n: number): string => Math.round(n).toLocaleString('en-US');

function hashOfTree(): string {
  const hash = createHash('sha256');
  for (const path of globSync(TREE, { cwd: ROOT }).toSorted()) {
    hash
      .update(path)
      .update('\0')
      .update(readFileSync(`${ROOT}${path}`))
      .update('\0');
  }
  return hash.digest('hex');
}

/** Plays these seeds in this process. */
function batch(from: number, count: number): Result {
  const began = process.cpuUsage();
  const sum = noTally();
  const failed: Failed[] = [];
  for (let seed = from; seed < from + count; seed++) {
    try {
      add(sum, play(seed));
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      failed.push({ seed, message: text.slice(0, MESSAGE_CHARS_MAX) });
    }
  }
  const { user, system } = process.cpuUsage(began);
  return { tree: hashOfTree(), sum, failed, cpuMs: (user + system) / 1000 };
}

/** The same in a process of its own; rejects when that did not end well. */
async function batchInChild(from: number, signal: AbortSignal): Promise<Result> {
  const args = [fileURLToPath(import.meta.url), '--from', String(from)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], signal });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.on('error', reject);
  child.on('close', (code, by) => {
    if (code === 0) resolve();
    else reject(new Error(`the batch from seed ${from} ended with ${by ?? code}`));
  });
  await promise;
  return JSON.parse(output) as Result;
}

function fresh(tree: string): Progress {
  return { tree, batches: [], sum: noTally(), failed: [], cpuMs: 0 };
}

function load(tree: string): Progress {
  let text: string;
  try {
    text = readFileSync(FILE, 'utf8');
  } catch {
    return fresh(tree);
  }
  const found = JSON.parse(text) as Progress;
  const seeds = found.sum.seeds + found.failed.length;
  if (found.tree !== tree) {
    say(`the tree has changed since ${grouped(seeds)} seeds were run: a new count begins`);
    return fresh(tree);
  }
  if (seeds !== found.batches.length * BATCH) {
    say(`${FILE} does not add up: a new count begins`);
    return fresh(tree);
  }
  return found;
}

function save(progress: Progress): void {
  mkdirSync(`${ROOT}build`, { recursive: true });
  writeFileSync(`${FILE}.new`, JSON.stringify(progress));
  renameSync(`${FILE}.new`, FILE);
}

/** Works until the goal is reached or it is time to stop; returns whether all is well so far. */
async function work(goal: number, jobs: number, forS: number): Promise<boolean> {
  const tree = hashOfTree();
  const progress = load(tree);
  const done = new Set(progress.batches);
  const untilMs = performance.now() + forS * 1000;
  const beganMs = performance.now();
  let [next, ran] = [1, 0];
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  const take = (): number | null => {
    while (done.has(next)) next += BATCH;
    const over = next > goal || performance.now() > untilMs || stop.signal.aborted;
    if (over || progress.failed.length >= FAILED_MAX) return null;
    next += BATCH;
    return next - BATCH;
  };
  const lane = async (): Promise<void> => {
    for (let from = take(); from !== null; from = take()) {
      const result = await batchInChild(from, stop.signal);
      if (result.tree !== tree) throw new Error('the tree has changed in the meantime');
      done.add(from);
      progress.batches.push(from);
      add(progress.sum, result.sum);
      progress.failed.push(...result.failed);
      progress.cpuMs += result.cpuMs;
      save(progress);
      ran += BATCH;
      for (const { message } of result.failed) say(message);
      tell(progress, goal, (ran * 1000) / (performance.now() - beganMs));
    }
  };
  tell(progress, goal, null);
  try {
    await Promise.all(Array.from({ length: jobs }, lane));
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    say(stop.signal.aborted ? 'stopped; the batches under way do not count' : text);
    stop.abort();
  }
  return report(progress, goal);
}

function tell({ batches, failed }: Progress, goal: number, rate: number | null): void {
  const seeds = batches.length * BATCH;
  const leftS = rate === null ? null : Math.max(0, goal - seeds) / rate;
  const eta = leftS === null ? '' : `, ${grouped(leftS / 60)} min left`;
  const speed = rate === null ? '' : `, ${rate.toFixed(0)} seeds/s`;
  say(`${grouped(seeds)} of ${grouped(goal)} seeds, ${failed.length} failed${speed}${eta}`);
}

function report({ sum, failed, cpuMs, batches }: Progress, goal: number): boolean {
  for (const line of words(sum)) say(line);
  const seeds = batches.length * BATCH;
  say(`${(seeds / (cpuMs / 1000 || 1)).toFixed(0)} seeds per second of CPU`);
  if (failed.length > 0) say(`failed: ${failed.map(({ seed }) => `SEED=${seed}`).join(' ')}`);
  say(seeds >= goal ? 'the goal is reached' : `${grouped(goal - seeds)} seeds are left`);
  return failed.length === 0;
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      jobs: { type: 'string', default: '1' },
      for: { type: 'string', default: 'Infinity' },
      from: { type: 'string' },
    },
  });
  const one = process.env['SEED'];
  if (one !== undefined) {
    play(Number(one), say);
    return true;
  }
  if (values.from !== undefined) {
    process.stdout.write(JSON.stringify(batch(Number(values.from), BATCH)));
    return true;
  }
  return work(Number(process.env['SEEDS'] ?? GOAL), Number(values.jobs), Number(values.for));
}

process.exitCode = (await main()) ? 0 : 1;
