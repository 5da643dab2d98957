/**
 * The last moment before a node is switched: its slots are written and sealed, nothing is armed,
 * the pair is highly available. Here an update waits while a file stops it, while no maintenance
 * window is open, and while a hook of `pre-switch` wants it to; a veto ends it as a failed
 * installation does, with nothing changed. Always holds: a way back is never held up; the second
 * node is not held up by a window, because what has begun is better ended. Imports core and ports.
 */
import type { Job, Reason } from '../core/records.ts';
import { clockTrouble } from '../core/schedule.ts';
import type { Event, NodeState } from '../core/state.ts';
import { closedWindow, type Window } from '../core/window.ts';
import type { Hooks, Host, Inhibitor } from '../ports.ts';
import { pause, type Pause } from './effects.ts';
import { askUntilAgreed } from './hook-wait.ts';

/** Name of what waits, in the troubles of a node. */
export const SWITCH_TROUBLE = 'switch';
/** How often it is looked whether the switch may go on. */
const LOOK_MS = 5000;

/** What the gate is made of. */
export interface GateParts {
  readonly hooks: Hooks;
  readonly host: Pick<Host, 'monotonicMs' | 'nowMs'>;
  readonly pause?: Pause;
  /** What may hold it up; nothing does when absent. */
  readonly automation?: {
    readonly windows: readonly Window[];
    readonly laterH: number;
    readonly inhibitor: Inhibitor;
  };
}

/** A look at the clock and the windows: why nothing may begin or switch by them, or null. */
export function windowReason(windows: readonly Window[], nowMs: number): Reason | null {
  if (windows.length === 0) return null;
  const wrong = clockTrouble(nowMs, 0, null);
  if (wrong !== null) return { code: 'clock.wrong', message: wrong };
  const message = closedWindow(windows, nowMs);
  return message === null ? null : { code: 'window.closed', message };
}

/** Waits until this job may switch this node; throws `hook.veto`, or the signal's reason. */
export async function passGate(
  parts: GateParts,
  job: Job,
  state: () => NodeState,
  dispatch: (event: Event) => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  const { automation, hooks, host, pause: wait = pause } = parts;
  if (job.mode === 'return') return;
  const tell = async (reason: Reason | null): Promise<void> => {
    await dispatch({ type: 'trouble', effect: SWITCH_TROUBLE, reason });
  };
  const { laterH = 24 } = automation ?? {};
  const asked = { hooks, host, laterH, pause: wait };
  let shown: string | null = null;
  try {
    for (;;) {
      signal.throwIfAborted();
      const reason = await blockedBy(automation, host.nowMs(), state());
      if (reason !== null) {
        if (reason.message !== shown) await tell(reason);
        shown = reason.message;
        await wait(LOOK_MS, signal);
        continue;
      }
      if (shown !== null) await tell(null);
      shown = null;
      const question = { point: 'pre-switch', input: switchInput(job, state()), tell };
      await askUntilAgreed(asked, question, signal);
      // While hooks took their time a window may have closed.
      if ((await blockedBy(automation, host.nowMs(), state())) === null) return;
    }
  } finally {
    if (shown !== null) await tell(null);
  }
}

async function blockedBy(
  automation: GateParts['automation'],
  nowMs: number,
  { record, rollout }: NodeState,
): Promise<Reason | null> {
  if (automation === undefined) return null;
  const file = await automation.inhibitor.inhibited();
  if (file !== null) return { code: 'update.inhibited', message: `node ${record.node}: ${file}` };
  const bound = rollout?.first === record.node && rollout.options?.ignoreWindow !== true;
  return bound ? windowReason(automation.windows, nowMs) : null;
}

/** What hooks around a switch are told on their standard input. */
export function switchInput(job: Job, s: NodeState): object {
  return {
    node: s.record.node,
    rollout: job.rollout,
    first: s.rollout?.first === s.record.node,
    version: s.rollout?.to.version ?? null,
    system: s.world.system,
    storage: s.world.storage?.release ?? null,
    serving: s.world.serving !== null,
  };
}
