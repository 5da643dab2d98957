/**
 * The simulated pair in words, for the trace of a seed and for a run that failed. Only tests import
 * it.
 */
import type { NodeId } from '../../src/core/model.ts';
import type { NodeState } from '../../src/core/state.ts';
import type { Appliance } from './appliance.ts';

const role = ({ record: { role } }: NodeState): string =>
  `${role.epoch}${role.holder}${role.peerMayTakeOver ? '' : ' alone'}`;

const down = ({ record }: NodeState): string => record.standDown?.rollout ?? 'no';

/** What changed in a node's durable records and in what it does, or nothing. */
export function stepWords(before: NodeState, after: NodeState): string {
  const words: string[] = [];
  const note = (name: string, was: unknown, is: unknown): void => {
    if (was !== is) words.push(`${name} ${String(was)} -> ${String(is)}`);
  };
  note('role', role(before), role(after));
  note('stand-down', down(before), down(after));
  note('stale', before.record.knownStale, after.record.knownStale);
  note('update', before.record.update.state, after.record.update.state);
  const reason = after.rollout?.result ?? null;
  if (reason !== before.rollout?.result && reason !== null) words.push(`reason ${reason.message}`);
  note('phase', before.rollout?.phase, after.rollout?.phase);
  note('writer', before.rollout?.writer.epoch, after.rollout?.writer.epoch);
  note('serving', before.world.serving, after.world.serving);
  note('admitted', before.world.admitted, after.world.admitted);
  note('draining', before.world.draining, after.world.draining);
  note('takeover', before.world.takeover, after.world.takeover);
  const [was, is] = [before.world.store, after.world.store];
  note('store', was.role, is.role);
  note('copy', was.local, is.local);
  note("peer's copy", was.peer, is.peer);
  note('frozen', was.frozen, is.frozen);
  return words.join(', ');
}

/** A node in two lines. */
export function nodeWords(node: NodeId, appliance: Appliance): string {
  const { state: s, disk, info } = appliance;
  if (s === null) return `${node} off (${info === null ? 'no power' : 'daemon down'})`;
  const { record, world } = s;
  const { role, update } = record;
  const { store } = world;
  const effects = appliance.effects().map((effect) => effect.do);
  const troubles = Object.entries(world.troubles).map(
    ([name, { message }]) => `${name}: ${message}`,
  );
  return [
    `${node} ${s.rollout?.phase} update=${update.state} boot=${world.boot.slot}`,
    `default=${disk.boot.default} trial=${disk.boot.trial} linkUp=${world.linkUp}`,
    `epoch=${role.epoch}${role.holder} pmto=${role.peerMayTakeOver}`,
    `sd=${record.standDown?.rollout} adm=${world.admitted} stale=${record.knownStale}`,
    `serving=${world.serving} drain=${world.draining} effects=${effects.join()}`,
    `store=${store.role}/${store.local}/${store.peer}${store.frozen ? ' frozen' : ''}`,
    `${store.splitBrain ? 'split ' : ''}${troubles.join('; ')}`,
  ].join(' ');
}
