/**
 * Power cuts: before, inside and after every durable write of either node in an update of the pair,
 * with both policies, then a second cut in the recovery (a seeded sample here; all of them with
 * CRASH_ALL=1, see docs/ARCHITECTURE.md). Inside a write every length that a torn record can have,
 * and its sectors out of order, are read back as the next start would: what was durable before, or
 * the whole new record, is found. Every run must come to rest: highly available, both nodes on
 * committed slots, nothing acknowledged lost (the pair itself checks after every event).
 */
import t, { type Test } from 'tap';
import type { NodeId } from '../../src/core/model.ts';
import { NODES } from '../../src/core/model.ts';
import { KEPT, LOST, type Choose, type FakeDisk } from '../memory/disk.ts';
import type { PairOptions } from './fixture.ts';
import { SimBoot, SimJournal } from './journal.ts';
import { Pair } from './pair.ts';
import { random } from './random.ts';

const SEED = Number(process.env['SEED'] ?? 20261121);
const ALL = process.env['CRASH_ALL'] === '1';
/** Second cuts of a story in the sample; how far into the recovery they are looked for. */
const SAMPLE = 100;
const DEEP = 40;
/** How long a node stays off: with a fencer, long enough that its peer acts on it. */
const OFF_MS = { manual: 0, fence: 4000 } as const;
const REST_MS = 4_000_000;

interface Cut {
  readonly node: NodeId;
  /** Which durable write of that node, counted from the start of the update or the cut before. */
  readonly write: number;
  /** 0: before it; else the operation of it on the disk, and what is left of that. */
  readonly op: number;
  readonly leaves: Choose;
}

interface Story {
  readonly options: PairOptions;
  /** Ends after one cut, and those that only two cuts may lead to. */
  readonly ends: readonly string[];
  readonly endsOfTwo: readonly string[];
}

const stories: Record<string, Story> = {
  // A cut in the soak counts as a failed first node; two cuts in one trial use up its two attempts.
  good: {
    options: {},
    ends: ['DONE 2/2', 'ROLLED_BACK 1/1'],
    endsOfTwo: ['FAILED 1/1', 'HOLD_MIXED 2/1'],
  },
  'bad system': {
    options: { faults: { unhealthy: '2.0.0' }, storageRunsWith: '>=2.0.0' },
    ends: ['FAILED 1/1'],
    endsOfTwo: [],
  },
  'bad second': {
    options: {
      faults: { unhealthy: '2.0.0', unhealthyOn: 'B' },
      storageRunsWith: '>=2.0.0',
      policy: { onSecondFailure: 'rollback' },
    },
    ends: ['ROLLED_BACK 1/1'],
    endsOfTwo: ['FAILED 1/1', 'HOLD_MIXED 2/1'],
  },
};

/** What was found by reading back every way in which one write can be torn. */
interface Torn {
  /** Sectors that the write had under way. */
  sectors: number;
  /** Ways in which it was torn, and sentences about those that were not as they must be. */
  ways: number;
  readonly wrong: string[];
}

interface Run {
  readonly end: string;
  readonly cuts: number;
  readonly pair: Pair;
  readonly torn: Torn;
}

/** Runs a story with these cuts; the first one is also read back in every way it can be torn. */
function play(options: PairOptions, cuts: readonly Cut[], readBack = false): Run {
  const pair = new Pair(options);
  const torn: Torn = { sectors: 0, ways: 0, wrong: [] };
  const offMs = OFF_MS[options.takeover ?? 'manual'];
  pair.run(60);
  const queue = [...cuts];
  const arm = (): void => {
    const cut = queue.shift();
    if (cut === undefined) return;
    const node = pair.nodes[cut.node];
    const first = pair.cuts === 0;
    node.cutAt = node.writes + cut.write;
    node.cutOp = cut.op;
    node.cutLeaves = cut.leaves;
    if (readBack && first) node.onCut = (bytes) => tear(bytes, node.disk, torn);
  };
  arm();
  pair.start();
  const untilMs = pair.ms + REST_MS;
  for (let calm = 0, seen = 0; calm < 10;) {
    pair.tick();
    if (pair.cuts > seen) {
      seen = pair.cuts;
      for (const node of NODES) {
        if (pair.nodes[node].state === null) pair.offUntilMs[node] = pair.ms + offMs;
      }
      arm();
    }
    calm = pair.quiet() ? calm + 1 : 0;
    if (pair.ms > untilMs) throw new Error(`not quiet after ${words(cuts)}\n${pair.describe()}`);
  }
  pair.rested();
  const { state } = pair.nodes.A;
  const counters = NODES.map((node) => pair.nodes[node].state?.world.system?.counter);
  const end = `${state?.rollout?.phase ?? 'NONE'} ${counters.join('/')}`;
  return { end, cuts: pair.cuts, pair, torn };
}

const words = (cuts: readonly Cut[]): string =>
  cuts.map(({ node, write, op }) => `${node}${write}.${op}`).join(' then ');

/** Every way in which the write that is under way can be torn, read back as the next start does. */
function tear(bytes: FakeDisk, durable: { readonly record: object }, torn: Torn): void {
  const pending = bytes.pending();
  torn.sectors = pending.length;
  const inJournal = pending.some(({ file }) => file.startsWith('journal'));
  const whole = read(bytes, KEPT);
  const old = read(bytes, LOST);
  if (inJournal && old.node !== null && JSON.stringify(durable.record) !== old.node) {
    torn.wrong.push('what was durable is not found');
  }
  const ways: Choose[] = pending.map((_, keep) => (sector, at) => version(sector, at <= keep));
  ways.push((sector, at) => version(sector, at > 0));
  ways.push((sector, at) => version(sector, at % 2 === 1));
  for (const way of ways) {
    torn.ways++;
    const found = JSON.stringify(read(bytes, way));
    if (found === JSON.stringify(old) || found === JSON.stringify(whole)) continue;
    torn.wrong.push(`${found.slice(0, 200)} is neither what was durable nor what was written`);
  }
}

