/**
 * Tells people and scripts what happens: turns the steps of the machine into events with sentences.
 * It only looks; it decides nothing. Imports core and the updater's event log.
 */
import type { Progress } from '../core/model.ts';
import { END_PHASES, type NodeUpdate, type RolloutRecord } from '../core/records.ts';
import { me, peerReport, running, type NodeState } from '../core/state.ts';
import type { EventLog } from '../updater/events.ts';

/** At most one progress event per this many milliseconds. */
const PROGRESS_MS = 500;

const UPDATE_WORDS: Readonly<Record<NodeUpdate['state'], string>> = {
  idle: 'has no update',
  installing: 'Installation started',
  installed: 'Installation finished, the slots were read back',
  arming: 'trial is being armed',
  rebooting: 'restarts into the new slot',
  trial: 'runs the new version on trial',
  healthy: 'is healthy on trial',
  committing: 'is being committed',
  committed: 'the new version is committed',
  reverting: 'returns to the old version',
  reverted: 'the old version is in place again',
  failed: 'Installation failed',
};

/** A return writes nothing: it checks and boots what the other slots hold. */
const RETURN_WORDS: Partial<Record<NodeUpdate['state'], string>> = {
  installing: 'checks that the other slots still hold the old version',
  installed: 'the other slots hold the old version',
  rebooting: 'restarts into the old version',
  trial: 'runs the old version on trial',
  committed: 'the old version is committed',
  reverting: 'cannot run the old version and goes back',
  reverted: 'stays at its version',
  failed: 'cannot return to the old version',
};

/** Turns steps of the machine into events. */
export class Narrator {
  readonly #events: EventLog;
  #progressMs = 0;

  constructor(events: EventLog) {
    this.#events = events;
  }

  /** Compares two states of this node and tells what is new. */
  onStep(before: NodeState, after: NodeState): void {
    this.#rollout(before, after);
    this.#update(before, after);
    this.#role(before, after);
    this.#progress(after);
  }

  #rollout(before: NodeState, after: NodeState): void {
    const { rollout } = after;
    // The driver tells; its peer hears the event from it, so that each is told once.
    if (rollout === null || rollout === before.rollout || !drives(after)) return;
    const old = before.rollout?.id === rollout.id ? before.rollout : null;
    if (old?.phase === rollout.phase && old.finalized === rollout.finalized) return;
    const newest = [...rollout.nodes.A.log, ...rollout.nodes.B.log]
      .filter((entry) => entry.phase === rollout.phase)
      .toSorted((a, b) => a.at.localeCompare(b.at))
      .at(-1);
    const ended = END_PHASES.has(rollout.phase);
    this.#events.emit({
      job: rollout.id,
      phase: rollout.phase,
      state: ended ? 'ended' : 'phase',
      msg: rollout.result?.message ?? newest?.text ?? beginning(rollout),
      code: rollout.result?.code ?? null,
    });
  }

  #update(before: NodeState, after: NodeState): void {
    const { update } = after.record;
    if (update.state === before.record.update.state || update.state === 'idle') return;
    const reason = 'reason' in update ? update.reason : null;
    const back = update.mode === 'return' ? RETURN_WORDS[update.state] : undefined;
    const word = back ?? UPDATE_WORDS[update.state];
    this.#events.emit({
      job: update.rollout,
      phase: after.rollout?.phase ?? null,
      state: update.state,
      msg:
        reason === null
          ? `node ${me(after)}: ${word}`
          : `node ${me(after)}: ${word}: ${reason.message}`,
      code: reason?.code ?? null,
    });
  }

  #role(before: NodeState, after: NodeState): void {
    const job = running(after.rollout) ? after.rollout.id : null;
    const phase = after.rollout?.phase ?? null;
    const tell = (state: string, msg: string): void => {
      this.#events.emit({ job, phase, state, msg });
    };
    const { world } = after;
    const node = me(after);
    if (world.serving !== before.world.serving) {
      if (world.serving === null) tell('service', `node ${node} serves no more`);
      else tell('service', `node ${node} serves (epoch ${world.serving})`);
    }
    const heard = peerReport(after) !== null;
    if (heard !== (peerReport(before) !== null)) {
      tell('link', heard ? `node ${node} hears its peer` : `node ${node} lost its peer`);
    }
    if (world.admitted && !before.world.admitted) {
      tell('admitted', `node ${node} may take over`);
    }
  }

  #progress(after: NodeState): void {
    const { world, rollout } = after;
    const sync = world.store.role === 'primary' ? world.store.sync : null;
    const job = running(rollout) ? rollout.id : null;
    const syncing = sync === null ? null : { name: 'syncing', progress: sync, job };
    const activity = world.activity ?? syncing;
    const progress = activity?.progress ?? null;
    if (activity === null || progress === null) return;
    const { ms } = world.clock;
    if (ms - this.#progressMs < PROGRESS_MS) return;
    this.#progressMs = ms;
    this.#events.emit({
      job: activity.job,
      phase: activity.job === rollout?.id ? (rollout?.phase ?? null) : null,
      state: 'progress',
      msg: `node ${me(after)}: ${activity.name}`,
      pct: percent(progress),
      etaS: progress.etaS ?? null,
    });
  }
}

/** A rollout begins before its first step is noted. */
function beginning({ kind, phase }: RolloutRecord): string {
  if (phase !== 'STAGE') return `phase ${phase}`;
  return kind === 'update' ? 'the bundle is brought to both nodes' : 'the way back begins';
}

function percent(progress: Progress): number {
  if (progress.totalBytes === 0) return 100;
  return Math.floor((1000 * progress.doneBytes) / progress.totalBytes) / 10;
}

/** Whether this node wrote the newest state of the rollout: it serves. */
function drives(s: NodeState): boolean {
  return s.world.serving !== null && s.record.role.holder === me(s);
}
