/**
 * Both copies of the boot state are lost at every moment of an update: before the trial is armed,
 * armed, while it runs, committed, reverted. The boot loader never boots a slot that was not
 * committed, the daemon makes the state again, and everything comes to rest. May import tap and the
 * bench.
 */
import t, { type Test } from 'tap';
import { committedTrial, type BootState } from '../../src/core/boot.ts';
import { rolloutRecord, targetOf } from '../core/states.ts';
import type { Faults } from './bench-life.ts';
import type { BenchNode } from './bench-node.ts';
import { Bench } from './bench.ts';

type Phase =
  | 'before arm'
  | 'about to arm'
  | 'armed'
  | 'trial runs'
  | 'not in a seal'
  | 'committed'
  | 'reverted';

/** Where the node was when its power went. */
async function phaseOf(node: BenchNode, state: BootState): Promise<Phase> {
  const commit = committedTrial(state);
  const seal = node.slots.seals.get(`memory:system-${state.default}`);
  if (commit !== null) return seal?.committed === commit.id ? 'committed' : 'not in a seal';
  if (state.trial === null && state.trialId > 0) return 'reverted';
  if (state.trial === null) {
    const { node: record } = await node.journal().read();
    return record?.update.state === 'arming' ? 'about to arm' : 'before arm';
  }
  return node.boot?.slot === state.trial ? 'trial runs' : 'armed';
}

/** Operations of node A from the start of the update to the rest. */
async function opsOf(faults: Faults): Promise<number> {
  const bench = await begin(faults);
  const before = bench.nodes.A.disk.ops;
  await start(bench);
  await bench.rest();
  return bench.nodes.A.disk.ops - before;
}

async function begin(faults: Faults): Promise<Bench> {
  const bench = new Bench({ faults });
  await bench.open();
  return bench;
}

/** Only node A is updated. */
async function start(bench: Bench): Promise<void> {
  const { nodes } = rolloutRecord();
  const { storageRunsWith } = bench.options.faults ?? {};
  const to = targetOf(storageRunsWith ?? '>=1.0.0');
  await bench.start({ to, nodes: { A: nodes.A, B: { ...nodes.B, skip: true } } });
}

/** An update of node A whose power goes before operation `op`, and the boot state with it. */
async function play(t: Test, faults: Faults, op: number): Promise<readonly [Phase, string]> {
  const bench = await begin(faults);
  const { A } = bench.nodes;
  const lost: { readonly phase: Phase; readonly trialId: number }[] = [];
  A.whileOff = async () => {
    const state = A.bootState();
    lost.push({ phase: await phaseOf(A, state), trialId: state.trialId });
    await A.loseBootState();
  };
  bench.arm('A', [{ op, kind: 'power' }]);
  await start(bench);
  await bench.rest().catch((error: unknown) => t.fail(`lost at ${op}: ${String(error)}`));
  const [{ phase, trialId } = { phase: 'before arm' as const, trialId: -1 }] = lost;
  t.strictSame(await bench.problems(), [], `lost at operation ${op}, ${phase}`);
  t.ok(trialId >= 0 && A.bootState().trialId >= trialId, 'no number of a trial is used twice');
  const told = A.log.filter((line) => line.startsWith('boot.lost: '));
  t.equal(told.length, 1, 'it is told once');
  return [phase, bench.end()];
}

const OLD = '1/1 1/1';
const NEW = '2/2 1/1';

interface Story {
  readonly faults: Faults;
  /** Where it may end when the state is lost in a phase. */
  readonly ends: Partial<Record<Phase, readonly string[]>>;
}

// A trial is given up with the state, also one that has its number and is not armed yet. A commit
// that no seal tells of goes back to the old slot; one that a seal tells of stays.
const stories: Readonly<Record<string, Story>> = {
  'a good update': {
    faults: {},
    ends: {
      'before arm': [`NONE ${OLD}`, `DONE ${NEW}`],
      'about to arm': [`FAILED ${OLD}`],
      armed: [`FAILED ${OLD}`],
      'trial runs': [`FAILED ${OLD}`, 'FAILED 1/2 1/1'],
      'not in a seal': [`FAILED ${OLD}`, 'FAILED 1/2 1/1'],
      committed: [`DONE ${NEW}`, `ROLLED_BACK ${OLD}`],
    },
  },
  'an unhealthy system': {
    faults: { unhealthy: 2, storageRunsWith: '>=2.0.0' },
    ends: {
      'before arm': [`NONE ${OLD}`, `FAILED ${OLD}`],
      'about to arm': [`FAILED ${OLD}`],
      armed: [`FAILED ${OLD}`],
      'trial runs': [`FAILED ${OLD}`],
      reverted: [`FAILED ${OLD}`],
    },
  },
};

for (const [name, { faults, ends }] of Object.entries(stories)) {
  t.test(`${name}: the boot state is lost at every moment`, async (t) => {
    const phases = new Map<Phase, readonly string[]>();
    const ops = await opsOf(faults);
    for (let op = 1; op <= ops; op++) {
      const [phase, end] = await play(t, faults, op);
      phases.set(phase, [...(phases.get(phase) ?? []), end]);
    }
    const counts = [...phases].map(([phase, found]) => `${phase} ${found.length}`);
    t.comment(`${ops} moments: ${counts.join(', ')}`);
    for (const [phase, found] of phases) {
      const allowed = ends[phase] ?? [];
      t.strictSame(
        found.filter((end) => !allowed.includes(end)),
        [],
        phase,
      );
    }
    t.strictSame(Object.keys(ends).toSorted(), [...phases.keys()].toSorted(), 'phases met');
  });
}
