/**
 * Random faults over the simulated pair: nodes that lose power at any durable write, links that are
 * cut and come back, fences, cancels, pauses, bad images, in updates and rollbacks, with both
 * orders and both policies. When the faults stop, the pair must come to rest, highly available,
 * within bounded virtual time. `SEED=n` replays one run; `SEEDS=n` sets how many.
 */
import t from 'tap';
import { NODES } from '../../src/core/model.ts';
import type { PairOptions } from './fixture.ts';
import { Pair } from './pair.ts';
import { random } from './random.ts';

const FIRST = Number(process.env['SEED'] ?? 1);
const COUNT = process.env['SEED'] === undefined ? Number(process.env['SEEDS'] ?? 300) : 1;
/** Virtual steps with faults, and how long the pair may take to come to rest after them. */
const FAULT_TICKS = 600;
const REST_S = 4000;

function optionsOf(next: () => number): PairOptions {
  const pick = <T>(...values: readonly T[]): T => values[Math.floor(next() * values.length)] as T;
  const faults = pick(
    {},
    {},
    {},
    { unhealthy: '2.0.0' },
    { storageUnhealthy: '2.0.0' },
    { crash: '2.0.0' },
    { unhealthy: '2.0.0', unhealthyOn: pick('A' as const, 'B' as const) },
    { installFails: pick('A' as const, 'B' as const) },
  );
  return {
    faults,
    takeover: pick('manual', 'fence'),
    fence: pick('off', 'off', 'off', 'failed'),
    storageRunsWith: pick('>=1.0.0', '>=2.0.0'),
    policy: {
      order: pick('active-first', 'standby-first'),
      onSecondFailure: pick('hold', 'rollback'),
      retries: pick(0, 1, 2),
    },
  };
}

/** One thing that goes wrong, or that an operator does, in this step. */
function trouble(pair: Pair, next: () => number): void {
  const node = next() < 0.5 ? 'A' : 'B';
  const what = next();
  if (what < 0.25) pair.nodes[node].cutAt = pair.nodes[node].writes + 1 + Math.floor(next() * 8);
  else if (what < 0.35) pair.nodes[node].state = null;
  else if (what < 0.6) pair.linkUp = !pair.linkUp;
  else if (what < 0.7) pair.send(node, { type: 'cancel', by: 'seed', reason: 'seed' });
  else if (what < 0.8) pair.send(node, { type: 'pause', by: next() < 0.5 ? 'seed' : null });
  else if (what < 0.9) pair.send(node, { type: 'switchover' });
  else if (pair.serving() !== null) begin(pair, next);
}

/** A new rollout, as the daemon begins one: only where the pair is well. */
function begin(pair: Pair, next: () => number): void {
  if (!pair.quiet()) return;
  const able = NODES.every((node) => pair.nodes[node].disk.record.canRollBack);
  pair.start(able && next() < 0.5 ? 'rollback' : 'update');
}

/** Some node holds a record that is paused. */
function paused(pair: Pair): boolean {
  const records = NODES.map((node) => pair.nodes[node].disk.rollout);
  return records.some((one) => one?.paused !== undefined && one.paused !== null);
}

function play(seed: number): { cuts: number; fences: number; acknowledged: number } {
  const next = random(seed);
  const pair = new Pair(optionsOf(next));
  try {
    pair.run(60);
    begin(pair, next);
    for (let i = 0; i < FAULT_TICKS; i++) {
      if (next() < 0.03) trouble(pair, next);
      pair.tick();
    }
    pair.linkUp = true;
    for (const node of NODES) pair.nodes[node].cutAt = Number.POSITIVE_INFINITY;
    // Only a node that serves takes the end of a pause, so it is asked for until one does.
    for (let i = 0; i < 2 * FAULT_TICKS && paused(pair); i++) {
      for (const node of NODES) pair.send(node, { type: 'pause', by: null });
      pair.tick();
    }
    pair.run(REST_S);
  } catch (error) {
    throw new Error(`SEED=${seed}: ${error instanceof Error ? error.message : 'unknown'}`, {
      cause: error,
    });
  }
  const { cuts, fences, acknowledged } = pair;
  return { cuts, fences, acknowledged };
}

t.test(`random faults, ${COUNT} seeds from ${FIRST}`, async (t) => {
  const sum = { cuts: 0, fences: 0, acknowledged: 0 };
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const run = play(seed);
    sum.cuts += run.cuts;
    sum.fences += run.fences;
    sum.acknowledged += run.acknowledged;
  }
  t.comment(`${sum.cuts} power cuts, ${sum.fences} fences, ${sum.acknowledged} writes`);
  t.ok(sum.acknowledged > COUNT, 'clients wrote');
  if (COUNT > 100) {
    t.ok(sum.cuts > COUNT / 4, 'power was cut');
    t.ok(sum.fences > COUNT / 20, 'nodes were fenced');
  }
});
