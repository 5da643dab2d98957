/**
 * What a run of `npm run test:cuts` does with a recording: which points of which node are checked,
 * which of them are booted, and how the counts add up. Always holds: the same seed makes the same
 * plan, so that a run that was broken off goes on where it was. Imports core and the parts beside
 * it.
 */
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { BootCase } from './boots.ts';
import type { Verdict } from './judge.ts';
import { CUT_KINDS, type CutKind } from './marks.ts';
import { drawPoints, type DrawnPoint } from './points.ts';
import type { NodeTimeline } from './recording.ts';
import { chances, type Fate } from './timeline.ts';

/** Points of both nodes. */
export type Plan = Readonly<Record<NodeId, readonly DrawnPoint[]>>;
/** Verdicts of both nodes, by key. */
export type Verdicts = Readonly<Record<NodeId, ReadonlyMap<string, Verdict>>>;

/** One row of the table: points of a kind of a node. */
export interface CountRow {
  readonly node: NodeId;
  readonly kind: CutKind;
  /** Different disks. */
  readonly disks: number;
  readonly decisive: number;
  /** By what became of unflushed writes; a cut inside a write is counted as torn, too. */
  readonly kept: number;
  readonly lost: number;
  readonly some: number;
  readonly torn: number;
  readonly bad: number;
  /** What the disks boot: release and whether it is on trial. */
  readonly boots: Readonly<Record<string, number>>;
}

/** Draws all points; `wanted` of each kind on each node, if there are so many. */
export function planOf(
  nodes: Readonly<Record<NodeId, NodeTimeline>>,
  wanted: number,
  seed: number,
): Plan {
  const pointsOf = (node: NodeId): readonly DrawnPoint[] => {
    const { entries, marks, stretches } = nodes[node];
    const found: DrawnPoint[] = [];
    for (const [index, kind] of CUT_KINDS.entries()) {
      const own = seed + index + (node === 'A' ? 0 : CUT_KINDS.length);
      const except = new Set(found.map(({ key }) => key));
      found.push(...drawPoints(entries, marks, stretches, { kind, wanted, seed: own, except }));
    }
    return found;
  };
  return { A: pointsOf('A'), B: pointsOf('B') };
}

/** Counts what was checked. */
export function countRows(plan: Plan, verdicts: Verdicts): readonly CountRow[] {
  return NODES.flatMap((node) =>
    CUT_KINDS.map((kind): CountRow => {
      const own = plan[node].filter((one) => one.kind === kind);
      const count = (test: (one: DrawnPoint) => boolean): number => own.filter(test).length;
      const boots: Record<string, number> = {};
      for (const { key } of own) {
        const words = bootWords(verdicts[node].get(key));
        boots[words] = (boots[words] ?? 0) + 1;
      }
      return {
        node,
        kind,
        disks: own.length,
        decisive: count(({ isDecisive }) => isDecisive),
        kept: count(({ point }) => fateWord(point.fate) === 'kept'),
        lost: count(({ point }) => fateWord(point.fate) === 'lost'),
        some: count(({ point }) => fateWord(point.fate) === 'some'),
        torn: count(({ point }) => point.torn > 0),
        bad: count(({ key }) => (verdicts[node].get(key)?.problems.length ?? 1) > 0),
        boots,
      };
    }),
  );
}

/** What becomes of unflushed writes, in a word. */
export function fateWord(fate: Fate): 'kept' | 'lost' | 'some' {
  if (fate === 'keep') return 'kept';
  return fate === 'drop' ? 'lost' : 'some';
}

/** What a disk boots: release, and why. */
export function bootWords(verdict: Verdict | undefined): string {
  if (verdict === undefined) return 'not checked';
  const { boots, version } = verdict;
  return boots === null ? 'nothing' : `${version ?? 'junk'} ${boots.reason}`;
}

/**
 * Disks that are booted: of every node and kind in turn, decisive ones first, each time one that
 * boots something else where there is one.
 */
export function bootCases(
  plan: Plan,
  verdicts: Verdicts,
  wanted: number,
  seed: number,
): readonly BootCase[] {
  const chance = chances(seed);
  const piles = CUT_KINDS.flatMap((kind) =>
    NODES.map((node) => pileOf(plan, verdicts, node, kind)),
  );
  const drawn: BootCase[] = [];
  const seen = new Map<string, number>();
  while (drawn.length < wanted && piles.some((pile) => pile.length > 0)) {
    for (const pile of piles) {
      if (drawn.length >= wanted || pile.length === 0) continue;
      const rank = ({ point, verdict }: BootCase): number =>
        (point.isDecisive ? 0 : 1000) + (seen.get(`${point.kind} ${bootWords(verdict)}`) ?? 0);
      const best = Math.min(...pile.map(rank));
      const equal = pile.filter((one) => rank(one) === best);
      const one = equal[Math.floor(chance() * equal.length)];
      if (one === undefined) continue;
      pile.splice(pile.indexOf(one), 1);
      drawn.push(one);
      const words = `${one.point.kind} ${bootWords(one.verdict)}`;
      seen.set(words, (seen.get(words) ?? 0) + 1);
    }
  }
  return drawn;
}

function pileOf(plan: Plan, verdicts: Verdicts, node: NodeId, kind: CutKind): BootCase[] {
  return plan[node].flatMap((point): readonly BootCase[] => {
    const verdict = verdicts[node].get(point.key);
    return point.kind === kind && verdict !== undefined ? [{ node, point, verdict }] : [];
  });
}
