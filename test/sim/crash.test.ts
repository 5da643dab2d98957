/**
 * Power cuts: before every durable write of either node in an update of the pair, then a second cut
 * in the recovery (a seeded sample here; all of them with CRASH_ALL=1, see docs/ARCHITECTURE.md).
 * Every run must come to rest: highly available, both nodes on committed slots, nothing
 * acknowledged lost (the invariants are checked after every event by the pair itself).
 */
import t, { type Test } from 'tap';
import type { NodeId } from '../../src/core/model.ts';
import { NODES } from '../../src/core/model.ts';
import type { PairOptions } from './fixture.ts';
import { Pair } from './pair.ts';
import { random } from './random.ts';

const SEED = Number(process.env['SEED'] ?? 20261121);
const ALL = process.env['CRASH_ALL'] === '1';
const SAMPLE = 400;

interface Cut {
  readonly node: NodeId;
  /** Before which durable write of that node, counted from the start of the update. */
  readonly write: number;
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

/** Runs a story with these cuts; returns its end and whether each cut happened. */
function play(
  options: PairOptions,
  cuts: readonly Cut[],
): { end: string; cuts: number; pair: Pair } {
  const pair = new Pair(options);
  pair.run(60);
  const writes = { A: pair.nodes.A.writes, B: pair.nodes.B.writes };
  const queue = [...cuts];
  const arm = (): void => {
    const next = queue.shift();
    if (next === undefined) return;
    const node = pair.nodes[next.node];
    const from = pair.cuts === 0 ? writes[next.node] : node.writes;
    node.cutAt = from + next.write;
  };
  arm();
  pair.start();
  const until = pair.ms + 4_000_000;
  for (let calm = 0, seen = 0; calm < 10;) {
    pair.tick();
    if (pair.cuts > seen) {
      seen = pair.cuts;
      arm();
    }
    calm = pair.quiet() ? calm + 1 : 0;
    if (pair.ms > until)
      throw new Error(`not quiet after ${JSON.stringify(cuts)}\n${pair.describe()}`);
  }
  const state = pair.nodes.A.state;
  const words = NODES.map((node) => pair.nodes[node].state?.world.system?.counter);
  return { end: `${state?.rollout?.phase ?? 'NONE'} ${words.join('/')}`, cuts: pair.cuts, pair };
}

for (const [name, story] of Object.entries(stories)) {
  t.test(`one cut before every durable write: ${name}`, async (t) => {
    const points: Cut[] = [];
    const ends = new Map<string, number>();
    for (const node of NODES) {
      for (let write = 1; ; write++) {
        const run = play(story.options, [{ node, write }]);
        ends.set(run.end, (ends.get(run.end) ?? 0) + 1);
        for (const one of NODES) {
          const { boot } = run.pair.nodes[one].disk;
          if (boot.trial !== null) t.fail(`a trial is left armed on ${one} after cut ${write}`);
        }
        if (run.cuts === 0) break;
        points.push({ node, write });
      }
    }
    t.comment(`${points.length} crash points, ends ${JSON.stringify([...ends])}`);
    t.ok(points.length > 40, `${points.length} crash points`);
    const allowed = new Set([...story.ends, 'NONE 1/1']);
    t.strictSame(
      [...ends.keys()].filter((end) => !allowed.has(end)),
      [],
      'only the ends of the story',
    );
    for (const end of story.endsOfTwo) allowed.add(end);
    secondCuts(t, story.options, points, allowed);
  });
}

function secondCuts(
  t: Test,
  options: PairOptions,
  points: readonly Cut[],
  allowed: ReadonlySet<string>,
): void {
  const next = random(SEED);
  const pick = (): Cut => {
    const node = next() < 0.5 ? 'A' : 'B';
    return { node, write: 1 + Math.floor(next() * 40) };
  };
  const runs: (readonly [Cut, Cut])[] = [];
  if (ALL) {
    for (const first of points) {
      for (const node of NODES) {
        for (let write = 1; write <= 40; write++) runs.push([first, { node, write }]);
      }
    }
  } else {
    for (let i = 0; i < SAMPLE; i++) {
      const first = points[Math.floor(next() * points.length)];
      if (first !== undefined) runs.push([first, pick()]);
    }
  }
  let both = 0;
  for (const cuts of runs) {
    const run = play(options, cuts);
    if (run.cuts === 2) both++;
    if (!allowed.has(run.end)) t.fail(`${run.end} after ${JSON.stringify(cuts)} seed ${SEED}`);
  }
  t.comment(`${runs.length} runs with a second cut, in ${both} of them it happened`);
  t.ok(both > runs.length / 10, 'second cuts happened');
}
