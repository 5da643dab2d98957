/**
 * What a run does: the plan of a seed, its counts, which disks are booted, and the peer's disk of
 * the same moment. Imports the checker and the update of the tests.
 */
import t from 'tap';
import { peerCut } from '../../scripts/cuts/boots.ts';
import type { Verdict } from '../../scripts/cuts/judge.ts';
import { CUT_KINDS, findMarks, findStretches } from '../../scripts/cuts/marks.ts';
import { bootCases, bootWords, countRows, planOf, type Plan } from '../../scripts/cuts/plan.ts';
import { indexOf, type NodeTimeline, type Recording } from '../../scripts/cuts/recording.ts';
import { LAYOUT } from './disk-bench.ts';
import { update } from './update-story.ts';

const SEED = 7;

async function timeline(): Promise<NodeTimeline> {
  const { bench, bootsAt } = await update('none');
  const [second = 0, third = 0] = bootsAt;
  const entries = bench.entries.map((entry, at) => {
    return { ...entry, boot: at < second ? 0 : at < third ? 1 : 2 };
  });
  const { partitions } = LAYOUT;
  const marks = findMarks(entries, partitions, (entry) => bench.written(entry));
  const stretches = findStretches(entries, marks);
  const data = { startBytes: 0, sizeBytes: 0 };
  const recorded = { start: '', logs: [], entries, data };
  return { recorded, partitions, entries, marks, stretches };
}

const one = await timeline();
const nodes = { A: one, B: one };
const plan = planOf(nodes, 40, SEED);
const wordsOf = (some: Plan): string =>
  [...some.A, ...some.B].map(({ kind, key }) => `${kind} ${key}`).join('\n');
const verdict = (slot: 'A' | 'B', problems: Verdict['problems'] = []): Verdict => {
  const reason = slot === 'A' ? 'default' : 'trial';
  const version = slot === 'A' ? '1.0.0' : '2.0.0';
  return { boots: { slot, reason, attempt: 0 }, version, committed: '1.0.0', problems };
};
const verdicts = {
  A: new Map(plan.A.map(({ key }, at) => [key, verdict(at % 5 === 0 ? 'B' : 'A')])),
  B: new Map(plan.B.map(({ key }) => [key, verdict('A')])),
};

t.test('the plan of a seed', async (t) => {
  t.equal(wordsOf(planOf(nodes, 40, SEED)), wordsOf(plan));
  t.not(wordsOf(planOf(nodes, 40, SEED + 1)), wordsOf(plan));
  for (const points of [plan.A, plan.B]) {
    t.equal(new Set(points.map(({ key }) => key)).size, points.length, 'no disk twice');
  }
});

t.test('counts add up', async (t) => {
  const rows = countRows(plan, verdicts);
  t.equal(rows.length, 2 * CUT_KINDS.length);
  for (const { disks, kept, lost, some, boots, bad } of rows) {
    t.ok(disks >= 40);
    t.equal(kept + lost + some, disks);
    t.equal(
      Object.values(boots).reduce((sum, count) => sum + count, 0),
      disks,
    );
    t.equal(bad, 0);
  }
  const disks = rows.reduce((sum, row) => sum + row.disks, 0);
  t.equal(disks, plan.A.length + plan.B.length);
  const [first] = plan.A;
  const worse = new Map(verdicts.A).set(
    first?.key ?? '',
    verdict('A', [{ code: 'state-lost', found: '' }]),
  );
  const badOf = (A: typeof worse): number =>
    countRows(plan, { ...verdicts, A }).reduce((sum, row) => sum + row.bad, 0);
  t.equal(badOf(worse), 1);
  worse.delete(first?.key ?? '');
  t.equal(badOf(worse), 1, 'a disk that was not checked is not good');
  t.equal(bootWords(undefined), 'not checked');
  t.equal(bootWords({ ...verdict('A'), boots: null }), 'nothing');
});

t.test('disks that are booted', async (t) => {
  const cases = bootCases(plan, verdicts, 24, SEED);
  t.equal(cases.length, 24);
  t.equal(new Set(cases.map(({ node, point }) => `${node} ${point.key}`)).size, 24);
  t.ok(cases.every(({ point }) => point.isDecisive));
  const first = cases.slice(0, 8).map(({ node, point }) => `${node} ${point.kind}`);
  t.equal(new Set(first).size, 8, 'of every node and kind in turn');
  const trials = cases.filter((each) => bootWords(each.verdict) === '2.0.0 trial');
  t.ok(trials.length >= 4, 'what is rare comes, too');
  const again = bootCases(plan, verdicts, 24, SEED);
  t.strictSame(
    again.map(({ point }) => point.key),
    cases.map(({ point }) => point.key),
  );
  t.equal(bootCases(plan, verdicts, 100_000, SEED).length, plan.A.length + plan.B.length);
});

t.test('the peer of a cut, and the index of a recording', async (t) => {
  const { entries } = one;
  const at = (index: number) => {
    const { boot = 0, endBytes = 0 } = entries[index] ?? {};
    return { boot, bytes: endBytes };
  };
  const moments = [
    { A: at(3), B: at(0) },
    { A: at(20), B: at(9) },
  ];
  const recording = { moments } as unknown as Recording;
  const ends = [2, 10, 60].map((count) => {
    const { durable, parts } = peerCut(recording, nodes, 'A', count);
    return Math.max(durable, ...parts.map(({ entry }) => entry + 1));
  });
  const changesIn = (count: number): number =>
    entries.slice(0, count).findLastIndex(({ kind }) => kind === 'write') + 1;
  t.ok(ends[0] !== undefined && ends[0] <= changesIn(3));
  t.ok((ends[1] ?? 0) > (ends[0] ?? 0) && (ends[1] ?? 0) <= changesIn(12));
  t.equal(ends[2], changesIn(entries.length), 'no later moment: all of it');
  const rows = indexOf(one);
  t.equal(
    rows.reduce((sum, row) => sum + row.entries, 0),
    entries.length,
  );
  t.ok(rows.some(({ boot, partition }) => boot === 2 && partition === 'tandem-state'));
});
