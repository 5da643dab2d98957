/**
 * A real pair under policy `fence`, and under `manual`, that is struck at exact steps of its
 * rollouts while a client writes all the time: a daemon that is killed before or after a write, an
 * effect or a message, both of them, one that stands still, pulled cables, clocks that jump. No
 * acknowledged write is lost, each rollout ends as documented, the pair is available again, and the
 * gap of every strike is told. `npm test` does a covering few; PAIR_ALL=1 does every phase,
 * STRIKES=, ONLY= (a pattern) and POLICY= a part of it.
 */
import t, { type Test } from 'tap';
import { GapWriter } from '../../scripts/measure/gap-writer.ts';
import { layWires, type PairWires } from '../../scripts/measure/wire.ts';
import { EXIT } from '../../src/core/codes.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import { layClock } from './clock.ts';
import { EXITS } from './faults.ts';
import { Bench, READY_MS, RELEASES, type Command } from './harness.ts';
import { expectReady, versionsAfter, versionsOf } from './judge.ts';
import {
  nameOf,
  placeOf,
  STRIKES,
  Striker,
  tableOf,
  UPDATE_PHASES,
  type Strike,
  type StrikeKind,
  type Struck,
} from './strikes.ts';

const ALL = process.env['PAIR_ALL'] !== undefined;
const POLICIES = (process.env['POLICY'] ?? (ALL ? 'fence,manual' : 'fence')).split(',');
const WORDS = process.env['STRIKES']?.split(',');
const ONLY = new RegExp(process.env['ONLY'] ?? '');
/** Phases between two strikes of one rollout. */
const SPACING = 3;
/** For the few of `npm test`, which all find place in one rollout. */
const FEW_SPACING = 2;
/** A strike whose rollout ended before its step is tried in so many rollouts. */
const TRIES = 2;

t.setTimeout(ALL || WORDS !== undefined ? 0 : 200_000);

/** Effects that return only when they are not wanted any more, or never. */
const ENDLESS: readonly string[] = ['offer', 'reboot'];
/** The effects of an update, each in the phase that its node knows when it happens. */
const EFFECTS: readonly (readonly [effect: string, phase: string])[] = [
  ['offer', 'STAGE'],
  ['fetch', 'STAGE'],
  ['install', 'INSTALL1'],
  ['release', 'DRAIN1'],
  ['serve', 'DRAIN1'],
  ['arm', 'ACT1'],
  ['reboot', 'ACT1'],
  ['check-health', 'ACT1'],
  ['commit', 'COMMIT1'],
  ['watch-service', 'HAND1'],
  ['install', 'INSTALL2'],
  ['arm', 'ACT2'],
  ['reboot', 'ACT2'],
  ['run-storage', 'ACT2'],
  ['commit', 'COMMIT2'],
];
/** Messages that a rollout cannot do without. */
const MESSAGES: readonly string[] = ['send-rollout', 'hear-rollout', 'hear-report'];

const MOMENTS = ['before', 'after'] as const;

/** Every strike of a kind; what is struck before on one policy is struck after on the other. */
function strikesOf(kind: string, turn: number): Strike[] {
  const moment = (at: number): string => MOMENTS[(at + turn) % 2]!;
  const record = (kind: StrikeKind, node: NodeId | null): Strike[] =>
    UPDATE_PHASES.map((phase, at) => {
      const extra = node === 'B' ? 1 : 0;
      return { kind, node, step: `${moment(at + extra)}:write-rollout`, phase };
    });
  switch (kind) {
    case 'kill':
      return NODES.flatMap((node) => record('kill', node));
    case 'both':
    case 'stall':
    case 'cut':
    case 'clock':
      return record(kind, null);
    case 'effects':
      return EFFECTS.flatMap(([effect, phase]) =>
        MOMENTS.filter((one) => one === 'before' || !ENDLESS.includes(effect)).map(
          (one): Strike => ({ kind: 'kill', node: null, step: `${one}:do-${effect}`, phase }),
        ),
      );
    case 'messages':
      return MESSAGES.flatMap((word, at) =>
        ['DRAIN1', 'COMMIT1', 'HAND1', 'COMMIT2'].map((phase, turn): Strike => {
          return { kind: 'kill', node: null, step: `${moment(at + turn)}:${word}`, phase };
        }),
      );
    case 'node':
      return UPDATE_PHASES.map((phase, at): Strike => {
        return { kind: 'kill', node: null, step: `${moment(at)}:write-node`, phase };
      });
    default:
      throw new Error(`STRIKES=${kind}; accepted: ${KINDS.join(', ')}`);
  }
}

/** The strikes of a kind that are asked for. */
const asked = (kind: string, turn: number): Strike[] =>
  strikesOf(kind, turn).filter((one) => ONLY.test(nameOf(one)));

const KINDS = [...STRIKES, 'effects', 'messages', 'node'];

/** What `npm test` does: each kind once, on both turns of an update and on both nodes. */
const FEW: readonly Strike[] = [
  { kind: 'kill', node: null, step: 'after:do-release', phase: 'DRAIN1' },
  { kind: 'clock', node: null, step: '', phase: 'ACT1' },
  { kind: 'both', node: null, step: 'before:write-rollout', phase: 'ADMIT1' },
  { kind: 'cut', node: null, step: '', phase: 'INSTALL2' },
  { kind: 'stall', node: null, step: 'after:write-rollout', phase: 'COMMIT2' },
];