const version = ({ versions }: { readonly versions: readonly unknown[] }, is: boolean): number =>
  is ? versions.length - 1 : 0;

/** What a start would find on the disk if the cut left this; it can be written on after that. */
function read(
  bytes: FakeDisk,
  leaves: Choose,
): { readonly node: string | null; readonly rollout: string | null; readonly boot: string } {
  const copy = bytes.clone();
  copy.powerOn(leaves);
  const found = new SimJournal(copy).read();
  const again = new SimJournal(copy);
  const { node, rollout } = again.read();
  if (node !== null) again.append('node', node);
  const after = new SimJournal(copy).read();
  const same = JSON.stringify([found.node, found.rollout]);
  if (same !== JSON.stringify([after.node, after.rollout])) throw new Error('lost after a tear');
  return {
    node: node && JSON.stringify(node),
    rollout: rollout && JSON.stringify(rollout),
    boot: JSON.stringify(new SimBoot(copy).state()),
  };
}

/** Operations on the disk of every durable write of a node in the undisturbed story. */
function survey(options: PairOptions, node: NodeId): readonly number[] {
  const pair = new Pair(options);
  pair.run(60);
  const appliance = pair.nodes[node];
  const ops: number[] = [];
  const write = appliance.write.bind(appliance);
  appliance.write = (change) => {
    const before = appliance.bytes.ops;
    write(change);
    ops.push(appliance.bytes.ops - before);
  };
  pair.start();
  pair.run();
  return ops;
}

/** Cuts the story once at every durable write of a node; returns the points that there are. */
function firstCuts(t: Test, story: Story, options: PairOptions): readonly Cut[] {
  const points: Cut[] = [];
  const ends = new Map<string, number>();
  const allowed = new Set([...story.ends, 'NONE 1/1']);
  const sum = { runs: 0, ways: 0 };
  const once = (cut: Cut, readBack: boolean): Run => {
    const run = play(options, [cut], readBack);
    sum.runs++;
    sum.ways += run.torn.ways;
    ends.set(run.end, (ends.get(run.end) ?? 0) + 1);
    if (!allowed.has(run.end)) t.fail(`${run.end} after ${words([cut])}`);
    for (const wrong of run.torn.wrong) t.fail(`${words([cut])}: ${wrong}`);
    return run;
  };
  for (const node of NODES) {
    const ops = survey(options, node);
    for (let write = 1; ; write++) {
      const before: Cut = { node, write, op: 0, leaves: LOST };
      if (once(before, false).cuts === 0) break;
      points.push(before);
      // The record is written and not synced: all of it may be there, and nobody acted on it.
      const run = once({ ...before, op: 1, leaves: KEPT }, true);
      // A full journal goes on in its other file, whose head is one more write.
      if ((ops[write - 1] ?? 0) > 2) once({ ...before, op: 3, leaves: KEPT }, true);
      if (run.torn.sectors < 2 || options.takeover === 'fence') continue;
      const keep = Math.ceil(run.torn.sectors / 2);
      once({ ...before, op: 1, leaves: (sector, at) => version(sector, at < keep) }, false);
    }
  }
  const found = JSON.stringify([...ends]);
  t.comment(`${points.length} durable writes, ${sum.runs} runs, ends ${found}`);
  t.comment(`${sum.ways} torn writes read back`);
  t.ok(points.length > 40, `${points.length} durable writes were cut`);
  t.ok(sum.ways > points.length, 'records were torn in every length');
  return points;
}

function secondCuts(t: Test, story: Story, options: PairOptions, points: readonly Cut[]): void {
  const next = random(SEED);
  const allowed = new Set([...story.ends, ...story.endsOfTwo, 'NONE 1/1']);
  const kinds: readonly Pick<Cut, 'op' | 'leaves'>[] = [
    { op: 0, leaves: LOST },
    { op: 1, leaves: KEPT },
  ];
  const runs: (readonly [Cut, Cut])[] = [];
  if (ALL) {
    for (const first of points) {
      for (const node of NODES) {
        for (let write = 1; write <= DEEP; write++) {
          for (const kind of kinds) runs.push([first, { node, write, ...kind }]);
        }
      }
    }
  } else {
    for (let i = 0; i < SAMPLE; i++) {
      const first = points[Math.floor(next() * points.length)];
      const node = next() < 0.5 ? 'A' : 'B';
      const kind = kinds[next() < 0.5 ? 0 : 1];
      if (first === undefined || kind === undefined) continue;
      runs.push([first, { node, write: 1 + Math.floor(next() * DEEP), ...kind }]);
    }
  }
  let both = 0;
  for (const cuts of runs) {
    const run = play(options, cuts);
    if (run.cuts === 2) both++;
    if (!allowed.has(run.end)) t.fail(`${run.end} after ${words(cuts)} seed ${SEED}`);
  }
  t.comment(`${runs.length} runs with a second cut, in ${both} of them it happened`);
  t.ok(both > runs.length / 10, 'second cuts happened');
}

for (const takeover of ['manual', 'fence'] as const) {
  for (const [name, story] of Object.entries(stories)) {
    t.test(`power cuts at every durable write: ${name}, policy ${takeover}`, async (t) => {
      const options = { ...story.options, takeover };
      secondCuts(t, story, options, firstCuts(t, story, options));
    });
  }
}
