/**
 * One search by name: which order, which bundle, which policy and how many faults; from a formed
 * pair with a rollout just started. Only tests import it.
 */
import type { NodeId, Release, Sha256, SlotClass, SlotSeal } from '../../src/core/model.ts';
import { peerOf } from '../../src/core/model.ts';
import type { NodeRecord, Order, Phase, Policy } from '../../src/core/records.ts';
import type { RolloutImage, RolloutRecord } from '../../src/core/records.ts';
import type { World } from '../../src/core/state.ts';
import { broken, quiet as isQuiet, type Bundle } from './check.ts';
import type { Core } from './core.ts';
import { Search, type Found } from './explore.ts';
import type { Faults } from './move.ts';
import { Moves } from './moves.ts';
import { sealFor } from './work.ts';
import { PairMoves, WIRED, type PairState } from './pair.ts';
import { FRESH } from './replica.ts';
import { Sites, type Site } from './site.ts';

const DIGEST = 'c'.repeat(64) as Sha256;

/** What is searched. */
export interface Scenario {
  readonly order: Order;
  readonly storageRunsWith: string | null;
  readonly takeover: World['takeover'];
  readonly faults: number;
  readonly statesMax?: number;
  readonly onSecondFailure?: Policy['onSecondFailure'];
  readonly retries?: number;
  readonly kinds?: Partial<Faults>;
  readonly ends?: boolean;
  readonly anyOrder?: boolean;
}

/** Every fault and operator that there is. */
export const ALL_FAULTS: Faults = {
  crash: true,
  link: true,
  slow: true,
  health: true,
  deadman: true,
  install: true,
  fence: true,
  cancel: true,
};

/** None; for a search that names those that it wants. */
export const NO_FAULTS: Faults = {
  crash: false,
  link: false,
  slow: false,
  health: false,
  deadman: false,
  install: false,
  fence: false,
  cancel: false,
};

function firstRecord(node: NodeId): NodeRecord {
  return {
    schema: 1,
    node,
    pair: 'p',
    bootId: '',
    role: { epoch: 1, holder: 'A', peerMayTakeOver: true },
    standDown: null,
    knownStale: false,
    generation: { current: 'g', base: null, history: [] },
    slots: { booted: 'A', default: 'A', trial: null, outcome: 'none', reason: null },
    storage: { current: 'A', previous: null, trial: null, outcome: 'none', reason: null },
    update: { state: 'idle' },
    lastTrialId: 0,
    canRollBack: false,
    featureLevel: 1,
    releaseFloor: 0,
  };
}

const releaseOf = (cls: SlotClass, counter: number): Release => ({
  product: 'p',
  class: cls,
  version: `${counter}.0.0`,
  counter,
});

const imageOf = (cls: SlotClass, runsWith: string): RolloutImage => ({
  name: cls,
  class: cls,
  release: releaseOf(cls, 2),
  runsWith,
});

const sealOf = (cls: SlotClass): SlotSeal => ({
  ...sealFor({ class: cls, release: releaseOf(cls, 1) }),
  committed: 0,
});

function firstSite(sites: Sites, node: NodeId): Site {
  return sites.make({
    node,
    busy: false,
    record: firstRecord(node),
    rollout: null,
    world: null,
    boot: { seq: 1, default: 'A', trial: null, trialId: 0, tries: 0, otherOk: false },
    counter: { trialId: 0, used: 0 },
    seals: {
      system: { A: sealOf('system'), B: null },
      storage: { A: sealOf('storage'), B: null },
    },
    depot: node === 'A' ? [DIGEST] : [],
    storage: null,
    serves: false,
    copy: FRESH,
    ops: { service: null, slots: null, storage: null, fetch: null, fence: null },
    healthy: 0,
  });
}

function rolloutOf(scenario: Scenario): RolloutRecord {
  const { order, storageRunsWith, retries = 1, onSecondFailure = 'hold' } = scenario;
  const plain = { from: { system: null, storage: null }, skip: false, attempts: 0, log: [] };
  const images = [imageOf('system', '>=1.0.0')];
  if (storageRunsWith !== null) images.push(imageOf('storage', storageRunsWith));
  return {
    schema: 1,
    id: 'update',
    kind: 'update',
    to: { bundle: DIGEST, bytes: 1, product: 'p', version: '2.0.0', counter: 2, images },
    first: order === 'active-first' ? 'A' : peerOf('A'),
    policy: { order, onSecondFailure, retries, soakS: 1, tries: 2, deadmanS: 1e6 },
    writer: { epoch: 0, seq: 0 },
    phase: 'STAGE',
    nodes: { A: plain, B: plain },
    soak: null,
    abort: null,
    result: null,
    startedAt: '',
    phaseAt: '',
    estimateS: null,
    finalized: false,
  };
}

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

/** Searches a scenario with this core. */
export function search(core: Core, scenario: Scenario): Searched {
  const startMs = performance.now();
  const sites = new Sites(core);
  const bundle: Bundle = { storageRunsWith: scenario.storageRunsWith };
  const rules = {
    takeover: scenario.takeover,
    faults: { ...ALL_FAULTS, ...scenario.kinds },
  };
  const moves = new PairMoves(sites, new Moves(sites, rules), rules, scenario.anyOrder ?? false);
  const at = (id: number): Site => sites.list[id] as Site;
  const checks = {
    broken: (p: PairState) => broken(at(p.a), at(p.b), bundle),
    quiet: (p: PairState) => isQuiet(at(p.a), at(p.b), p, core),
  };
  const formed = form(moves, checks, {
    a: firstSite(sites, 'A').id,
    b: firstSite(sites, 'B').id,
    toA: 0,
    toB: 0,
    flags: WIRED,
  });
  const started = sites.event(at(formed.a), { type: 'start', record: rolloutOf(scenario) });
  const initial = { ...formed, a: started.id };
  const ends: Record<string, number> = {};
  const quiet = (p: PairState): boolean => {
    if (!checks.quiet(p)) return false;
    const phase = at(p.a).rollout?.phase ?? 'none';
    ends[phase] = (ends[phase] ?? 0) + 1;
    return true;
  };
  const found = new Search(moves, {
    ...checks,
    quiet,
    faults: scenario.faults,
    statesMax: scenario.statesMax ?? 60_000_000,
    ends: scenario.ends ?? true,
  }).run(initial);
  const seconds = (performance.now() - startMs) / 1000;
  const phases = new Set(sites.list.flatMap(({ rollout }) => rollout?.phase ?? []));
  return { ...found, ends, phases: [...phases], nodes: sites.list.length, seconds };
}

type Checks = Pick<ConstructorParameters<typeof Search>[1], 'broken' | 'quiet'>;

/** Both nodes boot and form the pair: the first quiet state. */
function form(moves: PairMoves, checks: Checks, off: PairState): PairState {
  let formed: PairState | null = null;
  const quietly = (p: PairState): boolean => {
    if (checks.quiet(p)) formed ??= p;
    return false;
  };
  const search = new Search(moves, {
    ...checks,
    broken: (p) => checks.broken(p) ?? (formed === null ? null : 'formed'),
    quiet: quietly,
    faults: 0,
    statesMax: 1_000_000,
    ends: false,
  });
  const found = search.run(off);
  const { violation } = found;
  if (formed !== null) return formed;
  throw new Error(`the pair does not form: ${violation?.what} ${violation?.trace.join('\n')}`);
}
