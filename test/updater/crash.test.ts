/**
 * Crash points of one node's update on the real runner, journal and boot chooser: power is cut, or
 * the daemon killed, before every durable operation of the node from the start of the update to its
 * rest (writes and syncs of journal and boot chooser, the boot loader's counter, each change of
 * slots), and again in the recovery: a seeded sample of second cuts here, all of them with
 * CRASH_ALL=1; and stories that fail begin here where the trial is armed, since until then they are
 * the good one. A power cut loses what was not synced, all of it, or torn as a seed decides. Every
 * run must come to rest on a whole committed version; the write order is checked while it runs.
 */
import t, { type Test } from 'tap';
import { rolloutRecord, targetOf } from '../core/states.ts';
import { randomOf } from '../memory/disk.ts';
import type { Faults } from './bench-life.ts';
import type { Cut } from './bench-node.ts';
import { Bench } from './bench.ts';

const SEED = Number(process.env['SEED'] ?? 20261121);
const ALL = process.env['CRASH_ALL'] === '1';
/** Second cuts of the sample, per story. */
const SAMPLE = 20;

interface Story {
  readonly faults: Faults;
  /** Where it ends with at most one cut. */
  readonly ends: readonly string[];
  /** Where only two cuts may lead. */
  readonly endsOfTwo: readonly string[];
}

const OLD = '1/1 1/1';

// Only node A is updated. A cut while it serves in the soak counts as a failure of the new version;
// two cuts in one trial use up its two attempts; storage software that was proven by then is kept.
const stories: Record<string, Story> = {
  'a good update': {
    faults: {},
    ends: ['DONE 2/2 1/1', `ROLLED_BACK ${OLD}`],
    endsOfTwo: [`FAILED ${OLD}`, 'FAILED 1/2 1/1'],
  },
  'an unhealthy system': {
    faults: { unhealthy: 2, storageRunsWith: '>=2.0.0' },
    ends: [`FAILED ${OLD}`],
    endsOfTwo: [],
  },
  'storage software that fails': {
    faults: { storageUnhealthy: 2 },
    ends: [`FAILED ${OLD}`],
    endsOfTwo: [],
  },
  'a system that never comes up': { faults: { crash: 2 }, ends: [`FAILED ${OLD}`], endsOfTwo: [] },
};

interface Run {
  readonly end: string;
  readonly cuts: number;
  /** Operations of node A from the start of the update to the rest. */
  readonly ops: number;
  /** Operations from the last cut to the rest. */
  readonly opsAfter: number;
  /** The operation that armed the trial; up to it all stories are alike. */
  readonly armOp: number;
}

async function play(t: Test, faults: Faults, cuts: readonly Cut[]): Promise<Run> {
  const bench = new Bench({ faults, seed: SEED });
  const name = `${JSON.stringify(cuts)} with SEED=${SEED}`;
  await bench.open();
  const { A } = bench.nodes;
  const before = A.disk.ops;
  bench.arm('A', cuts);
  const { nodes } = rolloutRecord();
  const to = targetOf(faults.storageRunsWith ?? '>=1.0.0');
  await bench.start({ to, nodes: { A: nodes.A, B: { ...nodes.B, skip: true } } });
  await bench.rest().catch((error: unknown) => t.fail(`${name}: ${String(error)}`));
  const [ops, opsAfter] = [A.disk.ops - before, A.disk.ops - bench.cutAtOps];
  const written = A.disk.trace.slice(before);
  const armOp = 1 + written.findIndex((label) => label.startsWith('write boot.state'));
  const problems = await bench.problems();
  if (problems.length > 0) t.fail(`${name}: ${problems.join('; ')}`);
  return { end: bench.end(), cuts: bench.cuts, ops, opsAfter, armOp };
}

/** The ways to end a life before operation `op`: all of them, or one after the other in turn. */
function cutsAt(op: number): readonly Cut[] {
  const ways: readonly Cut[] = [
    { op, kind: 'power' },
    { op, kind: 'power', seed: SEED + op },
    { op, kind: 'kill' },
  ];
  return ALL ? ways : ways.slice(op % 3, (op % 3) + 1);
}

// The machine may be busy, and every second cut takes its time.
t.setTimeout(ALL ? 0 : 600_000);

for (const [name, story] of Object.entries(stories)) {
  t.test(`${name}: a cut before every durable operation, and again`, async (t) => {
    t.setTimeout(0);
    const { ops, end, armOp } = await play(t, story.faults, []);
    t.equal(end, story.ends[0], 'without a cut');
    const ends = new Map<string, number>();
    // Before the record of the update is durable there is no update.
    const allowed = new Set([...story.ends, `NONE ${OLD}`]);
    const firsts: { readonly cut: Cut; readonly opsAfter: number }[] = [];
    const check = (run: Run, cuts: readonly Cut[]): void => {
      ends.set(run.end, (ends.get(run.end) ?? 0) + 1);
      if (!allowed.has(run.end)) t.fail(`${run.end} after ${JSON.stringify(cuts)} SEED=${SEED}`);
    };
    const from = ALL || Object.keys(story.faults).length === 0 ? 1 : armOp;
    for (let op = from; op <= ops; op++) {
      for (const cut of cutsAt(op)) {
        const run = await play(t, story.faults, [cut]);
        check(run, [cut]);
        if (run.cuts !== 1) t.fail(`no cut at operation ${op}`);
        firsts.push({ cut, opsAfter: run.opsAfter });
      }
    }
    t.comment(
      `SEED=${SEED}: ${ops} crash points, ${firsts.length} runs, ends ${JSON.stringify([...ends])}`,
    );
    t.ok(ops > 40 && armOp > 20 && armOp < ops, 'every durable operation was met');
    for (const other of story.endsOfTwo) allowed.add(other);
    ends.clear();
    let points = 0;
    for (const cuts of seconds(firsts)) {
      const run = await play(t, story.faults, cuts);
      check(run, cuts);
      points += run.cuts === 2 ? 1 : 0;
    }
    t.comment(`${points} second cuts in the recovery, ends ${JSON.stringify([...ends])}`);
    t.ok(points >= SAMPLE, 'second cuts happened');
  });
}

/** Every second operation of every recovery, or a sample of them. */
function* seconds(
  firsts: readonly { readonly cut: Cut; readonly opsAfter: number }[],
): Generator<readonly [Cut, Cut]> {
  if (ALL) {
    for (const [index, { cut, opsAfter }] of firsts.entries()) {
      for (let op = 1; op <= opsAfter; op++) {
        // The ways of the first cut take turns, so that each pair of operations is met once.
        const way = cutsAt(op)[(cut.op + op + 1) % 3];
        if ((index + op) % 3 === 0 && way !== undefined) yield [cut, way];
      }
    }
    return;
  }
  const random = randomOf(SEED);
  for (let i = 0; i < SAMPLE; i++) {
    const first = firsts[Math.floor(random() * firsts.length)];
    const op = 1 + Math.floor(random() * (first?.opsAfter ?? 0));
    const [next] = cutsAt(op);
    if (first !== undefined && next !== undefined) yield [first.cut, next];
  }
}
