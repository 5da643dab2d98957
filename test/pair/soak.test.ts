/**
 * A long run of updates and rollbacks of one real pair, each struck once by a fault that a seed
 * chooses: what, on which node, in which phase, how late. It tells each round in a line. Only with
 * PAIR_ALL=1 (`npm run test:embedded`); SEED= repeats a run, PAIR_MINUTES= says how long.
 */
import t from 'tap';
import { NODES, type NodeId } from '../../src/core/model.ts';
import { chance, endsAfter, EXITS, FAULTS, strike, type Fault } from './faults.ts';
import { Bench, READY_MS, RELEASES, type Command } from './harness.ts';
import { expectClient, expectReady, versionsAfter, versionsOf } from './judge.ts';

const ALL = process.env['PAIR_ALL'] !== undefined;
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const MINUTES = Number(process.env['PAIR_MINUTES'] ?? 6);
const MINUTE_MS = 60_000;
t.setTimeout(ALL ? (MINUTES + 5) * MINUTE_MS : 30_000);

/** Phases in which faults strike, with the longest delay from the begin of each. */
const PHASES: readonly (readonly [string, number])[] = [
  ['INSTALL1', 1200],
  ['DRAIN1', 60],
  ['DOWN1', 40],
  ['ACT1', 1500],
  ['TRIAL1', 2500],
  ['COMMIT1', 40],
  ['ADMIT1', 40],
  ['HAND1', 1200],
  ['INSTALL2', 1200],
  ['DOWN2', 40],
  ['ACT2', 1500],
  ['TRIAL2', 2500],
  ['COMMIT2', 40],
  ['ADMIT2', 40],
];

/** Draws the next fault. */
function draw(random: () => number): Fault {
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
  const kind = pick(FAULTS);
  const [phase, limitMs] = pick(
    kind === 'kill-installer' ? PHASES.filter(([name]) => name.startsWith('INSTALL')) : PHASES,
  );
  return { kind, node: pick(NODES), phase, delayMs: Math.floor(random() * limitMs) };
}

const plan = { skip: ALL ? false : 'only with PAIR_ALL=1' };

t.test(`a pair that is struck again and again, SEED=${String(SEED)}`, plan, async (t) => {
  const random = chance(SEED);
  const bench = await Bench.open(t);
  const { watch } = bench;
  const good = await bench.bundle(RELEASES.second);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  const endMs = performance.now() + MINUTES * MINUTE_MS;
  const ends = new Map<string, number>();

  /** Updates, or goes back when there is nothing to update. */
  const begin = (asked: NodeId, systems: Readonly<Record<NodeId, string>>): Command => {
    const news = systems.A === '2.0.0' && systems.B === '2.0.0';
    const words = ['rollback', '--wait', '--yes', '--json', '--timeout', '200'];
    return news ? bench.start(asked, ...words) : bench.update(asked, good, '--json');
  };

  for (let round = 1; performance.now() < endMs && t.passing(); round += 1) {
    const fault = draw(random);
    const asked = NODES[Math.floor(random() * 2)]!;
    const before = versionsOf(await bench.running.status(asked, bench.signal)).systems;
    bench.startClient();
    const from = watch.events.length;
    const command = begin(asked, before);
    const struck = await Promise.race([
      watch.phase(fault.phase, from).then(() => true),
      command.done.then(() => false),
    ]);
    if (struck) await new Promise((done) => setTimeout(done, fault.delayMs));
    const hit = struck && (await strike(bench, fault.kind, fault.node));
    const { exit, stdout, stderr } = await command.done;
    const ready = await expectReady(t, bench);
    const [rollout] = await bench.history(asked);
    const client = await expectClient(t, bench);
    const { phase, delayMs } = fault;
    const end = rollout?.phase ?? 'none';
    const what =
      `round ${String(round)}: ${JSON.stringify(before)} asked on ${asked}, ${fault.kind} ` +
      `${fault.node} at ${phase}+${String(delayMs)} ${hit ? '' : '(missed) '}-> ${end}, exit ` +
      `${String(exit)}, gap ${String(client.longestGapMs)} ms`;
    t.comment(what);
    if (rollout?.result) t.comment(`    ${rollout.result.code}: ${rollout.result.message}`);
    ends.set(end, (ends.get(end) ?? 0) + 1);
    t.ok(endsAfter(fault).includes(end), `${what}: an end that is documented`);
    t.ok(EXITS[end]?.includes(exit), `exit status of ${end}: ${stdout}${stderr}`);
    if (rollout !== undefined) t.strictSame(ready.systems, versionsAfter(rollout, before), what);
  }
  t.comment([...ends].map(([end, count]) => `${end}: ${String(count)}`).join(', '));
});
