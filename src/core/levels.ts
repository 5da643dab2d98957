/**
 * What two programs of one pair may say and write (rules R10, R11; docs/ARCHITECTURE.md, "Two
 * versions side by side"): the protocol that both speak, and the feature level at which both write
 * until FINALIZE raises it. Always holds: nothing that a pair shares is above what the older
 * program reads, a level is never lowered, and schema numbers are feature levels, so that a program
 * which only knows a lower one finds out by the schema. Pure; imports only core.
 */
import { FEATURE_LEVEL, type NodeRecord } from './records.ts';

/** Versions of a protocol that a program speaks, lowest and highest. */
export type ProtocolRange = readonly [min: number, max: number];

/** R10: the lower one of the two highest protocols, or null when one side finds it too low. */
export function agreedProtocol(own: ProtocolRange, theirs: ProtocolRange): number | null {
  const agreed = Math.min(own[1], theirs[1]);
  return agreed >= own[0] && agreed >= theirs[0] ? agreed : null;
}

/** Level of what both nodes have to read: the lower one of their records. */
export function sharedLevel(own: NodeRecord, peer: NodeRecord | null): number {
  return Math.min(own.featureLevel, peer?.featureLevel ?? own.featureLevel);
}

/**
 * Schema of a record or message that is written at this level. `known` is the highest one that the
 * program can write, `FEATURE_LEVEL` but for tests.
 */
export function schemaAt(level: number, known: number = FEATURE_LEVEL): number {
  return Math.max(1, Math.min(level, known));
}

/**
 * R11: level of a node after FINALIZE: as high as both programs reach, at least what it was.
 * `peerReach` is the highest level of the peer's program; null = it does not say, because it is
 * older than levels: then nothing is raised.
 */
export function raisedLevel(
  before: number,
  peerReach: number | null,
  reach: number = FEATURE_LEVEL,
): number {
  return Math.max(before, Math.min(reach, peerReach ?? before));
}
