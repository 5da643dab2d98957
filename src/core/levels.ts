/**
 * What two programs of one pair may say and write (rules R10, R11; docs/ARCHITECTURE.md, "Two
 * versions side by side"): the protocol that both speak, and the feature level at which both write
 * until FINALIZE raises it. Always holds: nothing that a pair shares is above what the older
 * program reads; a level is never lowered; the highest schema, feature level and pair protocol of a
 * program are one number, so that a program which only knows a lower one finds out by the schema,
 * and a manifest tells by its protocols what its program can read. Pure; imports only core.
 */
import type { Manifest } from './manifest.ts';
import { NODES, type NodeId } from './model.ts';
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

/** What a node has written by now, as far as it is known. */
export interface WrittenLevels {
  readonly featureLevel?: number | null;
  readonly storeFormat?: number | null;
}

/**
 * What of a pair a bundle could not read any more, because FINALIZE has raised it (R11), in a
 * sentence; null when it reads everything. In a trial such a program would only reach safe mode.
 */
export function aboveReach(
  { pair, images }: Pick<Manifest, 'pair' | 'images'>,
  nodes: Readonly<Record<NodeId, WrittenLevels>>,
): string | null {
  const [, reach] = pair.protocol;
  const format = images.find((image) => image.class === 'storage')?.formatLevel ?? Infinity;
  for (const node of NODES) {
    const { featureLevel, storeFormat } = nodes[node];
    if ((featureLevel ?? 0) > reach) {
      return `node ${node} writes at level ${featureLevel}; the bundle reads up to ${reach}`;
    }
    if ((storeFormat ?? 0) > format) {
      const found = `the store of node ${node} has format ${storeFormat}`;
      return `${found}; the bundle reads up to ${format}`;
    }
  }
  return null;
}
