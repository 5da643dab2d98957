/**
 * The report that a node sends to its peer, made from its state. Imports only core.
 */
import { schemaAt } from '../core/levels.ts';
import { FEATURE_LEVEL, PROTOCOL } from '../core/records.ts';
import { positionOf, type NodeReport } from '../core/report.ts';
import { admits, wantsDown } from '../core/role.ts';
import { me, type NodeState } from '../core/state.ts';

/** The report as number `seq` of this run. */
export function reportOf(s: NodeState, seq: number): NodeReport {
  const { record, rollout, world } = s;
  return {
    schema: schemaAt(record.featureLevel),
    protocol: PROTOCOL,
    features: FEATURE_LEVEL,
    pair: record.pair,
    node: me(s),
    bootId: world.boot.bootId,
    run: world.run,
    seq,
    program: world.program,
    boot: world.boot,
    record,
    serving: world.serving !== null,
    admitted: world.admitted,
    admits: admits(s),
    wantsDown: wantsDown(s),
    takeover: world.takeover,
    knowsTakeover: world.peerTakeover,
    takeoverTurn: world.takeoverTurn,
    knows: world.peerWord,
    rollout: positionOf(rollout),
    system: world.system,
    storage: world.storage?.release ?? null,
    seals: world.seals,
    depot: world.depot,
    store: world.store,
    activity: world.activity,
    troubles: world.troubles,
    bulkPort: world.bulkPort,
    staging: world.staging,
    freeBytes: world.freeBytes,
  };
}