/** Strikes for one rollout: in the order of their phases, and not too close together. */
function choose(queue: readonly Strike[], update: boolean, spacing: number): Strike[] {
  const chosen: Strike[] = [];
  for (const one of queue.toSorted((a, b) => placeOf(a.phase) - placeOf(b.phase))) {
    if (one.phase === 'STAGE' && !update) continue;
    const last = chosen.at(-1);
    if (last === undefined || placeOf(one.phase) - placeOf(last.phase) >= spacing) chosen.push(one);
  }
  return chosen;
}

interface Site {
  readonly bench: Bench;
  readonly striker: Striker;
  readonly good: string;
}

/** One rollout with its strikes; what came of them. */
async function round(t: Test, site: Site, queue: readonly Strike[], spacing: number, turn: number) {
  const { bench, striker, good } = site;
  const asked = NODES[turn % 2]!;
  const before = versionsOf(await bench.running.status(asked, bench.signal)).systems;
  const update = before.A !== '2.0.0' || before.B !== '2.0.0';
  const strikes = choose(queue, update, spacing);
  const from = bench.watch.events.length;
  const [last] = await bench.history(asked);
  const words = ['rollback', '--wait', '--yes', '--json', '--timeout', '200'];
  const command: Command = update
    ? bench.update(asked, good, '--json')
    : bench.start(asked, ...words);
  const found: Struck[] = await striker.during(command, strikes, from);
  const { exit, stdout, stderr } = await command.done;
  const ready = await expectReady(t, bench);
  striker.settle(found);
  const [newest] = await bench.history(asked);
  // A daemon that died before the first record of the job was durable has never begun it.
  const rollout = newest?.id === last?.id ? undefined : newest;
  const end = rollout?.phase ?? 'none';
  const what = `${update ? 'update' : 'rollback'} struck by ${strikes.map(nameOf).join(', ')}`;
  t.ok(
    (EXITS[end] ?? [EXIT.pairNotHealthy]).includes(exit),
    `${what}: ${end} and ${String(exit)}: ${stdout}${stderr}`,
  );
  if (rollout !== undefined) t.strictSame(ready.systems, versionsAfter(rollout, before), what);
  const why = rollout?.result == null ? '' : ` (${rollout.result.message})`;
  return found.map((one) => ({ ...one, end: `${update ? 'update' : 'rollback'} ${end}${why}` }));
}

for (const [turn, policy] of POLICIES.entries()) {
  t.test(`policy ${policy}`, async (t) => {
    let wires: PairWires | null = null;
    const fencePolicy = policy === 'manual' ? 'manual' : 'fence';
    const bench = await Bench.open(t, {
      fencePolicy,
      failpoints: true,
      prepare: async (pair) => {
        wires = await layWires(pair);
        for (const node of NODES) await layClock(pair.nodes[node]);
      },
    });
    const cables = wires as unknown as PairWires;
    t.teardown(async () => cables[Symbol.asyncDispose]());
    const good = await bench.bundle(RELEASES.second);
    const writer = new GapWriter(bench.pair.serviceUrl, 'strikes');
    t.teardown(async () => writer.stop());
    await bench.running.waitAvailable(READY_MS, bench.signal);
    writer.start();
    const site = { bench, striker: new Striker(bench, writer, cables), good };
    const rows: (Struck & { readonly end: string })[] = [];
    let rounds = 0;
    const sweep = async (t: Test, strikes: readonly Strike[], spacing: number): Promise<void> => {
      const tries = new Map<Strike, number>(strikes.map((one) => [one, 0]));
      while (tries.size > 0 && t.passing()) {
        const done = await round(t, site, [...tries.keys()], spacing, rounds);
        rounds += 1;
        for (const one of done) {
          const strike = [...tries.keys()].find((other) => nameOf(other) === nameOf(one))!;
          const count = (tries.get(strike) ?? 0) + 1;
          if (one.hit || count >= TRIES) {
            tries.delete(strike);
            rows.push(one);
          } else {
            tries.set(strike, count);
          }
          t.comment(tableOf([one]).join(''));
        }
      }
    };
    if (ALL || WORDS !== undefined) {
      for (const kind of WORDS ?? KINDS) {
        await t.test(kind, async (t) => sweep(t, asked(kind, turn), SPACING));
      }
    } else {
      await t.test('a few strikes', async (t) => {
        await sweep(t, FEW, FEW_SPACING);
        t.strictSame(rows.filter((one) => !one.hit).map(nameOf), [], 'each of them hit');
      });
    }
    t.strictSame(bench.watch.faults, [], 'nothing was seen that must never be');
    const totals = await writer.finish();
    t.strictSame(totals.lost, [], 'no acknowledged write is lost');
    t.ok(
      totals.writes > 100,
      `${String(totals.writes)} writes, ${String(totals.checked)} read back`,
    );
    t.comment(`policy ${policy}: ${String(rounds)} rollouts, ${String(rows.length)} strikes`);
    for (const line of tableOf(rows)) t.comment(line);
  });
}
