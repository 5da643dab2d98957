/**
 * `npm run simulate`: very many seeds of the simulator, in pieces. SEEDS sets the goal (200,000
 * when not given), `--jobs N` how many processes work, `--for SECONDS` when to stop; the next run
 * goes on where this one ended. Progress is in build/simulate.json: which batches are done, the sum
 * of their counts, the seeds that failed. Always holds: a batch counts once it is done and as a
 * whole, so a run that is killed loses at most the batches under way; counts belong to one state of
 * the tree, and another one begins anew. `SEED=n` plays one seed and prints its trace. Only run by
 * hand, and by its own test.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { play } from './play.ts';
import { add, noTally, words, type Tally } from './tally.ts';

const SELF = fileURLToPath(import.meta.url);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
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

/** A seed that failed, and how. */
interface Failed {
  readonly seed: number;
  readonly message: string;
}

/** What one batch came to. */
export interface Result {
  /** The state of the tree that it was played with. */
  readonly tree: string;
  readonly sum: Tally;
  readonly failed: readonly Failed[];
  readonly cpuMs: number;
}

/** What is kept between runs. */
interface Progress {
  readonly tree: string;
  /** First seeds of the batches that are done. */
  readonly batches: number[];
  readonly sum: Tally;
  readonly failed: Failed[];
  cpuMs: number;
}

/** How and how far to work. */
export interface Plan {
  readonly file: string;
  readonly tree: string;
  readonly goal: number;
  readonly batch: number;
  readonly jobs: number;
  /** False when no more batch is to be begun. */
  readonly goesOn: () => boolean;
  /** Plays the batch that begins with this seed. */
  readonly run: (from: number) => Promise<Result>;
  readonly say: (text: string) => void;
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
export function batch(from: number, count: number): Omit<Result, 'tree'> {
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
  return { sum, failed, cpuMs: (user + system) / 1000 };
}

/** The same in a process of its own; rejects when that did not end well. */
async function batchInChild(from: number, signal: AbortSignal): Promise<Result> {
  const args = [SELF, '--from', String(from)];
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

/** What the last run left, if it can be gone on with. */
function load({ file, tree, batch, say }: Plan): Progress {
  const fresh = { tree, batches: [], sum: noTally(), failed: [], cpuMs: 0 };
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return fresh;
  }
  const found = JSON.parse(text) as Progress;
  const seeds = found.sum.seeds + found.failed.length;
  if (found.tree !== tree) {
    say(`the tree has changed since ${grouped(seeds)} seeds were run: a new count begins`);
    return fresh;
  }
  if (seeds === found.batches.length * batch) return found;
  say(`${file} does not add up: a new count begins`);
  return fresh;
}

function save(file: string, progress: Progress): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, JSON.stringify(progress));
  renameSync(`${file}.new`, file);
}

/** Works until the goal is reached or it is time to stop; returns whether all is well so far. */
export async function simulate(plan: Plan): Promise<boolean> {
  const { batch, goal } = plan;
  const progress = load(plan);
  const done = new Set(progress.batches);
  const beganMs = performance.now();
  let [next, ran, stopped] = [1, 0, false];
  const take = (): number | null => {
    while (done.has(next)) next += batch;
    const enough = progress.failed.length >= FAILED_MAX;
    if (next > goal || stopped || enough || !plan.goesOn()) return null;
    next += batch;
    return next - batch;
  };
  const lane = async (): Promise<void> => {
    for (let from = take(); from !== null; from = take()) {
      const result = await plan.run(from);
      if (result.tree !== plan.tree) throw new Error('the tree has changed in the meantime');
      progress.batches.push(from);
      add(progress.sum, result.sum);
      progress.failed.push(...result.failed);
      progress.cpuMs += result.cpuMs;
      save(plan.file, progress);
      ran += batch;
      for (const { message } of result.failed) plan.say(message);
      tell(plan, progress, (ran * 1000) / (performance.now() - beganMs));
    }
  };
  tell(plan, progress, null);
  const lanes = Array.from({ length: plan.jobs }, async () => {
    try {
      await lane();
    } catch (error) {
      stopped = true;
      plan.say(`stopped: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
  await Promise.all(lanes);
  return report(plan, progress);
}

function tell({ batch, goal, say }: Plan, progress: Progress, rate: number | null): void {
  const seeds = progress.batches.length * batch;
  const left = Math.max(0, goal - seeds);
  const speed = rate === null ? '' : `, ${rate.toFixed(0)} seeds/s`;
  const eta = rate === null ? '' : `, ${grouped(left / rate / 60)} min left`;
  say(
    `${grouped(seeds)} of ${grouped(goal)} seeds, ${progress.failed.length} failed${speed}${eta}`,
  );
}

function report({ batch, goal, say }: Plan, { sum, failed, cpuMs, batches }: Progress): boolean {
  for (const line of words(sum)) say(line);
  const seeds = batches.length * batch;
  say(`${(seeds / (cpuMs / 1000 || 1)).toFixed(0)} seeds per second of CPU`);
  if (failed.length > 0) say(`failed: ${failed.map(({ seed }) => `SEED=${seed}`).join(' ')}`);
  say(seeds >= goal ? 'the goal is reached' : `${grouped(goal - seeds)} seeds are left`);
  return failed.length === 0;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

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
  const tree = hashOfTree();
  if (values.from !== undefined) {
    const result: Result = { tree, ...batch(Number(values.from), BATCH) };
    process.stdout.write(JSON.stringify(result));
    return true;
  }
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  const untilMs = performance.now() + Number(values.for) * 1000;
  return simulate({
    file: `${ROOT}build/simulate.json`,
    tree,
    goal: Number(process.env['SEEDS'] ?? GOAL),
    batch: BATCH,
    jobs: Number(values.jobs),
    goesOn: () => performance.now() < untilMs && !stop.signal.aborted,
    run: (from) => batchInChild(from, stop.signal),
    say,
  });
}

if (process.argv[1] === SELF) process.exitCode = (await main()) ? 0 : 1;
