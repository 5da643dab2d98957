/**
 * Whether a state says something to the peer that an earlier one did not: what the runner finds by
 * comparing reports as text, found here without making them, because it is asked after every event.
 * Always holds: what is overlooked would be told with the next beat. Only tests import it.
 */
import { admits, wantsDown } from '../../src/core/role.ts';
import type { NodeState, World } from '../../src/core/state.ts';

/** What a report takes from the world as it is (src/updater/report.ts). */
const TOLD: readonly (keyof World)[] = [
  'serving',
  'admitted',
  'takeover',
  'peerTakeover',
  'system',
  'storage',
  'seals',
  'depot',
  'store',
  'activity',
  'troubles',
  'bulkPort',
  'staging',
  'freeBytes',
];

/** True when the peer should hear of it at once. */
export function isNews(before: NodeState | null, now: NodeState): boolean {
  if (before === null || before.record !== now.record || before.rollout !== now.rollout)
    return true;
  const [was, is] = [before.world, now.world];
  for (const key of TOLD) if (was[key] !== is[key]) return true;
  // The rest depends on what is known of the peer.
  if (was.peer === is.peer && was.linkUp === is.linkUp && was.draining === is.draining)
    return false;
  if (wantsDown(before) !== wantsDown(now)) return true;
  const [a, b] = [admits(before), admits(now)];
  return a === null || b === null ? a !== b : JSON.stringify(a) !== JSON.stringify(b);
}
