/**
 * One run of the simulator: a pair with properties by chance, faults and operators for a while,
 * then nothing goes wrong any more and the pair must come to rest, highly available, within bounded
 * virtual time. The same seed gives the same run. Only tests import it.
 */
import { NODES } from '../../src/core/model.ts';
import { standsDown } from '../../src/daemon/operator-rules.ts';
import { letStrike, makeGood, pick, strike } from './faults.ts';
import type { PairOptions } from './fixture.ts';
import { act, begin } from './operators.ts';
import { Pair } from './pair.ts';
import { random } from './random.ts';
import { count, noTally, type Tally } from './tally.ts';

/** How long the pair may take to come to rest once nothing goes wrong any more. */
const REST_S = 900;
/** Of so many seeds one sends its messages as text, which takes longer. */
const TEXT_EVERY = 100;

type Next = () => number;

function optionsOf(next: Next, seed: number): PairOptions {
  const version = pick(next, '2.0.0', '2.0.0', '3.0.0');
  const faults = pick(
    next,
    {},
    {},
    {},
    {},
    { unhealthy: version },
    { storageUnhealthy: version },
    { crash: version },
    { illServing: version },
    { unhealthy: version, unhealthyOn: pick(next, ...NODES) },
    { storageUnhealthy: version, unhealthyOn: pick(next, ...NODES) },
    { installFails: pick(next, ...NODES) },
  );
  const newStorage = next() < 0.1 ? { newStorage: 1 } : {};
  return {
    faults,
    ...newStorage,
    takeover: pick(next, 'manual', 'fence', 'fence'),
    storageRunsWith: pick(next, '>=1.0.0', '>=2.0.0'),
    serial: next() < 0.5,
    text: seed % TEXT_EVERY === 0,
    seed,
    chance: random(seed ^ 0x5eed),
    policy: {
      order: pick(next, 'active-first', 'standby-first'),
      onSecondFailure: pick(next, 'hold', 'rollback'),
      retries: pick(next, 0, 1, 2),
      tries: pick(next, 1, 2, 2, 3),
      soakS: pick(next, 0.5, 2),
      deadmanS: pick(next, 6, 40, 40),
    },
  };
}

/** Operators take back what would keep the pair from coming to rest: pauses and promises. */
function takeBack(pair: Pair): void {
  for (const node of NODES) {
    const { state } = pair.nodes[node];
    if (state === null) continue;
    if ((state.rollout?.paused ?? null) !== null && state.world.serving !== null) {
      pair.ask(node, { type: 'pause', by: null });
    }
    if (standsDown(state)) pair.ask(node, { type: 'stand-down', on: false });
  }
}

function rest(pair: Pair): void {
  const untilMs = pair.ms + REST_S * 1000;
  for (let calm = 0, ticks = 0; calm < 10; ticks++) {
    if (ticks % 20 === 0) takeBack(pair);
    pair.tick();
    calm = pair.quiet() ? calm + 1 : 0;
    if (pair.ms > untilMs) throw new Error(`not at rest after ${REST_S} s\n${pair.describe()}`);
  }
  pair.rested();
}

function tallyOf(pair: Pair, tally: Tally): Tally {
  const { A, B } = pair.nodes;
  tally.seeds = 1;
  tally.seconds = Math.round(pair.ms / 1000);
  tally.cuts = pair.cuts;
  tally.fences = pair.fences;
  tally.boots = A.boots + B.boots;
  tally.starts = A.runs + B.runs;
  tally.writes = pair.acknowledged;
  tally.syncs = pair.storage.syncs;
  tally.torn = A.torn + B.torn;
  tally.durable = A.writes + B.writes;
  return tally;
}

/** Plays one seed; throws with the seed and the state of the pair when a rule does not hold. */
export function play(seed: number, trace: ((line: string) => void) | null = null): Tally {
  const next = random(seed);
  const tally = noTally();
  const options = optionsOf(next, seed);
  const pair = new Pair(options);
  if (trace !== null) {
    trace(JSON.stringify(options));
    pair.trace = (line) => trace(`${(pair.ms / 1000).toFixed(3).padStart(9)} ${line}`);
  }
  try {
    pair.run(120);
    pair.storage.syncSteps = pick(next, 1, 4, 30, 1000);
    letStrike(pair, next, tally);
    begin(pair, next, tally);
    const faultRate = pick(next, 0.005, 0.015, 0.03, 0.06);
    const actRate = pick(next, 0.005, 0.02, 0.05);
    const ticks = pick(next, 200, 350, 500);
    for (let i = 0; i < ticks; i++) {
      if (next() < faultRate) strike(pair, next, tally);
      if (next() < actRate) act(pair, next, tally);
      if (next() < 0.06) begin(pair, next, tally);
      pair.tick();
    }
    pair.trace?.('from now on nothing goes wrong');
    makeGood(pair);
    rest(pair);
  } catch (error) {
    const message = error instanceof Error ? error.message : 'unknown';
    throw new Error(`SEED=${seed}: ${message}`, { cause: error });
  }
  const end = pair.nodes.A.disk.rollout;
  count(tally.ends, `${end?.phase ?? 'none'} ${end?.result?.code ?? ''}`.trim());
  return tallyOf(pair, tally);
}
