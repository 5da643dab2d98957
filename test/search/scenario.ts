/**
 * One search by name: which rollout, which bundle, which policy, how many faults and of which
 * kinds; from a formed pair. Only tests import it.
 */
import type { Phase } from '../../src/core/records.ts';
import type { World } from '../../src/core/state.ts';
import { firstSite, rollbackOf, updateOf, type Plan } from './begin.ts';
import { broken, falseEnd, quiet, serverOf, type Bundle } from './check.ts';
import type { Core } from './core.ts';
import { Search, type Found } from './explore.ts';
import { KINDS, type FaultKind, type Rules } from './move.ts';
import { Moves } from './moves.ts';
import { PairMoves, WIRED, type PairState } from './pair.ts';
import { Sites, type Site } from './site.ts';

/** What is searched. */
export interface Scenario extends Plan {
  readonly takeover: World['takeover'];
  readonly faults: number;
  /** Which kinds of faults; default: those of `USUAL`. */
  readonly kinds?: readonly FaultKind[];
  /**
   * `update`: it has just been started. `rollback`: an update is done, and the way back was just
   * started. `none`: a formed pair; an operator may start an update.
   */
  readonly begin?: 'update' | 'rollback' | 'none';
  /** Every order of steps instead of the prompt one. */
  readonly anyOrder?: boolean;
  /** States at most; a search that was cut short says so. */
  readonly statesMax?: number;
}

/** Faults that are always looked for; the others only where a search names them. */
export const USUAL: readonly FaultKind[] = [
  'crash',
  'link',
  'slow',
  'health',
  'deadman',
  'install',
  'fence',
  'cancel',
];

/** All that there are. */
export const EVERY: readonly FaultKind[] = KINDS;

const STATES_MAX = 200_000_000;

/** What a search said, and how long it took. */
export interface Searched extends Found {
  /** How often each phase of the rollout was reached as a quiet end. */
  readonly ends: Readonly<Record<string, number>>;
  /** Phases in which a node was. */
  readonly phases: readonly Phase[];
  /** Different nodes in these states. */
  readonly nodes: number;
  readonly seconds: number;
}

/** Every node that occurs in an update with one fault. */
export function sitesOf(core: Core): readonly Site[] {
  const sites = new Sites(core);
  const plan = { order: 'active-first', storageRunsWith: '>=2.0.0', takeover: 'fence' } as const;
  search(core, { ...plan, faults: 1 }, sites);
  return sites.list;
}

/** Searches a scenario with this core. */
export function search(core: Core, scenario: Scenario, sites = new Sites(core)): Searched {
  const startMs = performance.now();
  const { begin = 'update', takeover, kinds = USUAL } = scenario;
  const start = begin === 'none' ? updateOf(scenario, 'A') : null;
  const rules = { takeover, faults: new Set(kinds), start };
  const moves = new PairMoves(sites, new Moves(sites, rules), rules, scenario.anyOrder ?? false);
  const checks = checksOf(sites, scenario);
  const initial = beginning(sites, rules, checks, scenario, begin);
  const ends: Record<string, number> = {};
  const found = new Search(moves, {
    ...checks,
    quiet: (p) => {
      if (!checks.quiet(p)) return false;
      const phase = sites.list[p.a]?.rollout?.phase ?? 'none';
      ends[phase] = (ends[phase] ?? 0) + 1;
      return true;
    },
    faults: scenario.faults,
    statesMax: scenario.statesMax ?? STATES_MAX,
    ends: true,
  }).run(initial);
  const seconds = (performance.now() - startMs) / 1000;
  const phases = new Set(sites.list.flatMap(({ rollout }) => rollout?.phase ?? []));
  return { ...found, ends, phases: [...phases], nodes: sites.list.length, seconds };
}

type Checks = Pick<ConstructorParameters<typeof Search>[1], 'broken' | 'quiet'>;

function checksOf(sites: Sites, { storageRunsWith }: Scenario): Checks {
  const at = (id: number): Site => sites.list[id] as Site;
  const bundle: Bundle = { storageRunsWith };
  const rests = (p: PairState): boolean => quiet(at(p.a), at(p.b), p, sites.core);
  const wrong = (p: PairState): string | null => {
    const [a, b] = [at(p.a), at(p.b)];
    return broken(a, b, bundle) ?? (rests(p) ? falseEnd(a, b) : null);
  };
  return { broken: wrong, quiet: rests };
}

/** The state in which the search begins. */
function beginning(
  sites: Sites,
  rules: Rules,
  checks: Checks,
  scenario: Scenario,
  begin: 'update' | 'rollback' | 'none',
): PairState {
  const never = { ...rules, start: null };
  const moves = new PairMoves(sites, new Moves(sites, never), never);
  const [a, b] = [firstSite(sites, 'A').id, firstSite(sites, 'B').id];
  const formed = firstQuiet(moves, checks, { a, b, toA: 0, toB: 0, flags: WIRED });
  if (begin === 'none') return formed;
  const updating = started(sites, formed, scenario, updateOf);
  if (begin === 'update') return updating;
  return started(sites, firstQuiet(moves, checks, updating), scenario, rollbackOf);
}

/** The state after the node that serves was told to start a rollout. */
function started(sites: Sites, p: PairState, plan: Plan, make: typeof updateOf): PairState {
  const [a, b] = [sites.list[p.a] as Site, sites.list[p.b] as Site];
  const active = serverOf(a, b);
  if (active === null) throw new Error('nobody serves');
  const site = active === 'A' ? a : b;
  const { id } = sites.event(site, { type: 'start', record: make(plan, active) });
  if (id === site.id) throw new Error('the rollout is not started');
  return active === 'A' ? { ...p, a: id } : { ...p, b: id };
}

/** The first state, without a fault, in which everything rests. */
function firstQuiet(moves: PairMoves, checks: Checks, from: PairState): PairState {
  let found: PairState | null = null;
  const { violation } = new Search(moves, {
    broken: (p) => checks.broken(p) ?? (found === null ? null : 'found'),
    quiet: (p) => {
      if (checks.quiet(p)) found ??= p;
      return false;
    },
    faults: 0,
    statesMax: 1_000_000,
    ends: false,
  }).run(from);
  if (found !== null) return found;
  throw new Error(`the pair does not come to rest: ${violation?.what}`);
}
