/**
 * Holds a whole column of a failure table against the simulated pair: every moment of every phase,
 * both orders. Only tests import it.
 */
import type { Test } from 'tap';
import type { Order, Phase } from '../../src/core/records.ts';
import type { PairOptions } from '../sim/fixture.ts';
import type { Cell, Row } from './cells.ts';
import type { Variant } from './faults.ts';
import { play, type Outcome } from './play.ts';
import { momentsOf, type Moment } from './struck.ts';

/** An update that does not go well by itself, or a pair whose fencer does not. */
export interface Story {
  readonly name: string;
  readonly options: (order: Order) => Pick<PairOptions, 'faults' | 'policy' | 'fence'>;
}

/** How a column is checked. */
export interface Plan {
  readonly takeover: 'fence' | 'manual';
  readonly order: Order;
  /** What makes the update that is struck another one than a good one; it has a name. */
  readonly story?: Story;
  /** The one kind of moments; all that the fault knows when not given. */
  readonly at?: Moment['at'];
}

/** Every moment is struck, not a choice of them. */
export const ALL = process.env['TABLE_ALL'] === '1';
/** Every which tick is a moment of its own where writes and events are moments too. */
const TICK = 4;

/** Phases in which one node dies between two steps of the other. */
const HANDS_OVER: ReadonlySet<Phase> = new Set(['DRAIN1', 'HAND1']);

/**
 * Moments that differ: around the writes of the nodes that are struck, and some of the ticks in
 * between. `npm run test:table` takes all of them.
 */
function telling({ at, takes, every }: Variant, moment: Moment): boolean {
  const thinned = every ?? (moment.at === 'tick' && at.length > 1 ? TICK : 1);
  if (moment.count % thinned !== 0) return false;
  if (takes === undefined || moment.at === 'tick' || HANDS_OVER.has(moment.phase)) return true;
  return takes(moment.driver).includes(moment.node);
}

/** Moments of an undisturbed update by the options that make a difference before a fault. */
const known = new Map<string, readonly Moment[]>();

/** The settings of the updates that are struck. */
export function optionsOf({ takeover, order, story }: Plan): PairOptions {
  const { policy, ...more } = story?.options(order) ?? {};
  const times = { syncTicks: 6, installMs: 200 };
  return { takeover, storageRunsWith: '>=2.0.0', ...times, ...more, policy: { order, ...policy } };
}

/** Every run of these faults within the phases of the rows. */
export function strikes(
  faults: readonly Variant[],
  rows: readonly Row[],
  plan: Plan,
): readonly Outcome[] {
  const phases = new Set(rows.flatMap((row) => row.phases));
  return faults.flatMap((fault) => {
    const plain = optionsOf(plan);
    const options = { ...plain, policy: { ...plain.policy, ...fault.policy } };
    const key = `${plan.takeover} ${plan.order} ${plan.story?.name}`;
    const moments = known.get(key) ?? momentsOf(options);
    known.set(key, moments);
    return moments
      .filter((one) => fault.at.includes(one.at) && phases.has(one.phase))
      .filter((one) => plan.at === undefined || plan.at === one.at)
      .filter((one) => fault.only?.test(one.phase) ?? true)
      .filter((one) => ALL || telling(fault, one))
      .map((one) => play(options, fault, one))
      .filter((one) => one !== undefined)
      .filter((one) => phases.has(one.moment.phase));
  });
}

/** Systems and storage software, of the first and the second node, at each end. */
const VERSIONS: Readonly<Record<string, string>> = {
  DONE: '2/2 2/2',
  CANCELLED: '1/1 1/1',
  FAILED: '1/1 1/1',
  HOLD_MIXED: '2/2 1/1',
  ROLLED_BACK: '1/1 1/1',
};

/** The clause of the cell that a run falls under: its first condition that the cell knows. */
export function clauseOf(cell: Cell, { conditions }: Outcome): string {
  return conditions.find((one) => cell.ends.has(one)) ?? '';
}

/**
 * One cell, one story: what it says is so at every moment; and nothing that it says is idle, unless
 * these are only a sample of the moments.
 */
export function checkCell(
  t: Test,
  cell: Cell | null,
  outcomes: readonly Outcome[],
  sample = false,
): void {
  if (cell === null) {
    t.strictSame(outcomes, [], 'cannot happen');
    return;
  }
  t.ok(outcomes.length > 0, `${outcomes.length} moments`);
  const wrong = outcomes.flatMap((one) => {
    const want = cell.ends.get(clauseOf(cell, one));
    const where = `${one.moment.phase}, ${one.name} (${one.conditions.join()})`;
    const found = one.wrong.map((text) => `${where}: ${text}`);
    if (one.versions !== VERSIONS[one.end]) found.push(`${where}: ${one.end} as ${one.versions}`);
    if (one.end !== want) found.push(`${where}: ${one.end} instead of ${want}`);
    const said = one.word === null || cell.words.length === 0 || cell.words.includes(one.word);
    if (!said) found.push(`${where}: ${one.word}, without an answer for ${one.gapMs} ms`);
    return found;
  });
  t.strictSame(wrong.slice(0, 5), [], cell.text);
  if (sample) return;
  const words = new Set(outcomes.map((one) => one.word));
  const clauses = new Set(outcomes.map((one) => clauseOf(cell, one)));
  t.strictSame(
    [
      ...cell.words.filter((word) => !words.has(word)),
      ...[...cell.ends.keys()].filter((clause) => !clauses.has(clause)),
    ],
    [],
    'every word of the cell was met',
  );
}
