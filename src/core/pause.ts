/**
 * Pauses of a rollout as an operator sees them: whether there is still a safe point to rest at, and
 * which one comes next. Pure; imports only core.
 */
import { PHASES, type Phase, type RolloutRecord } from './records.ts';
import { SAFE_POINTS } from './rollout.ts';
import { running } from './state.ts';

/** A second node that failed may be tried again, and then comes to its safe point after all. */
const FORWARD_AGAIN: Partial<Record<Phase, Phase>> = { BACK2: 'DOWN2' };

/**
 * The phase at whose end a rollout that is paused now would rest, or null when there is none on its
 * way any more: it ends, turns back, or is past the last safe point.
 */
export function restPoint(rollout: RolloutRecord): Phase | null {
  if (!running(rollout) || rollout.abort !== null) return null;
  const at = PHASES.indexOf(FORWARD_AGAIN[rollout.phase] ?? rollout.phase);
  return PHASES.find((phase, index) => index >= at && SAFE_POINTS.has(phase)) ?? null;
}
