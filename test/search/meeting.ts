/**
 * When an operator of the search says that the peer is off, and what must not happen until that
 * peer has heard of it: a node that counts on no peer waits for it only so long, and serves then
 * (R1). Only tests import it.
 */
import type { Site } from './site.ts';

/** A holder that would serve without its peer. */
const countsOnNobody = ({ record: { role, node } }: Site): boolean =>
  role.holder === node && !role.peerMayTakeOver;

/**
 * Is this peer off, was nothing acknowledged by it alone, and will it hear of the takeover? Not
 * where the peer itself had taken over from this node: of that an operator is warned.
 */
export function mayBeOvertaken(peer: Site, by: Site, reachable: boolean): boolean {
  if (peer.world !== null || peer.copy.ahead) return false;
  const led = peer.record.role.epoch > by.record.role.epoch;
  return !countsOnNobody(peer) || (reachable && !led);
}

/** Two nodes would lead, and the older one has not heard of the newer one yet. */
export function unheard(a: Site, b: Site): boolean {
  return countsOnNobody(a) && countsOnNobody(b);
}
