/**
 * How a node begins: the record of one that was never used, and the world as a daemon knows it when
 * it starts, before it has heard of its peer, its storage software or its clients. Always holds:
 * nothing that is not durable outlives the daemon; in particular no node is admitted at its start
 * (R6) and none takes its peer's word of before for granted. Pure; imports only core.
 */
import type { BootState } from './boot.ts';
import { schemaAt } from './levels.ts';
import type { NodeId } from './model.ts';
import { FEATURE_LEVEL, type NodeRecord } from './records.ts';
import type { World } from './state.ts';
import { STORE_UNKNOWN } from './store.ts';

/** What a daemon observes by itself when it starts; all else is the same at every start. */
export type Observed = Pick<
  World,
  'clock' | 'run' | 'program' | 'boot' | 'bootState' | 'system' | 'seals' | 'depot' | 'headStartMs'
>;

/** The world of a daemon that has just started and observed this. */
export function startWorld(observed: Observed): World {
  const { ms } = observed.clock;
  return {
    ...observed,
    freeBytes: null,
    storage: null,
    store: STORE_UNKNOWN,
    serving: null,
    draining: false,
    switching: false,
    formatRaisedFor: null,
    linkUp: false,
    peer: null,
    linkLostMs: null,
    takeover: 'manual',
    takeoverTurn: 0,
    peerTakeover: 'manual',
    peerWord: null,
    peerKnows: null,
    met: false,
    peerHeardMs: ms,
    admitted: false,
    activity: null,
    troubles: {},
    bulkPort: null,
    staging: null,
    phaseSinceMs: ms,
    driverHeardMs: ms,
  };
}

/** What the boot chooser and this boot say of a node that has no record yet. */
export interface FirstBoot {
  readonly node: NodeId;
  readonly pair: string;
  readonly bootId: string;
  readonly booted: NodeRecord['slots']['booted'];
  readonly state: Pick<BootState, 'default' | 'trialId'>;
}

/** The record of a node that was never used: node A of a new pair serves first. */
export function firstNodeRecord({ node, pair, bootId, booted, state }: FirstBoot): NodeRecord {
  return {
    schema: schemaAt(FEATURE_LEVEL),
    node,
    pair,
    bootId,
    role: { epoch: 1, holder: 'A', peerMayTakeOver: true },
    standDown: null,
    knownStale: false,
    generation: { current: '', base: null, history: [] },
    slots: { booted, default: state.default, trial: null, outcome: 'none', reason: null },
    storage: { current: 'A', previous: null, trial: null, outcome: 'none', reason: null },
    update: { state: 'idle' },
    lastTrialId: state.trialId,
    canRollBack: false,
    featureLevel: FEATURE_LEVEL,
    releaseFloor: 0,
  };
}
