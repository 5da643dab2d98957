/**
 * When a node may be restarted or shut down by an operator, and what that means for the service, as
 * pure answers. Always holds: a node that serves goes only after its peer has the service, unless
 * somebody takes the gap on himself; during a rollout nobody goes, since it restarts nodes by
 * itself. Imports core and its own folder.
 */
import type { Code } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import type { PowerKind, PowerView } from '../core/power.ts';
import { connected, me, other, running, type NodeState } from '../core/state.ts';
import { switchoverRefusal } from './operator-rules.ts';

/** Why not, and whether `force` gets past it. */
export interface PowerRefusal {
  readonly error: UpdateError;
  readonly forceable: boolean;
}

/** Whether this node has the service, or the right to it. */
export const holds = (s: NodeState): boolean =>
  s.record.role.holder === me(s) || s.world.serving !== null;

/** Why this node may not go now; `job` is the work of this daemon that is not to be cut off. */
export function powerRefusal(s: NodeState, job: string | null): PowerRefusal | null {
  const { rollout } = s;
  if (running(rollout)) {
    const message = `${rollout.id} runs (phase ${rollout.phase}); it restarts nodes by itself`;
    return final('job.busy', message, rollout.id);
  }
  if (job !== null) return final('job.busy', `job ${job} is running on node ${me(s)}`, job);
  const [node, peer] = [`node ${me(s)}`, `node ${other(s)}`];
  if (holds(s)) {
    const why = switchoverRefusal(s);
    if (why === null) return null;
    const message = `${node} has the service, and ${peer} cannot take it over: ${why.message}`;
    return { error: new UpdateError('power.refused', message), forceable: true };
  }
  if (connected(s)) return null;
  const message = `${peer} does not answer: ${node} may be the one that is needed`;
  return { error: new UpdateError('power.refused', message), forceable: true };
}

function final(code: Code, message: string, job: string): PowerRefusal {
  return { error: new UpdateError(code, message, { detail: { job } }), forceable: false };
}

/** What a client is told before it asks. */
export function powerView(kind: PowerKind, s: NodeState, job: string | null): PowerView {
  const refusal = powerRefusal(s, job);
  const [node, peer] = [me(s), other(s)];
  const handsOver = refusal === null && holds(s);
  const goes = kind === 'restart' ? `node ${node} restarts` : `node ${node} goes off`;
  return {
    kind,
    node,
    refusal: refusal?.error.report() ?? null,
    forceable: refusal?.forceable ?? false,
    handsOverTo: handsOver ? peer : null,
    does: handsOver ? `node ${peer} takes the service over, then ${goes}` : goes,
    costs: costsOf(kind, s, refusal !== null),
    word: node,
  };
}

function costsOf(kind: PowerKind, s: NodeState, forced: boolean): readonly string[] {
  const [node, peer] = [me(s), other(s)];
  const back = kind === 'restart' ? `node ${node} is back` : `node ${node} is switched on again`;
  const stays = kind === 'restart' ? [] : [`Node ${node} stays off until somebody switches it on.`];
  const level = `There is no high availability until ${back} and its storage is level.`;
  if (forced && holds(s)) {
    const lacking = `Node ${peer} does not take over by itself from a node that it may lag behind.`;
    return [`Nobody serves until ${back}.`, lacking, ...stays];
  }
  if (forced) return [`If node ${peer} is off, nobody serves until ${back}.`, level, ...stays];
  const gap = holds(s) ? [`Clients see a short gap while node ${peer} takes over.`] : [];
  return [...gap, level, ...stays];
}

/** The sentence of the end of a restart or a shutdown that came to its end. */
export function backSentence(kind: PowerKind, s: NodeState): string {
  const did = kind === 'restart' ? 'has restarted' : 'was switched on again';
  const role = s.world.serving === null ? 'it is admitted as the standby' : 'it serves';
  return `node ${me(s)} ${did}; ${role}`;
}
